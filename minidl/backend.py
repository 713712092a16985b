"""The one array backend: NumPy on the CPU, CuPy on the GPU, chosen per array.

`backend.of(array)` is the library that array belongs to, so an operation is written once:

    xp = backend.of(x.data)
    xp.exp(x.data)

Where NumPy and CuPy disagree, the difference is a field of `Device` or a function of this file
(what only makes one of them fast stands in the kernels):

- moving an array between host and device            `asarray`, `to_host`
- adding into repeated positions, in one order       `scatter_add`
- a product written into a given place               `matmul`
- several elementwise operations in one pass         `fused` (cupy.fuse; NumPy has no such thing)
- special functions, which neither array library has  `erf`, `normal_cdf` (scipy's, cupyx's)
- an index out of range: NumPy raises, CuPy wraps     `check_indices`
- random numbers, drawn on the host for both         `generator`
- broadcast_to: NumPy's result is read-only, CuPy's can be written to; minidl writes to neither
- a reduction to one number: NumPy gives a scalar, CuPy an array of zero dimensions;
  `tensor.record` makes both arrays
"""
from collections.abc import Callable
from dataclasses import dataclass
import functools
import importlib.util
import math
import os
from types import ModuleType

import numpy as np


class DeviceError(RuntimeError):
    """A device that is not there, or arrays of two devices in one operation."""


@dataclass(frozen=True)
class Device:
    """One place where arrays live, and what differs there."""
    name: str
    array_type: type
    module: ModuleType          # the array library: numpy, cupy
    from_host: Callable         # numpy.ndarray -> array
    to_host: Callable           # array -> numpy.ndarray
    scatter_add: Callable       # (target, key, values): see `scatter_add` below
    erf: Callable
    fuse: Callable = lambda rule: rule      # see `fused`


def _numpy_erf(x):
    from scipy.special import erf
    return erf(x)


CPU = Device("cpu", np.ndarray, np, lambda array: array, lambda array: array, np.add.at, _numpy_erf)
_by_name = {"cpu": CPU}
_by_type = {np.ndarray: CPU}
array_types = {np.ndarray: np}  # array type -> library
_default = None                 # until asked for: $MINIDL_DEVICE or "cpu"


def register(device):
    """Make a device known under its name and its array type."""
    _by_name[device.name] = device
    _by_type[device.array_type] = device
    array_types[device.array_type] = device.module


def _find_gpu():
    """Import CuPy, which happens only when the GPU is asked for; raises DeviceError in one line."""
    install = "pip install cupy-cuda12x, or cupy-cuda13x, whichever matches your driver"
    try:
        import cupy
        import cupyx
        import cupyx.scipy.special
    except ImportError as error:
        raise DeviceError("device 'gpu' needs CuPy, which cannot be imported "
                          f"({error}); {install}") from None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise DeviceError("device 'gpu': CuPy is installed but finds no usable GPU "
                          f"({error})") from None
    if count == 0:
        raise DeviceError("device 'gpu': CuPy is installed but finds no GPU")
    return Device("gpu", cupy.ndarray, cupy, cupy.asarray, cupy.asnumpy,
                  _ordered_scatter_add(cupy), cupyx.scipy.special.erf, cupy.fuse)


def _ordered_scatter_add(cupy):
    """target[key] += values for CuPy, bit for bit the same each time.

    In CuPy's own all threads add at once, and a sum of floats depends on which comes first.  Here
    the positions are sorted, equal ones in the order of their values, and one thread adds up all
    that belongs to a position.
    """
    def add_runs(sum_type):
        return cupy.ElementwiseKernel("raw int64 positions, raw T values", "raw T target", """
            if (i == 0 || positions[i - 1] != positions[i]) {
                SUM sum = (SUM)target[positions[i]];
                for (ptrdiff_t j = i; j < _ind.size() && positions[j] == positions[i]; ++j)
                    sum += (SUM)values[j];
                target[positions[i]] = (T)sum;
            }""".replace("SUM", sum_type), "minidl_add_runs")

    add_floats, add_integers = add_runs("double"), add_runs("long long")

    def scatter_add(target, key, values):
        positions = cupy.arange(target.size).reshape(target.shape)[key].ravel()
        order = cupy.argsort(positions)
        add = add_floats if target.dtype.kind == "f" else add_integers
        add(positions[order], values.ravel()[order], target, size=order.size)

    return scatter_add


