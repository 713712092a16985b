"""One picture of a graph, as it is after a visit."""
import functools

from minidl.tensor import constant
from minidl.testing.drawing import svg
from minidl.testing.drawing.layered import layered
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

# (the function in which a rule stands, whether that is the rule itself) → the operation, where
# that has another name
NAMES = {("_with_rules", False): "conv", ("_rules_of_weight", False): "conv_weight",
         ("keep_positive", True): "relu", ("_unchanged", True): "add"}


class Picture:
    """What does not change from frame to frame: where the Nodes stand, and what is written there.

    nodes: first made first.   names: {Node: name}.
    values: {Node: array}, of those that are known.
    arrived: the last {Node: [cotangents]} of each order that will be drawn.
    """

    def __init__(self, nodes, names, values, arrived):
        self.nodes, self.names = nodes, names
        self.number = {node: i for i, node in enumerate(nodes)}
        self.lines = {node: _lines(node, names.get(node), values.get(node)) for node in nodes}
        self.places, self.bends = layered({node: inputs_of(node) for node in nodes})
        words = [line for lines in self.lines.values() for line in lines]
        words += [self.cotangent(node, came[node]) for came in arrived for node in nodes]
        self.box_width = max(LEAST_WIDTH, PADDING + max(map(svg.width_of, words)))
        self.box_height = 7 + TITLE + SMALL * (max(map(len, self.lines.values())) - 1) + STRIP
        self.step = self.box_width + BETWEEN_BOXES, self.box_height + BETWEEN_ROWS
        self.width = max(x for x, _ in self.places.values()) * self.step[0] + self.step[0] / 2
        self.height = max(y for _, y in self.places.values()) * self.step[1] + self.box_height

    def shapes(self, arrived, visits=None, now=None, labels=(), verdicts=()):
        """The picture at one moment.

        arrived: {Node: [all cotangents that have arrived there]}.
        visits: {Node: how often it has been visited}; None where all is over, and nobody counts.
        now: the Node that is being visited.
        labels: {Node: [what to write on the edge to each input]}.
        verdicts: {Node: whether its cotangent is right}, of those that are judged.
        """
        lines, words, boxes = [], [], []
        for node in self.nodes:
            used = visits is None or node in visits
            ways = [*self._ways(node)]
            colour, thick = (GLOW, 2.4) if node is now else (FAINT, 1.6) if used else (LINE, 1.2)
            lines += [svg.line(points, colour, thick, arrow=used) for points, _ in ways]
            words += [svg.label(*svg.along(points), said, GLOW, side) for (points, side), said
                      in zip(ways, labels[node] if node in labels else ()) if said]
            boxes += self._box(node, arrived.get(node, ()), node is now)
        dots = [shape for node in visits or () for shape in self._dots(node, visits[node])]
        marks = [shape for node in verdicts for shape in self._mark(node, verdicts[node])]
        return lines + words + boxes + dots + marks

    def _ways(self, node):
        """For each input: the points of the line to it, and the side of its label (0: upon it)."""
        x, top = self._place(node)
        parents = inputs_of(node)
        first = [(self.bends[node, parent] or [self.places[parent]])[0] for parent in parents]
        order = sorted(range(len(parents)), key=lambda i: first[i][0])
        for i, parent in enumerate(parents):
            twins = [j for j, other in enumerate(parents) if other is parent]       # as in a + a
            apart = TWINS * (twins.index(i) - (len(twins) - 1) / 2)
            port = PORTS * (order.index(i) - (len(order) - 1) / 2)
            to_x, to_top = self._place(parent)
            bends = [(bend_x * self.step[0], bend_row * self.step[1] + self.box_height / 2)
                     for bend_x, bend_row in self.bends[node, parent]]
            yield [(x + (apart if len(twins) > 1 else port), top), *bends,
                   (to_x + apart, to_top + self.box_height)], (apart > 0) - (apart < 0)

    def _place(self, node):
        """The middle of the upper side of its box."""
        x, row = self.places[node]
        return x * self.step[0], row * self.step[1]

    def _box(self, node, arrived, now):
        (x, top), width, height = self._place(node), self.box_width, self.box_height
        left = x - width / 2
        title, *rest = self.lines[node]
        drawn = [svg.box(left, top, width, height, PALE, GLOW if now else INK, 2.6 if now else 1),
                 svg.text(left + 6, top + TITLE - 3, str(self.number[node]), 9.5, GREY, "start"),
                 svg.text(x + 4, top + TITLE, title, weight="bold")]
        drawn += [svg.text(x, top + TITLE + SMALL * i, words) for i, words in enumerate(rest, 1)]
        if arrived:
            drawn += [svg.box(left + 3, top + height - STRIP - 2, width - 6, STRIP,
                              GLOW if now else WARM, "none", corner=3),
                      svg.text(x, top + height - 7, self.cotangent(node, arrived), 11.5,
                               "white" if now else GLOW, weight="bold")]
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

    def cotangent(self, node, arrived):
        """What has arrived at a Node, added up:  ā = 1+1 = 2."""
        name = self.names.get(node, "")
        start = f"{name}\u0304 = " if len(name) == 1 else ""
        pieces = [entries(came.data) for came in arrived]
        whole = entries(total(arrived).data)
        if whole is None:
            return start + ("arrived" if len(arrived) == 1 else f"{len(arrived)} arrived")
        if len(arrived) == 1 or sum(map(len, pieces)) > LONGEST_SUM:
            return start + whole
        return f"{start}{'+'.join(pieces).replace('+−', '−')} = {whole}"


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
    numbers = constant(array).numpy().ravel().tolist()
    words = " ".join(f"{number + 0.0:.4g}" for number in numbers).replace("-", "−")
    return words if array.ndim == 0 or array.size == 1 else f"[{words}]"
