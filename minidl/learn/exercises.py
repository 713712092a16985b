"""What an exercise is: a page to edit, its solution, and how an answer is judged.

    write the rule      the formula stands in the docstring; the rule is left out
    derive it           what follows "so" is left out as well
    program it          the statements of a function are left out
    find the fault      one thing is wrong
"""
import ast
from dataclasses import dataclass
import importlib
import inspect
import textwrap

import numpy as np

from minidl.learn import answers, source
from minidl.learn.answers import Wrong, standing_in, told
from minidl.learn.source import Target
from minidl.learn.trials import compare, written
from minidl.tensor import Tensor
from minidl.testing import gradcheck

WRITE, DERIVE, PROGRAM, FIND = "write the rule", "derive it", "program it", "find the fault"

TASKS = {
    WRITE: "Put the cotangent of {argument} in the place of `...`: the docstring says what it is.",
    DERIVE: "Put the cotangent of {argument} in the place of `...`.  Derive it first: with\n"
            "dL = ⟨ȳ, dy⟩ in terms of d{argument}, what stands beside d{argument} is the answer.",
    PROGRAM: "Put the missing lines in the place of `...`.",
    FIND: "One thing here is wrong.  Repair it."}


@dataclass(frozen=True)
class Exercise:
    """A piece of the package's source with a hole, or with a misprint.

    target: where the piece stands.        hole: what is left out (source.py).
    misprint: (a line, what stands there instead), to find a fault.
    cases: names of the suite's cases that are tried; by default those of the function.
    trials: calls whose results must be the source's (trials.py).
    note: what the page says beside the task.
    also: a class or function whose docstring the page shows.
    hints: own ones, before those that are made of the source.
    """
    name: str
    kind: str
    target: Target
    hole: object = None
    misprint: tuple = ()
    cases: tuple = ()
    trials: tuple = ()
    note: str = ""
    also: str = ""
    hints: tuple = ()

    @property
    def source(self):
        return self.target.text

    def page(self, place, command):
        """The file that the learner edits.  place: in words, where the exercise stands."""
        text = source.blanked(self.source, self.hole) if self.hole \
            else source.exchanged(self.source, *self.misprint)
        if self.kind in (DERIVE, FIND):
            text = source.without_results(text)
        lines = [TASKS[self.kind].format(argument=getattr(self.hole, "argument", "x"))]
        lines += ["", *textwrap.wrap(self.note, 96)] * bool(self.note)
        if self.also:
            read = inspect.getdoc(Target(self.also).value).partition(">>>")[0].rstrip()
            read = source.without_results(read) if self.kind in (DERIVE, FIND) else read
            lines += ["", f"{self.also.rpartition(':')[2]}: {read}"]
        lines += ["", f"All names of {self.target.file} can be used here."]
        return page(self, place, command, lines, self.target.imports(text), text)

    def solved(self):
        """A file with the right answer: the source."""
        return self.source

    def solution(self):
        """The answer in words: the source, and where it stands."""
        return f"# {self.target.file}, line {self.target.line}\n{self.source}"

    def all_hints(self):
        return [*self.hints, *self._hints_of_the_source()]

    def _hints_of_the_source(self):
        if self.misprint:
            line, instead = self.misprint
            number = next(i for i, text in enumerate(self.source.splitlines(), 1)
                          if line.splitlines()[0] in text)
            yield f"Read the docstring, and hold each line against it; look at line {number} of " \
                  "the function."
            return
        if self.kind in (WRITE, DERIVE):
            yield "dL = ⟨ȳ, dy⟩.  Write dy for a small change of this one input, the others " \
                  "fixed; move what stands before the change to the other side of ⟨ , ⟩: that is " \
                  "the rule."
            found = source.results(self.source)
            if self.kind == DERIVE and found:
                yield "The docstring says: " + ";  ".join(found)
        names = dict.fromkeys(node.id for piece in source.left_out(self.source, self.hole)
                              for node in ast.walk(ast.parse(piece))
                              if isinstance(node, ast.Name))
        if names:
            yield f"The source uses {', '.join(names)}."

    @np.errstate(all="ignore")
    def judge(self, text, filename):
        """Raise Wrong, with what is wrong, unless the text is a right answer."""
        real, module = self.target.value, self.target.module
        expected = [trial.outcomes(module) for trial in self.trials]
        answer = answers.defined(answers.run(text, filename, module), self.target.name, real)
        with standing_in(self.target, answer), told(filename):
            self.check_cases()
            for trial, wanted in zip(self.trials, expected):
                compare(self.target.name, trial.outcomes(module), wanted)

    def check_cases(self):
        """The suite's cases; they call the operation by its public name."""
        for case in self.suite_cases():
            _check_case(case)

    def suite_cases(self):
        from minidl.learn.cases import cases  # imported where used: it imports SciPy
        names = self.cases or (() if self.trials else (self.target.name,))
        return [case for case in cases if case.name in names and "empty" not in case.words]


def _check_case(case):
    """The suite's check of a case: the value that NumPy gives, and the gradients."""
    inputs = case.draw(seed=1)
    gradcheck(case.call, *inputs, order=min(case.order, 2), mode="directional",
              allow_zero=case.flat)
    if case.value:
        found = case.call(*inputs)
        for y, value in zip(*((v if isinstance(v, (tuple, list)) else [v])
                              for v in (found, case.value(*inputs)))):
            if y.shape != np.shape(value) or not np.allclose(y.numpy(), value, 1e-9, 1e-10):
                raise Wrong(f"{case.name} ({case.words}): the value is {y.numpy().tolist()}, "
                            f"expected {np.asarray(value).tolist()}"[:300])


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
            said = " ".join(str(error).split())
        return [*self.hints, f"gradcheck says: {said}",
                f"In the suite it is called: {self.mutant_name.replace('_', ' ')}."]

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
            raise Wrong("inputs: there even the right function fails: "
                        + " ".join(str(error).split())[:300]) from None
        try:
            gradcheck(mutant.mutant, *inputs, order=mutant.order)
        except AssertionError:
            return
        except Exception as error:
            raise Wrong("inputs: the wrong function does not take them: "
                        + " ".join(str(error).split())[:300]) from None
        raise Wrong("inputs: there the fault does not show: gradcheck passes")


def _module_of(name):
    """Where an operation stands, as "ops.elementwise"."""
    ops = importlib.import_module("minidl.ops")
    return getattr(ops, name).__module__.removeprefix("minidl.")


def _value(f, inputs):
    return f(*(Tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs)).numpy()


def page(exercise, place, command, lines, imports, text):
    """The file that the learner edits: what is asked, as a comment; imports; the text."""
    lines = [place, f"{exercise.name}: {exercise.kind}", "", *lines, f"Then:  {command}"]
    comment = "".join(f"# {line}".rstrip() + "\n" for line in "\n".join(lines).split("\n"))
    return f"{comment}{imports}\n\n{text}"