def device(name):
    """The Device of that name.  Raises DeviceError for one that is unknown or not there."""
    if not isinstance(name, str):
        raise TypeError(f"a device is named by a string such as \"cpu\", got {type(name).__name__}")
    if name not in _by_name:
        if name != "gpu":
            raise DeviceError(f"device {name!r} is unknown; the devices here are "
                              f"{', '.join(devices())}" + "; a GPU is \"gpu\"" * ("cuda" in name))
        register(_find_gpu())
    return _by_name[name]


def devices():
    """Names of the devices that can be used here, "cpu" first.

    >>> devices()[0]
    'cpu'
    """
    if "gpu" not in _by_name and importlib.util.find_spec("cupy") is not None:
        try:
            device("gpu")
        except DeviceError:
            pass
    return sorted(_by_name, key=lambda name: (name != "cpu", name))


def use_device(name):
    """Make `name` the device of arrays that are created from now on: "cpu" or "gpu".

    Raises DeviceError for one that is unknown or not there.

    >>> use_device("cpu")
    """
    global _default
    _default = device(name)


def default_device():
    """The Device of new arrays: what `use_device` chose, else $MINIDL_DEVICE, else the CPU."""
    if _default is None:
        use_device(os.environ.get("MINIDL_DEVICE") or "cpu")
    return _default


def place(array, name=None, stays=False):
    """The Device for a new Tensor of `array`: the one named; that of an array of a GPU, or of one
    that stays where it is; else the default one."""
    if name is not None:
        return device(name)
    if is_array(array) and (stays or device_of(array) is not CPU):
        return device_of(array)
    return default_device()


def of(array):
    """The array library (numpy, cupy) that `array` belongs to."""
    return array_types[type(array)]


def device_of(array):
    """The Device on which `array` lives.  Raises TypeError for what is no array."""
    try:
        return _by_type[type(array)]
    except KeyError:
        raise TypeError(f"the data of a Tensor must be an array, it is a {type(array).__name__}; "
                        "of a Tensor x, x.data is one") from None


def is_array(x):
    """Whether x is an array of a known device."""
    return type(x) in _by_type


def asarray(array, dtype=None, device=None):
    """`array` (nested lists, numbers, an array of NumPy or of that Device) on `device`.

    Its bytes come in the order of this machine, whatever order they were stored in.  An array of
    another device is refused: moving is asked for by name, `Tensor.to`.  Raises TypeError for other
    dtypes than floating-point, integer and boolean ones.
    """
    wanted, given = real_dtype("tensor", dtype), array
    if not is_array(array):
        array = _of_lists(array, dtype)
        device = device or default_device()
    if array.dtype.kind == "O":
        raise TypeError("tensor: array must be numbers, in nested lists or an array, got "
                        f"{type(given).__name__}")
    if array.dtype.kind not in "fiub":
        real_dtype("tensor", array.dtype)
    array = array.astype((wanted or array.dtype).newbyteorder("="), copy=False)
    if device is None or device_of(array) is device:
        return array
    if device_of(array) is not CPU:
        raise DeviceError(f"the array is on {device_of(array).name!r}, asked for on "
                          f"{device.name!r}; use .to()")
    return device.from_host(array)


def _of_lists(values, dtype):
    """A NumPy array of its own of nested lists or numbers; raises ValueError for ragged ones, and
    for numbers that the dtype does not hold."""
    try:
        return np.array(np.asarray(values, dtype=dtype))
    except OverflowError as error:                      # 300 as int8
        raise ValueError(f"tensor: {error}") from None
    except ValueError as error:
        if "inhomogeneous" in str(error):
            raise ValueError("tensor: the rows of nested lists must be of one length") from None
        raise TypeError(f"tensor: {error}") from None


