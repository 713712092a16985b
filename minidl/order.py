"""Where in a sweep a gradient is complete."""


def passing(nodes, wanted, complete):
    """The Nodes of a sweep, one after the other; complete(w) is called for each wanted Node w as
    soon as the sweep has passed the last Node that sends a cotangent to it.

    An edge leads from a Node to each of its inputs; the last edge to w completes w.  To the output
    no edge leads: it is completed by its own turn.
    """
    last = {parent: node for node in nodes for parents, _ in node.inputs
            for parent in (parents if type(parents) is tuple else (parents,))}
    completed = {}
    for node in nodes:
        if node in wanted:
            completed.setdefault(last.get(node, node), []).append(node)
    for node in nodes:
        yield node
        for done in completed.get(node, ()):
            complete(done)
