"""Layers: what they draw, what they compute by hand, and what PyTorch gives."""

import numpy as np
import pytest

import minidl as md
from minidl import nn, ops
from minidl.nn import initializers

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device


def tensor(array, dtype="float64"):
    return md.tensor(np.asarray(array).tolist(), dtype=dtype)


# ---- randomness

DRAWN = {
    "Dense": lambda rng, **o: nn.Dense(3, 4, rng=rng, **o),
    "Embedding": lambda rng, **o: nn.Embedding(3, 4, rng=rng, **o),
    "Conv1d": lambda rng, **o: nn.Conv1d(2, 4, 3, rng=rng, **o),
    "Conv2d": lambda rng, **o: nn.Conv2d(2, 4, 3, rng=rng, **o),
    "Conv3d": lambda rng, **o: nn.Conv3d(2, 4, 3, rng=rng, **o),
    "ConvTranspose1d": lambda rng, **o: nn.ConvTranspose1d(2, 4, 3, rng=rng, **o),
    "ConvTranspose2d": lambda rng, **o: nn.ConvTranspose2d(2, 4, 3, rng=rng, **o),
    "ConvTranspose3d": lambda rng, **o: nn.ConvTranspose3d(2, 4, 3, rng=rng, **o),
}


@pytest.mark.parametrize("name", DRAWN)
def test_same_seed_same_numbers_and_none_is_refused(device, name):
    def state(rng, **options):
        return {key: value.numpy()
                for key, value in DRAWN[name](rng, **options).state_dict().items()}

    first, again, generator = state(5), state(np.random.default_rng(5)), np.random.default_rng(5)
    state(generator)
    later = state(generator)
    for key, value in first.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, again[key])
        assert not np.array_equal(value, later[key])
        np.testing.assert_array_equal(value, state(5, dtype="float64")[key].astype("float32"))
    assert DRAWN[name](0, dtype="float64").weight.dtype == np.float64
    with pytest.raises(TypeError, match="randomness is explicit"):
        DRAWN[name](None)


def test_the_default_fills_the_range_of_one_over_root_fan_in():
    # fan_in 100, all of them
    for layer in (nn.Dense(100, 300, rng=0), nn.Conv2d(8, 64, 5, groups=2, rng=0),
                  nn.ConvTranspose2d(64, 8, 5, groups=2, rng=0), nn.Conv1d(4, 64, 25, rng=0)):
        for values in (layer.weight.numpy(), layer.bias.numpy()):
            assert abs(values).max() <= 0.1
            assert values.min() < -0.07 < 0.07 < values.max()
        assert abs(layer.weight.numpy()).max() > 0.0999


def test_initializers_have_their_variances():
    shape, n = (3, 3, 50, 80), 3 * 3 * 50 * 80
    assert initializers.fans(shape) == (450, 720)
    for initializer, variance in [(initializers.he_normal, 2 / 450),
                                  (initializers.he_uniform, 2 / 450),
                                  (initializers.glorot_normal, 2 / 1170),
                                  (initializers.glorot_uniform, 2 / 1170),
                                  (initializers.fan_in_uniform, 1 / 1350),
                                  (initializers.normal(0.02), 0.0004)]:
        drawn = initializer(shape, 0)
        assert drawn.var() == pytest.approx(variance, rel=0.05)
        assert abs(drawn.mean()) < 4 * np.sqrt(variance / n)
    assert initializers.normal(0.02, mean=1.0)((400, 400), 0).mean() == pytest.approx(1, abs=1e-3)
    with pytest.raises(ValueError, match=r"fans: weights have shape"):
        initializers.fans((3,))
    layer = nn.Dense(200, 200, initializer=initializers.normal(2.0), rng=0)
    assert layer.weight.numpy().std() == pytest.approx(2, rel=0.02)


def test_dropout(device):
    x = tensor(np.ones((100, 100)), "float32")
    layer, twin = nn.Dropout(0.25, rng=3), nn.Dropout(0.25, rng=3)
    y = layer(x).numpy()
    np.testing.assert_allclose(np.unique(y), [0, 4 / 3], rtol=1e-6)
    assert np.mean(y == 0) == pytest.approx(0.25, abs=0.02)
    np.testing.assert_array_equal(twin(x).numpy(), y)
    assert not np.array_equal(layer(x).numpy(), y)                  # a new mask each time
    assert layer.eval()(x) is x
    for rate in (1.0, -0.1):
        with pytest.raises(ValueError, match="0 ≤ rate < 1"):
            nn.Dropout(rate, rng=0)
    with pytest.raises(TypeError, match="randomness is explicit"):
        nn.Dropout(0.5)


