"""python -m minidl.learn, as a learner uses it: right and wrong answers, and every mistake."""

import json
import os
import re
import subprocess
import sys

import pytest

from minidl.learn import judging, path
import minidl.learn.__main__ as commands


class Learner:
    """Commands in a folder of one's own."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys = folder, capsys

    def __call__(self, *arguments):
        """(exit code, what was printed)"""
        try:
            code = commands.main([*arguments, "--folder", str(self.folder)])
        except SystemExit as end:
            code = end.code
        streams = self.capsys.readouterr()
        assert "Traceback" not in streams.out + streams.err
        if code == 2:
            assert streams.out == "" and streams.err.count("\n") == 1, "one line on stderr"
        return code, streams.out + streams.err

    def file(self, name):
        return self.folder / f"{name}.py"

    def answers(self, name, rule):
        """Put a rule into the exercise, and check it."""
        page = path.find(name).page("", "")
        self.file(name).write_text(page.replace("gy: ...", f"gy: {rule}"), encoding="utf-8")
        return self("check", name)


@pytest.fixture
def learner(tmp_path, capsys):
    learner = Learner(tmp_path / "mine", capsys)
    assert learner("show", "mul-left")[0] == 0
    return learner


@pytest.fixture
def here(monkeypatch):
    """Answers are judged in this process, which is quicker, where none of them would end it."""
    monkeypatch.setattr(commands, "verdict_of", lambda exercise, file: (
        judging.judged(exercise, file), ""))


def test_from_the_first_exercise_to_the_second(tmp_path, capsys):
    learner = Learner(tmp_path / "mine", capsys)
    assert learner("list")[0] == 0 and not learner.folder.exists()
    code, shown = learner("next")
    assert code == 0 and "def square(x):" in shown and "lambda gy: ..." in shown
    assert learner("check") == (1, "square: not right yet\n  not filled in yet: `...` still stands "
                                   "in line 21\n")
    first, second = learner("hint")[1], learner("hint")[1]
    assert second.startswith(first.rpartition("\n1 more")[0])
    assert "lambda gy: gy * (2 * x)" in learner("solution")[1]
    code, said = learner.answers("square", "2 * gy * x")
    assert code == 0 and said.startswith("square: right.  1 of ")
    assert "subtract-right" in learner("next")[1]
    assert "skipped" in learner("skip")[1]
    assert "mul-left" in learner("next")[1]
    listed = learner("list")[1].splitlines()
    assert any(line.endswith("solved") and " square " in line for line in listed)
    assert any(line.endswith("skipped") and " subtract-right " in line for line in listed)
    assert sum("write the rule" in line for line in listed) >= 15


def test_a_fault_is_repaired_where_it_shows(learner, here):
    learner("show", "operands")
    file = learner.file("operands")
    page = file.read_text(encoding="utf-8")
    assert "operands_exchanged" not in page
    for inputs, rule, words in (
            ("([1.0, 2.0], [1.0, 2.0])", "gy * a", "the fault does not show"),
            ("([1.0, 2.0], [3.0])", "gy * a", "gradient of argument 0 ('a')"),
            ("[[1.0, 2.0]]", "gy * b", "one array for each of a, b"),
            ("('one', [3.0])", "gy * b", "arrays of numbers"),
            ("([1.0], [3.0])", "gy * b", "operands: right")):
        text = page.replace("inputs = ...", f"inputs = {inputs}")
        text = text.replace(
            "lambda gy: gy * a), (b, lambda gy: gy * b",
            f"lambda gy: {rule}), (b, lambda gy: gy * {'a' if 'b' in rule else 'b'}",
        )
        file.write_text(text, encoding="utf-8")
        code, said = learner("check")
        assert words in " ".join(said.split())
        assert code == (words != "operands: right")


@pytest.mark.parametrize("rule, words", [
    ("gy * a", "gradient of argument 0 ('a')"),
    ("-gy * b", "gradient of argument 0 ('a')"),
    ("gy * (b", "line 21: this is not Python yet: '(' was never closed"),
    ("gy * c", "NameError: name 'c' is not defined"),
    ("__import__('numpy').multiply(gy.data, b.data)", "no gradient of argument 0 ('a')"),
    ("gy.data * b.data", "gave an array of shape (2, 3)"),
    ("(gy * b)[0]", "gave a Tensor of shape (3,)"),
    ("(gy * b).astype('float32')", "gradient of argument 1 ('b')"),
    ("gy * b.detach()", "gradcheck of gradient of multiply"),
    ("None", "gave None"),
    ("1 / 0", "ZeroDivisionError"),
    ("...", "not filled in yet")])
def test_a_wrong_answer(learner, here, rule, words):
    code, said = learner.answers("mul-left", rule)
    assert code == 1 and said.startswith("mul-left: not right yet\n")
    assert words in " ".join(said.split()) and len(said.splitlines()) < 12


@pytest.mark.parametrize("text, words", [
    ("import numpy as np\n", "the file defines no `multiply`"),
    ("", "the file defines no `multiply`"),
    ("def multiply(a, b):\n    return a.data * b.data\n", "got ndarray"),
    ("def multiply(a):\n    return a\n", "takes 1 positional argument but 2 were given"),
    ("multiply = 3\n", "not callable"),
    ("assert False\n", "line 1 (`assert False`): AssertionError"),
    ("raise SystemExit\n", "line 1 (`raise SystemExit`): the answer ends the program"),
    ("def multiply(a, b):\n    return multiply(a, b)\n", "RecursionError"),
    ("x = " + "(" * 5000 + "1" + ")" * 5000, "not Python"),
    ("x = 1\0\n", "not Python"),
    ("def multiply(a, b):\n\treturn a\n        return b\n", "not Python")])
def test_another_file(learner, here, text, words):
    learner.file("mul-left").write_text(text)
    code, said = learner("check")
    assert code == 1 and words in " ".join(said.split())


@pytest.mark.parametrize("text, words", [
    ("def softmax(x, axis=-1):\n    e = ops.exp(x)\n    return e / ops.sum(e)\n", "NameError"),
    ("@precise\ndef softmax(x, axis=-1):\n    return x.exp() / x.exp().sum(axis, keepdims=True)\n",
     "1004.46]] at (0, 0) is nan, expected 0.008"),
    ("def softmax(x, axis=-1):\n    return x.sum(axis)\n", "has shape (2,), expected (2, 3)"),
    ("import numpy as np\ndef softmax(x, axis=-1):\n    return np.exp(x.data)\n",
     "is of type ndarray, expected a Tensor"),
    ("from minidl import ops\ndef softmax(x, axis=-1):\n    return ops.softmax(x.detach(), axis)\n",
     "RecursionError"),
    ("def softmax(x, axis=-1):\n    pass\n", "is a return missing?")])
def test_a_wrong_program(learner, here, text, words):
    learner("show", "softmax")
    learner.file("softmax").write_text(text)
    code, said = learner("check")
    assert code == 1 and words in " ".join(said.split()), said


def test_a_type_that_is_not_kept(learner, here):
    learner("show", "gram-matrix")
    learner.file("gram-matrix").write_text(
        "def gram_matrix(a):\n    F = a.reshape(*a.shape[:-3], -1, a.shape[-1]).astype('float64')\n"
        "    return gram(F)\n")
    assert "is float64, expected float32" in " ".join(learner("check")[1].split())


@pytest.mark.parametrize("rule, words", [
    ("exit()", "the answer ends the program"), ("input()", "EOFError"),
    ("__import__('os')._exit(0)", "the answer ended Python itself"),
    ("[0] * 10 ** 12", "MemoryError")])
def test_an_answer_that_would_end_the_program(learner, rule, words):
    code, said = learner.answers("mul-left", rule)
    assert code == 1 and words in " ".join(said.split())


def test_an_answer_without_end_is_stopped(learner, monkeypatch):
    monkeypatch.setattr(judging, "SECONDS", 3)
    code, said = learner.answers("mul-left", "print('so far') or [0 for _ in iter(int, 1)]")
    assert code == 1 and re.search(r"after (3 seconds of computing|18 seconds by the clock)", said)
    assert "is there a loop that never ends?" in " ".join(said.split())
    assert said.endswith("Your file printed:\n  | so far\n")


def test_an_answer_that_waits_is_stopped(learner, monkeypatch):
    monkeypatch.setattr(judging, "SECONDS", 3)
    monkeypatch.setattr(judging, "PATIENCE", 1)
    code, said = learner.answers("mul-left", "__import__('time').sleep(100)")
    assert code == 1 and "after 3 seconds by the clock: does it wait for something" in said


def test_what_was_printed_before_the_end_is_shown(learner):
    code, said = learner.answers("mul-left", "print('so far') or __import__('os')._exit(0)")
    assert code == 1 and "the answer ended Python itself (exit code 0)" in said
    assert said.endswith("Your file printed:\n  | so far\n")


def test_a_judge_that_does_not_work_is_no_wrong_answer(learner, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(learner.folder))
    monkeypatch.chdir(learner.folder)
    (learner.folder / "minidl").mkdir()
    (learner.folder / "minidl" / "__init__.py").write_text("raise ImportError('spoilt')\n")
    code, said = learner("check")
    assert code == 2 and "the judge did not start: ImportError: spoilt" in said


def test_what_an_answer_prints_is_shown_beside_the_verdict(learner):
    code, said = learner.answers("mul-left", "print('here', gy.shape) or gy * b")
    assert code == 0 and said.startswith("mul-left: right")
    assert "\n  | here (2, 3)\n" in said and said.count("here") <= 8


def test_files_that_are_not_there(learner):
    learner.file("mul-left").unlink()
    code, said = learner("check")
    assert code == 2 and "show mul-left --folder" in said and "` writes it" in said
    assert learner("show")[0] == 0 and learner.file("mul-left").exists()
    learner.file("mul-left").write_text("mine = 1\n")
    assert "your answer is in" in learner("reset")[1]
    assert (learner.folder / "mul-left.before.py").read_text() == "mine = 1\n"
    assert "is as it was at first\n" in learner("reset")[1], "nothing to keep"
    learner.file("mul-left").write_text("mine = 2\n")
    assert "mul-left.before2.py" in learner("reset")[1]
    kept = sorted(learner.folder.glob("mul-left.before*.py"))
    assert [file.read_text() for file in kept] == ["mine = 1\n", "mine = 2\n"]
    learner.file("mul-left").unlink()
    learner.file("mul-left").mkdir()
    assert learner("check")[0] == 2
    assert learner("check", "square")[0] == 2


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads it all")
def test_a_file_that_may_not_be_read(learner):
    learner.file("mul-left").chmod(0)
    code, said = learner("check")
    assert code == 2 and "may not be read" in said


def test_a_mark_of_the_byte_order_is_passed_over(learner, here):
    learner.answers("mul-left", "gy * b")
    text = learner.file("mul-left").read_text(encoding="utf-8")
    learner.file("mul-left").write_text(text, encoding="utf-8-sig")
    assert learner("check")[0] == 0
    assert learner("show")[1].startswith("#\n# mul-left")


def test_files_that_are_no_text(learner):
    learner.file("mul-left").write_bytes(bytes(range(256)))
    assert learner("check") == (1, "mul-left: not right yet\n  the file is not text in UTF-8\n")
    assert judging.judged(path.find("mul-left"), learner.folder).startswith(
        "the file cannot be read: ")
    learner.file("mul-left").write_bytes(b"#" * 2_000_000)
    code, said = learner("check")
    assert code == 2 and "larger than a megabyte" in said


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", "3", '{"current": 3, "states": {}, "hints": {}}', "[" * 100_000,
    '{"current": null, "states": {"square": "done"}, "hints": {}}',
    '{"current": null, "states": [], "hints": {}}', '{"current": null, "states": {"a": []}, '
    '"hints": {}}', '{"current": null, "states": {}, "hints": {"square": -1}}', "\0\0"])
def test_a_damaged_state_is_one_line(learner, text):
    (learner.folder / "minidl-progress.json").write_text(text)
    code, said = learner("list")
    assert code == 2 and "progress.json is damaged; remove it" in said
    assert (learner.folder / "minidl-progress.json").read_text() == text


@pytest.mark.parametrize("arguments, words", [
    (["show", "mul-lef"], "is 'mul-left' meant?"), (["check", "xyzzy"], "list shows all"),
    (["chekc"], "there is no command 'chekc'; is `check` meant?"),
    (["square"], "is `show square` meant?"), (["squar"], "is `show square` meant?"),
    (["xyzzy"], "the commands are next, check,"), (["list", "square"], "takes no name"),
    (["next", "--what"], "unrecognized arguments")])
def test_mistakes_of_use(learner, arguments, words):
    code, said = learner(*arguments)
    assert code == 2 and words in said


def test_nothing_begun(tmp_path, capsys):
    code, said = Learner(tmp_path / "new", capsys)("check")
    assert code == 2 and f"no exercise is begun in {tmp_path / 'new'}; `python -m" in said
    (tmp_path / "file").write_text("")
    code, said = Learner(tmp_path / "file", capsys)("next")
    assert code == 2 and "is a file, not a folder" in said
    assert (tmp_path / "file").read_text() == ""


def test_a_folder_of_another_program(tmp_path, monkeypatch, capsys):
    """Its own progress.json is none of ours."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "progress.json").write_text("{}")
    assert commands.main(["next"]) == 0 and (tmp_path / "minidl-exercises" / "square.py").exists()
    assert (tmp_path / "progress.json").read_text() == "{}"
    assert "then:  python -m minidl.learn check  " in capsys.readouterr().out


