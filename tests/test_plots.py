"""Plots: a whole PNG with pixels of the right colours, nothing left behind where one fails;
principal components."""
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from minidl.data import load_image
from minidl.faces import Match, Verification, cmc, plots
from minidl.plots import COLOURS, _limits, learning_curves

pytest.importorskip("matplotlib")
rng = np.random.default_rng(0)
SAME = np.arange(400) < 150
DISTANCES = np.where(SAME, 0.5, 0.9) + 0.15 * rng.standard_normal(400)


def colours(path):
    """How many pixels of the picture have each colour; its edge is white, so nothing is cut."""
    picture = load_image(path)
    assert min(picture.shape[:2]) > 200
    assert (picture[[0, -1]] == 255).all() and (picture[:, [0, -1]] == 255).all()
    found, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    return {"#" + bytes(colour.tolist()).hex(): count for colour, count in zip(found, counts)}


def test_roc_curve(tmp_path):
    path = plots.roc_curve(tmp_path / "roc.png",
                           {"one": (DISTANCES, SAME), "other": (DISTANCES[::-1], SAME)})
    seen = colours(path)
    assert path == tmp_path / "roc.png" and seen[COLOURS[0]] > 300 and seen[COLOURS[1]] > 300


def test_distance_histograms(tmp_path):
    seen = colours(plots.distance_histograms(tmp_path / "h.png", DISTANCES, SAME, 0.7))
    assert seen["#000000"] > 300                    # τ, all the way up


def test_embedding_map(tmp_path):
    labels = np.repeat([f"person {i}" for i in range(15)], 4)
    encodings = rng.standard_normal((60, 8)) + np.arange(60)[:, None] // 4
    seen = colours(plots.embedding_map(tmp_path / "m.png", encodings, labels))
    assert seen["#cccccc"] > 20 and all(seen.get(colour, 0) > 10 for colour in COLOURS)
    with pytest.raises(ValueError, match="N ≥ 3"):
        plots.embedding_map(tmp_path / "n.png", np.ones((2, 2)), [0, 1])
    assert [p.name for p in tmp_path.iterdir()] == ["m.png"]


@pytest.mark.parametrize("name, wide, seed", [
    ("Ariel_Alder", 1.1, 0), ("Ariel_Alder", 1.1, 2), ("Ariel_Alder", 5, 0), (30 * "W", 0.9, 0)])
def test_an_embedding_map_is_whole(tmp_path, name, wide, seed):
    points = np.random.default_rng(seed).normal(size=(60, 3)) * (wide, 0.9, 0.1)
    colours(plots.embedding_map(tmp_path / "m.png", points,
                                np.repeat([f"{i}_{name}" for i in range(4)], 15)))


def test_an_embedding_map_of_one_point(tmp_path):
    seen = colours(plots.embedding_map(tmp_path / "m.png", np.ones((4, 3)), ["A", "A", "B", "B"]))
    assert seen[COLOURS[1]] > 10


def test_best_and_worst_pairs(tmp_path):
    asked = []

    def pictures(i):
        asked.append(i)
        return np.full((9, 7), 77, "uint8"), np.full((5, 5, 3), (10, 200, 30), "uint8")
    seen = colours(plots.best_and_worst_pairs(tmp_path / "p.png", pictures, DISTANCES, SAME, 0.7,
                                              count=3))
    assert seen["#0ac81e"] > 12 * 500 and seen["#4d4d4d"] > 12 * 300 and len(asked) == 12
    ordered = np.argsort(DISTANCES)
    assert asked[:3] == ordered[SAME[ordered]][:3].tolist()
    assert asked[-3:] == ordered[~SAME[ordered]][::-1][:3].tolist()
    # of one kind, few
    plots.best_and_worst_pairs(tmp_path / "p.png", pictures, DISTANCES[:2], SAME[:2], 0.7, count=3)


def test_answers(tmp_path):
    grey, wide = np.full((9, 7), 77, "uint8"), np.full((5, 9, 3), (10, 200, 30), "uint8")
    bob = "Bob_" + 30 * "o"
    identified = [(wide, "Ann", Match("Ann", "Ann", 0.2, bob, 0.9, 0.5)),
                  (wide, bob, Match(None, bob, 0.6, "Ann", 1, 0.5)),
                  (grey, "Eve", Match(None, "Ann", 0.8, bob, 0.9, 0.5))]
    verified = [(wide, "Ann", Verification("Ann", True, 0.2, bob, 0.9, 0.5)),
                (grey, "Eve", Verification(bob, True, 0.4, "Ann", 0.6, 0.5))]
    seen = colours(plots.answers(tmp_path / "a.png", [("Ann", wide), (bob, grey)], identified,
                                 verified))
    right, wrong = seen[plots.RIGHT], seen[plots.WRONG]
    assert 1.2 < right / wrong < 1.9  # three frames and answers against two
    only = colours(plots.answers(tmp_path / "a.png", [("Ann", wide)], identified[:1], []))
    assert only[plots.RIGHT] > 500 and plots.WRONG not in only
    # a gallery keeps the composed form of a name, é as one character
    zoe = Match("Zo\u00e9", "Zo\u00e9", 0.2, None, np.inf, 0.5)
    only = colours(plots.answers(tmp_path / "a.png", [("Zoe\u0301", wide)],
                                 [(wide, "Zoe\u0301", zoe)], []))
    assert only[plots.RIGHT] > 500 and plots.WRONG not in only


