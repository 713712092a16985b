"""The sweep drawn: a graph, and how cotangents arrive in it, as one SVG file.

Nothing is needed for it but Python: no Graphviz, no browser.
"""
from collections import Counter
from os import PathLike
from pathlib import Path

import numpy as np

from minidl.files import atomic_write
from minidl.recording import recording
from minidl.tensor import Tensor, _first_cotangent
from minidl.testing.drawing import svg, visits
from minidl.testing.drawing.picture import GLOW, INK, WRONG, Picture, entries, operation

__all__ = ["draw"]

MOST_NODES, MOST_FRAMES = 100, 40           # that a person can read
IN_A_ROW, LONGEST_LABEL = 8, 16             # frames; letters
BETWEEN_ORDERS, HEAD, MARGIN = 34, 26, 24
SECONDS = 1.5                               # for which a film shows a frame


def draw(output, file, *, grad_output=None, frames=(), film=False, **names):
    """Draw the graph of a Tensor into an SVG file, with the cotangents of a sweep; its path.

    A box is a Node, with its number in the order of making, its operation, shape, and value where
    that is known and small.  Lines go up to its inputs.  In orange: the cotangent that each rule
    gives, and their sum where they arrive.
    names: the reader's names of Tensors, a=a, b=b.  The value is known of these, of the output, and
        of what a rule keeps.  A name cannot be that of an argument of draw, as output or film.
    grad_output: the cotangent at which the sweep starts; may be left out (1) for a single number.
    frames: "sweep", a frame for each visit of a Node, side by side; or several orders, below each
        other: "sweep" as `grad` does it; "depth first", "recursion" and "paths" as it does not
        (visits.py).  Dots count the visits of a Node; "to come": what will arrive after a visit;
        "lost": what arrives too late; ✓ and ✗ say whether the cotangents of leaves are right.
    film: the frames one after the other instead, as an animation.
    Raises TypeError where output is no Tensor; ValueError for a file that does not end in .svg, an
    output or a name without a graph, and where there is more than a person can read.

    >>> from minidl.tensor import tensor
    >>> a = tensor(3.0, requires_grad=True)
    >>> b = a + a
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     draw(b * b, folder + "/diamond.svg", frames=("sweep", "depth first"), a=a, b=b).name
    'diamond.svg'
    """
    file = _checked_file(file)
    nodes = _checked_graph(output)
    named = _checked_names(names, nodes)
    cotangent = _first_cotangent("draw", "grad_output", output, grad_output)
    frames = _checked_frames(frames, film, output.node)
    values = _known_values(nodes, [output, *names.values()])
    with recording(True):                   # so that what a rule gives says what made it
        start = Tensor(cotangent, requires_grad=True)
        made = {order: [*visits.ORDERS[order](output.node, start)]
                for order in dict.fromkeys(("sweep", *frames))}
    picture = Picture(nodes, named, values, [run[-1].arrived for run in made.values()])
    if frames:
        shapes, width, height = _rows(picture, frames, made, film)
    else:
        shapes, width, height = _whole(picture, made["sweep"])
    with atomic_write(file) as stream:
        stream.write(svg.page(shapes, width, height).encode())
    return file


def _whole(picture, made):
    """(shapes, width, height) of one picture in which the sweep is over."""
    arrived = made[-1].arrived
    labels = {visit.node: [(_label(visit, gift, len(arrived[gift.to]) > 1), GLOW)
                           for gift in visit.gave] for visit in made}
    return ([svg.group(picture.shapes(arrived, labels, {}), MARGIN, MARGIN)],
            picture.width + 2 * MARGIN, picture.height + 2 * MARGIN)


def _rows(picture, orders, made, film):
    """(shapes, width, height): for each order its title, and its frames, some in a row."""
    right = made["sweep"][-1].arrived
    shapes, y, most = [], MARGIN + 12, 1
    for order in orders:
        frames = _frames(picture, made[order], right)
        title = f"{order}: {len(frames)} visits, {visits.ORDERS[order].__doc__}"
        shapes.append(svg.text(MARGIN, y, title, 15, INK, "start", "bold"))
        rows = [frames] if film else [frames[i:i + IN_A_ROW]
                                      for i in range(0, len(frames), IN_A_ROW)]
        for row in rows:
            drawn = [svg.film(row, SECONDS)] if film else [
                svg.group([frame], i * picture.width) for i, frame in enumerate(row)]
            shapes.append(svg.group(drawn, MARGIN, y + HEAD))
            y += picture.height + HEAD + BETWEEN_ORDERS
        most = max(most, 1 if film else len(rows[0]))
    return shapes, most * picture.width + 2 * MARGIN, y - BETWEEN_ORDERS + MARGIN