def real_dtype(operation, dtype):
    """A dtype as NumPy's, None as None.

    Raises TypeError for what is no floating-point, integer or boolean one.
    """
    if dtype is None:
        return None
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"{operation}: {dtype!r} is not a dtype; write \"float32\", say") from None
    if wanted.kind not in "fiub":
        raise TypeError(f"{operation}: dtype {wanted} is not a floating-point, integer or boolean "
                        "type")
    return wanted


def to_host(array):
    """A NumPy array with the same values; on the CPU the array itself."""
    return device_of(array).to_host(array)


def move(array, device):
    """`array` on another Device, by way of the host."""
    return array if device_of(array) is device else device.from_host(to_host(array))


def scatter_add(target, key, values):
    """target[key] += values in place, where a position named twice receives twice.

    values have the shape of target[key].
    """
    device_of(target).scatter_add(target, key, values)


def matmul(a, b, out):
    """out[...] = a @ b; out is given back.

    CuPy writes only into a contiguous array, and copies transposed matrices that stand in a stack.
    """
    if not out.flags.c_contiguous:
        out[...] = a @ b
    elif math.prod(out.shape[:-2]) == 1:
        of(out).matmul(*(x.reshape(x.shape[-2:]) for x in (a, b)), out=out.reshape(out.shape[-2:]))
    else:
        of(out).matmul(a, b, out=out)
    return out


def erf(x):
    """Error function  2/√π ∫₀ˣ e^(−t²) dt,  elementwise, in x's floating-point dtype."""
    return device_of(x).erf(x).astype(x.dtype, copy=False)


def normal_cdf(x):
    """Φ(x) = 1/√2π ∫_−∞ˣ e^(−t²/2) dt,  elementwise, in x's floating-point dtype.

    Small values keep their digits, which (1 + erf(x/√2)) / 2 would lose.
    """
    where = device_of(x)
    if where.name == "gpu":
        return importlib.import_module("cupyx.scipy.special").ndtr(x).astype(x.dtype, copy=False)
    from scipy.special import ndtr
    return where.from_host(np.asarray(ndtr(where.to_host(x)), x.dtype))


def fused(rule):
    """Decorates an elementwise function of arrays and numbers: on a GPU it becomes one kernel.

    Its first argument is an array, and every operation in it has an array: an operation on two
    Python numbers would give float64 in CuPy.
    """
    @functools.wraps(rule)
    def call(first, *others):
        where = _by_type.get(type(first), CPU)          # a NumPy scalar is no array
        return _fused_on(where.name, rule)(first, *others)
    return call


@functools.cache
def _fused_on(name, rule):
    return device(name).fuse(rule)


def check_indices(operation, indices, size, what):
    """Raise IndexError unless every entry of an integer array lies in −size … size−1.

    (CuPy would wrap it around.)
    """
    if indices.size:
        lowest, highest = int(indices.min()), int(indices.max())
        if lowest < -size or highest >= size:
            worst = highest if highest >= size else lowest
            allowed = f"allowed are {-size} to {size - 1}" if size else "there is nothing to take"
            raise IndexError(f"{operation}: {what} {worst} is out of range for {size}: {allowed}")


def generator(seed):
    """A numpy Generator from a Generator (given back as it is) or an integer seed."""
    if isinstance(seed, np.random.Generator):
        return seed
    if seed is None:
        raise TypeError("randomness is explicit in minidl: pass rng, a numpy.random.Generator or "
                        "an integer seed, got None")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError("rng must be a numpy.random.Generator or an integer seed, "
                        f"got {seed!r:.60}")
    if seed < 0:
        raise ValueError(f"rng must be a seed of at least 0, got {seed}")
    return np.random.default_rng(seed)
