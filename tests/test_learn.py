"""The exercises: each is right with its solution, and wrong with anything else."""
import ast
import importlib
import inspect
import pathlib
import re
from types import SimpleNamespace

from mutants_engine import engine, engines
import mutants_rules  # noqa: F401  files more of them
import pytest

import minidl as md
from minidl import ops
from minidl.learn import path, source
from minidl.learn.answers import Wrong, standing_in, told
from minidl.learn.exercises import DERIVE, WRITE
from minidl.learn.mutants import mutants

RULES = [exercise for exercise in path.EXERCISES if exercise.kind in (WRITE, DERIVE)]
# seen by no gradcheck of values in float64: what outlives a graph, what single precision costs the
# eleventh digit, a third derivative
UNSEEN = {"rule_closes_over_its_output", "gradient_in_single_precision"}


def page(exercise):
    return exercise.page(path.place(exercise), "check")


def wrong_words(exercise, text):
    """What is said of an answer that is not right."""
    with pytest.raises(Wrong) as caught:
        exercise.judge(text, "answer.py")
    words = str(caught.value)
    assert words and "\n" not in words and len(words) < 700
    return words


@pytest.mark.parametrize("exercise", path.EXERCISES, ids=lambda e: e.name)
def test_an_exercise(exercise):
    """The page is not right yet, the solution is."""
    words = wrong_words(exercise, page(exercise))
    assert words.startswith("not filled in yet") or getattr(exercise, "misprint", ())
    exercise.judge(exercise.solved(), "answer.py")
    assert exercise.solution() and exercise.all_hints()
    assert all(len(line) <= 110 for line in page(exercise).splitlines())


@pytest.mark.parametrize("exercise", [e for e in RULES if e.kind == DERIVE], ids=lambda e: e.name)
def test_what_is_to_be_derived_is_hidden(exercise):
    also = inspect.getdoc(source.Target(exercise.also).value) if exercise.also else ""
    hidden = source.results(exercise.source) + source.results(also) + [exercise.hidden] * bool(
        exercise.hidden)
    assert hidden and ("dy = …" if exercise.hidden else "so   …") in page(exercise)
    assert not any(" ".join(words.split()) in " ".join(page(exercise).split()) for words in hidden)


def test_what_the_docstring_would_answer_is_hidden():
    assert "last made first" not in page(path.find("sweep-order"))
    with pytest.raises(LookupError, match="the source has changed: 'dx' stands there 0 times"):
        source.without("y", "dx")


def test_a_rule_that_is_given_the_output_is_explained():
    assert "# with_output gives a rule the operation's result y" in page(path.find("exp"))
    assert "# with_output" not in page(path.find("log"))


def changed(exercise, expression):
    """The solution with another expression in the place of what was left out."""
    text = source.blanked(exercise.source, exercise.hole)
    text = text.replace(f"with_output({source.BLANK}", f"with_output(lambda gy, y: {expression}")
    return text.replace(f": {source.BLANK}", f": {expression}")


@pytest.mark.parametrize("exercise", [exercise for exercise in RULES
                                      if isinstance(exercise.hole, source.Rule)],
                         ids=lambda e: e.name)
def test_another_rule_is_wrong(exercise):
    """The neighbours' rules, the rule with the other sign, no cotangent, and one of NumPy alone."""
    right = source.left_out(exercise.source, exercise.hole)[0]
    others = {f"-({right})", "gy * 0"}
    others |= {ast.unparse(node.body) for node in ast.walk(ast.parse(exercise.source))
               if isinstance(node, ast.Lambda)} - {right}
    for other in others:
        words = wrong_words(exercise, changed(exercise, other))
        assert "argument" in words or "NameError" in words


def wrong_for(exercise):
    """The suite's mutants of the operations on whose cases an exercise is tried."""
    operations = {getattr(ops, case.name, None) for case in exercise.suite_cases()} - {None}
    return [mutant for mutant in mutants if mutant.right in operations
            and str(mutant) not in UNSEEN]


@pytest.mark.parametrize("exercise, mutant", [
    (exercise, mutant) for exercise in RULES for mutant in wrong_for(exercise)],
    ids=lambda value: getattr(value, "name", None) or str(value))
def test_a_mutant_is_wrong(exercise, mutant, monkeypatch):
    """Where it stands in for the operation, the cases see that it is wrong."""
    operation, module = mutant.right, importlib.import_module(mutant.mutant.__module__)
    monkeypatch.setattr(module, "ops", SimpleNamespace(**vars(ops)))    # it calls the right ones
    target = source.Target(f"{operation.__module__.removeprefix('minidl.')}:{operation.__name__}")
    with pytest.raises(Wrong), standing_in(target, mutant.mutant), told("answer.py"):
        exercise.check_cases()


