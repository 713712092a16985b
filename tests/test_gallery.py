"""Encoding, the gallery and its search, and its files: whole, refused, or the previous one."""
from concurrent.futures import ThreadPoolExecutor
import os
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

import minidl as md
from minidl import nn, ops
from minidl.data import resize, save_image
from minidl.faces import Gallery, Impostors, encode, fingerprint, prepare
from minidl.faces.copies import copies
from minidl.faces.measured import measured
from minidl.faces.model import Model, NoneUsable
from minidl.files import cache_folder
from minidl.kernels import two_nearest
from minidl.weights import FILES

SIDE = 4
LOWER = np.uint8([[1], [1], [1], [0]])          # but for the last row, black


class Encoder(nn.Module):
    """f(x) = the pixels, standardised by running statistics in use, times a matrix."""

    def __init__(self, channels=1, width=5, seed=0):
        self.size, self.channels = SIDE, channels
        self.norm = nn.BatchNorm(channels)
        self.dense = nn.Dense(SIDE * SIDE * channels, width, bias=False, rng=seed)

    def forward(self, x):
        assert x.shape[1:] == (SIDE, SIDE, self.channels) and x.dtype == "float32"
        return self.dense(ops.reshape(self.norm(x * (1 / 255)), (len(x), -1)))


def picture(seed, shape=(SIDE, SIDE)):
    return np.random.default_rng(seed).integers(0, 256, shape).astype("uint8")


def rows(*numbers):
    """Encodings on a line: (N, 2)."""
    return np.array([[n, 0] for n in numbers], "float32")


def on_a_line(names="ABC", places=(0, 1, 5), threshold=0.5):
    gallery = Gallery(Encoder(width=2), threshold)
    gallery.enroll_encodings(list(names), rows(*places))
    return gallery


# Encoding

def test_encode(device):
    encoder = Encoder().to(device)
    encoder.norm.training = False               # a part that somebody froze stays so
    pictures = [picture(i) for i in range(5)]
    found = encode(encoder, pictures, batch=2)
    whole = encoder.eval()(md.tensor(np.stack(pictures)[..., None], dtype="float32")).numpy()
    assert found.shape == (5, 5) and found.dtype == "float32" and type(found) is np.ndarray
    np.testing.assert_allclose(found, whole, rtol=1e-6)
    assert encode(encoder, []).shape[0] == 0


def test_encode_puts_the_mode_back_and_keeps_no_graph():
    encoder, seen = Encoder(), []
    encoder.norm.training, forward = False, encoder.forward

    def watch(x):
        seen.append((encoder.training, encoder.dense.training))
        y = forward(x)
        assert not y.requires_grad
        return y
    encoder.forward = watch
    encode(encoder, [picture(0)])
    assert seen == [(False, False)] and encoder.training and encoder.dense.training
    assert not encoder.norm.training
    encoder.forward = lambda x: watch(x) * float("nan")
    with pytest.raises(ValueError, match="picture 0 is not finite; 2 of 2"):
        encode(encoder, [picture(0), picture(1)])
    assert encoder.training


def test_prepare_shapes_and_greyness():
    colour = picture(0, (6, 6, 3))
    np.testing.assert_array_equal(prepare(colour, 6, 3), colour)
    np.testing.assert_allclose(prepare(colour, 6, 1)[..., 0], colour @ [0.299, 0.587, 0.114],
                               rtol=1e-5)
    for grey in (picture(1, (6, 6)), picture(1, (6, 6, 1)), picture(1, (6, 6)).astype("float64")):
        found = prepare(grey, 6, 3)
        assert found.dtype == "float32" and found.flags.writeable
        np.testing.assert_array_equal(found, np.repeat(np.atleast_3d(grey), 3, 2))


def test_prepare_moves_the_square_down():
    """Half of a side: the lower half of the picture comes up, and below it is black."""
    found = prepare(np.arange(1, 17, dtype="uint8").reshape(4, 4), 4, 1, lowered=0.5)[..., 0]
    np.testing.assert_array_equal(found, [[9, 10, 11, 12], [13, 14, 15, 16], [0] * 4, [0] * 4])


def test_a_picture_and_its_mirror_image(device):
    """Where the encoder says so: f̄(x) = (f(x) + f(x mirrored)) / 2, of a picture moved down."""
    encoder = Encoder().to(device)
    moved, own = np.roll(picture(0), -1, 0) * LOWER, fingerprint(encoder)
    plain = encode(encoder, [moved, moved[:, ::-1]])
    encoder.lowered, encoder.mirrored = 0.25, True
    np.testing.assert_allclose(encode(encoder, [picture(0)])[0], plain.mean(0), rtol=1e-5)
    assert fingerprint(encoder) != own