def _frames(picture, made, right):
    """The frames of one order: the last says of each leaf whether its cotangent is right."""
    counted, frames = Counter(), []
    for i, visit in enumerate(made, 1):
        counted[visit.node] += 1
        labels = _still_to_come(picture.nodes, visit.node, counted) if visit.node.inputs else {}
        later = {other.node for other in made[i:]}
        labels[visit.node] = [_gift(gift, gift.to.inputs and gift.to not in later)
                              for gift in visit.gave]
        verdicts = {node: picture.verdict(node, came, right)
                    for node, came in visit.arrived.items() if i == len(made) and not node.inputs}
        frames.append(svg.group(picture.shapes(visit.arrived, labels, verdicts, counted,
                                               visit.node, visit.took)))
    return frames


def _still_to_come(nodes, now, visited):
    """The labels of lines that have not brought yet what they will bring to a Node."""
    return {node: [("to come", INK) if parent is now else None for parent in inputs]
            for node in nodes if node not in visited and now in (inputs := visits.inputs_of(node))}


def _gift(gift, lost):
    """The label of a cotangent on its way.   lost: it comes to a Node that is not visited again."""
    words = entries(gift.cotangent.data) or ""
    return (f"{words} lost".strip(), WRONG) if lost else (words, GLOW)


def _label(visit, gift, several):
    """What made a cotangent on its way, and its entries, where it is one of several, and short."""
    made = {node: operation(node) for node in (gift.by, gift.cotangent.node)
            if node not in (None, visit.took.node)}
    words = [name for name in made.values() if name != "astype"]       # of mixed precision
    written = entries(gift.cotangent.data) or ""
    short = several and len(written) <= LONGEST_LABEL
    return " ".join(filter(None, (", ".join(words), short and written)))


def _checked_file(file):
    if not isinstance(file, (str, PathLike)):
        raise TypeError(f"draw: file must be the name of a file, got {type(file).__name__}")
    file = Path(file)
    if file.suffix.lower() != ".svg":
        raise ValueError(f"draw: file must end in .svg, got {str(file)!r}")
    return file


def _checked_graph(output):
    """The Nodes of the output, first made first."""
    if not isinstance(output, Tensor):
        raise TypeError(f"draw: output must be a Tensor, got {type(output).__name__}")
    if output.node is None:
        raise ValueError("draw: the output has no graph; it does not depend on any Tensor that "
                         "requires a gradient, or was computed within no_grad()")
    nodes = visits.reached(output.node)[::-1]
    if len(nodes) > MOST_NODES:
        raise ValueError(f"draw: the graph has {len(nodes)} Nodes, and more than {MOST_NODES} "
                         "cannot be read; draw a smaller network, or one layer of it")
    return nodes


def _checked_names(names, nodes):
    """{Node: its names}"""
    named = {}
    for name, x in names.items():
        if not isinstance(x, Tensor):
            raise TypeError(f"draw: {name} must be a Tensor, got {type(x).__name__}")
        if x.node not in nodes:
            why = "it requires no gradient" if x.node is None else "nothing leads from it there"
            raise ValueError(f"draw: {name} is not in the output's graph: {why}")
        named[x.node] = f"{named[x.node]}, {name}" if x.node in named else name
    return named


def _checked_frames(frames, film, output):
    """The names of orders, as a tuple."""
    for argument, given in (("frames", frames), ("film", film)):
        if isinstance(given, Tensor):
            raise TypeError(f"draw: {argument} is an argument of draw, and cannot be the name of "
                            "a Tensor; choose another name")
    orders = tuple(frames) if isinstance(frames, (list, tuple)) else (frames,)
    if film and not orders:
        raise ValueError('draw: a film needs frames, as frames="sweep"')
    for order in orders:
        if not isinstance(order, str) or order not in visits.ORDERS:
            known = ", ".join(map(repr, visits.ORDERS))
            raise ValueError(f"draw: frames must be of {known}, got {order!r}")
        number = visits.count(order, output)
        if number > MOST_FRAMES:
            raise ValueError(f"draw: {order!r} makes {number:,} visits here, and more than "
                             f"{MOST_FRAMES} frames cannot be read")
    return orders


def _known_values(nodes, tensors):
    """{Node: array} of those Tensors, and of those that the rules keep in their closures."""
    kept = [_contents(cell) for node in nodes for _, rule in node.inputs
            for cell in getattr(getattr(rule, "rule", rule), "__closure__", None) or ()]
    known = {node: node.value for node in nodes if node.value is not None}
    return known | {x.node: x.data for x in [*kept, *tensors] if isinstance(x, Tensor)}


def _contents(cell):
    try:
        return cell.cell_contents
    except ValueError:                      # of a variable that was never assigned
        return None
