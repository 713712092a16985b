"""Style transfer: its costs by hand and by gradcheck, and runs on a network small enough to be quick."""
import gc
import itertools
import os
import signal
import tracemalloc

import numpy as np
import pytest

import minidl as md
from minidl.models import VGG
from minidl.style import (
    content_cost,
    gram_matrix,
    style_cost,
    style_layer_cost,
    total_variation,
    transfer,
)
from minidl.testing import gradcheck

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device

ACTIVATIONS, OTHERS = np.random.default_rng(0).standard_normal((2, 1, 4, 5, 3))


def test_gram_matrix_is_the_lectures_double_sum(device):
    a, c = ACTIVATIONS[0], 3
    by_hand = [[sum(a[i, j, k] * a[i, j, m] for i in range(4) for j in range(5)) for m in range(c)] for k in range(c)]
    np.testing.assert_allclose(gram_matrix(md.tensor(a)).numpy(), by_hand, rtol=1e-12)
    np.testing.assert_allclose(gram_matrix(md.tensor(ACTIVATIONS)).numpy(), [by_hand], rtol=1e-12)


def test_content_cost_is_equation_1(device):
    by_hand = sum((a - b) ** 2 for a, b in zip(ACTIVATIONS.ravel(), OTHERS.ravel())) / (4 * 4 * 5 * 3)
    assert content_cost(md.tensor(ACTIVATIONS), md.tensor(OTHERS)).item() == pytest.approx(by_hand, rel=1e-12)


def test_style_cost_is_equation_2(device):
    grams = [np.einsum("hwk,hwm->km", x[0], x[0]) for x in (ACTIVATIONS, OTHERS)]
    by_hand = ((grams[0] - grams[1]) ** 2).sum() / (4 * 3 ** 2 * (4 * 5) ** 2)
    style, generated = md.tensor(ACTIVATIONS), md.tensor(OTHERS)
    assert style_cost(style, generated).item() == pytest.approx(by_hand, rel=1e-12)
    weighted = style_cost({"a": style, "b": generated}, {"a": generated, "b": generated}, {"a": 0.3, "b": 0.7})
    assert weighted.item() == pytest.approx(0.3 * by_hand, rel=1e-12)
    assert style_cost({"a": style, "b": generated}, {"a": generated, "b": generated}).item() == pytest.approx(by_hand / 2)


def test_style_cost_does_not_depend_on_where_or_how_large():
    a = md.tensor(ACTIVATIONS)
    shuffled = md.tensor(np.random.default_rng(1).permutation(ACTIVATIONS.reshape(20, 3)).reshape(1, 5, 4, 3))
    twice = md.tensor(np.concatenate([ACTIVATIONS] * 2, axis=1))
    assert style_cost(a, shuffled).item() == pytest.approx(0, abs=1e-28)
    assert style_cost(a, twice).item() == pytest.approx(0, abs=1e-28)


def test_total_variation_by_hand(device):
    x = ACTIVATIONS
    by_hand = (sum((x[0, i + 1, j, k] - x[0, i, j, k]) ** 2 for i, j, k in itertools.product(range(3), range(5), range(3)))
               + sum((x[0, i, j + 1, k] - x[0, i, j, k]) ** 2
                     for i, j, k in itertools.product(range(4), range(4), range(3))))
    assert total_variation(md.tensor(x)).item() == pytest.approx(by_hand / x.size, rel=1e-12)


def test_costs_of_bytes_do_not_wrap(device):
    bytes_ = [md.tensor([[[[200], [10]]]], dtype="uint8"), md.tensor([[[[10], [250]]]], dtype="uint8")]
    exact = [x.astype("float64") for x in bytes_]
    for cost in (lambda x, y: gram_matrix(x), content_cost, style_cost, lambda x, y: total_variation(x)):
        np.testing.assert_array_equal(cost(*bytes_).numpy(), cost(*exact).numpy())


def test_weights_may_be_numpy_numbers(device):
    a, b = ({"a": md.tensor(x, dtype="float32")} for x in (ACTIVATIONS, OTHERS))
    assert style_cost(a, b, {"a": np.float64(1)}).dtype == np.float32


