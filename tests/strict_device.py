"""A stand-in for the GPU: an array type over NumPy that refuses what CuPy 14 refuses, so that code
which would fail on a GPU fails on any machine.  Importing this file makes it known to minidl as the
device "strict".

Where CuPy differs from NumPy, and so does this device:
 1. Nothing turns into a NumPy array by itself: numpy.asarray and every function of NumPy refuse;
 `.get()` copies. 2. Operators take the device's own arrays and numbers; a NumPy array or a list
 beside one is a TypeError. 3. The library has CuPy's functions and methods only, without `where`,
 `initial` and other options that CuPy lacks. 4. Reductions give arrays of zero dimensions, which
 are no Python index (there is no __index__). 5. An integer array used as an index wraps around when
 out of range. 6. Results of elementwise operations are in C order, whatever the order of the
 operands. 7. `broadcast_to`, `diagonal` and sliding windows give views that can be written to.
 8. erf of float16 is float64.
What CuPy leaves undefined is an error here:
 9. `x[indices] = values` that names a position twice (which value stays?).
10. float to integer where the value does not fit: NaN, infinity, a negative number to an unsigned
type.
Stricter than CuPy, which would quietly copy to the GPU or answer with its own function:
11. NumPy's functions refuse the array; an index is an integer, a slice, None, Ellipsis or an array
of the device.
Not imitated: integers to negative integer powers (NumPy raises), streams.

Source: the names in CuPy 14.0.1's modules `cupy` and `cupy.ndarray`, its pages "Comparison Table"
and "Differences between CuPy and NumPy".
"""
import operator
from types import SimpleNamespace

import numpy as np

from minidl import backend

_scalars = (bool, int, float, np.number, np.bool_)


