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
from minidl.testing.drawing import MARGIN, svg, visits
from minidl.testing.drawing.layered import BEND, layered
from minidl.testing.drawing.picture import operation


def diamond():
    """b = a + a, c = b + b: the example of micrograd's pull request 64."""
    a = md.tensor(1.0, requires_grad=True)
    b = a + a
    return a, b, b + b


def short_and_long():
    """d = b + c: a short way to b, and a long one by c, which comes later."""
    a = md.tensor(5.0, requires_grad=True)
    b = 2 * a
    c = 3 * b
    return {"a": a, "b": b, "c": c, "d": b + c}


def words(file):
    """All texts of a drawing; it must be well-formed."""
    return ["".join(text.itertext()) for text in ElementTree.parse(file).iter()
            if text.tag.endswith("text")]


def run(order, output):
    return [*visits.ORDERS[order](output.node, md.ones(output.shape))]


def test_the_orders_on_the_diamond():
    a, b, c = diamond()
    name = {a.node: "a", b.node: "b", c.node: "c"}
    for order, visited, gradient in (("sweep", "cba", 4), ("depth first", "cba", 4),
                                     ("recursion", "cbaabaa", 8), ("paths", "cbaabaa", 4)):
        made = run(order, c)
        assert "".join(name[visit.node] for visit in made) == visited
        assert visits.total(made[-1].arrived[a.node]).item() == gradient
        assert visits.count(order, c.node) == len(made)


def test_a_short_way_and_a_long_one():
    """As step 2 says: visited once and too early, each time with all, each time with a part."""
    named = short_and_long()
    name = {x.node: each for each, x in named.items()}
    for order, visited, sent, found in (
            ("sweep", "dcba", [4], 8), ("depth first", "dbac", [1], 2),
            ("recursion", "dbacba", [1, 4], 10), ("paths", "dbacba", [1, 3], 8)):
        made = run(order, named["d"])
        assert "".join(name[visit.node] for visit in made) == visited
        assert [visit.took.item() for visit in made if visit.node is named["b"].node] == sent
        assert visits.total(made[-1].arrived[named["a"].node]).item() == found
    by_luck = named["c"] + named["b"]
    assert visits.total(run("depth first", by_luck)[-1].arrived[named["a"].node]).item() == 8


def test_what_comes_too_late_is_seen(tmp_path):
    named = short_and_long()
    said = words(draw(named["d"], tmp_path / "once.svg", frames=("sweep", "depth first"), **named))
    assert {"sweep: 4 visits, each box when all has arrived there",
            "depth first: 4 visits, each box once, when it is first reached"} <= set(said)
    assert said.count("to come") == said.count("3 lost") == said.count("✗") == 1
    assert "a\u0304 = 8" in said and "a\u0304 = 2, not 8" in said
    said = words(draw(named["d"], tmp_path / "d.svg", frames=("recursion", "paths"), **named))
    assert "a\u0304 = 2+8 = 10, not 8" in said and "3 lost" not in said
    assert said.count("b\u0304: 3 of 1+3") == 1 and said.count("a\u0304 = 2+6 = 8") == 2
    said = words(draw(named["d"], tmp_path / "d.svg", frames="sweep", **named))
    assert not {"to come", "✗"} & set(said) and not any("lost" in each for each in said)


def test_visits_are_counted_without_being_made():
    y = md.tensor(1.0, requires_grad=True)
    for _ in range(60):
        y = y + y
    assert visits.count("sweep", y.node) == visits.count("depth first", y.node) == 61
    assert visits.count("recursion", y.node) == visits.count("paths", y.node) == 2 ** 61 - 1


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


def test_recursion_is_wrong_where_something_is_used_twice():
    x = md.tensor(2.0, requires_grad=True)
    square = ops.square(x)
    tree, shared = ops.exp(square), square + square
    for y, right in ((tree, True), (shared, False)):
        found = visits.total(run("recursion", y)[-1].arrived[x.node])
        assert (abs(found.item() - md.grad(y, x)[0].item()) < 1e-9) is right


def test_the_diamond_is_drawn(tmp_path):
    a, b, c = diamond()
    file = draw(c, tmp_path / "d.svg", frames=("sweep", "recursion", "paths"), a=a, b=b, c=c)
    said = words(file)
    for line in ("sweep: 3 visits, each box when all has arrived there",
                 "recursion: 7 visits, a box each time that it is reached, with all that is there",
                 "paths: 7 visits, a box each time that it is reached, with what has just come",
                 "b = add", "a\u0304 = 2+2 = 4", "a\u0304 = 2+2+2+2 = 8, not 4",
                 "b\u0304: 1 of 1+1", "a\u0304 = 1+1+1+1 = 4"):
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
    text = draw(c, tmp_path / "f.svg", frames="recursion", film=True).read_text()
    assert text.count("<animate") == 7 and text.count('visibility="visible"') == 1
    times = re.findall('keyTimes="([^"]*)"', text)
    assert times[0].startswith("0;0.0000;0.14") and times[-1].endswith(";1.0000")


