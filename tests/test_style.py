"""Style transfer: its costs by hand and by gradcheck, and runs on a network small enough to be
quick."""
import gc
import itertools
import os
import signal
import tracemalloc

import numpy as np
import pytest
from style_run import run, small_net

import minidl as md
from minidl import nn, style
from minidl.style import (
    content_cost,
    gram_matrix,
    style_cost,
    style_layer_cost,
    total_variation,
    transfer,
)
from minidl.style.costs import mean_gram
from minidl.testing import gradcheck

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device

ACTIVATIONS, OTHERS = np.random.default_rng(0).standard_normal((2, 1, 4, 5, 3))


def test_gram_matrix_is_the_lectures_double_sum(device):
    a, c = ACTIVATIONS[0], 3
    by_hand = [[sum(a[i, j, k] * a[i, j, m] for i in range(4) for j in range(5)) for m in range(c)]
               for k in range(c)]
    np.testing.assert_allclose(gram_matrix(md.tensor(a)).numpy(), by_hand, rtol=1e-12)
    np.testing.assert_allclose(gram_matrix(md.tensor(ACTIVATIONS)).numpy(), [by_hand], rtol=1e-12)


def test_content_cost_is_equation_1(device):
    by_hand = sum((a - b) ** 2
                  for a, b in zip(ACTIVATIONS.ravel(), OTHERS.ravel())) / (4 * 4 * 5 * 3)
    assert content_cost(md.tensor(ACTIVATIONS),
                        md.tensor(OTHERS)).item() == pytest.approx(by_hand, rel=1e-12)


def test_style_cost_is_equation_2(device):
    grams = [np.einsum("hwk,hwm->km", x[0], x[0]) for x in (ACTIVATIONS, OTHERS)]
    by_hand = ((grams[0] - grams[1]) ** 2).sum() / (4 * 3 ** 2 * (4 * 5) ** 2)
    style, generated = md.tensor(ACTIVATIONS), md.tensor(OTHERS)
    assert style_cost(style, generated).item() == pytest.approx(by_hand, rel=1e-12)
    weighted = style_cost({"a": style, "b": generated}, {"a": generated, "b": generated},
                          {"a": 0.3, "b": 0.7})
    assert weighted.item() == pytest.approx(0.3 * by_hand, rel=1e-12)
    assert style_cost({"a": style, "b": generated},
                      {"a": generated, "b": generated}).item() == pytest.approx(by_hand / 2)


def test_style_cost_does_not_depend_on_where_or_how_large():
    a = md.tensor(ACTIVATIONS)
    shuffled = md.tensor(
        np.random.default_rng(1).permutation(ACTIVATIONS.reshape(20, 3)).reshape(1, 5, 4, 3)
    )
    twice = md.tensor(np.concatenate([ACTIVATIONS] * 2, axis=1))
    assert style_cost(a, shuffled).item() == pytest.approx(0, abs=1e-28)
    assert style_cost(a, twice).item() == pytest.approx(0, abs=1e-28)


def test_total_variation_by_hand(device):
    x = ACTIVATIONS
    by_hand = (sum((x[0, i + 1, j, k] - x[0, i, j, k]) ** 2
                   for i, j, k in itertools.product(range(3), range(5), range(3)))
               + sum((x[0, i, j + 1, k] - x[0, i, j, k]) ** 2
                     for i, j, k in itertools.product(range(4), range(4), range(3))))
    assert total_variation(md.tensor(x)).item() == pytest.approx(by_hand / x.size, rel=1e-12)


def test_costs_of_bytes_do_not_wrap(device):
    bytes_ = [md.tensor([[[[200], [10]]]], dtype="uint8"),
              md.tensor([[[[10], [250]]]], dtype="uint8")]
    exact = [x.astype("float64") for x in bytes_]
    for cost in (lambda x, y: gram_matrix(x), content_cost, style_cost,
                 lambda x, y: total_variation(x)):
        np.testing.assert_array_equal(cost(*bytes_).numpy(), cost(*exact).numpy())