# ---- layers by hand

def test_dense_by_hand(device):
    layer = nn.Dense(2, 3, dtype="float64", rng=0)
    layer.load_state_dict({"weight": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "bias": [0.5, 0.0, -0.5]})
    np.testing.assert_array_equal(layer(tensor([[1.0, 1.0], [2.0, 0.0]])).numpy(),
                                  [[5.5, 7, 8.5], [2.5, 4, 5.5]])
    assert layer(tensor(np.ones((2, 5, 2)))).shape == (2, 5, 3)
    plain = nn.Dense(2, 3, bias=False, rng=0)
    assert list(plain.state_dict()) == ["weight"] and repr(plain) == "Dense(2, 3, bias=False)"
    with pytest.raises(ValueError, match=r"Dense\(2, 3\): x of shape \(5, 4\) must have 2 features "
                                         r"on its last axis"):
        layer(tensor(np.ones((5, 4))))


def test_embedding(device):
    layer = nn.Embedding(4, 2, dtype="float64", rng=0)
    y = layer(md.tensor([[1, 3], [1, 0]]))
    np.testing.assert_array_equal(y.numpy(), layer.weight.numpy()[[[1, 3], [1, 0]]])
    y.sum().backward()
    np.testing.assert_array_equal(layer.weight.grad.numpy(), [[1, 1], [2, 2], [0, 0], [1, 1]])
    for wrong in (-1, 4):
        with pytest.raises(ValueError, match="allowed are 0 to 3"):
            layer(md.tensor([0, wrong]))
    with pytest.raises(TypeError, match="must be integers"):
        layer(md.tensor([0.0]))


def test_flatten_and_reshape(device):
    x = tensor(np.arange(24).reshape(2, 3, 4))
    assert nn.Flatten()(x).shape == (2, 12)
    back = nn.Reshape(3, 4)(nn.Flatten()(x))
    np.testing.assert_array_equal(back.numpy(), x.numpy())
    assert nn.Flatten()(x[:0]).shape == (0, 12) and repr(nn.Reshape(3, 4)) == "Reshape(3, 4)"
    with pytest.raises(ValueError,
                       match=r"Reshape\(5\): an example of shape \(3, 4\) has 12 entries"):
        nn.Reshape(5)(x)
    np.testing.assert_array_equal(nn.Reshape(2, -1)(x).numpy(), x.numpy().reshape(2, 2, 6))
    for layer in (nn.Reshape(2, -1), nn.Reshape(2, 6)):
        assert layer(x[:0]).shape == (0, 2, 6)                      # what is left is an example's
    for shape in ((2, -1), (5,)):
        with pytest.raises(ValueError, match=r"an example of shape \(7,\) has 7 entries"):
            nn.Reshape(*shape)(np.zeros((0, 7)))
    assert nn.Reshape()(np.array([[3.0], [4.0]])).shape == (2,)


def test_activations_are_the_operations(device):
    x = tensor(np.linspace(-3, 3, 12).reshape(3, 4))
    for layer, operation in [
        (nn.ReLU(), ops.relu), (nn.LeakyReLU(0.2), lambda x: ops.leaky_relu(x, 0.2)),
        (nn.ELU(), ops.elu),
        (nn.GELU(), ops.gelu), (nn.Sigmoid(), ops.sigmoid), (nn.Tanh(), ops.tanh),
        (nn.Softplus(), ops.softplus),
        (nn.Softmax(), ops.softmax), (nn.Softmax(axis=0), lambda x: ops.softmax(x, 0)),
    ]:
        np.testing.assert_array_equal(layer(x).numpy(), operation(x).numpy())