def test_cmc_curve(tmp_path):
    table = rng.random((40, 30))
    seen = colours(plots.cmc_curve(tmp_path / "c.png",
                                   {"chance": cmc(table, np.arange(40) % 30, np.arange(30))}))
    assert seen[COLOURS[0]] > 300
    colours(plots.cmc_curve(tmp_path / "one.png", {"one person": [1.0]}))


def test_learning_curves(tmp_path):
    history = [{"step": i, "loss": 1 / (i + 1)} | ({"accuracy": 0.8} if i % 10 == 0 else {})
               for i in range(50)]
    panels = {"loss": ["loss"], "accuracy": ["accuracy", "never_measured"],
              "nothing": ["never_measured"]}
    assert colours(learning_curves(tmp_path / "l.png", history, panels))[COLOURS[0]] > 300
    with pytest.raises(ValueError, match="nothing was measured of never_measured"):
        learning_curves(tmp_path / "n.png", history, {"nothing": ["never_measured"]})
    one, two = ([{"step": 0, "loss": value}] for value in (0.0, float("1e9")))
    colours(learning_curves(tmp_path / "l.png", one + two, {"loss": ["loss"]}))
    colours(learning_curves(tmp_path / "l.png", one, {"loss": ["loss"]}))       # one point, at 0
    for value in np.nan, np.inf:                                                # as of no examples
        colours(learning_curves(tmp_path / "l.png", one + [{"step": 1, "loss": value}],
                                {"loss": ["loss"]}))


def test_what_hardly_moves_looks_so():
    low, high = _limits([0.90, 0.91])
    assert high - low == pytest.approx(0.092) and low < 0.90 and high > 0.91
    assert _limits([0, 10]) == pytest.approx((-0.5, 10.5))


def test_what_cannot_be_drawn(tmp_path):
    path = tmp_path / "n.png"
    for call, words in [
        (lambda: plots.roc_curve(path, {}), "roc_curve: results must have one curve or more"),
        (lambda: plots.cmc_curve(path, {}), "cmc_curve: results must have one curve or more"),
        (lambda: plots.distance_histograms(path, DISTANCES, SAME, np.inf), "threshold must be in"),
        (lambda: plots.embedding_map(path, np.full((4, 3), np.nan), [0, 0, 1, 1]), "finite"),
        (lambda: plots.embedding_map(path, np.ones(4), [0, 0, 1, 1]), r"numbers \(N, D\)"),
        (lambda: plots.principal_components([1, 2, 3], 1), r"numbers \(N, D\)"),
        (lambda: plots.principal_components(np.zeros((0, 3)), 1), "has 0 components"),
        (lambda: plots.best_and_worst_pairs(path, None, DISTANCES, SAME, 0.7, count=0),
         "count must be an integer ≥ 1"),
    ]:
        with pytest.raises(ValueError, match=words):
            call()
    assert not path.exists()


@pytest.mark.filterwarnings("error")
def test_distances_that_are_all_one(tmp_path):
    colours(plots.distance_histograms(tmp_path / "h.png", [0.5, 0.5], [True, False], 0.5))


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        plots.cmc_curve(tmp_path / "c.png", {"one": [1.0]})
    assert not list(tmp_path.iterdir())


@given(st.integers(0, 2 ** 31), st.integers(3, 20), st.integers(2, 6))
def test_principal_components(seed, n, d):
    """Against the eigenvectors of the covariance matrix."""
    x = np.random.default_rng(seed).standard_normal((n, d)) * np.arange(1, d + 1)
    places, shares = plots.principal_components(x, 2)
    values, vectors = np.linalg.eigh(np.cov(x.T))
    np.testing.assert_allclose(shares, values[::-1][:2] / values.sum(), atol=1e-9)
    expected = (x - x.mean(0)) @ vectors[:, ::-1][:, :2]
    np.testing.assert_allclose(abs(places), abs(expected), atol=1e-6)
    again = plots.principal_components(x[::-1], 2)[0][::-1]
    np.testing.assert_allclose(places, again, atol=1e-6)  # signs do not depend on chance


def test_principal_components_of_a_point():
    places, shares = plots.principal_components(np.ones((4, 3)), 2)
    assert (places == 0).all() and (shares == 0).all()
    with pytest.raises(ValueError, match="has 2 components, asked for 3"):
        plots.principal_components(np.ones((4, 2)), 3)