class StrictArray:
    """Values on a device that does not exist: the NumPy array `_host`, which only this file may
    touch."""
    __slots__ = ("_host", "base", "__weakref__")
    __array_ufunc__ = None  # numpy_array + strict asks StrictArray.__radd__, which refuses

    def __init__(self, host, base=None):
        self._host = host
        self.base = base

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. "
                        "Please use `.get()` to construct a NumPy array explicitly.")

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f"numpy.{function.__name__} was called on an array of the device; use the "
                        "array's own library")

    def get(self):
        return self._host.copy()

    def __getitem__(self, key):
        return _wrap(self._host[self._key(key)], base=self)

    def __setitem__(self, key, value):
        key = self._key(key)
        if any(isinstance(part, np.ndarray) for part in key):
            named = np.arange(self.size).reshape(self.shape)[key]
            if len(np.unique(named)) < named.size:
                raise ValueError("__setitem__: the index names a position twice; on a GPU either "
                                 "value may stay")
        self._host[key] = _unwrap("__setitem__", value)

    def _key(self, key):
        """The key on the host, integer arrays wrapped around as CuPy's kernels do."""
        parts = key if isinstance(key, tuple) else (key,)
        used = sum(_axes_used(part) for part in parts)
        axis, host = 0, []
        for part in parts:
            if isinstance(part, StrictArray):
                if part.dtype.kind not in "iub":
                    raise IndexError("arrays used as indices must be integer or boolean (actual: "
                                     f"{part.dtype})")
                wraps = not _is_mask(part) and self.shape[axis] > 0
                host.append(part._host.astype("int64") % self.shape[axis] if wraps else part._host)
            elif isinstance(part, (slice, type(None), type(Ellipsis))) or _is_integer(part):
                host.append(part)
            else:
                raise TypeError(f"an index of the device must not be a {type(part).__name__}")
            axis += self.ndim - used if part is Ellipsis else _axes_used(part)
        return tuple(host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __len__(self):
        return len(self._host)

    def __bool__(self):
        return bool(self._host)

    def __int__(self):
        return int(self._host)

    def __float__(self):
        return float(self._host)

    def __repr__(self):
        return f"strict{self._host!r}"

    __hash__ = None
    flags = property(lambda self: SimpleNamespace(c_contiguous=self._host.flags.c_contiguous,
                                                  f_contiguous=self._host.flags.f_contiguous,
                                                  owndata=self._host.flags.owndata))


def _is_mask(part):
    return isinstance(part, StrictArray) and part.dtype.kind == "b"


def _is_integer(part):
    return isinstance(part, (int, np.integer)) and not isinstance(part, bool)


def _axes_used(part):
    return part.ndim if _is_mask(part) else 0 if part is None or part is Ellipsis else 1


def _wrap(value, base=None):
    """NumPy's result as the device would give it: scalars as arrays of zero dimensions, nothing
    read-only."""
    if isinstance(value, (tuple, list)):
        return type(value)(_wrap(v, base) for v in value)
    if not isinstance(value, (np.ndarray, np.generic)):
        return value
    if base is not None and value is base._host:    # nothing to do: asarray, astype(copy=False)
        return base
    host = np.asarray(value)
    if not host.flags.writeable:
        host.setflags(write=True)
    return StrictArray(host,
                       base if isinstance(value, np.ndarray) and host.base is not None else None)


def _unwrap(name, value):
    """An argument on the host; a NumPy array is refused, as CuPy refuses it."""
    if isinstance(value, StrictArray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(f"{name}: Unsupported type {type(value)}")
    return type(value)(_unwrap(name, v) for v in value) if type(value) in (tuple, list) else value


def _c_order(value):
    return np.asarray(value, order="C")


def _operator(name, reflected=False):
    function = getattr(operator, name)

    def operate(self, other):
        if not isinstance(other, StrictArray):
            if getattr(other, "__array_ufunc__", ()) is None:
                return NotImplemented               # a Tensor: let it answer
            if not isinstance(other, _scalars):
                raise TypeError(f"{name}: Unsupported type {type(other)}")
        other = _unwrap(name, other)
        return _wrap(_c_order(function(other, self._host) if reflected
                              else function(self._host, other)))
    return operate


def _in_place(name):
    function = getattr(operator, name)

    def operate(self, other):
        function(self._host, _unwrap(name, other))
        return self
    return operate


for _name in "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift".split():
    _symbol = _name.rstrip("_")
    setattr(StrictArray, f"__{_symbol}__", _operator(_name))
    setattr(StrictArray, f"__r{_symbol}__", _operator(_name, reflected=True))
    if _name != "matmul":
        setattr(StrictArray, f"__i{_symbol}__", _in_place(f"i{_symbol}"))
for _name in "eq ne lt le gt ge".split():
    setattr(StrictArray, f"__{_name}__", _operator(_name))
for _name in "neg pos abs invert".split():
    setattr(StrictArray, f"__{_name}__",
            lambda self, _name=_name: _wrap(_c_order(getattr(operator, _name)(self._host))))

# --- methods and attributes of cupy.ndarray

_attributes = "shape dtype ndim size strides nbytes itemsize"
_views = "T mT real imag"
_methods = """
    all any argmax argmin argpartition argsort choose clip compress copy cumprod cumsum diagonal
    dot fill flatten item max mean min nonzero partition prod ptp put ravel repeat reshape round
    searchsorted sort squeeze std sum swapaxes take tobytes tolist trace transpose var view"""
_lacking_options = {"where", "initial", "subok", "like", "correction", "signature", "extobj"}


def _call(name, function, args, kwargs):
    lacking = _lacking_options & set(kwargs) - ({"where"} if name == "copyto" else set())
    if lacking:
        raise TypeError(f"cupy's {name} has no option {', '.join(sorted(lacking))}")
    if name in ("take", "put"):
        kwargs = kwargs | {"mode": "wrap"}
    value = function(*_unwrap(name, args), **{k: _unwrap(name, v) for k, v in kwargs.items()})
    if kwargs.get("out") is not None:
        return kwargs["out"]
    if isinstance(function, np.ufunc) and function.nout == 1:
        value = _c_order(value)
    return _wrap(value, args[0] if args and isinstance(args[0], StrictArray) else None)


def _method(name):
    return lambda self, *args, **kwargs: _call(name, getattr(np.ndarray, name), (self,) + args,
                                               kwargs)


def _astype(self, dtype, *args, **kwargs):
    kind = np.dtype(dtype).kind
    if self.dtype.kind == "f" and kind in "iu":
        if not np.isfinite(self._host).all() or kind == "u" and (self._host < 0).any():
            raise ValueError(f"astype: {self.dtype} to {np.dtype(dtype)} of NaN, infinity or "
                             "negative numbers is undefined")
    return _call("astype", np.ndarray.astype, (self, dtype) + args, kwargs)


for _name in _attributes.split():
    setattr(StrictArray, _name, property(lambda self, _name=_name: getattr(self._host, _name)))
for _name in _views.split():
    setattr(StrictArray, _name,
            property(lambda self, _name=_name: _wrap(getattr(self._host, _name), self)))
for _name in _methods.split():
    setattr(StrictArray, _name, _method(_name))
StrictArray.astype = _astype

# --- the array library

_creating = """
    arange array asanyarray asarray ascontiguousarray asfortranarray empty eye full identity
    indices linspace logspace ones tri zeros"""
_functions = """
    abs absolute acos acosh add all allclose alltrue amax amin angle any append apply_along_axis
    apply_over_axes arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin
    argpartition argsort argwhere around array_equal array_equiv array_split asin asinh astype
    atan atan2 atanh atleast_1d atleast_2d atleast_3d average bartlett bincount bitwise_and
    bitwise_count bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift
    bitwise_xor blackman broadcast_arrays broadcast_to cbrt ceil choose clip column_stack
    compress concat concatenate conj conjugate convolve copy copysign copyto corrcoef correlate
    cos cosh count_nonzero cov cross cumprod cumsum deg2rad degrees delete diag diag_indices
    diag_indices_from diagflat diagonal diff digitize divide divmod dot dsplit dstack ediff1d
    einsum empty_like equal exp exp2 expand_dims expm1 extract fabs fill_diagonal fix
    flatnonzero flip fliplr flipud float_power floor floor_divide fmax fmin fmod frexp full_like
    gcd gradient greater greater_equal hamming hanning heaviside histogram histogram2d
    histogramdd hsplit hstack hypot i0 imag inner interp intersect1d invert isclose iscomplex
    iscomplexobj isfinite isfortran isin isinf isnan isneginf isposinf isreal isrealobj kaiser
    kron lcm ldexp left_shift less less_equal lexsort log log10 log1p log2 logaddexp logaddexp2
    logical_and logical_not logical_or logical_xor matmul max may_share_memory maximum mean
    median meshgrid min minimum mod modf moveaxis multiply nan_to_num nanargmax nanargmin
    nancumprod nancumsum nanmax nanmean nanmedian nanmin nanprod nanstd nansum nanvar negative
    nextafter nonzero not_equal ones_like outer packbits pad partition percentile permute_dims
    piecewise place poly polyadd polyfit polymul polysub polyval positive pow power prod ptp put
    put_along_axis putmask quantile rad2deg radians ravel ravel_multi_index real real_if_close
    reciprocal remainder repeat require reshape resize right_shift rint roll rollaxis roots
    rot90 round searchsorted select setdiff1d setxor1d shape shares_memory sign signbit sin sinc
    sinh size sort sort_complex split sqrt square squeeze stack std subtract sum swapaxes take
    take_along_axis tan tanh tensordot tile trace transpose trapezoid tril tril_indices
    tril_indices_from trim_zeros triu triu_indices triu_indices_from true_divide trunc union1d
    unique unpackbits unravel_index unwrap vander var vdot vsplit vstack where zeros_like"""
_borrowed = """
    bool_ broadcast_shapes can_cast dtype e euler_gamma finfo float16 float32 float64 iinfo inf
    int16 int32 int64 int8 intp isscalar issubdtype nan ndindex newaxis pi promote_types
    result_type s_ uint16 uint32 uint64 uint8"""
_from_host = {"array", "asarray", "asanyarray"}


def _creator(name):
    function = getattr(np, name)

    def create(*args, **kwargs):
        if name in _from_host and args and isinstance(args[0], np.ndarray):
            return StrictArray(np.array(args[0], *args[1:],
                                        **{k: v for k, v in kwargs.items() if k != "copy"}))
        return _call(name, function, args, kwargs)
    return create


def _function(name):
    function = getattr(np, name)

    def call(*args, **kwargs):
        for a in args if isinstance(function, np.ufunc) else args[:1]:
            if isinstance(a, list) and not (a and all(isinstance(x, StrictArray) for x in a)):
                raise TypeError(f"{name}: Unsupported type {list}; move lists to the device with "
                                "asarray")
        return _call(name, function, args, kwargs)
    return call


class _Library(SimpleNamespace):
    def __getattr__(self, name):
        raise AttributeError(f"cupy has no function {name!r}, or tests/strict_device.py does not "
                             "list it")


def _as_strided(x, shape=None, strides=None):
    return _wrap(np.lib.stride_tricks.as_strided(x._host, shape, strides), x)


def _sliding_window_view(x, window_shape, axis=None):
    return _wrap(
        np.lib.stride_tricks.sliding_window_view(x._host, window_shape, axis, writeable=True), x
    )


def _known(names):
    # older NumPy lacks a few of CuPy's names
    return [name for name in names.split() if hasattr(np, name)]


xp = _Library(
    ndarray=StrictArray, asnumpy=StrictArray.get,
    lib=_Library(stride_tricks=_Library(as_strided=_as_strided,
                                        sliding_window_view=_sliding_window_view)),
    **{name: getattr(np, name) for name in _known(_borrowed)},
    **{name: _creator(name) for name in _known(_creating)},
    **{name: _function(name) for name in _known(_functions)})

def scatter_add(target, key, values):
    """As backend.py makes it for CuPy: in every dtype, and the values already of the shape of
    target[key]."""
    key = target._key(key)
    if target._host[key].shape != values.shape:
        raise ValueError(f"scatter_add: {values.shape} into {target._host[key].shape}")
    np.add.at(target._host, key, _unwrap("scatter_add", values))


def erf(x):
    from scipy.special import erf
    return _wrap(np.asarray(erf(x._host), "float32" if x.dtype == "float32" else "float64"))


backend.register(backend.Device("strict", StrictArray, xp, xp.asarray, StrictArray.get, scatter_add,
                                erf))