def test_prepare_pads_to_a_square_and_interpolates():
    wide = np.full((2, 5), 100, "uint8")
    found = prepare(wide, 5, 1)[..., 0]
    np.testing.assert_array_equal(found, [[0] * 5, [100] * 5, [100] * 5, [0] * 5, [0] * 5])
    ramp = np.tile(np.arange(0, 120, 10, dtype="float32"), (12, 1))
    inside = prepare(ramp, 24, 1)[4:-4, 4:-4, 0]
    np.testing.assert_allclose(np.diff(inside, axis=1), 5, rtol=1e-4)           # linear in between
    checks = np.indices((64, 64)).sum(0) % 2 * 255.0
    np.testing.assert_allclose(prepare(checks, 8, 1), 127.5, atol=20)           # shrinking averages
    enlarged = prepare(picture(3, (5, 5)), 15, 1)[..., 0]
    bilinear = ops.resize(md.tensor(picture(3, (1, 5, 5, 1)), dtype="float32"),
                          15).numpy()[0, :, :, 0]
    np.testing.assert_allclose(enlarged[1:-1, 1:-1], bilinear[1:-1, 1:-1], atol=1e-2)
    assert resize(picture(0), 8).shape == (8, 8)


@pytest.mark.parametrize("image, error, words", [
    (np.zeros((0, 4), "uint8"), ValueError, "with pixels"),
    (np.zeros((4, 4, 4), "uint8"), ValueError, "with pixels"),
    (np.zeros(4, "uint8"), ValueError, "must be"), (np.zeros((4, 4), "int64"), TypeError, "int64"),
])
def test_what_is_no_picture(image, error, words):
    with pytest.raises(error, match=words):
        encode(Encoder(), [image])


def test_fingerprint(device, tmp_path):
    encoder = Encoder().to(device)
    first = fingerprint(encoder)
    assert len(first) == 64
    assert fingerprint(encoder) == first == fingerprint(Encoder())
    assert fingerprint(Encoder().to("cpu")) == first
    md.save(tmp_path / "e.npz", encoder)
    assert fingerprint(Encoder(seed=7).load_state_dict(md.load(tmp_path / "e.npz"))) == first
    assert fingerprint(Encoder(seed=1)) != first != fingerprint(Encoder(channels=3))
    encoder.norm.running_mean = encoder.norm.running_mean + 1e-3        # a buffer counts too
    assert fingerprint(encoder) != first


# Search

@given(st.integers(0, 2 ** 31), st.integers(1, 60), st.integers(1, 9), st.integers(0, 70),
       st.integers(1, 4))
def test_search_is_exact(seed, count, people, queries, small):
    """Against one loop, on small integers, where ties and equal pictures are common; in parts of a
    few rows."""
    rng = np.random.default_rng(seed)
    encodings = rng.integers(-2, 3, (count, 3)).astype("float32")
    whose = rng.integers(0, people, count).astype("int32")
    asked = rng.integers(-2, 3, (queries, 3)).astype("float32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minidl.kernels.fast.neighbours.ROWS", small)
        patch.setattr("minidl.kernels.fast.neighbours.QUERIES", 16)
        numbers, distances = two_nearest(asked, encodings, (encodings ** 2).sum(1), whose)
    assert numbers.shape == distances.shape == (queries, 2)
    for query, (first, second), (near, next_) in zip(asked, numbers, distances):
        to_person = {p: np.linalg.norm(encodings[whose == p] - query, axis=1).min()
                     for p in set(whose.tolist())}
        ordered = sorted(to_person.values())
        assert near == pytest.approx(ordered[0]) and to_person[first] == pytest.approx(near)
        if len(ordered) > 1:
            assert next_ == pytest.approx(ordered[1]) and to_person[second] == pytest.approx(next_)
            assert first != second
        else:
            assert second == -1 and next_ == np.inf


def test_distances_do_not_cancel():
    """Far from the origin float32's ‖g‖² − 2⟨q, g⟩ + ‖q‖² would say 0.03 or so for the same
    picture."""
    rng = np.random.default_rng(0)
    encodings = (100 + rng.standard_normal((300, 128))).astype("float32")
    numbers, distances = two_nearest(encodings[:200], encodings, (encodings ** 2).sum(1),
                                     np.arange(300))
    np.testing.assert_array_equal(numbers[:, 0], np.arange(200))
    assert (distances[:, 0] == 0).all()


def test_search_on_several_threads(monkeypatch):
    monkeypatch.setenv("MINIDL_NUM_THREADS", "3")
    rng = np.random.default_rng(1)
    encodings, asked = (rng.standard_normal((n, 16)).astype("float32") for n in (5000, 70))
    numbers, distances = two_nearest(asked, encodings, (encodings ** 2).sum(1), np.arange(5000))
    exact = np.linalg.norm(asked[:, None] - encodings, axis=-1)
    np.testing.assert_array_equal(numbers, exact.argsort(1)[:, :2])
    np.testing.assert_allclose(distances, np.sort(exact, 1)[:, :2], rtol=1e-5)


def test_a_gallery_of_thousands_is_searched_in_little_memory():
    """4,668 people and 1,000 queries: the differences themselves would take 2.4 GB."""
    rng = np.random.default_rng(2)
    encodings, asked = (rng.standard_normal((n, 128)).astype("float32") for n in (4668, 1000))
    gallery = Gallery(Encoder(), 0.6)
    gallery.enroll_encodings([f"person {i}" for i in range(4668)], encodings)
    tracemalloc.start()
    found = gallery.identify_encodings(asked)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 1000 and peak < 100e6
    for i in 0, 999:
        exact = np.linalg.norm(asked[i] - encodings, axis=1)
        assert found[i].nearest == f"person {exact.argmin()}"


