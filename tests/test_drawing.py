"""md.testing.draw: the sweep as a picture, and the orders that are drawn beside it."""
import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

import minidl as md
from minidl import losses, nn, ops
from minidl.testing import draw
from minidl.testing.drawing import svg, visits
from minidl.testing.drawing.layered import BEND, layered
from minidl.testing.drawing.picture import operation


def diamond():
    """b = a + a, c = b + b: the example of micrograd's pull request 64."""
    a = md.tensor(1.0, requires_grad=True)
    b = a + a
    return a, b, b + b


def words(file):
    """All texts of a drawing; it must be well-formed."""
    return ["".join(text.itertext()) for text in ElementTree.parse(file).iter()
            if text.tag.endswith("text")]


def run(order, output):
    return [*visits.ORDERS[order](output.node, md.ones(output.shape))]


def test_the_orders_on_the_diamond():
    a, b, c = diamond()
    name = {a.node: "a", b.node: "b", c.node: "c"}
    for order, visited, gradient in (("sweep", "cba", 4), ("depth first", "cbaabaa", 8),
                                     ("paths", "cbaabaa", 4)):
        made = run(order, c)
        assert "".join(name[visit.node] for visit in made) == visited
        assert visits.total(made[-1].arrived[a.node]).item() == gradient
        assert visits.count(order, c.node) == len(made)


def test_visits_are_counted_without_being_made():
    y = md.tensor(1.0, requires_grad=True)
    for _ in range(60):
        y = y + y
    assert visits.count("sweep", y.node) == 61
    assert visits.count("depth first", y.node) == visits.count("paths", y.node) == 2 ** 61 - 1


def function_of(x, w, b):
    y = ops.conv(x, w, b, padding=1)                # w and b share a rule
    y = ops.softmax(y * b, -1) + ops.relu(y)        # with_output, and b is broadcast
    return ops.sum(ops.tanh(y) * y)


def test_the_sweep_gives_what_grad_gives(device):
    rng = np.random.default_rng(0)
    leaves = [md.tensor(rng.standard_normal(shape), requires_grad=True)
              for shape in ((2, 5, 5, 2), (3, 3, 2, 3), (3,))]
    y = function_of(*leaves)
    for order in ("sweep", "paths"):
        arrived = run(order, y)[-1].arrived
        for x, gradient in zip(leaves, md.grad(y, leaves)):
            found = visits.total(arrived[x.node])
            assert found.shape == x.shape and found.dtype == x.dtype
            np.testing.assert_allclose(found.numpy(), gradient.numpy(), rtol=1e-12)


def test_depth_first_is_wrong_where_something_is_used_twice():
    x = md.tensor(2.0, requires_grad=True)
    square = ops.square(x)
    tree, shared = ops.exp(square), square + square
    for y, right in ((tree, True), (shared, False)):
        found = visits.total(run("depth first", y)[-1].arrived[x.node])
        assert (abs(found.item() - md.grad(y, x)[0].item()) < 1e-9) is right


def test_the_diamond_is_drawn(tmp_path):
    a, b, c = diamond()
    file = draw(c, tmp_path / "d.svg", frames=("sweep", "depth first", "paths"), a=a, b=b, c=c)
    said = words(file)
    for line in ("sweep: 3 visits", "depth first: 7 visits", "paths: 7 visits", "b = add",
                 "a\u0304 = 2+2 = 4", "a\u0304 = 2+2+2+2 = 8",
                 "a\u0304 = 1+1+1+1 = 4"):
        assert line in said
    assert said.count("✓") == 2 and said.count("✗") == 1
    assert said.count("c\u0304 = 1") == 3 + 7 + 7                       # in each frame


def test_one_picture(tmp_path):
    a, b, c = diamond()
    said = words(draw(c, str(tmp_path / "d.svg"), a=a, b=b))
    assert said.count("a") == 1 and "b\u0304 = 1+1 = 2" in said and "add" in said
    assert {"0", "1", "2", "4"} <= set(said)


