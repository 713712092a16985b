"""One picture of a graph, as it is after a visit."""
import functools
from typing import NamedTuple

import numpy as np

from minidl.tensor import constant
from minidl.testing.drawing import svg
from minidl.testing.drawing.layered import BEND, layered
from minidl.testing.drawing.visits import inputs_of, total

INK, PALE, LINE, GREY = "#222222", "#f4f4f4", "#aaaaaa", "#888888"     # values: black on grey
GLOW, WARM, FAINT = "#d9480f", "#ffe3d1", "#f5b895"     # cotangents: orange
RIGHT, WRONG = "#2b8a3e", "#c92a2a"
ENTRIES = 4                     # so many are written out
LONGEST_SUM = 24                # letters of a sum that is written out
BETWEEN_BOXES, BETWEEN_ROWS = 34, 62
LEAST_WIDTH, PADDING = 92, 26                           # of a box
TITLE, SMALL, STRIP = 17, 15, 19                        # heights of the lines of a box
TWINS, PORTS = 22, 16           # between lines to one input, and between those to several
ALONG = .55, .45, .65, .35, .75, .25, .85       # where a label may stand on a piece of its line

# (the function in which a rule stands, whether that is the rule itself) → the operation, where
# that has another name
NAMES = {("_with_rules", False): "conv", ("_rules_of_weight", False): "conv_weight",
         ("_window_mean", False): "average_pool", ("keep_positive", True): "relu",
         ("_unchanged", True): "add"}


class Way(NamedTuple):
    """A line.   points: from a Node by the bends to an input.
    side: on which its label stands: on the line (0), left (−1), right (1).
    bow: `svg.line`'s, so that twins that run flat do not meet.
    """
    points: list
    side: int
    bow: float