def test_a_gram_matrix_is_of_each_picture_or_of_one_style_for_all(device):
    pictures = np.concatenate([ACTIVATIONS, OTHERS])                    # (2, 4, 5, 3)
    one = mean_gram(ACTIVATIONS)                                        # (1, 3, 3)
    assert style_layer_cost(one, pictures).item() == pytest.approx(
        style_layer_cost(one, ACTIVATIONS).item() + style_layer_cost(one, OTHERS).item())
    assert style_layer_cost(one[0], pictures).item() == style_layer_cost(one, pictures).item()
    for gram in np.zeros((3, 1, 3, 3)), np.zeros((3, 3, 3)), np.zeros((2, 3, 2)), np.zeros(3):
        with pytest.raises(ValueError, match="^style_layer_cost: gram_style must be "):
            style_layer_cost(gram, pictures)


def test_weights_may_be_numpy_numbers(device):
    a, b = ({"a": md.tensor(x, dtype="float32")} for x in (ACTIVATIONS, OTHERS))
    assert style_cost(a, b, {"a": np.float64(1)}).dtype == np.float32


@pytest.mark.parametrize("cost, a, b, words", [
    (content_cost, None, ACTIVATIONS, "content_cost: a_content must be a Tensor"),
    (content_cost, ACTIVATIONS, None, "content_cost: a_generated must be a Tensor"),
    (style_cost, ACTIVATIONS, None, "style_cost: a_generated must be a Tensor"),
    (style_cost, ACTIVATIONS, {"a": ACTIVATIONS},
     "style_cost: .* both be dictionaries, got ndarray and dict"),
    (style_cost, {"a": ACTIVATIONS}, ACTIVATIONS,
     "style_cost: .* both be dictionaries, got dict and ndarray"),
])
def test_what_is_no_activation(cost, a, b, words):
    with pytest.raises(TypeError, match=f"^{words}"):
        cost(a, b)
    assert style_cost(ACTIVATIONS.tolist(),
                      OTHERS.tolist()).item() == style_cost(ACTIVATIONS, OTHERS).item()


def test_gradients_of_the_costs(device):
    gradcheck(gram_matrix, ACTIVATIONS, order=2)
    gradcheck(content_cost, ACTIVATIONS, OTHERS, order=2)
    gradcheck(style_cost, ACTIVATIONS, OTHERS, order=2)
    gradcheck(style_layer_cost, np.random.default_rng(1).standard_normal((1, 3, 3)), ACTIVATIONS,
              order=2)
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


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "gradient_descent"])
def test_every_optimizer_lowers_the_cost(device, optimizer):
    result = run(optimizer=optimizer)
    assert result.image.shape == (40, 32, 3) and result.image.dtype == np.uint8
    assert len(result.history) == 12 and not result.interrupted
    assert min(costs["J"] for costs in result.history) < 0.7 * result.history[0]["J"]
    assert {"J", "J_content", "J_style", "content relu3_1", "style relu1_1",
            "style relu5_1"} <= set(result.history[0])


def test_the_costs_add_up():
    result = run(content_weight=3.0, style_weight=0.5, variation_weight=2.0, steps=3,
                 content_layers=["relu2_1", "relu4_1"],
                 style_layers=["relu1_1", "relu2_1"],
                 style_layer_weights={"relu1_1": 0.25, "relu2_1": 0.75})
    for costs in result.history:
        assert costs["J_content"] == pytest.approx((costs["content relu2_1"]
                                                    + costs["content relu4_1"]) / 2, rel=1e-5)
        assert costs["J_style"] == pytest.approx(0.25 * costs["style relu1_1"]
                                                 + 0.75 * costs["style relu2_1"], rel=1e-5)
        total = 3 * costs["J_content"] + 0.5 * costs["J_style"] + 2 * costs["J_variation"]
        assert costs["J"] == pytest.approx(total, rel=1e-5)


