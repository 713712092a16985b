"""Distances, heads and the encoder: values, cancellation, symmetry, edges."""
import math

import numpy as np
import pytest

import minidl as md
from minidl import faces, models
from minidl.testing import gradcheck

pytestmark = pytest.mark.usefixtures("device")


def unit_rows(n, d, seed, dtype="float32"):
    x = np.random.default_rng(seed).normal(size=(n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(dtype)


def test_distances_by_hand(device):
    a, b = md.tensor([[3.0, 4.0], [1.0, 1.0]]), md.tensor([[0.0, 0.0], [1.0, 1.0]])
    np.testing.assert_array_equal(faces.distance(a, b).numpy(), [25, 0])
    np.testing.assert_array_equal(faces.distance(a, b, "euclidean").numpy(), [5, 0])
    np.testing.assert_array_equal(faces.squared_distances(a, b).numpy(), [[25, 13], [2, 0]])
    assert faces.squared_distances(a, b).device == device


@pytest.mark.parametrize("scale", [1.0, 1e-3, 30.0])
def test_the_product_loses_no_more_than_it_says(scale):
    a = unit_rows(60, 128, 0)
    b = a + np.float32(1e-3) * unit_rows(60, 128, 1)                # near: that is where it cancels
    exact = ((a.astype("float64")[:, None] - b) ** 2).sum(-1) * scale ** 2
    a, b = a * np.float32(scale), b * np.float32(scale)
    found = faces.squared_distances(md.tensor(a), md.tensor(b)).numpy()
    bound = 4 * np.finfo("float32").eps * (np.linalg.norm(a, axis=1)[:, None]
                                           + np.linalg.norm(b, axis=1)) ** 2
    assert found.dtype == np.float32 and found.min() >= 0
    assert np.all(abs(found - exact) <= bound)
    rows = faces.distance(md.tensor(a), md.tensor(b)).numpy()  # the careful way keeps its digits
    np.testing.assert_allclose(rows, np.diag(exact), rtol=2e-4)


def test_distances_to_oneself_are_zero_or_rounding():
    x = md.tensor(unit_rows(200, 128, 2))
    found = np.diag(faces.squared_distances(x, x).numpy())
    assert np.all(found >= 0) and found.max() < 2e-6


def test_distances_refuse():
    a = md.tensor(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"squared_distances: a \(2, 3\) and b \(2, 2\) must be "
                                         r"\(N, D\) and \(M, D\)"):
        faces.squared_distances(a, a[:, :2])
    with pytest.raises(ValueError,
                       match="distance: form must be 'squared' or 'euclidean', got 'cosine'"):
        faces.distance(a, a, "cosine")
    for one, other in (a, a[:, :1]), (a[:, :1], a), (a, 1.0), (1.0, 2.0):
        with pytest.raises(ValueError, match=r"distance: a .* and b .* must be \(…, D\)"):
            faces.distance(one, other)


def test_the_mean_over_active_triplets_ignores_the_satisfied():
    a, p = md.tensor(np.zeros((3, 2))), md.tensor([[1.0, 0.0]] * 3)
    n = md.tensor([[0.0, 2.0], [0.0, 0.5], [0.0, 1.0]], requires_grad=True)
    losses = md.losses.triplet(a, p, n, reduction="none").numpy()
    np.testing.assert_allclose(losses, [0, 0.95, 0.2])
    active = md.losses.triplet(a, p, n, reduction="active")
    assert active.item() == pytest.approx((0.95 + 0.2) / 2)
    np.testing.assert_allclose(md.grad(active, n)[0].numpy(), [[0, 0], [0, -0.5], [0, -1]])
    nothing = md.losses.triplet(a, p, 9 * n + 9, reduction="active")
    assert nothing.item() == 0 and not md.grad(nothing, n)[0].numpy().any()


def test_a_tie_with_the_margin_itself_is_satisfied():
    x = md.tensor([[0.0, 0.0]], requires_grad=True)
    loss = md.losses.triplet(x, md.tensor([[1.0, 0.0]]), md.tensor([[0.0, 2.0]]), margin=3.0,
                             reduction="active")
    assert loss.item() == 0                                         # 1 − 4 + 3: exactly on the kink
    np.testing.assert_array_equal(md.grad(loss, x)[0].numpy(), [[0, 0]])


@pytest.mark.parametrize("head", [faces.AbsoluteDifferenceHead, faces.ChiSquareHead])
def test_heads_are_symmetric_and_sure_of_identical_pictures(head):
    a, b = (md.tensor(abs(unit_rows(5, 16, seed))) for seed in (0, 1))
    z = head(16)
    np.testing.assert_array_equal(z(a, b).numpy(), z(b, a).numpy())
    np.testing.assert_array_equal(z(a, a).numpy(), np.full(5, 4, "float32"))
    assert np.all(z(a, b).numpy() < 4)
    assert repr(z) == f"{head.__name__}(16)"
    with pytest.raises(ValueError,
                       match=r"the embeddings \(5, 16\) and \(4, 16\) must have one shape"):
        z(a, b[:4])


def test_chi_square_by_hand_and_where_both_features_are_zero():
    z = faces.ChiSquareHead(3, dtype="float64")
    a, b = md.tensor([[3.0, 0.0, 0.0]], requires_grad=True), md.tensor([[1.0, 2.0, 0.0]])
    logits = z(a, b)
    np.testing.assert_allclose(logits.numpy(), [math.sqrt(3) - (4 / 4 + 4 / 2)])
    np.testing.assert_allclose(md.grad(logits, a)[0].numpy(), [[-(2 * 0.5 - 0.25), 3, 0]])
    with pytest.raises(ValueError, match="ChiSquareHead.3.: features must not be negative, the "
                                         "second embeddings go"):
        z(a, -b)


def test_the_absolute_difference_has_slope_zero_where_features_are_equal():
    z = faces.AbsoluteDifferenceHead(2, dtype="float64")
    a = md.tensor([[1.0, 2.0]], requires_grad=True)
    slope, = md.grad(z(a, md.tensor([[1.0, 5.0]])), a, create_graph=True)
    np.testing.assert_array_equal(slope.numpy(), [[0, 1]])


def test_heads_learn_from_logits():
    a, b = (md.tensor(abs(unit_rows(4, 3, seed, "float64"))) for seed in (0, 1))
    z = faces.ChiSquareHead(3, dtype="float64")
    gradcheck(
        lambda a, b: md.losses.binary_cross_entropy_with_logits(z(a, b), md.tensor([1, 0, 1, 0])),
        a,
        b,
        order=2,
    )


def test_the_classifier_asks_a_margin_of_the_right_person_alone():
    classifier = faces.CosineClassifier(3, 2, scale=10.0, margin=0.25, dtype="float64", rng=0)
    f = 7 * classifier.weight.detach()                              # length does not matter
    scores = classifier(f, md.tensor([0, 1])).numpy()
    plain = faces.CosineClassifier(3, 2, scale=10.0, margin=0.0, dtype="float64",
                                   rng=0)(f, md.tensor([0, 1])).numpy()
    np.testing.assert_allclose(plain - scores, [[2.5, 0], [0, 2.5]], atol=1e-12)
    np.testing.assert_allclose(np.diag(plain), [10, 10])
    lengths = np.linalg.norm(faces.CosineClassifier(400, 20, rng=0).weight.numpy(), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=0.15)
    assert repr(classifier) == "CosineClassifier(3, 2, scale=10, margin=0.25)"
    numpy_numbers = faces.CosineClassifier(3, 2, np.float64(10), np.float64(0.25), rng=0)
    assert numpy_numbers(md.tensor(np.ones((2, 3)), dtype="float32"),
                         md.tensor([0, 1])).dtype == np.float32
    with pytest.raises(ValueError, match="CosineClassifier: labels lie between 0 and 2"):
        classifier(f, md.tensor([0, 2]))
    for rows, labels in (f, [1]), (f, 1), (f[:1], [0, 1]), (f[0], [0]):
        with pytest.raises(ValueError, match=r"embeddings \(N, D\) need labels \(N,\), got"):
            classifier(rows, labels)


def encoder(**options):
    return models.siamese_encoder(**{"size": 18, "border": 1, "widths": (4, 6), "features": 8}
                                  | options)


def test_the_encoder_gives_unit_vectors(device):
    rng = np.random.default_rng(0)
    for channels in (1, 3):
        f = encoder(channels=channels)
        x = rng.uniform(0, 255, (5, 18, 18, channels))
        y = f(md.tensor(x, dtype="float32"))
        assert y.shape == (5, 8) and y.dtype == np.float32 and y.device == device
        np.testing.assert_allclose(np.linalg.norm(y.numpy(), axis=1), 1, rtol=1e-5)
        assert (f.size, f.channels, f.features) == (18, channels, 8)
    integers = encoder().eval()(md.tensor(x[..., :1].astype("uint8")))
    floats = encoder().eval()(md.tensor(x[..., :1].astype("uint8").astype("float64")))
    np.testing.assert_array_equal(integers.numpy(), floats.numpy())


def test_the_encoder_does_not_see_exposure_contrast_or_the_border():
    x = np.random.default_rng(1).uniform(60, 180, (3, 18, 18, 1)).astype("float32")
    f = encoder().eval()
    seen = f(md.tensor(x)).numpy()
    np.testing.assert_allclose(f(md.tensor(0.5 * x + 40)).numpy(), seen, atol=0.08)
    framed = x.copy()
    framed[:, 0] = framed[:, -1] = framed[:, :, 0] = framed[:, :, -1] = 0
    np.testing.assert_array_equal(f(md.tensor(framed)).numpy(), seen)
    # a picture of one grey
    assert np.isfinite(f(md.tensor(np.full((2, 18, 18, 1), 7.0))).numpy()).all()


def test_a_nonnegative_encoder_feeds_the_chi_square_head():
    f = encoder(nonnegative=True)
    y = f(md.tensor(np.random.default_rng(0).uniform(0, 255, (6, 18, 18, 1)), dtype="float32"))
    assert y.numpy().min() == 0
    assert faces.ChiSquareHead(8)(y, y[::-1]).shape == (6,)


def test_the_encoder_is_made_from_its_seed_and_learns():
    first, again, other = (encoder(seed=s).state_dict()["layers.dense.weight"].numpy()
                           for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    f = encoder()
    x = md.tensor(np.random.default_rng(0).uniform(0, 255, (6, 18, 18, 1)), dtype="float32")
    md.losses.triplet(f(x)[:2], f(x)[2:4], f(x)[4:]).backward()
    assert all(p.grad is not None and np.isfinite(p.grad.numpy()).all() for p in f.parameters())


def test_a_mirrored_encoder_sees_no_difference_between_left_and_right():
    x = np.random.default_rng(0).uniform(0, 255, (3, 18, 18, 1)).astype("float32")
    f = encoder().eval()
    both = models.Mirrored(f)
    y = both(md.tensor(x)).numpy()
    np.testing.assert_allclose(both(md.tensor(x[:, :, ::-1].copy())).numpy(), y, atol=1e-6)
    mean = f(md.tensor(x)).numpy() + f(md.tensor(x[:, :, ::-1].copy())).numpy()
    np.testing.assert_allclose(y, mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-6)
    assert (both.size, both.channels, both.features) == (18, 1, 8)


def test_no_pictures_have_no_encodings():
    assert encoder().eval()(md.tensor(np.zeros((0, 18, 18, 1)))).shape == (0, 8)


def test_an_encoder_is_saved_with_what_it_is_made_from(tmp_path):
    f, path = encoder(channels=3, nonnegative=True, seed=4), tmp_path / "encoder.npz"
    x = md.tensor(np.random.default_rng(0).uniform(0, 255, (3, 18, 18, 3)), dtype="float32")
    f(x)                                                            # moves the running statistics
    models.save_encoder(path, f)
    again = models.load_encoder(path)
    np.testing.assert_array_equal(again(x).numpy(), f.eval()(x).numpy())
    assert not again.training and again.settings == f.settings and again.notes == {}
    models.save_encoder(path, f, threshold=0.5, seen=["Ann", "Émile"])
    assert models.load_encoder(path).notes == {"threshold": 0.5, "seen": ["Ann", "Émile"]}
    arrays = md.load(path)
    for change, words in [({"layers.dense.weight": np.zeros((2, 2))}, "dense.weight has shape"),
                          ({"siamese_encoder": np.array("{")},
                           "does not describe a Siamese encoder"),
                          ({"siamese_encoder": np.array('{"depth": 3}')},
                           "does not describe a Siamese encoder"),
                          ({"siamese_encoder": np.array('[3]')},
                           "does not describe a Siamese encoder"),
                          ({"notes": np.array("3")}, "does not describe a Siamese encoder")]:
        md.save(path, arrays | change)
        with pytest.raises(md.WeightsError, match=f"encoder.npz: .*{words}"):
            models.load_encoder(path)
    md.save(path, f)
    with pytest.raises(md.WeightsError, match="not of a Siamese encoder"):
        models.load_encoder(path)


def test_the_encoder_refuses():
    with pytest.raises(ValueError, match=r"x must be \(N, 18, 18, 1\), pixels in 0..255, got shape "
                                         r"\(2, 18, 18, 3\)"):
        encoder()(md.tensor(np.zeros((2, 18, 18, 3))))
    with pytest.raises(ValueError, match="size 8 less two borders of 3 leaves 2 pixels; 2 halvings "
                                         "need at least 4"):
        encoder(size=8, border=3)


def test_a_vector_of_zeros_stays_zero():
    x = md.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    y = md.ops.normalize(x)
    np.testing.assert_allclose(y.numpy(), [[0, 0], [0.6, 0.8]])
    assert np.isfinite(md.grad(y.sum(), x)[0].numpy()).all()