@pytest.mark.parametrize("cost, a, b, words", [
    (content_cost, None, ACTIVATIONS, "content_cost: a_content must be a Tensor"),
    (content_cost, ACTIVATIONS, None, "content_cost: a_generated must be a Tensor"),
    (style_cost, ACTIVATIONS, None, "style_cost: a_generated must be a Tensor"),
    (style_cost, ACTIVATIONS, {"a": ACTIVATIONS}, "style_cost: .* both be dictionaries, got ndarray and dict"),
    (style_cost, {"a": ACTIVATIONS}, ACTIVATIONS, "style_cost: .* both be dictionaries, got dict and ndarray"),
])
def test_what_is_no_activation(cost, a, b, words):
    with pytest.raises(TypeError, match=f"^{words}"):
        cost(a, b)
    assert style_cost(ACTIVATIONS.tolist(), OTHERS.tolist()).item() == style_cost(ACTIVATIONS, OTHERS).item()


def test_gradients_of_the_costs(device):
    gradcheck(gram_matrix, ACTIVATIONS, order=2)
    gradcheck(content_cost, ACTIVATIONS, OTHERS, order=2)
    gradcheck(style_cost, ACTIVATIONS, OTHERS, order=2)
    gradcheck(style_layer_cost, np.random.default_rng(1).standard_normal((1, 3, 3)), ACTIVATIONS, order=2)
    gradcheck(total_variation, ACTIVATIONS, order=2)


@pytest.mark.parametrize("call, words", [
    (lambda a: gram_matrix(a[0, 0]), "gram_matrix"),
    (lambda a: content_cost(a, a[:, :2]), "must be equal"),
    (lambda a: style_cost(a, a[..., :2]), "channels"),
    (lambda a: style_cost({"a": a}, {"b": a}), "layers"),
    (lambda a: style_cost({"a": a}, {"a": a}, {"a": 0.5}), "add up to 1"),
    (lambda a: style_cost({"a": a}, {"a": a}, {"b": 1.0}), "layer weights are given for"),
    (lambda a: total_variation(a[0]), "total_variation"),
])
def test_wrong_activations(call, words):
    with pytest.raises(ValueError, match=words):
        call(md.tensor(ACTIVATIONS))


def small_net(pooling="average"):
    """Five blocks of one convolution with a few channels: VGG's shape, not its weights."""
    drawn, filters, channels = np.random.default_rng(1), {}, 3
    for block in range(1, 6):
        w = drawn.standard_normal((3, 3, channels, 6)) / np.sqrt(9 * channels)
        filters[f"conv{block}_1"] = w.astype("float32"), np.zeros(6, "float32")
        channels = 6
    return VGG(filters, (120.0, 110.0, 100.0), pooling)


def run(**options):
    drawn = np.random.default_rng(2)
    content, style = (drawn.integers(0, 256, shape).astype("uint8") for shape in ((40, 32, 3), (24, 48, 3)))
    settings = dict(size=40, steps=12, net=small_net(), content_layers=["relu3_1"], content_weight=1.0) | options
    return transfer(content, style, **settings)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "gradient_descent"])
def test_every_optimizer_lowers_the_cost(device, optimizer):
    result = run(optimizer=optimizer)
    assert result.image.shape == (40, 32, 3) and result.image.dtype == np.uint8
    assert len(result.history) == 12 and not result.interrupted
    assert min(costs["J"] for costs in result.history) < 0.7 * result.history[0]["J"]
    assert {"J", "J_content", "J_style", "content relu3_1", "style relu1_1", "style relu5_1"} <= set(result.history[0])


def test_the_costs_add_up():
    result = run(content_weight=3.0, style_weight=0.5, variation_weight=2.0, steps=3, content_layers=["relu2_1", "relu4_1"],
                 style_layers=["relu1_1", "relu2_1"], style_layer_weights={"relu1_1": 0.25, "relu2_1": 0.75})
    for costs in result.history:
        assert costs["J_content"] == pytest.approx((costs["content relu2_1"] + costs["content relu4_1"]) / 2, rel=1e-5)
        assert costs["J_style"] == pytest.approx(0.25 * costs["style relu1_1"] + 0.75 * costs["style relu2_1"], rel=1e-5)
        total = 3 * costs["J_content"] + 0.5 * costs["J_style"] + 2 * costs["J_variation"]
        assert costs["J"] == pytest.approx(total, rel=1e-5)