def test_starting_pictures():
    first = {}

    def keep(step):
        first.setdefault("picture", step.picture.numpy()[0])

    starts = {}
    for name, options in {"content": {}, "noise": {"init": "noise"},
                          "mix": {"init": "mix", "noise_ratio": 0.25}}.items():
        first.clear()
        costs = run(steps=1, callback=keep, **options).history[0]
        assert (costs["J_content"] == 0) == (name == "content")
        starts[name] = first["picture"]
    np.testing.assert_allclose(starts["mix"], 0.25 * starts["noise"] + 0.75 * starts["content"],
                               rtol=1e-5)
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

    result = run(optimizer=optimizer, callback=press, scales=1)
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
    ({"size": 4}, "size"), ({"steps": 0}, "steps"), ({"optimizer": "magic"}, "optimizer"),
    ({"init": "grey"}, "init"),
    ({"noise_ratio": 0.5}, "noise_ratio"), ({"init": "mix", "noise_ratio": 2}, "noise_ratio"),
    ({"style_weight": -1}, "style_weight"), ({"content_weight": 0, "style_weight": 0},
                                             "must not both be 0"),
    ({"content_layers": ["relu9_9"]}, "relu9_9"),
    ({"style_layer_weights": {"relu1_1": 1.0}}, "layer weights"),
    ({"init": np.zeros((3, 3, 3))}, "init"),
])
def test_wrong_settings(options, words):
    with pytest.raises(ValueError, match=words):
        run(**options)


@pytest.mark.parametrize("options, error, words", [
    ({"style_layers": ["relu1_1", "relu2_1", "relu1_1"]}, ValueError,
     "style_layers names 'relu1_1' twice"),
    ({"content_layers": ["relu3_1", "relu3_1"]}, ValueError,
     "content_layers names 'relu3_1' twice"),
    ({"style_layers": []}, ValueError, "style_layers must name at least one layer"),
    ({"content_layers": iter(())}, ValueError, "content_layers must name at least one layer"),
    ({"content_layers": "relu3_1"}, TypeError,
     "content_layers must be a list of names of layers, got 'relu3_1'"),
    ({"style_layers": [1, 2]}, TypeError, "style_layers must be a list of names"),
    ({"style_layers": None}, TypeError, "style_layers must be a list of names of layers, got None"),
    ({"style_layers": ["relu1_1"], "style_layer_weights": {"relu1_1": np.nan}}, ValueError,
     "relu1_1 ≤ 1, got nan"),
    ({"style_layers": ["relu1_1", "relu2_1"], "style_layer_weights": {"relu1_1": 1.5,
                                                                      "relu2_1": -0.5}}, ValueError,
     "0 ≤ the weight of layer relu1_1 ≤ 1, got 1.5"),
    ({"style_layers": ["relu1_1"], "style_layer_weights": [1.0]}, TypeError,
     "must be a dictionary .*, got list"),
    ({"content_weight": np.nan}, ValueError, "0 ≤ content_weight < inf, got nan"),
    ({"variation_weight": np.inf}, ValueError, "0 ≤ variation_weight < inf, got inf"),
    ({"style_weight": md.tensor(1.0, requires_grad=True)}, TypeError,
     "style_weight is a number, to which no gradient"),
    ({"content_weight": "100"}, TypeError, "content_weight must be a number, got '100'"),
    ({"init": "mix", "noise_ratio": np.nan}, ValueError, "0 ≤ noise_ratio ≤ 1, got nan"),
    ({"init": "mix", "noise_ratio": -0.1}, ValueError, "0 ≤ noise_ratio ≤ 1, got -0.1"),
    ({"init": np.zeros((40, 32, 3)), "noise_ratio": 0.5}, ValueError,
     "noise_ratio is for init='mix', .* 'an array'"),
    ({"size": 40.5}, TypeError, "size must be a whole number, got 40.5"),
    ({"steps": 2.0}, TypeError, "steps must be a whole number, got 2.0"),
    ({"learning_rate": 1.0}, ValueError,
     "learning_rate is for adam and gradient_descent, got 1.0 with lbfgs"),
    ({"optimizer": "adam", "learning_rate": 0}, ValueError, "0 < learning_rate < inf, got 0"),
    ({"optimizer": "gradient_descent", "learning_rate": np.nan}, ValueError,
     "0 < learning_rate < inf, got nan"),
    ({"init": np.full((40, 32, 3), np.nan)}, ValueError,
     r"init must be RGB in 0..255, got nan..nan"),
    ({"init": np.full((40, 32, 3), 0.5)}, ValueError,
     "init must be in 0..255, got 0.5..0.5: .* multiply by 255"),
])
def test_settings_that_would_mislead_in_silence(device, options, error, words):
    with pytest.raises(error, match=f"^style transfer: .*{words}"):
        run(**options)


