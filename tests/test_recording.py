"""no_grad and recording: in functions, generators, coroutines, tasks and helpers of contextlib."""
import asyncio
from contextlib import ExitStack, contextmanager
import time

import pytest

import minidl as md
from minidl import ops
from minidl.recording import is_recording, recording

x = md.tensor(1.0, requires_grad=True)


def records():
    return (x * 2).requires_grad


def test_a_decorated_generator_does_not_record_and_its_caller_does():
    @md.no_grad()
    def scores():
        for _ in range(2):
            yield records()

    assert [(inside, records()) for inside in scores()] == [(False, True)] * 2


def test_a_with_in_a_generator_ends_at_each_yield():
    def scores():
        with md.no_grad():
            for _ in range(2):
                yield records()
        yield records()

    assert [(inside, records()) for inside in scores()] == [(False, True)] * 2 + [(True, True)]


def test_generators_that_take_turns_do_not_meet():
    def one(wanted):
        with recording(wanted):
            while True:
                yield records()

    off, on = one(False), one(True)
    with md.no_grad():
        assert [(next(off), next(on), records()) for _ in range(2)] == [(False, True, False)] * 2
        off.close()
        assert (next(on), records()) == (True, False)
    assert next(on) and records()
    del on
    assert records()


def test_a_generator_that_is_dropped_half_way_leaves_nothing():
    def scores():
        with md.no_grad():
            yield records()
            yield records()

    assert next(scores()) is False
    assert records() and is_recording() is True


def test_a_decorated_coroutine_and_asynchronous_generator_do_not_record():
    @md.no_grad()
    async def one():
        await asyncio.sleep(0)
        return records()

    @md.no_grad()
    async def many():
        for _ in range(2):
            yield records()

    async def main():
        return await one(), [(inside, records()) async for inside in many()]

    assert asyncio.run(main()) == (False, [(False, True)] * 2)


def test_tasks_do_not_meet():
    async def evaluate():
        with md.no_grad():
            await asyncio.sleep(0.02)
            return records()

    async def train():
        await asyncio.sleep(0.01)
        return records()

    async def main():
        return await asyncio.gather(evaluate(), train(), evaluate())

    assert asyncio.run(main()) == [False, True, False]


def test_helpers_of_contextlib_stand_for_the_with_that_enters_them():
    @contextmanager
    def evaluating():
        with md.no_grad():
            yield

    with evaluating():
        assert not records()
    assert records()

    def scores():
        with ExitStack() as stack:
            stack.enter_context(evaluating())
            stack.enter_context(md.no_grad())
            yield records()

    assert [(inside, records()) for inside in scores()] == [(False, True)]


def test_a_decorated_function_keeps_its_name_and_gives_back_what_it_did():
    @md.no_grad()
    def evaluate():
        """Words."""
        return records()

    assert (evaluate(), evaluate.__name__, evaluate.__doc__) == (False, "evaluate", "Words.")

    @md.no_grad()
    def total():
        return (yield)

    with pytest.raises(StopIteration) as stopped:
        total_of = total()
        next(total_of)
        total_of.send(5)
    assert stopped.value.value == 5


def test_a_gradient_of_what_was_not_recorded_is_refused():
    with md.no_grad():
        with pytest.raises(ValueError, match="grad: the output was not recorded"):
            md.grad(x * x, x)
        with recording(True):
            assert md.grad(x * x, x)[0].item() == 2
    y = x * x
    with md.no_grad():
        assert md.grad(y, x)[0].item() == 2


def test_a_function_that_differentiates_inside_works_in_a_rule_of_its_own():
    def penalty(t):
        g, = md.grad(ops.sum(t * t * t), t, create_graph=True)
        return ops.sum(g * g)

    t = md.tensor([1.0, 2.0], requires_grad=True)
    assert md.grad(penalty(t), t)[0].numpy().tolist() == [36.0, 288.0]      # Σ 9 t⁴, so 36 t³


def test_threads_of_a_task_keep_its_answer():
    """asyncio.to_thread takes the task's context along, however long the task has waited."""
    def later():
        time.sleep(0.05)
        return records()

    async def main():
        with md.no_grad():
            inside = await asyncio.to_thread(later)
        return inside, await asyncio.to_thread(records)

    assert asyncio.run(main()) == (False, True)


def test_a_decorated_asynchronous_generator_is_sent_values_and_closed():
    closed = []

    @md.no_grad()
    async def echo():
        said = None
        try:
            while True:
                said = yield said
        finally:
            closed.append(records())

    async def main():
        items = echo()
        await items.asend(None)
        said = await items.asend("word")
        await items.aclose()
        return said

    assert (asyncio.run(main()), closed) == ("word", [False])


def test_a_decorated_asynchronous_generator_is_thrown_errors():
    @md.no_grad()
    async def items():
        try:
            yield 1
        except ValueError as error:
            yield f"caught {error}", is_recording()
        yield 3

    async def use():
        first = items()
        assert await first.asend(None) == 1
        assert await first.athrow(ValueError("x")) == ("caught x", False)
        assert [item async for item in first] == [3] and is_recording()
        for error in KeyError("y"), asyncio.CancelledError():
            second = items()
            await second.asend(None)
            with pytest.raises(type(error)):            # it is not caught, and comes back
                await second.athrow(error)

    asyncio.run(use())


def test_what_is_no_function_is_not_decorated():
    with pytest.raises(TypeError, match="^no_grad and recording decorate functions, got cl"):
        md.no_grad()(classmethod(records))


def test_no_grad_decorates_without_brackets_too():
    @md.no_grad
    def square(x):
        return x * x

    assert not square(md.tensor(2.0, requires_grad=True)).requires_grad