# The gallery

def test_enroll_verify_identify(device):
    encoder = Encoder(channels=3).to(device)
    gallery = Gallery(encoder, threshold=0.05)
    ann, bob = picture(1, (7, 5, 3)), picture(2, (9, 9))
    gallery.enroll("Ann", ann)
    gallery.enroll("Bob", bob, picture(3, (4, 4, 1)))
    assert gallery.names == ["Ann", "Bob"] and len(gallery) == 2 and "Ann" in gallery
    assert "Eve" not in gallery
    assert gallery.encodings.shape == (3, 5) and gallery.people.tolist() == [0, 1, 1]
    assert repr(gallery) == "Gallery(2 people, 3 pictures, threshold=0.05, not calibrated)"
    f = encode(encoder, [ann, bob, picture(3, (4, 4, 1))])
    found = gallery.identify(ann)
    assert (found.name, found.nearest, found.runner_up,
            found.threshold) == ("Ann", "Ann", "Bob", 0.05)
    assert found.distance == 0
    assert found.runner_up_distance == pytest.approx(np.linalg.norm(f[1:] - f[0], axis=1).min(),
                                                     rel=1e-5)
    yes, no = gallery.verify(ann, "Ann"), gallery.verify(ann, "Bob")
    assert yes and yes.accepted is True and yes.distance == 0 and yes.runner_up == "Bob"
    assert not no and no.accepted is False and no.runner_up == "Ann" and no.runner_up_distance == 0
    assert no.distance == yes.runner_up_distance == found.runner_up_distance


def test_not_recognized():
    gallery = on_a_line()
    near, far, between = gallery.identify_encodings(rows(0.25, 3, 0.5))
    assert repr(near) == "<A at 0.250 ≤ 0.5; runner-up B at 0.750; not calibrated>"
    assert near.name == "A"
    assert far.name is None and far.nearest == "B" and far.distance == 2 and far.runner_up == "C"
    assert repr(far) == ("<not recognized: nearest B at 2.000 > 0.5; runner-up C at 2.000; "
                         "not calibrated>")
    # d = τ is accepted
    assert between.name == "A" and between.distance == between.runner_up_distance == 0.5


def test_one_person_has_no_runner_up():
    gallery = Gallery(Encoder(width=2), 1)
    gallery.enroll("Ann", picture(0))
    found, yes = gallery.identify(picture(0)), gallery.verify(picture(0), "Ann")
    for match in (found, yes):
        assert match.runner_up is None and match.runner_up_distance == np.inf
    assert repr(found) == "<Ann at 0.000 ≤ 1; not calibrated>"
    assert repr(yes) == "<Ann: 0.000 ≤ 1; not calibrated>"
    gallery.threshold = 0.0
    gallery.enroll("Bob", picture(9))
    assert repr(gallery.verify(picture(9), "Ann")).startswith("<not Ann: ")
    assert gallery.identify(picture(9)).name == "Bob"


def test_the_nearest_of_several_pictures_counts():
    gallery = Gallery(Encoder(width=2), 0.5)
    gallery.enroll_encodings([*"AABA"], rows(0, 10, 4, 20))
    found = gallery.identify_encodings(rows(9, 1.9))
    assert [(m.nearest, m.distance, m.runner_up, m.runner_up_distance) for m in found] == [
        ("A", 1, "B", 5), ("A", pytest.approx(1.9), "B", pytest.approx(2.1))]


def test_remove_and_rename():
    gallery = on_a_line("ABCA", (0, 1, 5, 9))
    gallery.remove("B")
    assert (
        gallery.names == ["A", "C"] and gallery.people.tolist() == [0, 1, 0] and "B" not in gallery
    )
    np.testing.assert_array_equal(gallery.encodings, rows(0, 5, 9))
    assert 1 not in gallery._encodings
    assert [m.name for m in gallery.identify_encodings(rows(1, 5, 9))] == [None, "C", "A"]
    gallery.rename("A", "Zoë")
    gallery.rename("C", "C")
    assert gallery.names == ["Zoë", "C"] and gallery.identify_encodings(rows(9))[0].name == "Zoë"
    gallery.enroll_encodings(["B", "Zoë"], rows(1, 2))
    assert gallery.names == ["Zoë", "C", "B"] and gallery.people.tolist() == [0, 1, 0, 2, 0]
    for name in gallery.names:
        gallery.remove(name)
    assert len(gallery) == 0
    gallery.enroll("Ann", picture(0))
    assert gallery.identify(picture(0)).name == "Ann"


@given(st.lists(st.tuples(st.sampled_from(["enroll", "enroll", "enroll", "remove", "rename"]),
                          st.sampled_from("ABCD"),
                          st.sampled_from("ABCD")), max_size=40))
def test_any_history_equals_a_dictionary(history):
    """Enrol, remove and rename in any order, against a list of (name, place)."""
    gallery, plain, place = Gallery(Encoder(width=2), 0.25), [], 0
    for what, name, new in history:
        known = {n for n, _ in plain}
        if what == "enroll":
            place += 1
            gallery.enroll_encodings([name], rows(place))
            plain.append((name, place))
        elif name in known and what == "remove":
            gallery.remove(name)
            plain = [(n, p) for n, p in plain if n != name]
        elif name in known and (new not in known or new == name):
            gallery.rename(name, new)
            plain = [(new if n == name else n, p) for n, p in plain]
    assert sorted(gallery.names) == sorted({n for n, _ in plain})
    if plain:
        found = gallery.identify_encodings(rows(*(p for _, p in plain)))
        assert [m.name for m in found] == [n for n, _ in plain]


