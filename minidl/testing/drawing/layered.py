"""Where the Nodes of a graph stand: in rows, inputs above what was made of them.

Three steps (Sugiyama, Tagawa and Toda 1981):
    1. The row of a Node is the longest way to it from a leaf; a leaf stands just above the first
       Node that uses it.  An edge that passes rows gets a bend in each of them.
    2. Within a row, each stands near the mean of its neighbours in the row before (the
       barycentre); going down and up some times removes most crossings.
    3. Each is moved towards the mean of its neighbours as far as the order allows.
"""
BEND = 0.35             # the width of a bend, where a Node has 1
ROUNDS = 8


def layered(inputs):
    """Places of the Nodes of a graph.

    inputs: {Node: [Nodes of its inputs]}, each after its inputs.
    Returns ({Node: (x, row)}, {(Node, input): [(x, row) of each bend, from the Node on]}).
    """
    row = _rows(inputs)
    rows, neighbours, bends = _with_bends(inputs, row)
    width = {item: BEND if type(item) is tuple else 1.0 for line in rows for item in line}
    x = {item: float(i) for line in rows for i, item in enumerate(line)}
    for turn in range(2 * ROUNDS):
        down = turn % 2 == 0
        for line in rows if down else reversed(rows):
            mean = {item: _mean([x[other] for other in neighbours[item][down]], x[item])
                    for item in line}
            if turn < ROUNDS:
                line.sort(key=mean.get)                 # stable: ties keep their order
            x.update(_spread(line, mean, width))
    left = min(x[item] - width[item] / 2 for item in x)
    places = {node: (x[node] - left, row[node]) for node in inputs}
    return places, {edge: [(x[bend] - left, bend[2]) for bend in made]
                    for edge, made in bends.items()}


def _rows(inputs):
    row = {}
    for node, parents in inputs.items():
        row[node] = 1 + max((row[parent] for parent in parents), default=-1)
    first_use = {}
    for node, parents in inputs.items():
        for parent in parents:
            first_use[parent] = min(row[node], first_use.get(parent, row[node]))
    return {node: first_use.get(node, 1) - 1 if not inputs[node] else row[node] for node in row}


def _with_bends(inputs, row):
    """(the rows as lists, {item: (neighbours below, neighbours above)}, {edge: its bends}).

    A bend is (Node, input, row).
    """
    rows = [[] for _ in range(max(row.values()) + 1)]
    neighbours, bends = {}, {}
    for node in reversed(inputs):
        rows[row[node]].append(node)
        neighbours.setdefault(node, ([], []))
        for parent in dict.fromkeys(inputs[node]):
            bends[node, parent] = [(node, parent, r)
                                   for r in range(row[node] - 1, row[parent], -1)]
            for bend in bends[node, parent]:
                rows[bend[2]].append(bend)
            chain = [node, *bends[node, parent], parent]
            for lower, upper in zip(chain, chain[1:]):
                neighbours.setdefault(lower, ([], []))[1].append(upper)
                neighbours.setdefault(upper, ([], []))[0].append(lower)
    return [line[::-1] for line in rows], neighbours, bends


def _mean(numbers, otherwise):
    return sum(numbers) / len(numbers) if numbers else otherwise


def _spread(line, wanted, width):
    """{item: x}, in this order, near the wanted x and not over each other.

    Pushed apart from the left, and from the right: both are free of overlaps, so is their mean.
    """
    gaps = [(width[a] + width[b]) / 2 for a, b in zip(line, line[1:])]
    right, left = [wanted[item] for item in line], [wanted[item] for item in line]
    for i, gap in enumerate(gaps, 1):
        right[i] = max(right[i], right[i - 1] + gap)
    for i, gap in reversed([*enumerate(gaps)]):
        left[i] = min(left[i], left[i + 1] - gap)
    return {item: (a + b) / 2 for item, a, b in zip(line, left, right)}
