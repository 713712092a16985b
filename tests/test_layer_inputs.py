"""What layers are given: settings, whole numbers, no examples, one number, float16."""
import numpy as np
import pytest

import minidl as md
from minidl import nn
from minidl.nn import initializers

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device


def tensor(array, dtype="float64"):
    return md.tensor(np.asarray(array).tolist(), dtype=dtype)


LAYERS = {  # a layer, and the shape of an example
    "Dense": (lambda: nn.Dense(4, 2, rng=0), (4,)),
    "Conv2d": (lambda: nn.Conv2d(4, 2, 3, rng=0), (5, 5, 4)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 2, 3, rng=0), (5, 5, 4)),
    "BatchNorm": (lambda: nn.BatchNorm(4).eval(), (4,)),
    "LayerNorm": (lambda: nn.LayerNorm(4), (4,)),
    "Dropout": (lambda: nn.Dropout(0.5, rng=0), (4,)),
    "Dropout in use": (lambda: nn.Dropout(0.5, rng=0).eval(), (4,)),
    "Flatten": (nn.Flatten, (2, 4)), "Reshape": (lambda: nn.Reshape(2, -1), (4,)),
    "MaxPool": (lambda: nn.MaxPool(2), (4, 4, 2)),
    "AveragePool": (lambda: nn.AveragePool(2), (4, 4, 2)),
    "GlobalAveragePool": (nn.GlobalAveragePool, (4, 4, 2)),
    "GlobalMaxPool": (nn.GlobalMaxPool, (4, 4, 2)),
    "ReLU": (nn.ReLU, (4,)), "ELU": (nn.ELU, (4,)), "GELU": (nn.GELU, (4,)),
    "Softmax": (nn.Softmax, (4,)), "Normalize": (nn.Normalize, (4,)),
}
SELECTING = {"Flatten", "Reshape", "MaxPool", "GlobalMaxPool", "ReLU"}      # integers stay


