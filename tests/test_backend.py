"""The backend: finding a GPU (a fabricated CuPy stands in), what each device does differently,
moving between devices."""
import importlib.machinery
import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import minidl as md
from minidl import backend, ops


class CudaError(Exception):
    pass


class GpuArray:
    pass


@pytest.fixture
def cupy(monkeypatch):
    """Modules that pass for CuPy with one GPU, and a backend that has not looked for it yet."""
    made = {name: ModuleType(name)
            for name in ("cupy", "cupyx", "cupyx.scipy", "cupyx.scipy.special")}
    for name, module in made.items():
        module.__spec__, module.__path__ = importlib.machinery.ModuleSpec(name, None), []
        monkeypatch.setitem(sys.modules, name, module)
    cupy, made["cupyx"].scipy = made["cupy"], made["cupyx.scipy"]
    made["cupyx.scipy"].special = made["cupyx.scipy.special"]
    cupy.cuda = SimpleNamespace(
        runtime=SimpleNamespace(getDeviceCount=lambda: 1, CUDARuntimeError=CudaError)
    )
    cupy.ndarray, cupy.asarray, cupy.asnumpy = GpuArray, "asarray", "asnumpy"
    cupy.ElementwiseKernel, cupy.fuse = lambda *code: None, "fuse"
    made["cupyx.scipy.special"].erf = "erf"
    for table in "_by_name", "_by_type", "array_types":
        monkeypatch.setattr(backend, table, dict(getattr(backend, table)))
    backend._by_name.pop("gpu", None)
    return cupy


def test_a_gpu_is_found_when_it_is_asked_for(cupy):
    found = backend.device("gpu")
    assert found == backend.Device("gpu", GpuArray, cupy, "asarray", "asnumpy", found.scatter_add,
                                   "erf", "fuse")
    assert backend.device("gpu") is found and backend.array_types[GpuArray] is cupy
    assert backend.is_array(GpuArray()) and backend.device_of(GpuArray()) is found
    assert md.devices() == ["cpu", "gpu", "strict"]


def test_devices_looks_for_a_gpu(cupy):
    assert md.devices() == ["cpu", "gpu", "strict"]


def test_no_gpu_is_one_line_that_says_what_to_do(cupy, monkeypatch):
    cupy.cuda.runtime.getDeviceCount = lambda: 0
    with pytest.raises(md.DeviceError, match="^device 'gpu': CuPy is installed but finds no GPU$"):
        md.use_device("gpu")
    assert "gpu" not in md.devices()

    def fail():
        raise CudaError("driver too old")

    cupy.cuda.runtime.getDeviceCount = fail
    with pytest.raises(md.DeviceError, match=r"finds no usable GPU \(driver too old\)"):
        md.tensor([1.0], device="gpu")
    assert "gpu" not in md.devices()
    monkeypatch.setitem(sys.modules, "cupy", None)                  # as if it were not installed
    with pytest.raises(md.DeviceError, match="needs CuPy.*pip install cupy-cuda12x"):
        md.use_device("gpu")
    assert "gpu" not in md.devices()


def test_the_environment_chooses_the_device(monkeypatch):
    monkeypatch.setattr(backend, "_default", None)
    monkeypatch.setenv("MINIDL_DEVICE", "strict")
    assert md.tensor([1.0]).device == "strict"
    monkeypatch.setattr(backend, "_default", None)
    monkeypatch.setenv("MINIDL_DEVICE", "")
    assert md.tensor([1.0]).device == "cpu"
    monkeypatch.setattr(backend, "_default", None)
    monkeypatch.delenv("MINIDL_DEVICE")
    assert md.tensor([1.0]).device == "cpu"
    told = subprocess.run([sys.executable, "-c", "import minidl; minidl.tensor(1.0)"],
                          capture_output=True, text=True,
                          env=os.environ | {"MINIDL_DEVICE": "abacus"})
    assert "DeviceError: device 'abacus' is unknown; the devices here are cpu" in told.stderr