def test_pooling_by_hand(device):
    x = tensor([[[[1.0], [2.0]], [[3.0], [6.0]]]])                  # one picture of 2 × 2
    for layer, expected in [(nn.MaxPool(2), [[[[6]]]]), (nn.AveragePool(2), [[[[3]]]]),
                            (nn.MaxPool(1, stride=2), [[[[1]]]]), (nn.GlobalAveragePool(), [[3]]),
                            (nn.GlobalMaxPool(), [[6]]),
                            (nn.AveragePool(2, padding=1), [[[[0.25], [0.5]], [[0.75], [1.5]]]])]:
        np.testing.assert_array_equal(layer(x).numpy(), expected)
    assert nn.MaxPool(2)(tensor(np.ones((1, 6, 3)))).shape == (1, 3, 3)
    assert nn.MaxPool((1, 2, 3))(tensor(np.ones((1, 6, 6, 6, 2)))).shape == (1, 6, 3, 2, 2)


def test_the_lectures_convolutions_in_1d_and_3d(device):
    with md.no_grad():
        y = nn.Conv1d(1, 16, 5, rng=0)(tensor(np.ones((1, 14, 1)), "float32"))
        assert y.shape == (1, 10, 16) and nn.Conv1d(16, 32, 5, rng=0)(y).shape == (1, 6, 32)
        y = nn.Conv3d(1, 16, 5, rng=0)(tensor(np.ones((1, 14, 14, 14, 1)), "float32"))
        assert y.shape == (1, 10, 10, 10, 16)
        assert nn.Conv3d(16, 32, 5, rng=0)(y).shape == (1, 6, 6, 6, 32)


def test_convolution_by_hand(device):
    layer = nn.Conv2d(1, 1, 2, dtype="float64", rng=0)
    layer.load_state_dict({"weight": [[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]]], "bias": [0.5]})
    x = tensor(np.arange(9).reshape(1, 3, 3, 1))
    np.testing.assert_array_equal(layer(x).numpy()[0, :, :, 0], [[27.5, 37.5], [57.5, 67.5]])
    up = nn.ConvTranspose2d(1, 1, 2, stride=2, bias=False, dtype="float64", rng=0)
    up.load_state_dict({"weight": layer.weight.numpy()})
    np.testing.assert_array_equal(up(x[:, :1, :2]).numpy()[0, :, :, 0],
                                  [[0, 0, 1, 2], [0, 0, 3, 4]])
    assert nn.Conv2d(3, 4, (1, 5), padding=(0, 2),
                     rng=0)(tensor(np.ones((1, 6, 6, 3)))).shape == (1, 6, 6, 4)
    assert up.weight.shape == (2, 2, 1, 1)
    assert nn.ConvTranspose2d(6, 4, 3, groups=2, rng=0).weight.shape == (3, 3, 2, 6)


def test_layers_name_themselves_in_errors(device):
    x = tensor(np.ones((2, 8, 8, 3)), "float32")
    for call, words in [
        (lambda: nn.Conv2d(4, 8, 3, rng=0)(x),
         r"Conv2d\(4, 8, 3\): x of shape \(2, 8, 8, 3\) must be \(N, H, W, C\) "
                                               "with C = 4"),
        (lambda: nn.Conv1d(3, 8, 3, stride=2, rng=0)(x),
         r"Conv1d\(3, 8, 3, stride=2\): .* must be \(N, T, C\)"),
        (lambda: nn.ConvTranspose2d(4, 8, 3, rng=0)(x), r"ConvTranspose2d\(4, 8, 3\): x of shape"),
        (lambda: nn.BatchNorm(4)(x),
         r"BatchNorm\(4\): x of shape .* must have 4 features on its last axis"),
        (lambda: nn.LayerNorm(4)(x), r"LayerNorm\(4\): x of shape"),
        (lambda: nn.Conv2d(4, 6, 3, groups=4, rng=0),
         "Conv2d: groups=4 must divide in_channels=4 and out_channels=6"),
        (lambda: nn.Conv2d(4, 6, (3, 3, 3), rng=0), "Conv2d: kernel_size must be"),
        (lambda: nn.Dense(0, 3, rng=0), "Dense: in_features must be an integer ≥ 1, got 0"),
        (lambda: nn.Dense(3, 2.5, rng=0), "Dense: out_features must be an integer ≥ 1, got 2.5"),
        (lambda: nn.BatchNorm(-1), "BatchNorm: features"),
    ]:
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(TypeError, match="Dense: x must be a Tensor or an array, got str"):
        nn.Dense(3, 2, rng=0)("x")