def test_a_film(tmp_path):
    _, _, c = diamond()
    text = draw(c, tmp_path / "f.svg", frames="depth first", film=True).read_text()
    assert text.count("<animate") == 7 and text.count('visibility="visible"') == 1
    times = re.findall('keyTimes="([^"]*)"', text)
    assert times[0].startswith("0;0.0000;0.14") and times[-1].endswith(";1.0000")


def test_many_frames_stand_in_rows(tmp_path):
    text = draw(long_chain(9), tmp_path / "d.svg", frames="sweep").read_text()
    assert "sweep: 10 visits" in text
    size = ElementTree.fromstring(text).attrib
    assert float(size["width"]) < 9 * float(ElementTree.parse(draw(
        long_chain(9), tmp_path / "one.svg")).getroot().attrib["width"])


def test_what_is_subtracted_is_written_so(tmp_path):
    x = md.tensor(2.0, requires_grad=True)
    said = words(draw(3 * x - x, tmp_path / "d.svg", x=x))
    assert "x\u0304 = 3−1 = 2" in said or "x\u0304 = −1+3 = 2" in said
    assert all(word.strip() for word in said)


def test_a_leaf_alone(tmp_path):
    assert "x\u0304 = 1" in words(draw(leaf := md.tensor(2.0, requires_grad=True),
                                       tmp_path / "d.svg", x=leaf))


def test_a_convolution_gives_its_two_contractions(tmp_path, device):
    x = md.tensor([[[1.0], [2.0], [3.0], [4.0]]], requires_grad=True)
    w = md.tensor([[[1.0]], [[-1.0]]], requires_grad=True)
    u = md.tensor([[[1.0], [1.0], [1.0]]], requires_grad=True)
    for y, made, by in ((ops.conv(x, w), "conv", {"conv_input", "conv_weight"}),
                        (ops.conv_input(u, w, 4), "conv_input", {"conv", "conv_weight"}),
                        (ops.conv_weight(x, u, 2), "conv_weight", {"conv", "conv_input"})):
        assert operation(y.node) == made
        said = words(draw(y, tmp_path / f"{made}.svg", grad_output=md.ones(y.shape)))
        assert by <= set(said)
    assert "[−1 −1 −1]" in words(tmp_path / "conv.svg")


def test_the_graph_of_a_gradients_gradient(tmp_path):
    x = md.tensor(3.0, requires_grad=True)
    slope, = md.grad(x * x * x, x, create_graph=True)
    said = words(draw(slope, tmp_path / "slope.svg", x=x, slope=slope))
    assert "slope = add" in said and any(line.endswith("= 18") for line in said)


def test_a_network_is_drawn(tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), nn.MaxPool(2), nn.ReLU(), nn.Flatten(),
                        nn.Dense(36, 3, rng=1))
    loss = losses.cross_entropy(net(md.ones((2, 8, 8, 1))), md.tensor([0, 1]))
    said = words(draw(loss, tmp_path / "net.svg", **dict(net.named_parameters())))
    assert {"conv", "max_pool", "relu", "matmul", "log_softmax", "unpool", "conv_weight",
            "layers.0.weight", "(3,3,1,4)"} <= set(said)


def test_drawing_changes_nothing(tmp_path):
    a, b, c = diamond()
    before = [[*x.node.inputs] for x in (a, b, c)]
    with md.no_grad():
        draw(c, tmp_path / "d.svg", frames="sweep")
    assert [[*x.node.inputs] for x in (a, b, c)] == before and a.grad is None
    assert md.grad(c, a)[0].item() == 4


def test_what_is_written_is_escaped(tmp_path):
    a, _, c = diamond()
    assert "<a & b>" in words(draw(c, tmp_path / "d.svg", **{"<a & b>": a}))


def test_two_names_of_one_tensor(tmp_path):
    a, _, c = diamond()
    assert "a, same" in words(draw(c, tmp_path / "d.svg", a=a, same=a))


