"""The pieces behind the door: each has one line in kernels/fast/README.md, and a switch."""
from benchmarks import pieces
import pytest


def table():
    lines = pieces.README.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    return [row.strip("| ").split(" | ") for row in rows[1:]]


def test_every_piece_has_one_line():
    assert [row[0] for row in table()] == [piece.name for piece in pieces.PIECES]
    assert all(len(row) == 5 and row[4] for row in table())


@pytest.mark.parametrize("piece", pieces.PIECES, ids=lambda piece: piece.name)
def test_a_piece_can_be_switched_off_and_comes_back(piece):
    targets = [target.split(".") for target in piece.off if "." in target]
    before = [getattr(pieces._module(module), name) for module, name in targets]
    with pieces.without(piece.off):
        for module, name in targets:
            assert getattr(pieces._module(module), name) is piece.off[f"{module}.{name}"]
    assert [getattr(pieces._module(module), name) for module, name in targets] == before
    assert bool(piece.code) == (piece.lines() > 0)