def test_storage_grows_by_doubling():
    gallery, moves = Gallery(Encoder(width=2), 1), []
    for i in range(1000):
        before = gallery._encodings
        gallery.enroll_encodings([f"{i}"], rows(i))
        moves += [len(before)] * (gallery._encodings is not before)
    assert len(moves) <= 8 and sum(moves) < 2 * 1000
    assert [m.name for m in gallery.identify_encodings(rows(0, 999))] == ["0", "999"]


def test_wrong_calls():
    gallery = on_a_line()
    for call, words in (
        (lambda: gallery.enroll("A"), "at least one picture"),
        (lambda: gallery.verify(picture(0), "Eve"), "verify: 'Eve' is not enrolled; 3 people are"),
        (lambda: gallery.remove("Eve"), "remove: 'Eve' is not"),
        (lambda: gallery.rename("Eve", "X"), "rename: 'Eve'"),
        (lambda: gallery.rename("A", "B"), "somebody else"),
        (lambda: gallery.rename("A", ""), "printable"),
        (lambda: gallery.enroll_encodings(["A\n"], rows(1)), "printable"),
        (
            lambda: gallery.enroll_encodings(["A"], rows(1, 2)),
            r"1 names need encodings \(1, D\), got \(2, 2\)",
        ),
        (
            lambda: gallery.enroll_encodings(["A"], np.ones((1, 3))),
            "have 3 numbers, those of this gallery 2",
        ),
        (lambda: gallery.enroll_encodings(["A"], rows(np.nan)), "finite"),
        (lambda: gallery.identify_encodings(np.ones((1, 3))), r"must be \(N, 2\), got \(1, 3\)"),
        (lambda: Gallery(Encoder(), 1).identify(picture(0)), "nobody is enrolled"),
        (lambda: Gallery(Encoder(), -1), "threshold"),
        (lambda: setattr(gallery, "threshold", -5e-324), "threshold"),
        (lambda: Gallery(Encoder(), float("nan")), "threshold"),
        (lambda: Gallery(Encoder(), float("inf")), "0 ≤ threshold < inf, got inf"),
        (lambda: Gallery(Encoder(), false_accept_rate=0), "0 < false_accept_rate < 1, got 0"),
        (
            lambda: Gallery(Encoder(), false_accept_rate=float("nan")),
            "0 < false_accept_rate < 1, got nan",
        ),
        (lambda: gallery.enroll_encodings(["A"], rows(3e38)), "must not be longer than 1e.18"),
        (lambda: gallery.identify_encodings(rows(np.nan)), "identify: encodings must be finite"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(TypeError, match="must be text, got 7"):
        gallery.enroll_encodings([7], rows(1))
    assert gallery.names == ["A", "B", "C"] and len(gallery.people) == 3


# What τ costs

SQUARES = Impostors(rates=(0.01, 0.04, 0.25, 0.49), distances=(0.1, 0.2, 0.5, 0.7), people=40,
                    pairs=780)


def test_the_threshold_falls_as_the_gallery_grows():
    """F(0.2) = 0.04: one comparison at a rate of 0.04, or two at 1 − 0.96²."""
    gallery = Gallery(Encoder(width=2), false_accept_rate=1 - 0.96 ** 2, impostors=SQUARES)
    gallery.enroll_encodings([*"AB"], rows(0, 10))
    assert gallery.calibrated and gallery.threshold == pytest.approx(0.2)
    yes, no = gallery.identify_encodings(rows(0.19, 0.21))
    assert yes.name == "A" and no.name is None
    assert yes.threshold == pytest.approx(0.2)
    assert yes.false_accept_rate == pytest.approx(1 - 0.96 ** 2)
    assert repr(yes) == "<A at 0.190 ≤ 0.2; runner-up B at 9.810; others accepted: 7.8%>"
    gallery.enroll_encodings([*"A"], rows(1))          # one more chance to be taken for A
    assert gallery.threshold < 0.19
    found, = gallery.identify_encodings(rows(0.19))
    assert found.name is None and found.false_accept_rate == pytest.approx(1 - 0.96 ** 2)
    gallery.threshold = 0.2                             # whatever it costs: three pictures now
    found, = gallery.identify_encodings(rows(0.19))
    assert found.name == "A" and found.false_accept_rate == pytest.approx(1 - 0.96 ** 3)
    gallery.threshold = None
    assert gallery.threshold < 0.19


def test_one_comparison_has_a_wider_threshold():
    """`verify` compares with the claimed person's pictures alone, `identify` with everybody's."""
    gallery = Gallery(Encoder(), false_accept_rate=0.04, impostors=SQUARES)
    gallery.enroll("Ann", picture(0))
    gallery.enroll("Bob", picture(1), picture(2))
    yes = gallery.verify(picture(0), "Ann")
    assert yes.threshold == pytest.approx(0.2) and yes.false_accept_rate == pytest.approx(0.04)
    assert gallery.verify(picture(1), "Bob").threshold < 0.2
    assert gallery.identify(picture(0)).threshold < gallery.verify(picture(1), "Bob").threshold


def test_without_a_threshold_nobody_is_recognized_until_it_is_known_what_one_costs():
    gallery = Gallery(Encoder(width=2))
    gallery.enroll_encodings([*"AB"], rows(0, 10))
    assert not gallery.calibrated
    assert repr(gallery) == "Gallery(2 people, 2 pictures, threshold=0, not calibrated)"
    near, same = gallery.identify_encodings(rows(1e-3, 10))
    assert near.name is None and near.nearest == "A" and near.false_accept_rate is None
    assert same.name == "B"
    assert repr(near).endswith("not calibrated>")
    gallery.impostors = SQUARES
    assert gallery.identify_encodings(rows(1e-3))[0].name == "A"


def test_the_threshold_of_face128_follows_from_the_start_and_is_not_calibrated():
    """Where its weights are in the cache: exactly these were measured, on press photographs."""
    if not (cache_folder() / FILES["face128"]["name"]).exists():
        pytest.skip("face128 is not in the cache; fetch it with md.weights.fetch")
    encoder = md.models.face128()
    for encoder.aligned, threshold in (False, 0.5701), (True, 0.5825):
        known = measured(fingerprint(encoder))
        assert known.people == 1000 and known.threshold(0.01) == pytest.approx(threshold, abs=1e-4)
    gallery = Gallery(encoder)
    gallery.enroll_encodings([f"person {i}" for i in range(40)], 10 * np.eye(40, 128))
    assert gallery.threshold == pytest.approx(0.488, abs=1e-3)
    assert not gallery.calibrated and repr(gallery).endswith(", not calibrated)")
    answer, = gallery.identify_encodings(10 * np.eye(1, 128))
    assert answer.false_accept_rate is None and repr(answer).endswith("; not calibrated>")
    encoder["dense"].weight.data = encoder["dense"].weight.data + 1e-6
    assert measured(fingerprint(encoder)) is None


# Copies

def test_the_same_picture_again_is_not_added_again():
    gallery = Gallery(Encoder(width=2), 0.5)
    for _ in range(2):
        gallery.enroll("Ann", picture(0), picture(1), picture(0))
        assert len(gallery.people) == 2
    with pytest.raises(ValueError, match="picture 1 of 'Bob' is enrolled as 'Ann'"):
        gallery.enroll("Bob", picture(2), picture(1))
    assert gallery.names == ["Ann"] and len(gallery.people) == 2
    nearly = gallery.encodings * np.float32(1 + 3e-7)               # from another batch
    held = gallery.enroll_encodings(["Ann", "Bob", "Bob", "Cid"],
                                    [*nearly, [3, 4], [3, 4.00001]])
    assert held == ["Ann", "Ann", None, "Bob"]
    assert gallery.names == ["Ann", "Bob"] and gallery.people.tolist() == [0, 0, 1]
    assert gallery.enroll_encodings([], np.zeros((0, 2))) == []


@given(st.integers(0, 2 ** 31), st.integers(0, 30), st.integers(1, 30))
def test_copies_are_the_first_of_their_kind(seed, old, new):
    """Against one loop, on small integers, where many are equal."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 3, (old + new, 3)).astype("float32")
    first = [next(j for j in range(i + 1) if (rows[j] == rows[i]).all())
             for i in range(old, old + new)]
    found = copies(rows[:old], rows[old:])
    assert found.tolist() == [-1 if j == i else j for i, j in enumerate(first, old)]


# Several threads, several processes

def test_threads_change_a_gallery_at_once():
    """Eight enrol people of their own, ask, remove and rename; nobody is mixed up or lost."""
    gallery = Gallery(Encoder(width=2), 0.25)
    gallery.enroll_encodings(["everybody's"], rows(-5))

    def work(thread):
        for i in range(100):
            place, name = 100 * thread + i, f"{thread}/{i}"
            gallery.enroll_encodings([name], rows(place))
            assert gallery.identify_encodings(rows(place))[0].name == name
            if i % 3 == 0:
                gallery.remove(name)
            elif i % 3 == 1:
                gallery.rename(name, name + "!")
                assert gallery.identify_encodings(rows(place))[0].name == name + "!"

    run_at_once(work, 8)
    kept = {f"{t}/{i}" + "!" * (i % 3 == 1): 100 * t + i
            for t in range(8) for i in range(100) if i % 3}
    assert set(gallery.names) == {"everybody's", *kept} and len(gallery.people) == len(gallery)
    found = gallery.identify_encodings(rows(*kept.values()))
    assert [match.name for match in found] == list(kept)


def test_threads_encode_with_an_encoder_in_training():
    """Each sees it as in use; the last to finish puts its modes back."""
    encoder, modes = Encoder(), []
    encoder.norm.training = False
    right, forward = encode(encoder, [picture(0)]), encoder.forward

    def slowly(x):
        modes.append(encoder.dense.training)
        time.sleep(1e-4)
        return forward(x)

    encoder.forward = slowly

    def work(thread):
        for _ in range(30):
            np.testing.assert_array_equal(encode(encoder, [picture(0)]), right)

    run_at_once(work, 4)
    assert not any(modes)
    assert encoder.training and encoder.dense.training and not encoder.norm.training


def run_at_once(work, count):
    """work(0) … work(count − 1), each on its own thread, taking turns as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(count) as threads:
            list(threads.map(work, range(count)))           # raises what they raised
    finally:
        sys.setswitchinterval(interval)


def test_two_who_change_one_file_wait_for_each_other(tmp_path):
    """Each reads, waits and saves: without a lock all but one would be lost."""
    path, encoder = tmp_path / "g.npz", Encoder(width=2)

    def work(thread):
        for i in range(5):
            with Gallery.changed(path, encoder, new=Gallery(encoder, 0.5)) as gallery:
                time.sleep(1e-3)
                gallery.enroll_encodings([f"{thread}/{i}"], rows(10 * thread + i))

    run_at_once(work, 4)
    everybody = {f"{t}/{i}" for t in range(4) for i in range(5)}
    assert set(Gallery.load(path, encoder).names) == everybody
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), Gallery.changed(path, encoder) as gallery:
        gallery.remove("0/0")
        raise ZeroDivisionError
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["g.npz"]
    with pytest.raises(FileNotFoundError), Gallery.changed(tmp_path / "none", encoder):
        pass


# Names

def test_a_name_is_one_however_its_accents_are_written():
    gallery = Gallery(Encoder(width=2), 0.5)
    gallery.enroll_encodings(["Jos\u00e9", "Jose\u0301"], rows(0, 1))
    assert gallery.names == ["Jos\u00e9"] and gallery.people.tolist() == [0, 0]
    assert "Jose\u0301" in gallery
    gallery.rename("Jose\u0301", "Zoe\u0308")
    assert gallery.names == ["Zo\u00eb"]
    gallery.remove("Zoe\u0308")
    assert len(gallery) == 0 and 7 not in gallery


@pytest.mark.parametrize("name", ["علی\u200cرضا", "क्\u200dष", "\u200fדוד"])
def test_names_with_joiners_and_marks_of_direction(name, tmp_path):
    gallery = Gallery(Encoder(width=2), 0.5)
    gallery.enroll_encodings([name], rows(1))
    gallery.save(tmp_path / "g")
    assert Gallery.load(tmp_path / "g", gallery.encoder).names == [name]


@pytest.mark.parametrize("name", ["", "\u200d", "a\tb", "a\x1b[31m", "\u202egnp.exe", "\udcff"])
def test_names_that_cannot_be_seen(name):
    with pytest.raises(ValueError, match="printable"):
        Gallery(Encoder(width=2), 0.5).enroll_encodings([name], rows(1))


# Files

def test_what_the_threshold_follows_from_is_saved(tmp_path):
    gallery = Gallery(Encoder(width=2), false_accept_rate=0.03, impostors=SQUARES)
    gallery.enroll_encodings([*"AB"], rows(0, 1))
    gallery.save(tmp_path / "g")
    loaded = Gallery.load(tmp_path / "g", gallery.encoder)
    assert loaded.impostors == SQUARES and loaded.false_accept_rate == 0.03
    assert loaded.threshold == gallery.threshold
    loaded.enroll_encodings([*"C"], rows(2))
    assert loaded.threshold < gallery.threshold
    assert loaded.crop is None
    loaded.crop = 0.45
    loaded.save(tmp_path / "g")
    assert Gallery.load(tmp_path / "g", gallery.encoder).crop == 0.45
    uncalibrated = Gallery(Encoder(width=2))
    uncalibrated.save(tmp_path / "g")
    assert not Gallery.load(tmp_path / "g", gallery.encoder).calibrated


def test_a_gallery_of_another_width(tmp_path):
    """Where an encoder says how wide its encodings are, a file of others is refused at once."""
    gallery = on_a_line()
    gallery.encoder.features = 2
    gallery.save(tmp_path / "g")
    Gallery.load(tmp_path / "g", gallery.encoder)
    md.save(tmp_path / "g", md.load(tmp_path / "g") | {"encodings": np.ones((3, 1), "float32")})
    with pytest.raises(md.WeightsError, match="encodings have 1 numbers, those of this gallery 2"):
        Gallery.load(tmp_path / "g", gallery.encoder)
    del gallery.encoder.features
    gallery = Gallery.load(tmp_path / "g", gallery.encoder)
    for ask in gallery.identify, lambda image: gallery.verify(image, "A"):
        with pytest.raises(ValueError, match=r"encodings must be \(N, 1\), got \(1, 2\)"):
            ask(picture(0))


def test_save_and_load(tmp_path, device):
    encoder = Encoder(width=2).to(device)
    gallery = Gallery(encoder, 0.5)
    gallery.enroll_encodings(["Zoë", "李", "Zoë"], rows(0, 1, 5))
    gallery.save(tmp_path / "gallery")
    loaded = Gallery.load(tmp_path / "gallery", encoder)
    assert loaded.names == ["Zoë", "李"] and loaded.threshold == 0.5
    assert loaded.people.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(loaded.encodings, gallery.encodings)
    assert loaded.identify_encodings(rows(5.25)) == gallery.identify_encodings(rows(5.25))
    loaded.enroll("Ann", picture(0))
    loaded.remove("Zoë")
    assert loaded.names == ["李", "Ann"] and len(gallery) == 2
    empty = Gallery(encoder, 1)
    empty.save(tmp_path / "empty")
    assert len(Gallery.load(tmp_path / "empty", encoder)) == 0


def test_another_encoders_gallery_is_refused(tmp_path):
    gallery = on_a_line()
    gallery.save(tmp_path / "g.npz")
    with pytest.raises(md.WeightsError, match=r"made with another encoder or by an earlier minidl "
                       r"\(fingerprint .{12}…, .*enroll again"):
        Gallery.load(tmp_path / "g.npz", Encoder(width=2, seed=1))
    gallery.encoder.aligned = True
    with pytest.raises(md.WeightsError, match="g.npz was made with this encoder without alignment"):
        Gallery.load(tmp_path / "g.npz", gallery.encoder)
    gallery.save(tmp_path / "g.npz")
    gallery.encoder.aligned = False
    with pytest.raises(md.WeightsError, match="g.npz was made with this encoder with alignment"):
        Gallery.load(tmp_path / "g.npz", gallery.encoder)


def test_cut_off_and_damaged_galleries_are_refused(tmp_path):
    gallery = on_a_line()
    gallery.save(tmp_path / "g")
    whole = (tmp_path / "g").read_bytes()
    for size in [*range(0, len(whole), 97), len(whole) - 1]:
        (tmp_path / "g").write_bytes(whole[:size])
        with pytest.raises(md.WeightsError) as caught:
            Gallery.load(tmp_path / "g", gallery.encoder)
        assert "\n" not in str(caught.value) and str(tmp_path / "g") in str(caught.value)
    # a changed byte is refused too, or was in what nobody reads
    for position in range(0, len(whole), 53):
        (tmp_path / "g").write_bytes(whole[:position] + bytes([whole[position] ^ 0x55])
                                     + whole[position + 1:])
        try:
            loaded = Gallery.load(tmp_path / "g", gallery.encoder)
        except md.WeightsError:
            continue
        assert loaded.names == gallery.names and loaded.threshold == gallery.threshold
        np.testing.assert_array_equal(loaded.encodings, gallery.encodings)
    with pytest.raises(FileNotFoundError):
        Gallery.load(tmp_path / "nothing", gallery.encoder)


@pytest.mark.parametrize("changes, words", [
    ({"kind": np.array("other")}, "its kind is 'other'"), ({"kind": None}, "lacks 'kind'"),
    ({"people": None}, "lacks 'people'"),
    ({"people": np.array([0, 1, 3])}, "not indices"),
    ({"people": np.array([0, 1, -1])}, "not indices"),
    ({"people": np.array([0.0, 1, 2])}, "not indices"),
    ({"people": np.array([0, 1])}, "2 names need encodings"),
    ({"encodings": np.full((3, 2), np.nan, "float32")}, "finite"),
    ({"encodings": np.ones((3, 2))}, "float32"),
    ({"names": np.frombuffer(b'["A", "A", "B"]', "uint8")}, "different names"),
    ({"names": np.frombuffer(b'{"A": 1, "B": 2, "C": 3}', "uint8")}, "names are not a list"),
    ({"names": np.frombuffer(b'[[1], [2], [3]]', "uint8")}, "not a gallery"),
    ({"names": np.frombuffer(b'["A", "B", "C", "\\n"]', "uint8")}, "printable"),
    ({"names": np.frombuffer(b'["A", ', "uint8")}, "not a gallery"),
    ({"names": np.frombuffer(b"[" * 99999, "uint8")}, "not a gallery"),
    ({"threshold": np.float64(-1)}, "threshold"), ({"threshold": np.ones(2)}, "not a gallery"),
    ({"threshold": np.float64("inf")}, "threshold"),
    ({"threshold": np.float64("nan")}, "threshold"),
    ({"threshold": np.array("wide")}, "not a gallery"),
    ({"threshold": np.complex128(1)}, "not a gallery"),
    ({"false_accept_rate": np.float64(1)}, "false_accept_rate"),
    ({"crop": np.float64(0)}, "crop must be in 0 < crop ≤ 1"),
    ({"crop": np.ones(2)}, "not a gallery"),
    ({"crop": np.array("half")}, "not a gallery"),
    ({"encodings": np.full((3, 2), 3e38, "float32")}, "longer than"),
    ({"encodings": np.ones((3, 0), "float32")}, r"need encodings \(3, D\), got \(3, 0\)"),
    ({"people": np.array([0, 1, 1])}, "person 'C' has no picture"),
    ({"people": np.zeros(0, int), "encodings": np.zeros((0, 2), "float32")}, "'A' has no picture"),
    ({"impostors": np.ones((2, 4))}, "lacks 'impostor_counts'"),
    ({"impostors": np.ones((2, 4)), "impostor_counts": np.array([1, 1])}, "Impostors: "),
    ({"impostors": np.ones(4), "impostor_counts": np.array([1, 1])}, "not a gallery"),
    ({"impostors": np.array([[0.1, 0.5], [1, np.inf]]), "impostor_counts": np.array([1, 1])},
     "finite"),
    ({"names": np.frombuffer('["Jos\u00e9", "Jose\u0301", "B"]'.encode(), "uint8")},
     "different names"),
])
def test_what_is_no_gallery(tmp_path, changes, words):
    gallery = on_a_line()
    gallery.save(tmp_path / "g.npz")
    arrays = {name: value for name, value in (md.load(tmp_path / "g.npz") | changes).items()
              if value is not None}
    md.weights.save(tmp_path / "g.npz", arrays)
    with pytest.raises(md.WeightsError, match=words) as caught:
        Gallery.load(tmp_path / "g.npz", gallery.encoder)
    assert "g.npz is not a gallery: " in str(caught.value) and "\n" not in str(caught.value)


def test_a_failed_save_leaves_the_old_gallery(tmp_path, monkeypatch):
    gallery = on_a_line()
    gallery.save(tmp_path / "g")
    gallery.remove("A")
    monkeypatch.setattr(os, "fsync",
                        lambda _: (_ for _ in ()).throw(OSError("No space left on device")))
    with pytest.raises(OSError, match="No space"):
        gallery.save(tmp_path / "g")
    assert Gallery.load(tmp_path / "g",
                        gallery.encoder).names == ["A", "B", "C"] and os.listdir(tmp_path) == ["g"]


SAVING = """
    import sys
    import numpy as np
    from minidl import nn
    from minidl.faces import Gallery

    class Encoder(nn.Dense):
        size = channels = 1

    gallery = Gallery(Encoder(1, 1, rng=0), 0)
    places = np.arange(10_000)[:, None] * np.ones(32)
    gallery.enroll_encodings([f"person {i}" for i in range(10_000)], places)
    version = 0
    while True:
        version += 1
        # a file with two versions in it would show
        gallery.threshold = gallery._encodings[:] = version
        gallery.save(sys.argv[1])
        if version == 1:
            print("saved", flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is POSIX's")
def test_killed_while_saving(tmp_path):
    """kill -9 at random moments of saving again and again: what is there always loads, and is of
    one version."""
    class Encoder(nn.Dense):
        size = channels = 1

    path, delays, unfinished = tmp_path / "gallery", np.random.default_rng(0), 0
    times = 50 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 5
    for _ in range(times):
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(SAVING), str(path)],
                                   stdout=subprocess.PIPE)
        try:
            assert process.stdout.readline() == b"saved\n"
            time.sleep(delays.uniform(0, 0.06))
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        assert process.returncode == -signal.SIGKILL
        gallery = Gallery.load(path, Encoder(1, 1, rng=0))
        assert (
            len(gallery) == 10_000
            and gallery.threshold >= 1
            and (gallery.encodings == gallery.threshold).all()
        )
        unfinished += (tmp_path / ".gallery.part").exists()
    assert times < 50 or unfinished > 10            # many kills came in the middle of a save
    gallery.save(path)
    assert [p.name
            for p in tmp_path.iterdir()] == ["gallery"], "a killed save left something behind"


def test_a_gallery_without_an_encoder(tmp_path):
    """It takes encodings that somebody else has made, and no encoder can be known to be theirs."""
    gallery = Gallery(None, threshold=0.5)
    gallery.enroll_encodings(["A"], rows(1))
    with pytest.raises(md.WeightsError, match=r"made with another encoder .*\(fingerprint none…"):
        gallery.use(Encoder(width=2))
    gallery.save(tmp_path / "g.npz")
    assert Gallery.load(tmp_path / "g.npz").identify_encodings(rows(1))[0].name == "A"


@pytest.mark.parametrize("crop", [0, 2, "half"])
def test_a_crop_that_is_none_is_not_laid_to_the_file(tmp_path, crop):
    md.models.save_encoder(tmp_path / "m.npz", md.models.siamese_encoder(18, border=1, widths=[4]))
    with pytest.raises((TypeError, ValueError), match="^Model: crop must be"):
        Model(tmp_path / "m.npz", crop)


def test_an_empty_gallery_of_a_model(tmp_path):
    """It goes by the people noted, also where they make τ 0; else it has the τ for pairs."""
    wide = {"rates": [0.3, 0.5], "distances": [0.1, 0.9], "people": 4, "pairs": 6}
    for notes, threshold in ({"impostors": wide}, 0), ({}, 0.8):
        encoder = md.models.siamese_encoder(18, border=1, widths=[4])
        md.models.save_encoder(tmp_path / "m.npz", encoder, threshold=0.8, **notes)
        assert Model(tmp_path / "m.npz").gallery().threshold == threshold


def test_pictures_of_which_none_is_used(tmp_path):
    """Also where there are none, or nobody in them is chosen: the error says so."""
    md.models.save_encoder(tmp_path / "m.npz", md.models.siamese_encoder(18, border=1, widths=[4]))
    save_image(tmp_path / "p.png", picture(0, (18, 18)))
    model, nobody = Model(tmp_path / "m.npz"), lambda faces: []
    for paths, words in ([], "there are no pictures"), ([tmp_path / "p.png"], "faces .* chosen"):
        for ask in model.encode, model.see_usable:
            with pytest.raises(NoneUsable, match=words):
                ask(paths, nobody)
    assert model.left_out[0].path == tmp_path / "p.png"