@pytest.mark.parametrize("seed", [md.tensor(3), np.array(3), True, 1.0, np.bool_(True)])
def test_a_seed_is_an_integer(seed):
    with pytest.raises(TypeError, match="^rng must be a numpy.random.Generator or an integer seed"):
        backend.generator(seed)
    assert backend.generator(np.uint8(3)).random() == backend.generator(3).random()


def test_what_does_not_fit_is_said_in_our_words():
    with pytest.raises(ValueError, match="^tensor: .*300 out of bounds for int8"):
        md.tensor([300], dtype="int8")
    with pytest.raises(IndexError, match="index for axis 0 1 is out of range for 0: there is no"):
        ops.take(md.tensor(np.zeros((0, 2))), [1], axis=0)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "int32", "uint32", "int64",
                                   "uint64", "float16"])
def test_adding_at_positions_in_every_dtype(device, dtype):
    x, values = np.array([1, 0, 3], dtype), np.array([5, 6, 7, 1], dtype)
    expected = x.copy()
    np.add.at(expected, [2, 0, 2, 0], values)
    found = ops.add_at(md.tensor(x), [2, 0, 2, 0], md.tensor(values))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.numpy(), expected)
    scattered = ops.scatter(md.tensor(values), [0, 0, 1, 1], (3,)).numpy()
    np.testing.assert_array_equal(scattered, np.array([11, 8, 0]).astype(dtype))
    written = ops.set_at(md.tensor(x), [2, 1], md.tensor(values[:2])).numpy()
    np.testing.assert_array_equal(written, [x[0], values[1], values[0]])


def test_adding_at_repeated_positions_is_the_same_each_time(device):
    """A GPU's threads come in any order; a float's sum depends on it."""
    rng = np.random.default_rng(0)
    values = md.tensor(rng.standard_normal((5000, 3)).astype("float32"))
    positions = rng.integers(0, 7, 5000)
    values = ops.set_at(values, 17, np.inf)
    first, *others = (ops.scatter(values, md.tensor(positions), (7, 3)).numpy() for _ in range(4))
    for other in others:
        np.testing.assert_array_equal(first, other)
    expected = np.zeros((7, 3))
    np.add.at(expected, positions, values.numpy().astype("float64"))
    np.testing.assert_allclose(first, expected, rtol=1e-3)


def test_integers_wrap_around_as_numpys(device):
    x = np.array([-5, 100, -128], "int8")
    expected = x.copy()
    np.add.at(expected, [0, 1, 1], np.array([-3, 100, -128], "int8"))
    found = ops.add_at(md.tensor(x), [0, 1, 1], md.tensor(np.array([-3, 100, -128], "int8")))
    np.testing.assert_array_equal(found.numpy(), expected)
    large = np.array([2 ** 63 - 1, -2 ** 63], "int64")
    found = ops.add_at(md.tensor([0, 0]), [0, 1], md.tensor(large))
    np.testing.assert_array_equal(found.numpy(), large)


def test_moving(device):
    x = md.tensor([[1.0, 2.0]], requires_grad=True)
    there = x.to("strict").to("cpu").to(device)
    assert there.device == device
    gradient, = md.grad(ops.sum(there * there), x)
    assert gradient.device == device and gradient.numpy().tolist() == [[2.0, 4.0]]
    assert backend.move(x.data, backend.device(device)) is x.data
    with pytest.raises(md.DeviceError, match=r"on 'strict', asked for on 'cpu'; use \.to\(\)"):
        md.tensor(md.tensor([1.0], device="strict"), device="cpu")


def test_a_copy_is_made(device):
    host = np.array([1.0, 2.0])
    x = md.tensor(host)
    host[:] = 0
    assert x.numpy().tolist() == [1.0, 2.0]
    x.numpy()[:] = 0
    assert x.numpy().tolist() == [1.0, 2.0]
    y = md.tensor(x)
    assert not backend.of(y.data).may_share_memory(x.data, y.data)
