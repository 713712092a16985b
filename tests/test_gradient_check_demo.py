"""python -m demos.gradient_check: right and wrong gradients, the measured slopes, and that every
mistake is one line."""
import json
import sys

import numpy as np
from PIL import Image
import pytest

from demos import example_inputs, gradient_check
from demos.command_line import run
import minidl as md
from minidl.plots import check_matplotlib

MINE = '''
from minidl import ops
from minidl.tensor import record
from minidl.operands import operand

def cube(x, scale=1.0):
    x = operand("cube", x)
    return record(x.data ** 3, (x, lambda gy: gy * 3 * x ** 2))

def wrong_sign(a, b):
    a, b = operand("wrong_sign", a), operand("wrong_sign", b)
    return record(a.data * b.data, (a, lambda gy: gy * b), (b, lambda gy: -gy * a))

def wrong_second(x):
    x = operand("wrong_second", x)
    return record(x.data ** 3, (x, lambda gy: gy * 3 * x.detach() ** 2))

def all_zero(x):
    return ops.sum(x) * 0.0

def product(*xs):
    return xs[0] * xs[1]

def fails(x):
    raise RuntimeError("two\\nlines")

def number(x):
    return 3.0

def integers(x):
    return ops.argmax(x)

def nothing():
    return ops.ones_like(1.0)

text = "not a function"
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder of a user's, entered, with the module mine.py in it."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "broken.py").write_text("import no_such_module")
    (tmp_path / "stops.py").write_text("raise SystemExit(0)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("mine", None)


@pytest.fixture
def no_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


def check(tmp_path, *arguments, code=0):
    """{name: figures} of a run that must end with this exit code and, where matplotlib is there,
    draw three curves."""
    arguments = [*arguments, "--output", str(tmp_path / "out"), "--json",
                 str(tmp_path / "figures.json"), "--quiet"]
    if code:
        with pytest.raises(SystemExit) as stopped:
            run(gradient_check.main, arguments)
        assert stopped.value.code == code
    else:
        run(gradient_check.main, arguments)
    # no NaN in it
    figures = json.loads((tmp_path / "figures.json").read_text(), parse_constant=pytest.fail)
    try:
        check_matplotlib()
    except ImportError:
        assert figures["picture"] is None and not list((tmp_path / "out").iterdir())
        return {figure["name"]: figure for figure in figures["operations"]}
    assert figures["picture"] == str(tmp_path / "out" / "gradient_check.png")
    with Image.open(figures["picture"]) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    for drawn in ((213, 94, 0), (0, 114, 178), (0, 158, 115)):
        assert (pixels == drawn).all(axis=-1).any()
    return {figure["name"]: figure for figure in figures["operations"]}


def test_the_lessons(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    gradient_check.main(["--output", str(tmp_path / "out"), "--json",
                         str(tmp_path / "figures.json")])
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == ["operation", "order", "1", "order", "2", "verdict"]
    assert [line.split()[0] for line in shown[1:-1]] == gradient_check.LESSONS
    assert all(line.endswith("right") for line in shown[1:-1])
    assert shown[-1] == str(tmp_path / "out" / "gradient_check.png")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["seed"] == 0 and figures["device"] == "cpu" and figures["seconds"] > 0
    for figure in figures["operations"]:
        assert 0 < figure["order_1_error"] < 1e-8 and 0 < figure["order_2_error"] < 1e-8
        assert figure["message"] is None
        assert len(figure["h"]) == len(figure["errors"]["central"]) > 50


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_the_slopes_of_the_v(tmp_path, no_matplotlib, seed):
    for figure in check(tmp_path, "exp", "softmax", "norm", "sqrt", "layer_norm", "--seed",
                        seed).values():
        assert figure["slopes"] == pytest.approx({"forward": 1, "central": 2, "richardson": 4},
                                                 abs=0.1)
        assert figure["rounding_slopes"] == pytest.approx(
            {"forward": -1, "central": -1, "richardson": -1}, abs=0.15
        )
        best = figure["best"]
        assert best["forward"]["h"] < best["central"]["h"] < best["richardson"]["h"]
        assert best["forward"]["error"] > best["central"]["error"] > best["richardson"]["error"]


def test_functions_without_a_whole_v(tmp_path, no_matplotlib):
    figures = check(tmp_path, "add", "conv", "relu", "power", "multiply", "elu")
    # a straight line
    assert figures["add"]["slopes"] == {"forward": None, "central": None, "richardson": None}
    assert figures["conv"]["slopes"] == {"forward": pytest.approx(1, abs=0.1), "central": None,
                                         "richardson": None}
    assert 0.003 < figures["relu"]["kink_reached_at"] < 0.1
    assert figures["relu"]["slopes"]["central"] is None
    assert figures["power"]["kink_reached_at"] is None


def test_a_kink_is_not_called_a_wrong_gradient(tmp_path, capsys):
    figures = check(tmp_path, "relu", "absolute", "softplus", "--range", "0", "0", code=1)
    assert [figure["verdict"] for figure in figures.values()] == [
        "no derivative",
        "no derivative",
        "right",
    ]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all("not differentiable" in line for line in lines)
    assert figures["relu"]["errors"]["forward"][0] == pytest.approx(
        figures["relu"]["errors"]["forward"][-1], rel=1e-3
    )


def test_a_users_functions(mine, capsys):
    figures = check(mine, "mine:cube", "mine:wrong_sign", "mine:wrong_second", "mine:all_zero",
                    code=1)
    assert [figure["verdict"] for figure in figures.values()] == [
        "right",
        "wrong",
        "wrong at order 2",
        "zero",
    ]
    assert figures["mine:wrong_sign"]["shapes"] == [[3, 4], [3, 4]]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and "argument 1 ('b')" in lines[0] and "wrong_second" in lines[1]
    for name in ("mine:wrong_sign", "mine:wrong_second"):  # flat: no step brings the error down
        assert min(figures[name]["errors"]["central"]) > 0.1
    assert figures["mine:wrong_second"]["order_1_error"] < 1e-8
    assert min(figures["mine:cube"]["errors"]["richardson"]) < 1e-12


def test_the_shapes_of_a_users_function(mine, no_matplotlib):
    figures = check(mine, "mine:product", "--shape", "(2, 3)", "--shape", "()")
    assert figures["mine:product"]["shapes"] == [[2, 3], []]
    assert figures["mine:product"]["verdict"] == "right"


def test_every_operation_has_an_example(device):
    public = {name for name, f in vars(md.ops).items() if callable(f) and not name.startswith("_")}
    assert set(example_inputs.OPERATIONS) | example_inputs.CONSTANT == public
    assert set(example_inputs.EXAMPLES) <= set(example_inputs.OPERATIONS)
    for name in example_inputs.OPERATIONS:
        draws, f = example_inputs.example_call(name)
        rng = np.random.default_rng(5)
        inputs = [draw(rng) for draw in draws]
        assert 0 <= md.testing.gradcheck(f, *inputs) < 1e-6, name  # a gradient of zeros would fail


def test_all(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(gradient_check, "OPERATIONS",
                        ["add", "cos", "exp", "log", "sin", "sqrt", "tanh"])
    gradient_check.main(["--all", "--output", str(tmp_path)])
    assert "first 6 of 7" in capsys.readouterr().out


def test_on_another_device(tmp_path, no_matplotlib, device):
    assert check(tmp_path, "exp", "max_pool", "--device", device)["exp"]["verdict"] == "right"


def test_without_matplotlib(tmp_path, no_matplotlib, capsys):
    gradient_check.main(["exp", "--output", str(tmp_path)])
    assert "pip install matplotlib" in capsys.readouterr().out.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments, words", [
    (["exq"], "is it exp"), (["zzz"], "module:function"), (["sign"], "no gradient"),
    (["__init__"], "no differentiable"),
    (["mine:missing"], "missing"), (["nowhere:f"], "nowhere"), (["mine:"], "module:function"),
    ([":cube"], "module:function"), (["broken:f"], "no_such_module"), (["stops:f"], "SystemExit"),
    (["mine:text"], "not a function"), (["mine:fails"], "RuntimeError: two lines"),
    (["mine:number"], "float"),
    (["mine:integers"], "int64"), (["mine:nothing"], "--shape"), (["mine:product"], "--shape"),
    (["mine:cube", "--shape", "-1"], "--shape"), (["mine:cube", "--shape", "a"], "--shape"),
    (["exp", "--shape", "3"], "--shape"),
    (["mine:wrong_sign", "--shape", "3", "--shape", "4"], "broadcast"),
    (["mine:cube", "--shape", "3", "--shape", "4", "--shape", "4"], "positional"),
    (["exp", "--range", "1", "0"], "LOW"), (["exp", "--range", "0", "inf"], "finite"),
    (["log", "--range", "-2", "-1"], "finite"), (["sqrt", "--range", "0", "0"], "finite"),
    (["exp", "--seed", "-1"], "--seed must not be negative"),
    (["exp", "--device", "abacus"], "abacus"),
    (["exp", "--nonsense"], "--nonsense"), (["exp", "--output", "mine.py"], "mine.py"),
])
def test_mistakes_are_one_line(mine, capsys, arguments, words):
    with pytest.raises(SystemExit) as stopped:
        run(gradient_check.main, [*arguments, "--quiet"])
    message = capsys.readouterr().err
    assert stopped.value.code == 2 and words in message
    assert message.count("\n") == 1 and "Traceback" not in message