ENGINE = {engine._sweep: "sweep", engine._leading_to: "sweep-order",
          engine.Tensor.backward: "accumulate"}


@pytest.mark.parametrize("mutant", [mutant for mutant in engines if mutant.function in ENGINE],
                         ids=str)
def test_a_broken_engine_is_wrong(mutant):
    exercise = path.find(ENGINE[mutant.function])
    text = exercise.source
    for line, instead in mutant.changes:
        text = source.exchanged(text, line, instead)
    wrong_words(exercise, text)


@pytest.mark.parametrize("name, answer, words", [
    ("square", "2 * gy * x.data", "; line 21: `.data` is an array, so what"),
    ("square", "gy * x", "(relative error 0.5); shapes (2, 3) in float64; seed 0"),
    ("square", "def square(x):\n    return x * x\n",
     "square of arrays gives ndarray, expected a Tensor"),
    ("square", "def square(x):\n    from minidl import ops\n    return ops.square(x)\n",
     "line 3 (`return ops.square(x)`): RecursionError: this calls itself without end; the answer "
     "stands in for the package's own function"),
    ("adam", "def _adam_step(w, g, m, v, *settings):\n    0\n",
     "`_adam_step` gives nothing back: is a return missing?"),
    ("adam", "def _adam_step(w, g, m, v, *settings):\n    return w\n",
     "minidl/optim.py fails with what the answer gives, in line "),
    ("softmax-rule", "gy", "`rule` gives nothing back"),
    ("two-cotangents", "def _sum(a, b):\n    a.data += b.data\n    return a\n", "_sum: result"),
    ("two-cotangents", "def _sum(a, b):\n    return Tensor(a.data + b.data)\n", "_sum: "),
    ("fitted", "def _fitted(gx, parent, rule):\n    return gx\n", "_fitted: result")])
def test_what_is_wrong_is_told_where_it_comes_from(tmp_path, name, answer, words):
    exercise, file = path.find(name), tmp_path / "answer.py"
    if not answer.startswith("def"):                        # what stands in the hole
        before, _, behind = page(exercise).rpartition("...")
        answer = before + answer + behind
    file.write_text(answer, encoding="utf-8")               # which a traceback reads
    with pytest.raises(Wrong) as caught:
        exercise.judge(answer, str(file))
    assert words in str(caught.value)


def test_a_node_that_is_reached_too_early_is_told():
    exercise = path.find("sweep-order")
    words = wrong_words(exercise, source.exchanged(exercise.source, ", reverse=True", ""))
    assert words.endswith("; a Node was reached before any cotangent had arrived at it")
    assert "minidl/tensor.py fails" in words


def test_a_hint_tells_no_name_that_was_never_seen():
    for exercise in path.EXERCISES:
        mutant = getattr(exercise, "mutant_name", None)
        assert not mutant or not any(mutant in hint or mutant.replace("_", " ") in hint
                                     for hint in exercise.all_hints())


def test_an_input_at_which_nothing_shows():
    """An option of gradcheck's, which the learner does not call, is not advised."""
    exercise = path.find("factor-two")
    words = wrong_words(exercise, page(exercise).replace("inputs = ...", "inputs = ([0.0],)"))
    assert "cannot be checked there" in words and "zero everywhere, which shows nothing;" in words
    assert "allow_zero" not in words


def test_a_line_that_is_quoted_says_where_it_is_cut():
    line = "wrong = " + "1 + " * 30
    assert f"{line[:59]}…" in wrong_words(path.find("square"), line)


def test_names_are_short_and_each_is_given_once():
    names = [exercise.name for exercise in path.EXERCISES]
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").isalnum() and name == name.lower() for name in names)


def test_the_pages_about_it():
    """Their numbers, the first exercise's page, and the message that it is answered with."""
    root, count = pathlib.Path(md.__file__).parent, len(path.EXERCISES)
    guide = (root / "learn" / "README.md").read_text(encoding="utf-8")
    assert f"all {count}, in twelve chapters" in guide and len(path.CHAPTERS) == 12
    shown = guide.partition("```python\n")[2].partition("```")[0]
    example = re.compile(r"\n    >>> .*?(?=    \"\"\")", re.DOTALL)
    assert example.sub("", page(path.find("square"))).endswith(f"\n\n{shown}")
    words = wrong_words(path.find("square"), changed(path.find("square"), "gy * x"))
    assert words in " ".join(guide.split())
    assert all(f"`show {name}`" in guide and path.find(name)
               for name in ("semi-hard", "conv-x", "adam"))
    start = root.parent / "README.md"
    if start.exists():
        assert f"[{count} exercises](minidl/learn/README.md)" in start.read_text(encoding="utf-8")
