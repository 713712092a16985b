"""What an exercise is: a page to edit, its solution, and how an answer is judged.

    write the rule      the formula stands in the docstring; the rule is left out
    derive it           what follows "so" is left out as well
    program it          the statements of a function are left out
    find the fault      one thing is wrong
"""
import ast
from dataclasses import dataclass
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
    hidden: words of the docstring that the page leaves out: they are the answer.
    means: (a part of an error, what it means here).
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
    hidden: str = ""
    means: tuple = ()

    @property
    def source(self):
        return self.target.text

    def page(self, place, command):
        """The file that the learner edits.  place: in words, where the exercise stands."""
        text = source.blanked(self.source, self.hole) if self.hole \
            else source.exchanged(self.source, *self.misprint)
        if self.kind in (DERIVE, FIND):
            text = source.without_results(text)
        if self.hidden:
            text = source.without(text, self.hidden)
        lines = [TASKS[self.kind].format(argument=getattr(self.hole, "argument", "x"))]
        if self.kind in (WRITE, DERIVE) and "with_output(" in text:
            lines.append("with_output gives a rule the operation's result y, beside ȳ.")
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
            if self.hidden:
                yield f"The docstring begins: dy = {self.hidden}"
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
        answers.check_returns(text, self.source)
        try:
            with standing_in(self.target, answer), told(filename):
                self.check_cases()
                for trial, wanted in zip(self.trials, expected):
                    compare(self.target.name, trial.outcomes(module), wanted)
        except Wrong as error:
            raise Wrong(f"{error}{self._meaning(str(error), text)}") from None

    def _meaning(self, said, text):
        """What more can be said of an error: what it comes from."""
        if self.means and self.means[0] in said:
            return f"; {self.means[1]}"
        lines = answers.arrays_in_rules(text)
        if lines and ("zero everywhere" in said or "no gradient" in said):
            return f"; line {lines[0]}: `.data` is an array, so what is computed of it is not " \
                   "recorded, and has no derivative"
        return ""

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
    try:
        gradcheck(case.call, *inputs, order=min(case.order, 2), mode="directional",
                  allow_zero=case.flat)
    except AssertionError as error:
        raise Wrong(f"{error}" + f"; {case.name} with {case.words}" * bool(case.words)) from None
    if case.value:
        found, expected = (y if isinstance(y, (tuple, list)) else [y]
                           for y in (case.call(*inputs), case.value(*inputs)))
        for y, value in zip(found, expected):
            if not isinstance(y, Tensor):
                raise Wrong(f"{case.name} of arrays gives {type(y).__name__}, expected a Tensor: "
                            "first `operand` (or `operands`, `floating`) makes one of an argument")
            if y.shape != np.shape(value) or not np.allclose(y.numpy(), value, 1e-9, 1e-10):
                raise Wrong(f"{case.name} {case.words}: the value is {written(y.numpy()):.100}, "
                            f"expected {written(np.asarray(value)):.100}")


def page(exercise, place, command, lines, imports, text):
    """The file that the learner edits: what is asked, as a comment; imports; the text."""
    lines = [place, f"{exercise.name}: {exercise.kind}", "", *lines, f"Then:  {command}"]
    comment = "".join(f"# {line}".rstrip() + "\n" for line in "\n".join(lines).split("\n"))
    return f"{comment}{imports}\n\n{text}"
