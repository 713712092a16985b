"""Slips of the pen in what a learner writes: another sign, comparison or number.  Every exercise
must notice each of them, but for those that change nothing."""
import ast

import pytest

from minidl.learn import path, source
from minidl.learn.answers import Wrong

HOLES = [exercise for exercise in path.EXERCISES if getattr(exercise, "hole", None)]
OTHER = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult,
         ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult, ast.MatMult: ast.Mult, ast.USub: ast.UAdd,
         ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
         ast.NotEq: ast.Eq, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Is: ast.IsNot,
         ast.IsNot: ast.Is, ast.In: ast.NotIn}

# (exercise, what was changed): the results are the same
SAME = {
    ("sweep", "type(gx) is not Tensor"),                    # _fitted gives back what fits
    ("elu", "0"), ("logsumexp-rule", "0"), ("norm-rule", "0"), ("norm-rule", "1"),  # not taken
    ("softmax-rule", 'gy - gather(gy, first_extreme("max", y, axes), axes)'),       # any constant
    ("log-sum", "0"),                                       # log1p(Σ − 1) in another way
    ("warm-up", "t + 1 < steps"),                           # (t + 1) / steps is 1 there
    ("clip-gradients", "max_norm < norm < math.inf"),       # a factor of 1
    ("running-moments", "False"),                           # a copy
    ("dropout", "backend.generator(rng).random(x.shape) >= rate"),                  # never equal
    ("triplet-loss", "-1"), ("contrastive", "-1"), ("overlap", "-1")}               # of two axes


def slips(exercise):
    """(the text that was changed, the whole text with the slip)."""
    text = exercise.source
    inside = [source.positions(text, *span) for span in exercise.hole.spans(ast.parse(text))]
    for number, node in enumerate(ast.walk(ast.parse(text))):
        if not hasattr(node, "lineno"):
            continue
        start, stop = source.positions(text, node, node)
        if any(first <= start and stop <= last for first, last in inside):
            tree = ast.parse(text)
            if _slip(list(ast.walk(tree))[number]):
                yield text[start:stop], ast.unparse(tree)


def _slip(node):
    """Change the node; False where it has nothing of the kind."""
    if isinstance(node, (ast.BinOp, ast.UnaryOp)) and type(node.op) in OTHER:
        node.op = OTHER[type(node.op)]()
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in OTHER:
        node.ops[0] = OTHER[type(node.ops[0])]()
    elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1
    elif isinstance(node, ast.IfExp):
        node.body, node.orelse = node.orelse, node.body
    else:
        return False
    return True


@pytest.mark.parametrize("exercise", HOLES, ids=lambda e: e.name)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")       # some slips take logarithms of 0
def test_a_slip_is_wrong(exercise):
    for changed, text in slips(exercise):
        if (exercise.name, changed) not in SAME:
            with pytest.raises(Wrong):
                exercise.judge(text, "answer.py")
                pytest.fail(
                    f"{changed} was changed in {exercise.name}, and nobody noticed:\n{text}"
                )


def test_there_are_hundreds_of_slips():
    assert sum(1 for exercise in HOLES for _ in slips(exercise)) > 400
