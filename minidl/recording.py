"""Whether operations are recorded for differentiation: they are, except inside of `no_grad`.

Each thread and each task of asyncio has its own answer, by way of `contextvars`.  So has each
generator: a `with no_grad():` inside of one holds while that one runs, not while it waits at a
`yield` and its caller goes on.
"""
from contextvars import ContextVar
import functools
import inspect
import sys

_PAUSES = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR

_blocks = ContextVar("blocks", default=())          # the open `with` blocks, outermost first
_answer = ContextVar("answer", default=True)        # a bool, or a `_WhileRunning`
recording_now = _answer.get                         # true where operations are recorded


class _Block:
    """An open `with`.  frame: that of the generator that it stands in, or None."""

    def __init__(self, owner, frame):
        self.owner, self.wanted, self.frame = owner, owner.wanted, frame


class _WhileRunning:
    """True where the innermost block that holds now wants recording.

    A frame that waits has no caller.
    """

    def __init__(self, blocks):
        self.blocks = blocks

    def __bool__(self):
        for block in reversed(self.blocks):
            if block.frame is None or block.frame.f_back is not None:
                return block.wanted
        return True


def _open(blocks):
    """Make these the open blocks."""
    _blocks.set(blocks)
    if any(block.frame for block in blocks):
        _answer.set(_WhileRunning(blocks))
    else:
        _answer.set(blocks[-1].wanted if blocks else True)


class recording:
    """Within `with recording(wanted):`, or a decorated function, operations are recorded or not."""

    def __init__(self, wanted):
        self.wanted = wanted

    def __enter__(self):
        _open((*_blocks.get(), _Block(self, _pausing_frame(sys._getframe(1)))))
        return self

    def __exit__(self, *exception):
        blocks = _blocks.get()
        for i in reversed(range(len(blocks))):      # not the last where a generator waits
            if blocks[i].owner is self:
                _open(blocks[:i] + blocks[i + 1:])
                break

    def __call__(self, function):
        if not callable(function):
            raise TypeError("no_grad and recording decorate functions, got "
                            f"{type(function).__name__}")
        wanted = self.wanted
        if inspect.isasyncgenfunction(function):
            async def inside(*arguments, **options):
                with recording(wanted):
                    items = function(*arguments, **options)
                    step = items.asend(None)
                    try:
                        while True:
                            item = await step
                            try:
                                step = items.asend((yield item))
                            except GeneratorExit:
                                raise
                            except BaseException as error:      # thrown in by the caller
                                step = items.athrow(error)
                    except StopAsyncIteration:
                        pass
                    finally:
                        await items.aclose()
        elif inspect.iscoroutinefunction(function):
            async def inside(*arguments, **options):
                with recording(wanted):
                    return await function(*arguments, **options)
        elif inspect.isgeneratorfunction(function):
            def inside(*arguments, **options):
                with recording(wanted):
                    return (yield from function(*arguments, **options))
        else:
            def inside(*arguments, **options):
                with recording(wanted):
                    return function(*arguments, **options)
        return functools.wraps(function)(inside)


def _pausing_frame(frame):
    """The frame if it is a generator's, else None; helpers of contextlib are passed over."""
    while _of_contextlib(frame) or _pauses(frame) and _of_contextlib(frame.f_back):
        frame = frame.f_back
    return frame if _pauses(frame) else None


def _pauses(frame):
    return frame is not None and frame.f_code.co_flags & _PAUSES


def _of_contextlib(frame):
    return frame is not None and frame.f_globals.get("__name__") == "contextlib"


def is_recording():
    """Whether operations are recorded here and now."""
    return bool(recording_now())


def no_grad(function=None):
    """Within `with no_grad():`, or a function decorated with `@no_grad`, nothing is recorded.

    In a generator it holds while that one runs, not for its caller; in a task, not for others.

    >>> from minidl.tensor import tensor
    >>> x = tensor(2.0, requires_grad=True)
    >>> with no_grad():
    ...     (x * x).requires_grad
    False
    """
    return recording(False) if function is None else recording(False)(function)