def test_batch_norm_by_hand(device):
    layer = nn.BatchNorm(1, eps=1e-30, dtype="float64")
    layer.scale.data, layer.shift.data = layer.scale.data * 2, layer.shift.data + 1
    mean_before = layer.running_mean
    y = layer(tensor([[1.0], [3.0]]))  # mean 2, variance 1, unbiased variance 2
    np.testing.assert_allclose(y.numpy(), [[-1], [3]])
    np.testing.assert_allclose(md.tensor(layer.running_mean).numpy(), [0.2])
    np.testing.assert_allclose(md.tensor(layer.running_variance).numpy(), [1.1])
    np.testing.assert_array_equal(md.tensor(mean_before).numpy(), [0])  # a new array took its place
    np.testing.assert_allclose(layer.eval()(tensor([[0.2 + np.sqrt(1.1)]])).numpy(), [[3]])
    np.testing.assert_allclose(md.tensor(layer.running_mean).numpy(), [0.2])
    with pytest.raises(ValueError, match="one value per channel"):
        layer.train()(tensor([[1.0]]))
    np.testing.assert_allclose(md.tensor(layer.running_mean).numpy(), [0.2])


def test_batch_norm_remembers_nothing_that_was_not_recorded(device):
    """One cotangent, first without and then with a graph: the second derivative is that of a fresh
    start."""
    rng = np.random.default_rng(0)
    x, scale, shift, u = (tensor(rng.normal(size=shape)) for shape in ((5, 3), 3, 3, (5, 3)))
    x.requires_grad = True

    def curvature(before):
        y = ops.batch_norm(x, scale, shift)
        if before:
            md.grad(y, x, u)
        slope, = md.grad(y, x, u, create_graph=True)
        return md.grad((slope * slope).sum(), x)[0].numpy()

    np.testing.assert_array_equal(curvature(True), curvature(False))


def test_settings_may_be_numpy_numbers(device):
    x, small = tensor([[1.0, 2.0], [3.0, 5.0]], "float32"), np.float64(0.25)
    for layer in (nn.BatchNorm(2, small, small), nn.LayerNorm(2, small), nn.Dropout(small, rng=0),
                  nn.ELU(small),
                  nn.LeakyReLU(small)):
        for y in layer(x), layer(x), layer.eval()(x):
            assert y.dtype == np.float32
        assert {value.dtype for value in layer.state_dict().values()} <= {np.dtype("float32")}


def test_batch_norm_keeps_float32_statistics(device):
    layer = nn.BatchNorm(2)
    layer(tensor(np.random.default_rng(0).normal(size=(5, 3, 2)), "float64"))
    assert {value.dtype for value in layer.state_dict().values()} == {np.dtype("float32")}
    x = tensor(np.random.default_rng(0).normal(3, 2, size=(64, 8, 8, 2)), "float32")
    assert layer(x).dtype == layer.eval()(x).dtype == np.float32


def test_layer_norm_by_hand(device):
    layer = nn.LayerNorm(3, eps=1e-30, dtype="float64")
    y = layer(tensor([[1.0, 2.0, 3.0], [10.0, 10.0, 40.0]])).numpy()
    np.testing.assert_allclose(y, [[-np.sqrt(1.5), 0, np.sqrt(1.5)],
                                   [-np.sqrt(0.5), -np.sqrt(0.5), np.sqrt(2)]])
    assert [p.shape for p in layer.parameters()] == [(3,), (3,)]


# ---- PyTorch's answers

def to_ours(weight):
    """PyTorch's (O, C, *K), or (C, O, *K) of a transposed convolution, or (out, in), in minidl's
    order."""
    weight = weight.detach().numpy()
    return np.moveaxis(weight, (0, 1), (-1, -2))


def channels_last(array):
    return np.moveaxis(array, 1, -1)


