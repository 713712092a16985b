"""The sweep of `grad`, one visit at a time, and three other orders that people ask about.

A visit of a Node takes a cotangent ȳ, calls the Node's rules with it, and leaves at each input what
its rule gives.  The orders differ in when a Node is visited, and with which ȳ:

    sweep           the last made first, each Node once.  All that arrives there has arrived
    depth first     each Node once, when it is first reached: a visit goes on to the first input
                    and all that is reached from there, then to the second.  What arrives at a Node
                    after its visit is lost
    recursion       in the same way, but each time that a line reaches the Node, with all that has
                    arrived until then.  What came before is handed on again
    paths           each time, handing on only what came by this line: each path by itself.  That
                    is right, and takes as many visits as there are paths

On b = 2 a, c = 3 b, d = b + c, whose slope is 8, they take 4, 4, 6 and 6 visits and find 8, 2, 10
and 8.  (With d = c + b depth first comes to b by the long way, and is right by luck.)  On n steps
y = y + y the first takes n + 1 visits, paths 2ⁿ⁺¹ − 1.
"""
from functools import reduce
from operator import add, attrgetter
from typing import NamedTuple

from minidl.tensor import _fitted, constant, with_output


class Gift(NamedTuple):
    """What a rule gives.   to: the Node of an input.   cotangent: in its shape and dtype.
    by: the Node of what the rule itself gave, before broadcasting was undone; None for a constant.
    """
    to: object
    cotangent: object
    by: object


class Visit(NamedTuple):
    """node: which Node is visited.   took: the cotangent ȳ with which its rules are called.
    gave: the Gifts, one for each rule.
    arrived: {Node: [all cotangents that have arrived there]}, after the visit.
    """
    node: object
    took: object
    gave: list
    arrived: dict


def sweep(output, cotangent):
    """each box when all has arrived there"""
    arrived = {output: [cotangent]}
    for node in reached(output):
        yield _visit(node, total(arrived[node]), arrived)


def depth_first(output, cotangent):
    """each box once, when it is first reached"""
    arrived, seen = {output: [cotangent]}, set()

    def from_here(node):
        if node not in seen:
            seen.add(node)
            made = _visit(node, total(arrived[node]), arrived)
            yield made
            for gift in made.gave:
                yield from from_here(gift.to)

    return from_here(output)


def recursion(output, cotangent):
    """a box each time that it is reached, with all that is there"""
    arrived = {output: [cotangent]}

    def from_here(node):
        made = _visit(node, total(arrived[node]), arrived)
        yield made
        for gift in made.gave:
            yield from from_here(gift.to)

    return from_here(output)


def paths(output, cotangent):
    """a box each time that it is reached, with what has just come"""
    arrived = {output: [cotangent]}

    def from_here(node, came):
        made = _visit(node, came, arrived)
        yield made
        for gift in made.gave:
            yield from from_here(gift.to, gift.cotangent)

    return from_here(output, cotangent)


ORDERS = {"sweep": sweep, "depth first": depth_first, "recursion": recursion, "paths": paths}


def reached(output):
    """The Nodes that a Node depends on, and itself: the last made first."""
    nodes, seen = [output], {output}
    for node in nodes:                                  # the list grows as it is walked
        for parent in inputs_of(node):
            if parent not in seen:
                seen.add(parent)
                nodes.append(parent)
    return sorted(nodes, key=attrgetter("number"), reverse=True)


def total(cotangents):
    """Their sum."""
    return reduce(add, cotangents)


def count(order, output):
    """How many visits an order takes, found without making them."""
    nodes = reached(output)
    if order in ("sweep", "depth first"):
        return len(nodes)
    below = {}                              # of a Node: itself, and what its inputs take
    for node in reversed(nodes):
        below[node] = 1 + sum(below[parent] for parent in inputs_of(node))
    return below[output]


def inputs_of(node):
    """The Nodes of its inputs, one for each rule: a + a has two."""
    given = [parents if type(parents) is tuple else (parents,) for parents, _ in node.inputs]
    return [parent for parents in given for parent in parents if parent is not None]


def _visit(node, gy, arrived):
    gave = _by_the_rules(node, gy)
    for gift in gave:
        arrived.setdefault(gift.to, []).append(gift.cotangent)
    return Visit(node, gy, gave, {there: [*came] for there, came in arrived.items()})


def _by_the_rules(node, gy):
    """The Gifts that the rules of a Node make of ȳ."""
    y = None if node.value is None else constant(node.value)
    if y is not None:
        y.node = node
    gave = []
    for parents, rule in node.inputs:
        made = rule.rule(gy, y) if type(rule) is with_output else rule(gy)
        pairs = zip(parents, made) if type(parents) is tuple else [(parents, made)]
        gave += [Gift(parent, _fitted(gx, parent, rule), gx.node) for parent, gx in pairs
                 if parent is not None]
    return gave