@pytest.mark.parametrize("name", LAYERS)
def test_a_batch_without_examples_gives_none(device, name):
    make, shape = LAYERS[name]
    x = md.tensor(np.zeros((0, *shape)), dtype="float32", requires_grad=True)
    y, three = make()(x), make()(md.tensor(np.zeros((3, *shape)), dtype="float32"))
    assert y.shape == (0, *three.shape[1:]) and y.dtype == three.dtype == np.float32
    assert md.grad(y, x, y)[0].shape == x.shape


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("kind", ["int64", "uint8"])
def test_whole_numbers_give_what_floats_give(device, name, kind):
    make, shape = LAYERS[name]
    whole = np.random.default_rng(0).integers(0, 9, (3, *shape)).astype(kind)
    y = make()(md.tensor(whole.tolist(), dtype=kind))
    expected = make()(md.tensor(whole.tolist(), dtype="float64"))
    assert y.dtype == kind if name in SELECTING else y.dtype.kind == "f"
    close = {"rtol": 1e-12} if kind == "int64" else {"rtol": 1e-6, "atol": 1e-5}       # in float32
    np.testing.assert_allclose(y.numpy(), expected.numpy(), **close)
    again = make()(whole.tolist())                                  # a list is as good
    np.testing.assert_allclose(again.numpy(), expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize("layer", [
    nn.Flatten(), nn.Reshape(1), nn.Dense(4, 2, rng=0), nn.BatchNorm(4), nn.LayerNorm(4),
    nn.MaxPool(2), nn.GlobalMaxPool(), nn.Softmax()], ids=repr)
def test_one_number_is_no_batch(layer):
    with pytest.raises(ValueError, match=r"one number|shape \(\)|0 dimensions"):
        layer(md.tensor(1.0))
    with pytest.raises(TypeError, match="must be a Tensor or an array, got NoneType"):
        layer(None)


def test_batch_norm_in_float16_follows_in_float32(device):
    """In float16 0.9 · 2048 + 0.1 · 2050 stays 2048, and a variance of 300² is infinite."""
    layer = nn.BatchNorm(1, dtype="float16")
    assert layer.running_mean.dtype == layer.running_variance.dtype == np.float32
    layer.load_state_dict(layer.state_dict() | {"running_mean": [2048.0]})
    y = layer(tensor([[1450.0], [2650.0]], "float16"))      # mean 2050, unbiased variance 720000
    np.testing.assert_allclose(y.numpy(), [[-1], [1]], rtol=1e-3)
    np.testing.assert_allclose(md.tensor(layer.running_mean).numpy(), [2048.2], rtol=1e-6)
    np.testing.assert_allclose(md.tensor(layer.running_variance).numpy(), [72000.9], rtol=1e-6)
    used = layer.eval()(tensor([[2048.0]], "float16"))
    assert y.dtype == used.dtype == np.float16 and abs(used.item()) < 1e-3
    assert layer(tensor([[2048.0]], "float32")).dtype == np.float32


@pytest.mark.parametrize("make, error, words", [
    (lambda: nn.BatchNorm(2, momentum=1.5), ValueError,
     "BatchNorm: momentum must be in 0 ≤ momentum ≤ 1, got 1.5"),
    (lambda: nn.BatchNorm(2, momentum=np.nan), ValueError,
     "BatchNorm: momentum must be in .*, got nan"),
    (lambda: nn.BatchNorm(2, eps=0), ValueError, "BatchNorm: eps must be in .* ≤ eps < inf, got 0"),
    (lambda: nn.LayerNorm(2, eps=-1e-5), ValueError, "LayerNorm: eps must be in .*, got -1e-05"),
    (lambda: nn.LayerNorm(2, eps=np.inf), ValueError, "LayerNorm: eps must be in .*, got inf"),
    (lambda: nn.LayerNorm(0), ValueError, "LayerNorm: features"),
    (lambda: nn.Dense(3, -1, rng=0), ValueError, "Dense: out"),
    (lambda: nn.Dense(np.array([3, 2]), 1, rng=0), ValueError, "Dense: in_features must be an int"),
    (lambda: nn.Dense(np.array(3.0), 1, rng=0), ValueError, "Dense: in_features must be an int"),
    (lambda: nn.Dense(md.tensor(2.5), 1, rng=0), ValueError, "Dense: in_features must be an int"),
    (lambda: nn.Reshape(md.tensor([2, 3]), 1), TypeError, "Reshape: shape must be an integer"),
    (lambda: nn.Reshape(2, True), TypeError, "Reshape: shape must be an integer or several"),
    (lambda: nn.Dropout(1, rng=0), ValueError, "Dropout: rate must be in 0 ≤ rate < 1, got 1"),
    (lambda: nn.Dropout(np.nan, rng=0), ValueError,
     "Dropout: rate must be in 0 ≤ rate < 1, got nan"),
    (lambda: nn.Dropout("half", rng=0), TypeError, "Dropout: rate must be a number, got 'half'"),
    (lambda: nn.Dropout(np.complex64(0.5 + 1j), rng=0), TypeError, "rate must be a number, got "),
    (lambda: nn.Dropout(b"0.5", rng=0), TypeError, "Dropout: rate must be a number, got b'0.5'"),
    (lambda: nn.Dropout(np.array("0.5"), rng=0), TypeError, "Dropout: rate must be a number, got "),
    (lambda: nn.Dropout(np.zeros((2, 2)), rng=0), TypeError,
     r"Dropout: rate must be a number, got shape \(2, 2\)$"),
    (lambda: nn.LeakyReLU(10 ** 400), ValueError, "LeakyReLU: slope must be in .*, got 10000"),
    (lambda: nn.LeakyReLU(-0.1), ValueError,
     "LeakyReLU: slope must be in 0 ≤ slope < inf, got -0.1"),
    (lambda: nn.LeakyReLU(nn.Parameter(-0.1)), ValueError,
     "LeakyReLU: slope must be in 0 ≤ slope < inf"),
    (lambda: nn.ELU(nn.Parameter([0.1, 0.2])), TypeError, "ELU: alpha must be a number"),
    (lambda: nn.BatchNorm(2, eps=nn.Parameter(0.1)), TypeError,
     "BatchNorm: eps is a number, to which no gradient"),
    (lambda: nn.ELU(np.inf), ValueError, "ELU: alpha must be in 0 ≤ alpha < inf, got inf"),
    (lambda: nn.Softmax(0.5), TypeError, "Softmax: axis must be one integer"),
    (lambda: nn.Softmax((0, 1)), TypeError, r"Softmax: axis must be one integer, got \(0, 1\)"),
    (lambda: nn.Softmax(True), TypeError, "Softmax: axis must be one integer, got True"),
    (lambda: nn.Conv2d(1, 1, 3, stride=0, rng=0), ValueError,
     "Conv2d: stride must be an integer ≥ 1 or 2 of them, got 0"),
    (lambda: nn.Conv2d(1, 1, 3, padding=-1, rng=0), ValueError,
     "Conv2d: padding must be an integer ≥ 0"),
    (lambda: nn.Conv2d(1, 1, 3, padding=1.5, rng=0), TypeError,
     "Conv2d: padding must be an integer"),
    (lambda: nn.Conv1d(1, 1, 3, dilation=(1, 1), rng=0), ValueError,
     r"Conv1d: dilation must be an integer ≥ 1 for the one axis, got \(1, 1\)"),
    (lambda: nn.Conv2d(1, 1, (True, 1), rng=0), TypeError, "Conv2d: kernel_size must be an integer "
                                                           "or 2 of them"),
    (lambda: nn.Conv2d(1, 1, md.tensor([[2, 2]]), rng=0), TypeError,
     "Conv2d: kernel_size must be an integer or 2 of them"),
    (lambda: nn.ConvTranspose2d(1, 1, 3, output_padding=-1, rng=0), ValueError,
     "ConvTranspose2d: output_padding"),
    (lambda: nn.MaxPool(0), ValueError, "MaxPool: kernel_size must be an integer ≥ 1"),
    (lambda: nn.MaxPool((2, 2), stride=(1, 1, 1)), ValueError,
     r"MaxPool: kernel_size must be an integer ≥ 1 or 3 of them, got \(2, 2\)"),
    (lambda: nn.MaxPool(2, stride=(2, 1), padding=(0, 1, 0)), ValueError,
     r"MaxPool: stride must be an integer ≥ 1 or 3 of them, got \(2, 1\)"),
    (lambda: nn.AveragePool((2, 2), padding=((0, 1),)), ValueError,
     "AveragePool: padding must be .* for each of the 2 axes"),
    (lambda: nn.MaxPool(2.0), TypeError, "MaxPool: kernel_size must be an integer, got 2.0"),
    (lambda: nn.MaxPool(2, stride=0), ValueError, "MaxPool: stride must be an integer ≥ 1"),
    (lambda: nn.AveragePool(2, padding=-1), ValueError,
     "AveragePool: padding must be an integer ≥ 0"),
    (lambda: nn.AveragePool(2.5), TypeError, "AveragePool: kernel_size must be an integer"),
    (lambda: nn.Reshape(-1, -1), ValueError,
     "Reshape: lengths must be at least 1, or one of them −1"),
    (lambda: nn.Reshape(2, 0), ValueError, "Reshape: lengths"),
    (lambda: nn.Reshape(2.0), TypeError, "Reshape: shape"),
    (lambda: initializers.normal(-1), ValueError,
     "normal: standard_deviation must be in 0 ≤ standard_deviation < inf"),
    (lambda: initializers.he_normal((0, 5), 0), ValueError,
     r"fans: weights have shape .*, of lengths of at least 1, got \(0, 5\)"),
    (lambda: initializers.fan_in_uniform((2.0, 5), 0), TypeError, "fans: shape must be"),
    (lambda: nn.Dense(2, 3, initializer=lambda shape, rng: None, rng=0), ValueError,
     r"Dense: initializer gave weights of shape \(\), asked for \(2, 3\)"),
    (lambda: nn.Conv1d(2, 3, 1, initializer=lambda shape, rng: [[0.0]], rng=0), ValueError,
     r"Conv1d: initializer gave weights of shape \(1, 1\), asked for \(1, 2, 3\)"),
])
def test_settings_are_refused_where_they_are_given(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_slope_may_be_learned(device):
    """∂/∂slope Σ y = Σ x over x < 0, and ∂/∂alpha Σ y = Σ (eˣ − 1)."""
    x = tensor([[-2.0, 3.0], [-0.5, 0.0]])
    for make, expected in ((nn.LeakyReLU, -2.5), (nn.ELU, np.exp(-2) + np.exp(-0.5) - 2)):
        layer = make(nn.Parameter(0.25))
        layer(x).sum().backward()
        p, = layer.parameters()
        assert p.grad.item() == pytest.approx(expected) and repr(layer) == f"{make.__name__}(0.25)"


def test_settings_may_be_numpy_integers_or_one_for_each_axis(device):
    three = np.int64(3)
    layer = nn.Conv2d(1, 1, three, stride=[2, np.int64(1)], padding=[1, 1], rng=0)
    assert repr(layer) == "Conv2d(1, 1, 3, stride=(2, 1), padding=1)"
    assert layer(md.tensor(np.zeros((1, 5, 5, 1)))).shape == (1, 3, 5, 1)
    assert repr(nn.MaxPool((3, 2), stride=(three, three))) == "MaxPool((3, 2), stride=3)"
    assert nn.MaxPool((3, 2))(np.zeros((1, 6, 6, 1))).shape == (1, 2, 3, 1)
    assert repr(nn.MaxPool(np.array([3, 2]))) == "MaxPool((3, 2))"
    layer = nn.Conv2d(1, 1, np.array([3, 2]), stride=md.tensor([2, 1]),
                      padding=np.eye(2, dtype=int), rng=0)
    assert repr(layer) == "Conv2d(1, 1, (3, 2), stride=(2, 1), padding=((1, 0), (0, 1)))"


def test_an_embedding_takes_indices_of_any_integer_type(device):
    layer = nn.Embedding(300, 2, rng=0)
    expected = layer.weight.numpy()[[1, 255]]
    for kind in ("uint8", "int16", "uint16", "int32", "uint64"):
        np.testing.assert_array_equal(layer(md.tensor([1, 255], dtype=kind)).numpy(), expected)
    assert layer(md.tensor(np.zeros((0, 3), int))).shape == (0, 3, 2)
    assert layer(md.tensor(5)).shape == (2,)


@pytest.mark.parametrize("indices, error, words", [
    ([1, 20], ValueError, "Embedding: indices lie between 1 and 20; allowed are 0 to 9"),
    ([1.0], TypeError, "Embedding: indices must be integers, got float64")])
def test_an_embedding_names_its_indices(indices, error, words, device):
    with pytest.raises(error, match=words):
        nn.Embedding(10, 4, rng=0)(indices)