def compare(layer, module, x, state):
    """Value, gradient of x, and gradients of all parameters of both, for one random cotangent.  x
    has channels last."""
    import torch
    layer.load_state_dict(state)
    t = torch.tensor(np.ascontiguousarray(np.moveaxis(x, -1, 1)), requires_grad=True)
    x = md.tensor(x, requires_grad=True)
    y, y_torch = layer(x), module(t)
    np.testing.assert_allclose(y.numpy(), channels_last(y_torch.detach().numpy()), rtol=1e-10,
                               atol=1e-12)
    cotangent = np.random.default_rng(1).normal(size=y.shape)
    y.backward(md.tensor(cotangent))
    y_torch.backward(torch.tensor(np.ascontiguousarray(np.moveaxis(cotangent, -1, 1))))
    np.testing.assert_allclose(x.grad.numpy(), channels_last(t.grad.numpy()), rtol=1e-9, atol=1e-11)
    theirs = dict(module.named_parameters())
    names = {"scale": "weight", "shift": "bias"}
    for name, p in layer.named_parameters():
        q = theirs[names.get(name, name)].grad
        np.testing.assert_allclose(p.grad.numpy(), to_ours(q) if q.ndim > 1 else q.numpy(),
                                   rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("transposed", [False, True])
def test_convolution_layers_as_pytorch(dimensions, transposed):
    torch = pytest.importorskip("torch")
    name = f"Conv{'Transpose' * transposed}{dimensions}d"
    settings = {"stride": 2, "padding": 1, "dilation": 2,
                "groups": 2} | ({"output_padding": 1} if transposed else {})
    module = getattr(torch.nn, name)(4, 6, 3, dtype=torch.float64, **settings)
    layer = getattr(nn, name)(4, 6, 3, dtype="float64", rng=0, **settings)
    x = np.random.default_rng(0).normal(size=(2, *(7, 8, 6)[:dimensions], 4))
    compare(layer, module, x,
            {"weight": to_ours(module.weight), "bias": module.bias.detach().numpy()})
    fan_in = torch.nn.init._calculate_fan_in_and_fan_out(module.weight)[0]
    assert initializers.fans(layer.weight.shape)[0] == fan_in


@pytest.mark.parametrize("shape", [(6, 3), (4, 5, 3), (2, 4, 5, 3), (2, 3, 4, 2, 3)])
def test_batch_norm_as_pytorch(shape):
    torch = pytest.importorskip("torch")
    module = getattr(torch.nn, f"BatchNorm{max(1, len(shape) - 2)}d")(
        3, eps=1e-3, momentum=0.2, dtype=torch.float64
    )
    layer = nn.BatchNorm(3, eps=1e-3, momentum=0.2, dtype="float64")
    rng = np.random.default_rng(0)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(rng.normal(size=3)))
        module.bias.copy_(torch.tensor(rng.normal(size=3)))

    def state():
        return {"scale": module.weight.detach().numpy(), "shift": module.bias.detach().numpy(),
                "running_mean": module.running_mean.numpy().copy(),
                "running_variance": module.running_var.numpy().copy()}

    for mode in (True, True, False):
        layer.train(mode), module.train(mode)
        layer.zero_grad(), module.zero_grad()
        compare(layer, module, rng.normal(2, 3, size=shape), state())
        np.testing.assert_allclose(md.tensor(layer.running_mean).numpy(),
                                   module.running_mean.numpy(), rtol=1e-12)
        np.testing.assert_allclose(md.tensor(layer.running_variance).numpy(),
                                   module.running_var.numpy(), rtol=1e-12)


def test_dense_layer_norm_and_activations_as_pytorch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(5, 4))
    module = torch.nn.Linear(4, 3, dtype=torch.float64)
    compare(nn.Dense(4, 3, dtype="float64", rng=0), module, x,
            {"weight": to_ours(module.weight), "bias": module.bias.detach().numpy()})
    module = torch.nn.LayerNorm(4, dtype=torch.float64)
    compare(nn.LayerNorm(4, dtype="float64"), module, x,
            {"scale": np.ones(4), "shift": np.zeros(4)})
    for layer, module in [(nn.ReLU(), torch.nn.ReLU()),
                          (nn.LeakyReLU(0.2), torch.nn.LeakyReLU(0.2)),
                          (nn.ELU(0.7), torch.nn.ELU(0.7)), (nn.GELU(), torch.nn.GELU()),
                          (nn.Sigmoid(), torch.nn.Sigmoid()), (nn.Tanh(), torch.nn.Tanh()),
                          (nn.Softplus(), torch.nn.Softplus()),
                          (nn.Softmax(), torch.nn.Softmax(1))]:
        compare(layer, module, x, {})
    for layer, module in [(nn.MaxPool(3, 2, 1), torch.nn.MaxPool2d(3, 2, 1)),
                          (nn.MaxPool(2), torch.nn.MaxPool2d(2)),
                          (nn.AveragePool(3, 2, 1), torch.nn.AvgPool2d(3, 2, 1))]:
        compare(layer, module, np.random.default_rng(0).normal(size=(2, 7, 8, 3)), {})