def test_noise_needs_a_seed(device):
    with pytest.raises(TypeError, match="seed must be one integer, got None"):
        run(init="noise", seed=None)


def test_layers_may_come_from_an_iterator_and_weights_from_numpy(device):
    names = ["relu1_1", "relu2_1"]
    plain = run(style_layers=names, style_layer_weights={"relu1_1": 0.5, "relu2_1": 0.5}, steps=3)
    other = run(style_layers=iter(names), content_layers=(name for name in ["relu3_1"]),
                steps=np.int64(3),
                style_layer_weights={name: np.float64(0.5) for name in names},
                content_weight=np.float64(1),
                style_weight=np.float64(1))
    assert plain.history == other.history and (plain.image == other.image).all()


def test_one_picture_for_both_leaves_nothing_to_change(device):
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype("uint8")
    settings = dict(size=32, steps=2, net=small_net(), content_layers=["relu3_1"])
    with pytest.raises(ValueError, match="content and style are one picture, .* init='noise'"):
        transfer(picture, picture.copy(), **settings)
    for options in ({"init": "noise"}, {"variation_weight": 1.0}):
        assert len(transfer(picture, picture, **settings, **options).history) == 2


@pytest.mark.parametrize("value, words", [(np.inf, "0..255, got 0.0..inf"), (np.nan, "0..255"),
                                          (60000.0, "60000"),
                                          (-100.0, "got -100.0"),
                                          (1.0, "0.0..1.0: all but black; multiply by 255")])
def test_pictures_that_are_not_in_0_to_255(value, words):
    good, bad = np.full((32, 32, 3), 100.0, "float32"), np.zeros((32, 32, 3), "float32")
    bad[3, 4, 1] = value
    for pictures, name in (((bad, good), "content"), ((good, bad), "style")):
        with pytest.raises(ValueError, match=f"^style transfer: {name} must be .*in .*{words}"):
            transfer(*pictures, net=small_net(), size=32)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "gradient_descent"])
def test_a_stop_of_the_network_is_no_stop_of_the_callback(optimizer):
    net = small_net()

    class Spent:
        def walk(self, x, layers):
            return next(iter(())) if x.requires_grad else net.walk(x, layers)

    with pytest.raises((RuntimeError, StopIteration)):
        run(optimizer=optimizer, net=Spent())


def test_a_cost_that_is_not_finite_is_an_error():
    class Blind:
        def walk(self, x, layers):
            return [(name, x * np.float32(np.nan)) for name in layers]

    for optimizer in ("lbfgs", "adam", "gradient_descent"):
        with pytest.raises(ValueError, match="nan"):
            run(optimizer=optimizer, net=Blind())


def test_a_strangers_network(device):
    """Five layers that somebody builds of nn and trains for a moment, asked for what it sees, and
    used."""
    x, labels = pictures_of_bars(256)
    net = nn.Sequential({"conv": nn.Conv2d(3, 8, 5, rng=0), "relu": nn.ReLU(),
                         "pool": nn.AveragePool(2),
                         "flat": nn.Flatten(), "scores": nn.Dense(8 * 6 * 6, 4, rng=1)})
    optimizer = md.optim.Adam(net.parameters(), 1e-3)
    for _ in range(8):
        optimizer.zero_grad()
        loss = md.losses.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
    seen = net(x[:2], layers=["relu", "scores"])
    assert {name: a.shape for name, a in seen.items()} == {"relu": (2, 12, 12, 8), "scores": (2, 4)}
    result = run(net=net, content_layers=["pool"], style_layers=["conv", "relu"])
    assert result.history[-1]["J"] < 0.7 * result.history[0]["J"]


def pictures_of_bars(count):
    """Bars in one of four places, (count, 16, 16, 3) in 0..255, and which."""
    rng = np.random.default_rng(0)
    x, labels = rng.uniform(0, 60, (count, 16, 16, 3)), rng.integers(0, 4, count)
    for picture, label in zip(x, labels):
        picture[:, 4 * label:4 * label + 3] += 180
    return md.tensor(x, dtype="float32"), md.tensor(labels)


