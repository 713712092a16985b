"""Find the fault: an operation that is wrong on purpose is repaired, and an input is found that
shows it."""

from dataclasses import dataclass
import importlib

import numpy as np

from minidl.learn import answers, source
from minidl.learn.answers import Wrong, in_a_line, told
from minidl.learn.exercises import FIND, page
from minidl.learn.source import Target
from minidl.learn.trials import written
from minidl.tensor import Tensor
from minidl.testing import gradcheck


@dataclass(frozen=True)
class Fault:
    """A mutant of the suite: an operation that is wrong on purpose, to be repaired; and an input at
    which the fault shows, to be found."""
    name: str
    mutant_name: str
    hints: tuple = ()
    kind: str = FIND

    @property
    def mutant(self):
        from minidl.learn.mutants import mutants
        return next(mutant for mutant in mutants if str(mutant) == self.mutant_name)

    @property
    def right(self):
        """What the suite says is right, as text."""
        return source.right_of(self.mutant.mutant)

    @property
    def function(self):
        """The name under which the learner repairs it."""
        name = self.right.removeprefix("ops.")
        return name if name.isidentifier() else "f"

    @property
    def arguments(self):
        code = self.mutant.mutant.__code__
        return code.co_varnames[:code.co_argcount]

    def drawn(self, seed):
        """Inputs as the suite draws them."""
        rng = np.random.default_rng(seed)
        return [np.asarray(draw(rng)) for draw in self.mutant.inputs]

    def page(self, place, command):
        text = source.bare(self.mutant.mutant, self.function)
        module = self.mutant.mutant.__module__.removeprefix("minidl.")
        names = ", ".join(self.arguments)
        again = " where it is differentiated again" * (self.mutant.order > 1)
        lines = [f"This should be   {self.right}",
                 f"but its gradient is wrong{again}.",
                 "Give an input at which gradcheck sees it, and repair the function."]
        imports = Target(f"{module}:{self.mutant_name}").imports(text)
        names += "," * (len(self.arguments) == 1)
        text += f"\n\ninputs = ...        # ({names}), each a list or an array\n"
        return page(self, place, command, lines, imports, text)

    def solved(self):
        inputs = ", ".join(map(written, self.drawn(0)))
        return f"{self.function} = {self.right}\n\ninputs = ({inputs},)\n"

    def solution(self):
        text = self.solved()
        if self.function != "f":
            target = Target(f"{_module_of(self.function)}:{self.function}")
            text = f"# {target.file}, line {target.line}\n{target.text}\n\n{text}"
        return text

    def all_hints(self):
        try:
            self.mutant.check(self.mutant.mutant, 0, "full")
        except AssertionError as error:
            said = in_a_line(error).replace(self.mutant_name, self.function)
        return [*self.hints, f"gradcheck says: {said}"]

    @np.errstate(all="ignore")
    def judge(self, text, filename):
        """Raise Wrong unless the inputs show the fault, and the function has it no more."""
        mutant = self.mutant
        module = importlib.import_module(mutant.mutant.__module__)
        names = answers.run(text, filename, module)
        if not callable(names.get(self.function)) or "inputs" not in names:
            raise Wrong(f"the file must define `{self.function}` and `inputs` (reset writes the "
                        "exercise again)")
        self._check_that_it_shows(mutant, self._inputs(names["inputs"]))
        with told(filename):
            mutant.check(names[self.function], 0, "full")
            found, expected = (_value(f, self.drawn(3))
                               for f in (names[self.function], mutant.right))
        if found.shape != expected.shape or not np.allclose(found, expected):
            raise Wrong(f"the gradient fits the function, but the function is no longer "
                        f"{self.right}")

    def _inputs(self, given):
        if not isinstance(given, (tuple, list)) or len(given) != len(self.arguments):
            raise Wrong(f"inputs must be a tuple with one array for each of "
                        f"{', '.join(self.arguments)}, got {given!r:.60}")
        try:
            return [np.asarray(x, like.dtype) for x, like in zip(given, self.drawn(0))]
        except (TypeError, ValueError) as error:
            raise Wrong(f"inputs must be arrays of numbers: {error}") from None

    def _check_that_it_shows(self, mutant, inputs):
        try:
            gradcheck(mutant.right, *inputs, order=mutant.order)
        except Exception as error:
            raise Wrong("inputs: even the right function cannot be checked there: "
                        + in_a_line(error)[:300]) from None
        try:
            gradcheck(mutant.mutant, *inputs, order=mutant.order)
        except AssertionError:
            return
        except Exception as error:
            raise Wrong("inputs: the wrong function does not take them: "
                        + in_a_line(error)[:300]) from None
        raise Wrong("inputs: there the fault does not show: gradcheck passes")


def _module_of(name):
    """Where an operation stands, as "ops.elementwise"."""
    ops = importlib.import_module("minidl.ops")
    return getattr(ops, name).__module__.removeprefix("minidl.")


def _value(f, inputs):
    return f(*(Tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs)).numpy()
