"""The losses: values by hand, gradients by their docstrings' formulas, edges, errors, and PyTorch's
answers."""
import math

import numpy as np
import pytest

import minidl as md
from minidl import losses

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device


def leaf(array, dtype="float64"):
    return md.tensor(np.asarray(array).tolist(), requires_grad=True, dtype=dtype)


def gradient(loss, x):
    return md.grad(loss, x)[0].numpy()


def test_squared_absolute_and_huber_by_hand(device):
    p, t = leaf([1.0, 2.0, 5.0]), md.tensor([1.5, 2.0, 2.0])       # errors −½, 0, 3
    for loss, value, slope in [
        (losses.mean_squared_error, (0.25 + 0 + 9) / 3, [-1 / 3, 0, 2]),
        (losses.mean_absolute_error, 3.5 / 3, [-1 / 3, 0, 1 / 3]),
        (losses.huber, (0.125 + 0 + 2.5) / 3, [-0.5 / 3, 0, 1 / 3]),
    ]:
        y = loss(p, t)
        assert y.item() == pytest.approx(value)
        np.testing.assert_allclose(gradient(y, p), slope, atol=1e-15)
    assert losses.huber(p, t, delta=4.0, reduction="sum").item() == pytest.approx(0.125 + 4.5)


def test_reductions(device):
    p, t = md.tensor([[1.0, 2.0], [3.0, 4.0]]), md.tensor([[0.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(losses.mean_squared_error(p, t, "none").numpy(),
                                  [[1, 4], [9, 16]])
    assert losses.mean_squared_error(p, t, "sum").item() == 30
    assert losses.mean_squared_error(p, t).item() == 7.5
    with pytest.raises(ValueError, match="'mean', 'sum' or 'none', got 'average'"):
        losses.mean_squared_error(p, t, "average")


def test_cross_entropy_by_hand(device):
    # probabilities (¼, ¾), (½, ½)
    z, labels = leaf([[0.0, math.log(3)], [2.0, 2.0]]), md.tensor([0, 1])
    np.testing.assert_allclose(losses.cross_entropy(z, labels, "none").numpy(),
                               [math.log(4), math.log(2)])
    y = losses.cross_entropy(z, labels)
    assert y.item() == pytest.approx(math.log(8) / 2)
    np.testing.assert_allclose(gradient(y, z), np.array([[-0.75, 0.75], [0.5, -0.5]]) / 2)


def test_cross_entropy_of_pixels_is_that_of_the_rows(device):
    rng = np.random.default_rng(0)
    z, labels = rng.normal(size=(2, 3, 4, 5)), rng.integers(0, 5, (2, 3, 4))
    each = losses.cross_entropy(leaf(z), md.tensor(labels.tolist()), "none").numpy()
    rows = losses.cross_entropy(leaf(z.reshape(-1, 5)), md.tensor(labels.ravel().tolist()),
                                "none").numpy()
    np.testing.assert_allclose(each.ravel(), rows, rtol=1e-14)


def test_cross_entropy_of_extreme_logits(device):
    z = leaf([[1000.0, 0.0], [1000.0, 0.0]], "float32")
    y = losses.cross_entropy(z, md.tensor([0, 1]), "none")
    np.testing.assert_array_equal(y.numpy(), [0, 1000])
    np.testing.assert_array_equal(gradient(y.sum(), z), [[0, 0], [1, -1]])


@pytest.mark.parametrize("labels, error, words", [
    ([0, 3], ValueError, "labels lie between 0 and 3; allowed are 0 to 2"),
    ([-1, 0], ValueError, "labels lie between -1 and 0"),
    ([0.0, 1.0], TypeError, "labels must be integers, got float64"),
    ([0], ValueError, r"need labels of shape \(2,\)"),
    ([[0, 1, 0], [1, 0, 0]], ValueError, r"one for each row of class scores, got \(2, 3\)"),
])
def test_cross_entropy_refuses_labels(device, labels, error, words):
    with pytest.raises(error, match=words):
        losses.cross_entropy(leaf([[1.0, 2.0, 3.0]] * 2), md.tensor(labels))


@pytest.mark.parametrize("labels", [1, 0.5])
def test_cross_entropy_refuses_a_single_score(device, labels):
    with pytest.raises(ValueError, match="a score for each class, got a single number"):
        losses.cross_entropy(leaf(1.0), md.tensor(labels))


def test_weighted_cross_entropy_by_hand(device):
    """Both logits equal: each ℓ is log 2, and a weighted mean of equal numbers is that number."""
    z = leaf([[1.0, 1.0]] * 3)
    for options in ({"weight": [3.0, 1.0]}, {"ignore_index": 1}, {"label_smoothing": 0.3},
                    {"weight": [3.0, 1.0], "ignore_index": 0, "label_smoothing": 1.0}):
        y = losses.cross_entropy(z, [0, 1, 1], **options)
        assert y.item() == pytest.approx(math.log(2)
                                         * (2 if options.get("label_smoothing") == 1 else 1))
    y = losses.cross_entropy(z, [0, 1, 1], "sum", weight=[3.0, 1.0])
    assert y.item() == pytest.approx(5 * math.log(2))


def test_soft_targets_of_one_class_are_its_label(device):
    z = leaf([[1.0, -2.0, 0.5], [0.0, 4.0, 1.0]])
    hard, soft = (losses.cross_entropy(z, labels)
                  for labels in ([2, 0], [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
    assert hard.item() == pytest.approx(soft.item(), rel=1e-15)
    np.testing.assert_allclose(gradient(soft, z), gradient(hard, z), atol=1e-16)


def test_a_class_without_weight_may_be_impossible(device):
    """0 · ∞ is 0 here, not NaN."""
    z = leaf([[0.0, -np.inf]])
    assert losses.cross_entropy(z, [[1.0, 0.0]]).item() == 0
    assert losses.cross_entropy(z, [0], weight=[1.0, 0.0]).item() == 0


@pytest.mark.parametrize("options, words", [
    ({"weight": [1.0]}, "weight must be 3 numbers"),
    ({"weight": [1.0, -1.0, 1.0]}, "weight must be 3 numbers"),
    ({"label_smoothing": 1.5}, "0 ≤ label_smoothing ≤ 1"),
    ({"ignore_index": 0}, "the mean of no labels"),
    ({"weight": [0.0, 1.0, 1.0]}, "the mean of no labels")])
def test_cross_entropy_refuses_options(device, options, words):
    with pytest.raises(ValueError, match=f"^cross_entropy: .*{words}"):
        losses.cross_entropy(leaf([[1.0, 2.0, 3.0]] * 2), [0, 0], **options)
    with pytest.raises(ValueError, match="^cross_entropy: labels must lie between 0 and 1"):
        losses.cross_entropy(leaf([[1.0, 2.0]]), [[1.5, -0.5]])


def test_negative_margins_are_refused():
    for f in (lambda m: losses.triplet([[1.0]], [[2.0]], [[3.0]], m),
              lambda m: losses.contrastive([[1.0]], [[2.0]], [1], m),
              lambda m: losses.huber([1.0], [2.0], m)):
        for margin in (-0.1, math.inf, math.nan):
            with pytest.raises(ValueError, match="must be in 0"):
                f(margin)


def test_binary_cross_entropy_by_hand(device):
    z, t = leaf([0.0, 0.0, math.log(3)]), md.tensor([1.0, 0.25, 0.0])
    y = losses.binary_cross_entropy_with_logits(z, t, "sum")
    assert y.item() == pytest.approx(2 * math.log(2) + math.log(4))
    np.testing.assert_allclose(gradient(y, z), [-0.5, 0.25, 0.75])


def test_binary_cross_entropy_keeps_small_losses_and_does_not_overflow(device):
    z = leaf([50.0, -50.0, 1e4, -1e4], "float32")
    right = losses.binary_cross_entropy_with_logits(z, md.tensor([1, 0, 1, 0]), "none").numpy()
    np.testing.assert_allclose(right[:2], math.exp(-50), rtol=1e-6)
    wrong = losses.binary_cross_entropy_with_logits(z, md.tensor([0, 1, 0, 1]), "none").numpy()
    np.testing.assert_array_equal(wrong, np.float32([50, 50, 1e4, 1e4]))
    assert right.dtype == wrong.dtype == np.float32


def test_binary_cross_entropy_of_one_number(device):
    z = leaf([[1.0, -2.0], [0.5, 3.0]], "float32")
    same = losses.binary_cross_entropy_with_logits(z, md.tensor([[0.9, 0.9], [0.9, 0.9]]))
    one = losses.binary_cross_entropy_with_logits(z, 0.9)
    assert one.item() == same.item() and one.dtype == np.float32
    for wrong in (-1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            losses.binary_cross_entropy_with_logits(z, wrong)


def test_contrastive_by_hand(device):
    a = leaf([[3.0, 4.0], [3.0, 4.0], [0.3, 0.4]])
    b = md.tensor([[0.0, 0.0]] * 3)                                 # distances 5, 5, ½
    y = losses.contrastive(a, b, md.tensor([True, False, False]), margin=1.0, reduction="none")
    np.testing.assert_allclose(y.numpy(), [25, 0, 0.25])
    np.testing.assert_allclose(gradient(y.sum(), a), [[6, 8], [0, 0], [-0.6, -0.8]])
    assert losses.contrastive(a, b, md.tensor([1, 0, 0]),
                              margin=1.0).item() == pytest.approx(25.25 / 3)


def test_triplet_by_hand(device):
    a, p = leaf([[0.0, 0.0]] * 3), leaf([[1.0, 0.0]] * 3)
    n = leaf([[0.0, 2.0], [0.0, 1.05], [0.0, 0.5]])
    y = losses.triplet(a, p, n, reduction="none")
    np.testing.assert_allclose(y.numpy(), [0, 1 - 1.05 ** 2 + 0.2, 1 - 0.25 + 0.2])
    np.testing.assert_allclose(gradient(y.sum(), a), [[0, 0], [-2, 2.1], [-2, 1]])
    np.testing.assert_allclose(gradient(y.sum(), p), [[0, 0], [2, 0], [2, 0]])
    np.testing.assert_allclose(gradient(y.sum(), n), [[0, 0], [0, -2.1], [0, -1]])
    y = losses.triplet(a, p, n, margin=0.3, form="euclidean", reduction="none")
    np.testing.assert_allclose(y.numpy(), [0, 0.25, 0.8])
    np.testing.assert_allclose(gradient(y.sum(), a), [[0, 0], [-1, 1], [-1, 1]])
    with pytest.raises(ValueError, match="'squared' or 'euclidean', got 'cosine'"):
        losses.triplet(a, p, n, form="cosine")


@pytest.mark.parametrize("form", ["squared", "euclidean"])
def test_a_collapsed_embedding_costs_the_margin_and_has_gradient_zero(device, form):
    x = leaf(np.ones((4, 8)))
    y = losses.triplet(x, x * 1.0, x * 1.0, margin=0.2, form=form)
    assert y.item() == pytest.approx(0.2)
    np.testing.assert_array_equal(gradient(y, x), np.zeros((4, 8)))


def test_contrastive_at_equal_embeddings(device):
    x, other = leaf(np.ones((2, 3))), md.tensor([[1.0, 1.0, 1.0]] * 2)
    y = losses.contrastive(x, other, md.tensor([1, 0]), margin=2.0, reduction="none")
    np.testing.assert_array_equal(y.numpy(), [0, 4])
    np.testing.assert_array_equal(gradient(y.sum(), x), np.zeros((2, 3)))


def test_targets_do_not_promote_the_prediction(device):
    p = leaf([1.0, 0.0, 1.0], "float32")
    for targets in (md.tensor([1, 0, 1]), md.tensor([True, False, True]),
                    md.tensor([0.5, 0.5, 0.5], dtype="float64")):
        for loss in (losses.mean_squared_error, losses.mean_absolute_error, losses.huber,
                     losses.binary_cross_entropy_with_logits):
            assert loss(p, targets).dtype == np.float32
    pairs = leaf([[1.0, 2.0]], "float32")
    assert losses.contrastive(pairs, md.tensor([[1.0, 1.0]]), md.tensor([0])).dtype == np.float32
    assert losses.triplet(pairs, md.tensor([[1.0, 1.0]]), md.tensor([[1, 1]])).dtype == np.float32


def test_settings_may_be_numpy_numbers(device):
    p, t = leaf([[1.0, 2.0]], "float32"), md.tensor([[1.0, 1.0]])
    for number in np.float64(0.5), np.float32(0.5), np.int64(1):
        for y in (losses.huber(p, t, number), losses.triplet(p, t, t, number),
                  losses.contrastive(p, t, [0], number),
                  losses.binary_cross_entropy_with_logits(p, number)):
            assert y.dtype == np.float32


def test_whole_numbers_are_no_logits(device):
    for targets in 1, md.tensor([1]):
        with pytest.raises(TypeError, match="logits must be floating-point, got uint8"):
            losses.binary_cross_entropy_with_logits(md.tensor([3], dtype="uint8"), targets)


def test_a_pair_is_of_one_class_or_of_two(device):
    for same in [2, 0], [-1, 0], [0.5, math.nan]:
        with pytest.raises(ValueError, match="contrastive: same must lie between 0 and 1"):
            losses.contrastive(leaf([[1.0], [2.0]]), leaf([[1.0], [2.0]]), md.tensor(same))


def test_shapes_that_would_broadcast_are_refused(device):
    column, row = leaf([[1.0], [2.0]]), md.tensor([1.0, 2.0])
    for loss in (losses.mean_squared_error, losses.mean_absolute_error, losses.huber,
                 losses.binary_cross_entropy_with_logits):
        with pytest.raises(ValueError, match=rf"{loss.__name__}: .* \(2, 1\) and targets? \(2,\) "
                                             r"must have one shape"):
            loss(column, row)
    pair = md.tensor([[1.0, 2.0]] * 3)
    with pytest.raises(ValueError, match=r"triplet: anchor \(3, 2\) and negative \(2, 2\)"):
        losses.triplet(pair, pair, pair[:2])
    with pytest.raises(ValueError, match=r"need `same` of shape \(3,\), got \(3, 1\)"):
        losses.contrastive(pair, pair, md.tensor([[1], [0], [1]]))
    with pytest.raises(TypeError, match="prediction must be floating-point, got int64"):
        losses.mean_squared_error(md.tensor([1, 2]), row)


def test_as_pytorch():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 6, 4))
    labels, bits = rng.integers(0, 4, 6), rng.integers(0, 2, (6, 4))
    ours_b, ours_c, ours_labels, ours_bits = map(md.tensor, (b, c, labels, bits))
    cases = [
        (lambda x: losses.mean_squared_error(x, ours_b),
         lambda x: functional.mse_loss(x, torch.tensor(b))),
        (lambda x: losses.mean_absolute_error(x, ours_b),
         lambda x: functional.l1_loss(x, torch.tensor(b))),
        (lambda x: losses.huber(x, ours_b, 0.7),
         lambda x: functional.huber_loss(x, torch.tensor(b), delta=0.7)),
        (lambda x: losses.cross_entropy(x, ours_labels),
         lambda x: functional.cross_entropy(x, torch.tensor(labels))),
        (lambda x: losses.binary_cross_entropy_with_logits(x, ours_bits),
         lambda x: functional.binary_cross_entropy_with_logits(
             x, torch.tensor(bits, dtype=torch.float64))),
        (lambda x: losses.triplet(x, ours_b, ours_c, 0.5, "euclidean"),
         lambda x: functional.triplet_margin_loss(x, torch.tensor(b), torch.tensor(c), 0.5, eps=0)),
    ]
    for ours, theirs in cases:
        x, x_torch = leaf(a), torch.tensor(a, requires_grad=True)
        y, y_torch = ours(x), theirs(x_torch)
        y_torch.backward()
        assert y.item() == pytest.approx(y_torch.item(), rel=1e-12)
        np.testing.assert_allclose(gradient(y, x), x_torch.grad.numpy(), rtol=1e-10, atol=1e-14)