def test_what_is_advised_can_be_typed(learner):
    """A folder that was named is named in the advice, too: on the screen, and in the file."""
    folder = f"--folder {learner.folder}"
    said = learner("next")[1]
    assert f"# Then:  python -m minidl.learn check square {folder}\n" in said
    assert f"then:  python -m minidl.learn check {folder} " in said
    assert f"next {folder}\n" in learner("skip")[1]
    spaced = Learner(learner.folder / "two words", learner.capsys)
    assert f"next --folder '{spaced.folder}'` shows the first" in spaced("check")[1]


def test_names_that_are_no_exercises(learner):
    """Of another version, or written by hand: they count for nothing, and are told."""
    state = {"current": "nope", "states": {"nope": "solved", "exp": "solved"}, "hints": {}}
    (learner.folder / "minidl-progress.json").write_text(json.dumps(state))
    assert learner("list")[1].endswith(f"\n1 of {len(path.EXERCISES)} solved\n")
    for command in "check", "hint":
        code, said = learner(command)
        assert code == 2 and "minidl-progress.json says that 'nope' was shown last" in said
    assert learner("next")[0] == 0 and learner("hint")[0] == 0


def test_what_is_solved_stays_solved(learner, here):
    assert learner.answers("mul-left", "gy * b")[0] == 0
    assert "mul-left is solved" in learner("skip")[1]
    learner.file("mul-left").unlink()
    learner("show")
    assert learner("list")[1].endswith(f"\n1 of {len(path.EXERCISES)} solved\n")


def test_all_are_solved(learner):
    states = {exercise.name: "solved" for exercise in path.EXERCISES}
    (learner.folder / "minidl-progress.json").write_text(
        json.dumps({"current": "square", "states": states, "hints": {}}))
    code, said = learner("next")
    assert code == 0 and said.startswith(f"All {len(path.EXERCISES)} exercises")


def test_within_the_folder_none_is_named(learner):
    """Where one has gone into the folder; and with letters that the console does not have."""
    done = subprocess.run([sys.executable, "-m", "minidl.learn", "show", "mul-left"],
                          cwd=learner.folder, capture_output=True,
                          env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and b"Edit mul-left.py" in done.stdout and done.stderr == b""