def test_starting_pictures():
    first = {}

    def keep(step):
        first.setdefault("picture", step.picture.numpy()[0])

    starts = {}
    for name, options in {"content": {}, "noise": {"init": "noise"}, "mix": {"init": "mix", "noise_ratio": 0.25}}.items():
        first.clear()
        costs = run(steps=1, callback=keep, **options).history[0]
        assert (costs["J_content"] == 0) == (name == "content")
        starts[name] = first["picture"]
    np.testing.assert_allclose(starts["mix"], 0.25 * starts["noise"] + 0.75 * starts["content"], rtol=1e-5)
    assert np.abs(starts["noise"] - (123.68, 116.779, 103.939)).max() <= 20.001
    first.clear()
    run(steps=1, callback=keep, init=np.full((40, 32, 3), 7.0))
    assert (first["picture"] == 7).all()


def test_same_seed_same_picture():
    one, two, other = (run(init="noise", seed=seed, steps=4).image for seed in (1, 1, 2))
    assert (one == two).all() and (one != other).any()


@pytest.fixture
def ctrl_c():
    """Press Ctrl-C: heard also where the tests run in a shell's background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_ctrl_c_keeps_the_best_picture_so_far(optimizer, ctrl_c):
    seen = []

    def press(step):
        seen.append(step)
        if step.number == 5:
            ctrl_c()

    result = run(optimizer=optimizer, callback=press)
    best = min(seen, key=lambda step: step.costs["J"])
    assert result.interrupted and len(result.history) == 5
    assert (result.image == best.image).all()


def test_a_callback_can_stop():
    def stop(step):
        if step.number == 3:
            raise StopIteration

    for optimizer in ("lbfgs", "adam"):
        result = run(callback=stop, optimizer=optimizer)
        assert len(result.history) == 3 and not result.interrupted


def test_repeated_runs_do_not_grow():
    def used():
        run(steps=2)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        used()
        before, after = used(), [used() for _ in range(3)][-1]
    finally:
        tracemalloc.stop()
    assert after - before < 50_000, f"grew by {after - before} bytes"


@pytest.mark.parametrize("options, words", [
    ({"size": 4}, "size"), ({"steps": 0}, "steps"), ({"optimizer": "magic"}, "optimizer"), ({"init": "grey"}, "init"),
    ({"noise_ratio": 0.5}, "noise_ratio"), ({"init": "mix", "noise_ratio": 2}, "noise_ratio"),
    ({"style_weight": -1}, "weights"), ({"content_weight": 0, "style_weight": 0}, "weights"),
    ({"content_layers": ["relu9_9"]}, "relu9_9"), ({"style_layer_weights": {"relu1_1": 1.0}}, "layer weights"),
    ({"init": np.zeros((3, 3, 3))}, "init"),
])
def test_wrong_settings(options, words):
    with pytest.raises(ValueError, match=words):
        run(**options)


def test_pictures_may_be_tensors(device):
    content, style = np.random.default_rng(2).integers(0, 256, (2, 32, 32, 3)).astype("uint8")
    settings = dict(size=32, steps=2, net=small_net(), content_layers=["relu3_1"], content_weight=1.0)
    found = transfer(md.tensor(content), md.tensor(style), **settings)
    np.testing.assert_array_equal(found.image, transfer(content, style, **settings).image)


def test_wrong_pictures(tmp_path):
    with pytest.raises(ValueError, match="must be"):
        transfer(np.zeros((5, 5)), np.zeros((5, 5, 3)), net=small_net())
    with pytest.raises(OSError, match="missing.png"):
        transfer(tmp_path / "missing.png", np.zeros((32, 32, 3), "uint8"), net=small_net())
