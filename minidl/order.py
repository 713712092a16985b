"""In which order a sweep goes through the Nodes of a graph, and where on the way a gradient is
complete."""
from operator import attrgetter


def leading_to(wanted, output):
    """The Nodes between the wanted ones (None: the leaves) and the output, last made first.

    So each comes after all that was made of it, and its cotangent is complete.
    """
    nodes, seen = [output], {output, None}
    for node in nodes:                                  # the list grows as it is walked
        for parents, _ in node.inputs:
            for parent in parents if type(parents) is tuple else (parents,):
                if parent not in seen:
                    seen.add(parent)
                    nodes.append(parent)
    nodes.sort(key=attrgetter("number"), reverse=True)
    if wanted is None or wanted.issuperset(node for node in nodes if not node.inputs):
        return nodes                                    # every Node leads to a leaf
    leading = set(wanted)
    for node in reversed(nodes):
        if any(not leading.isdisjoint(parents if type(parents) is tuple else (parents,))
               for parents, _ in node.inputs):
            leading.add(node)
    return [node for node in nodes if node in leading]


def completed_by(nodes, wanted):
    """{node: [wanted Nodes that have all their cotangents when the sweep has passed this one]}.

    An edge leads from a Node to each of its inputs; the last edge to a wanted Node completes it.
    """
    last = {parent: node for node in nodes for parents, _ in node.inputs
            for parent in (parents if type(parents) is tuple else (parents,))}
    completed = {nodes[0]: [nodes[0]] if nodes[0] in wanted else []}
    for node in nodes:
        if node in wanted and node in last:
            completed.setdefault(last[node], []).append(node)
    return completed