def test_many_frames_stand_in_rows(tmp_path):
    text = draw(long_chain(9), tmp_path / "d.svg", frames="sweep").read_text()
    assert "sweep: 10 visits," in text
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


def test_a_rule_may_name_a_variable_that_was_never_assigned(tmp_path):
    def doubled(x, scaled=False):
        x = md.operand("doubled", x)
        if scaled:
            factor = 3.0
        return md.record(2 * x.data, (x, lambda gy: gy * factor if scaled else gy * 2))
    a = md.tensor(3.0, requires_grad=True)
    assert "doubled" in draw(doubled(a), tmp_path / "graph.svg", a=a).read_text()


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
    "draw: frames must be of 'sweep', 'depth first', 'recursion', 'paths', got 'breadth'":
        lambda: draw(ops.sum(x), "d.svg", frames="breadth"),
    "draw: a film needs frames": lambda: draw(ops.sum(x), "d.svg", film=True),
    "draw: film is an argument of draw, and cannot be the name of a Tensor":
        lambda: draw(ops.sum(x), "d.svg", film=x),
    "draw: frames is an argument of draw": lambda: draw(ops.sum(x), "d.svg", frames=x),
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
    assert svg.along([(0, 0), (10, 20)], 1) == (10, 20)
    assert svg.along([(0, 0), (10, 20)], 0.5, bow=8) == (5, 16)


def numbers(text):
    return [float(number) for number in re.findall(r"-?\d+\.?\d*", text)]


def test_lines_and_labels_stay_within_the_picture(tmp_path):
    """The line from h to a passes all boxes on their right."""
    a = md.tensor(2.0, requires_grad=True)
    f, g = a * a, ops.sin(a)
    h = f * g + a
    for frames in ((), "sweep"):
        page = ElementTree.parse(draw(h, tmp_path / "h.svg", a=a, f=f, g=g, h=h, frames=frames))
        width = (float(page.getroot().attrib["width"]) - 2 * MARGIN) / (5 if frames else 1)
        frame = page.findall(".//{*}g")[-1]
        reached = [x for path in frame.findall(".//{*}path") if path.attrib["fill"] == "none"
                   for x in numbers(path.attrib["d"])[::2]]
        labels = [(float(box.attrib["x"]), float(box.attrib["width"]))
                  for box in frame.findall(".//{*}rect") if box.attrib["fill"] == "white"]
        assert labels or frames
        assert min(reached) > 0 and max(reached) < width
        assert all(x >= 0 and x + wide <= width + 0.1 for x, wide in labels)


def test_labels_do_not_cover_each_other(tmp_path):
    a = md.tensor(2.0, requires_grad=True)
    h = a * a * ops.sin(a) + a * a
    frame = ElementTree.parse(draw(h, tmp_path / "h.svg", a=a)).find(".//{*}g")
    taken = [[float(box.attrib[name]) for name in ("x", "y", "width", "height")]
             for box in frame.findall(".//{*}rect") if box.attrib["fill"] == "white"]
    assert len(taken) > 4
    for i, (x, y, width, height) in enumerate(taken):
        for other_x, other_y, other_width, other_height in taken[:i]:
            assert (x >= other_x + other_width or other_x >= x + width
                    or y >= other_y + other_height or other_y >= y + height)


def test_many_lines_begin_at_the_box(tmp_path):
    leaves = [md.tensor([1.0], requires_grad=True) for _ in range(20)]
    for parts in (leaves, leaves[:1] * 20):
        y = ops.concatenate(parts)
        page = ElementTree.parse(draw(y, tmp_path / "y.svg", grad_output=md.ones(20), y=y))
        boxes = [box for box in page.findall(".//{*}rect") if box.attrib["fill"] == "#f4f4f4"]
        left, width = (float(boxes[-1].attrib[name]) for name in ("x", "width"))
        starts = [numbers(path.attrib["d"])[0] for path in page.findall(".//{*}path")
                  if path.attrib["fill"] == "none"]
        assert len(starts) == 20 and all(left < x < left + width for x in starts)


def test_a_large_cotangent_is_written_as_its_norm(tmp_path):
    x = md.tensor(np.full(8, 2.0), requires_grad=True)
    said = words(draw(ops.sum(x * x), tmp_path / "d.svg", x=x))
    assert "sum of 2, ‖x\u0304‖ = 11.31" in said and "norm 2.828" in said      # 4 √8 and √8