@pytest.mark.parametrize("net, error, words", [
    (lambda x, layers: {}, TypeError,
     "net must be a network of named layers, .* got function, which has no walk"),
    (nn.ReLU(), TypeError, r".*models.vgg19\(\) or nn.Sequential\(.*\), got ReLU"),
])
def test_what_is_no_network_of_named_layers(net, error, words):
    with pytest.raises(error, match=f"^style transfer: {words}"):
        run(net=net)
    with pytest.raises(ValueError,
                       match=r"content_layers \['relu3_1'\] are not among the layers of net: a, b"):
        run(net=nn.Sequential({"a": nn.ReLU(), "b": nn.Tanh()}))


@pytest.mark.parametrize("weights, error, words", [
    ({"a": np.nan}, ValueError, "0 ≤ the weight of layer a ≤ 1, got nan"),
    ([1.0], TypeError, "got list"),
    ({"a": md.tensor(1.0, requires_grad=True)}, TypeError,
     "the weight of layer a is a number, to which no")])
def test_layer_weights_are_refused_where_they_are_given(weights, error, words):
    with pytest.raises(error, match=f"^style_cost: .*{words}"):
        style_cost({"a": ACTIVATIONS}, {"a": OTHERS}, weights)
    with pytest.raises(ValueError, match="style_cost: a_style and a_generated have no layers"):
        style_cost({}, {})


def test_pictures_may_be_tensors(device):
    content, style = np.random.default_rng(2).integers(0, 256, (2, 32, 32, 3)).astype("uint8")
    settings = dict(size=32, steps=2, net=small_net(), content_layers=["relu3_1"],
                    content_weight=1.0)
    found = transfer(md.tensor(content), md.tensor(style), **settings)
    np.testing.assert_array_equal(found.image, transfer(content, style, **settings).image)


def test_wrong_pictures(tmp_path):
    with pytest.raises(ValueError, match="must be"):
        transfer(np.zeros((5, 5)), np.zeros((5, 5, 3)), net=small_net())
    with pytest.raises(OSError, match="missing.png"):
        transfer(tmp_path / "missing.png", np.zeros((32, 32, 3), "uint8"), net=small_net())


def own_net(*more):
    return nn.Sequential({"conv1": nn.Conv2d(3, 4, 3, rng=0), "norm1": nn.BatchNorm(4),
                          "drop": nn.Dropout(0.5, rng=0),
                          "relu1": nn.ReLU()})


def two_pictures():
    return (np.random.default_rng(seed).integers(0, 256, (16, 16, 3)).astype("uint8")
            for seed in (0, 1))


def test_a_network_is_used_as_after_eval_and_left_as_it_was():
    net = own_net()
    net.layers["drop"].training = False
    before = net.state_dict()
    result = style.transfer(*two_pictures(), size=16, steps=2, net=net, content_layers=["relu1"],
                            style_layers=["conv1"])
    assert result.history[0]["J_content"] == 0                      # G starts as the content
    assert net.training and net["norm1"].training and not net["drop"].training
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name].numpy())


@pytest.mark.parametrize("options, error, words", [
    ({"style_layers": {"conv1": 0.9, "relu1": 0.1}}, TypeError,
     "weights go into style_layer_weights"),
    ({"content_layers": ["relu4_2"]}, ValueError,
     r"content_layers \['relu4_2'\] are not among the layers of net: conv1, norm1"),
    ({"content": [[0, 1]]}, TypeError, "content must be a path or an array"),
    ({"style": np.array([[["a"] * 3]])}, TypeError,
     "style must be a path or an array .* got an array of <U1")])
def test_what_a_user_of_an_own_network_gets_wrong(options, error, words):
    content, painting = two_pictures()
    given = {"content": content, "style": painting, "content_layers": ["relu1"],
             "style_layers": ["conv1"]} | options
    with pytest.raises(error, match=words):
        style.transfer(**given, size=16, steps=1, net=own_net())