def test_an_operation_of_the_readers(tmp_path):
    def cube(x):
        x = md.operand("cube", x)
        return md.record(x.data ** 3, (x, lambda gy: gy * 3 * x ** 2))

    class Rule:
        def __call__(self, gy):
            return gy

    x = md.tensor(2.0, requires_grad=True)
    assert operation(cube(x).node) == "cube"
    assert operation(md.record(x.data, (x, Rule())).node) == "Rule"
    said = words(draw(cube(x), tmp_path / "c.svg", x=x))
    assert "cube" in said and "x\u0304 = 12" in said


def long_chain(steps):
    y = md.tensor(1.0, requires_grad=True)
    for _ in range(steps):
        y = y + y
    return y


x = md.tensor([1.0, 2.0], requires_grad=True)
MISTAKES = {
    "draw: file must end in .svg, got 'd.png'": lambda: draw(ops.sum(x), "d.png"),
    "draw: file must be the name of a file, got Tensor": lambda: draw(ops.sum(x), x),
    "draw: output must be a Tensor, got list": lambda: draw([x], "d.svg"),
    "draw: the output has no graph": lambda: draw(md.ones(()), "d.svg"),
    r"draw: the output has shape \(2,\); without a cotangent": lambda: draw(x * x, "d.svg"),
    "draw: grad_output has shape": lambda: draw(x * x, "d.svg", grad_output=[1.0]),
    "draw: a must be a Tensor, got float": lambda: draw(ops.sum(x), "d.svg", a=1.0),
    "draw: a is not in the output's graph: it requires no gradient":
        lambda: draw(ops.sum(x), "d.svg", a=md.ones(2)),
    "draw: a is not in the output's graph: nothing leads":
        lambda: draw(ops.sum(x), "d.svg", a=x * x),
    "draw: frames must be of 'sweep', 'depth first', 'paths', got 'breadth'":
        lambda: draw(ops.sum(x), "d.svg", frames="breadth"),
    "draw: a film needs frames": lambda: draw(ops.sum(x), "d.svg", film=True),
    "draw: frames must be of .*, got None": lambda: draw(ops.sum(x), "d.svg", frames=None),
    "draw: the graph has 301 Nodes, and more than 100": lambda: draw(long_chain(300), "d.svg"),
    "draw: 'paths' makes 2,305,843,009,213,693,951 visits":
        lambda: draw(long_chain(60), "d.svg", frames="paths"),
}


@pytest.mark.parametrize("words", MISTAKES)
def test_mistakes(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError), match=f"^{words}") as caught:
        MISTAKES[words]()
    assert "\n" not in str(caught.value) and not [*tmp_path.iterdir()]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        draw(ops.sum(x), tmp_path / "nowhere" / "d.svg")


@given(st.lists(st.lists(st.integers(0, 30), max_size=3), min_size=1, max_size=12))
def test_inputs_stand_above_and_nothing_overlaps(drawn):
    """Graphs of any kind: Node i has some of the Nodes before it for inputs."""
    inputs = {i: [j % i for j in parents] if i else [] for i, parents in enumerate(drawn)}
    places, bends = layered(inputs)
    assert places.keys() == inputs.keys()
    rows = {}
    for node, (x, row) in places.items():
        rows.setdefault(row, []).append((x, 1.0))
        assert x >= 0.5 - 1e-9 and all(places[parent][1] < row for parent in inputs[node])
    for (node, parent), made in bends.items():
        assert [row for _, row in made] == [*range(places[node][1] - 1, places[parent][1], -1)]
        for x, row in made:
            rows[row].append((x, BEND))
    for line in rows.values():
        line.sort()
        for (x, width), (other, next_width) in zip(line, line[1:]):
            assert other - x >= (width + next_width) / 2 - 1e-6


def test_a_point_along_a_line():
    assert svg.along([(0, 0), (10, 20)], 0.5) == (5, 10)
    assert svg.along([(0, 0), (10, 20), (0, 40)], 1) == (10, 20)