class Picture:
    """What does not change from frame to frame: where the Nodes stand, and what is written there.

    nodes: first made first.   names: {Node: name}.
    values: {Node: array}, of those that are known.
    arrived: the last {Node: [cotangents]} of each order that will be drawn, of the sweep first.
    """

    def __init__(self, nodes, names, values, arrived):
        self.nodes, self.names = nodes, names
        self.number = {node: i for i, node in enumerate(nodes)}
        self.lines = {node: _lines(node, names.get(node), values.get(node)) for node in nodes}
        self.places, self.bends = layered({node: inputs_of(node) for node in nodes})
        words = [line for lines in self.lines.values() for line in lines]
        words += [self.cotangent(node, came[node]) + self.verdict(node, came[node], arrived[0])
                  for came in arrived for node in nodes]
        self.box_width = max(LEAST_WIDTH, PADDING + max(map(svg.width_of, words)))
        self.box_height = 7 + TITLE + SMALL * (max(map(len, self.lines.values())) - 1) + STRIP
        self.step = self.box_width + BETWEEN_BOXES, self.box_height + BETWEEN_ROWS
        self.width = self.step[0] * max([x + 0.5 for x, _ in self.places.values()] + [
            x + BEND / 2 for bends in self.bends.values() for x, _ in bends])
        self.height = max(y for _, y in self.places.values()) * self.step[1] + self.box_height

    def shapes(self, arrived, labels, verdicts, visits=None, now=None, took=None):
        """The picture at one moment.

        arrived: {Node: [all cotangents that have arrived there]}.
        labels: {Node: [(words, colour) to write on the line to each input, or None]}.
        verdicts: {Node: "" where its cotangent is right, or words}, of those that are judged.
        visits: {Node: how often it has been visited}; None where all is over, and nobody counts.
        now: the Node that is being visited.   took: the cotangent that it hands on.
        """
        lines, wanted, boxes = [], [], []
        for node in self.nodes:
            used = visits is None or node in visits
            ways = [*self._ways(node)]
            colour, thick = (GLOW, 2.4) if node is now else (FAINT, 1.6) if used else (LINE, 1.2)
            lines += [svg.line(way.points, colour, thick, used, way.bow) for way in ways]
            wanted += [(way, *said) for way, said in zip(ways, labels.get(node, ()))
                       if said and said[0]]
            words = "" if node not in arrived else self.cotangent(
                node, arrived[node], took if node is now and node.inputs else None)
            boxes += self._box(node, words + verdicts.get(node, ""), node is now)
        dots = [shape for node in visits or () for shape in self._dots(node, visits[node])]
        marks = [shape for node in verdicts for shape in self._mark(node, not verdicts[node])]
        return lines + self._labels(wanted) + boxes + dots + marks

    def _labels(self, wanted):
        """Words on lines, each where it covers no box and no words before it, if there is room.

        wanted: [(Way, words, colour)].
        """
        taken = [(x - self.box_width / 2, top, x + self.box_width / 2, top + self.box_height)
                 for x, top in map(self._place, self.nodes)]
        shapes = []
        for way, words, colour in wanted:
            spots = [self._spot(way, i, t, words) for i in range(len(way.points) - 1)
                     for t in ALONG]
            spot = min(spots, key=lambda spot: sum(_overlap(spot, other) for other in taken))
            taken.append(spot)
            shapes.append(svg.label(*spot, words, colour, way.side))
        return shapes

    def _spot(self, way, piece, t, words):
        """(left, top, right, bottom) of words at the way's piece."""
        x, y = svg.along(way.points[piece:piece + 2], t, way.bow)
        width = svg.width_of(words, svg.LABEL) + 4
        x += way.side * (width / 2 + 4)
        x = min(max(x, width / 2), self.width - width / 2)          # within the picture
        return x - width / 2, y - svg.LABEL / 2 - 2, x + width / 2, y + svg.LABEL / 2 + 2

    def _ways(self, node):
        """The Way to each input."""
        x, top = self._place(node)
        parents = inputs_of(node)
        first = [(self.bends[node, parent] or [self.places[parent]])[0] for parent in parents]
        order = sorted(range(len(parents)), key=lambda i: first[i][0])
        for i, parent in enumerate(parents):
            twins = [j for j, other in enumerate(parents) if other is parent]       # as in a + a
            apart = self._spread(TWINS, twins.index(i), len(twins))
            port = self._spread(PORTS, order.index(i), len(order))
            to_x, to_top = self._place(parent)
            bends = [(bend_x * self.step[0] + apart, bend_row * self.step[1] + self.box_height / 2)
                     for bend_x, bend_row in self.bends[node, parent]]
            points = [(x + (apart if len(twins) > 1 else port), top), *bends,
                      (to_x + apart, to_top + self.box_height)]
            aside = points[1][0] - points[0][0]
            if abs(aside) < BETWEEN_ROWS:
                yield Way(points, (apart > 0) - (apart < 0), 0)
            else:
                yield Way(points, 0, apart if aside > 0 else -apart)

    def _spread(self, gap, i, count):
        """How far the i-th of so many ends of lines stands from the middle of a box."""
        return (i - (count - 1) / 2) * min(gap, (self.box_width - 12) / count)

    def _place(self, node):
        """The middle of the upper side of its box."""
        x, row = self.places[node]
        return x * self.step[0], row * self.step[1]

    def _box(self, node, words, now):
        (x, top), width, height = self._place(node), self.box_width, self.box_height
        left = x - width / 2
        title, *rest = self.lines[node]
        drawn = [svg.box(left, top, width, height, PALE, GLOW if now else INK, 2.6 if now else 1),
                 svg.text(left + 6, top + TITLE - 3, str(self.number[node]), 9.5, GREY, "start"),
                 svg.text(x + 4, top + TITLE, title, weight="bold")]
        drawn += [svg.text(x, top + TITLE + SMALL * i, line) for i, line in enumerate(rest, 1)]
        if words:
            drawn += [svg.box(left + 3, top + height - STRIP - 2, width - 6, STRIP,
                              GLOW if now else WARM, "none", corner=3),
                      svg.text(x, top + height - 7, words, 11.5, "white" if now else GLOW,
                               weight="bold")]
        return drawn

    def _dots(self, node, visited):
        """One for each visit."""
        x, top = self._place(node)
        return [svg.disc(x + self.box_width / 2 - 6 - 9 * i, top - 6, 3.2, GLOW)
                for i in range(visited)]

    def _mark(self, node, right):
        x, top = self._place(node)
        x, y = x + self.box_width / 2 + 1, top + self.box_height - STRIP / 2 - 2
        return [svg.disc(x, y, 9, RIGHT if right else WRONG),
                svg.text(x, y + 4.5, "✓" if right else "✗", 13, "white", weight="bold")]

    def cotangent(self, node, arrived, took=None):
        """What has arrived at a Node, added up:  ā = 1+1 = 2;  of a large array the norm.

        took: what a visit hands on; where that is a part only,  b̄: 3 of 1+3.
        """
        name = f"{name}\u0304" if len(name := self.names.get(node, "")) == 1 else ""
        start = name and f"{name} = "
        pieces, whole = [entries(came.data) for came in arrived], entries(total(arrived).data)
        if whole is None:
            norm = np.linalg.norm(_on_the_host(total(arrived).data).astype("float64"))
            several = f"sum of {len(arrived)}, " if len(arrived) > 1 else ""
            return several + (f"‖{name}‖ = " if name else "norm ") + _written(norm)
        if len(arrived) == 1 or sum(map(len, pieces)) > LONGEST_SUM:
            return start + whole
        several = "+".join(pieces).replace("+−", "−")
        if took is not None and (part := entries(took.data)) != whole:
            return f"{name and name + ': '}{part} of {several}"
        return f"{start}{several} = {whole}"

    def verdict(self, node, arrived, right):
        """What to add where a leaf's cotangent differs from the right one:  ", not 8"."""
        found, right = (_on_the_host(total(came).data) for came in (arrived, right[node]))
        if node.inputs or np.allclose(found, right):
            return ""
        return f", not {entries(right) or 'so'}"


def _overlap(a, b):
    """The area that two rectangles (left, top, right, bottom) share."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0)


def operation(node):
    """The name of the operation that made a Node: of the function in which its rule stands."""
    _, rule = node.inputs[0]
    rule = getattr(rule, "rule", rule)                          # of with_output
    while isinstance(rule, functools.partial):
        rule = rule.func
    parts = getattr(rule, "__qualname__", type(rule).__name__).split(".<locals>.")
    alone, name = len(parts) == 1, parts[max(0, len(parts) - 2)].split(".")[-1]
    return NAMES.get((name, alone), name.strip("_"))


def _lines(node, name, value):
    """What is written in its box: name and operation; shape; entries, where these are few."""
    made = operation(node) if node.inputs else ""
    title = " = ".join(filter(None, (name, made))) or "leaf"
    shape = [str(node.shape).replace(" ", "")] if node.shape else []
    written = None if value is None else entries(value)
    return [title, *shape, *([written] if written else [])]


def entries(array):
    """The entries of a small array in their order; None of a larger one."""
    if array.size > ENTRIES:
        return None
    words = " ".join(map(_written, _on_the_host(array).ravel().tolist()))
    return words if array.ndim == 0 or array.size == 1 else f"[{words}]"


def _written(number):
    return f"{number + 0.0:.4g}".replace("-", "−")


def _on_the_host(array):
    return constant(array).numpy()
