"""Elementwise arithmetic and functions, with NumPy's names and NumPy's broadcasting.

Every y = f(x) here has x's shape and acts entry by entry: dy = f'(x) ⊙ dx.

    dL = ⟨ȳ, dy⟩ = ⟨ȳ, f'(x) ⊙ dx⟩ = ⟨ȳ ⊙ f'(x), dx⟩        so   x̄ = ȳ ⊙ f'(x)

Each derivation below makes this one step: what stands beside dx is x̄.  (⟨ , ⟩, ⊙ and the bar are
explained in minidl/notation.py.)

Of two operands the shapes broadcast.  Where one was broadcast, `grad` sums its cotangent back to
its shape, so no rule here does.

`operand` makes a Tensor of what is given; `floating` also makes floats of whole numbers, and
`signed` refuses booleans.  `operands` is `operand` for two, but of a Python number beside a Tensor
it makes a Scalar.  Its `.data` is the number itself, so a float32 array times 2.0 stays float32;
its `.node` is None, so `record` forgets it.  A rule may compute with it beside a Tensor.  (See
operands.py.)
Raises ValueError for shapes that do not broadcast, TypeError for what is no array of numbers,
DeviceError for arrays of two devices.
"""
import math
from numbers import Real

from minidl import backend, kernels
from minidl.operands import Scalar, floating, operand, operands, signed
from minidl.ops.creation import ones_like, zeros_like
from minidl.tensor import constant, record, with_output


def add(a, b):
    """Sum  y = a + b  (a, b: any shapes that broadcast).

    dL = ⟨ȳ, da + db⟩        so   ā = ȳ,   b̄ = ȳ

    >>> add([1.0, 2.0], 3.0)
    tensor([4., 5.], float64)
    """
    a, b = operands("add", a, b)
    return record(a.data + b.data, (a, lambda gy: gy), (b, lambda gy: gy))


def subtract(a, b):
    """Difference  y = a − b  (a, b: any shapes that broadcast).

    dL = ⟨ȳ, da − db⟩        so   ā = ȳ,   b̄ = −ȳ

    >>> subtract([1.0, 2.0], 3.0)
    tensor([-2., -1.], float64)
    """
    a, b = operands("subtract", a, b)
    return record(a.data - b.data, (a, lambda gy: gy), (b, lambda gy: -gy))


def multiply(a, b):
    """Elementwise product  y = a ⊙ b  (a, b: any shapes that broadcast).

    dL = ⟨ȳ, da ⊙ b + a ⊙ db⟩        so   ā = ȳ ⊙ b,   b̄ = ȳ ⊙ a

    >>> multiply([1.0, 2.0], 3.0)
    tensor([3., 6.], float64)
    """
    a, b = operands("multiply", a, b)
    return record(a.data * b.data, (a, lambda gy: gy * b), (b, lambda gy: gy * a))


def divide(a, b):
    """Quotient  y = a / b  (a, b: any shapes that broadcast).

    dy = da / b − a ⊙ db / b² = (da − y ⊙ db) / b        so   ā = ȳ / b,   b̄ = −ȳ ⊙ y / b

    >>> divide([1.0, 2.0], 4.0)
    tensor([0.25, 0.5 ], float64)
    """
    a, b = operands("divide", a, b)
    return record(a.data / b.data,
                  (a, lambda gy: gy / b),
                  (b, with_output(lambda gy, y: -(gy * y) / b)))


def floor_divide(a, b):
    """Rounded down  y = ⌊a / b⌋  (a, b: any shapes that broadcast).

    Piecewise constant: its derivative is 0, and no gradient flows.

    >>> floor_divide([7.0, -7.0], 2.0)
    tensor([ 3., -4.], float64)
    """
    a, b = operands("floor_divide", a, b)
    return constant(a.data // b.data)


def remainder(a, b):
    """What is left  y = a − b ⊙ ⌊a / b⌋,  of b's sign (a, b: any shapes that broadcast).

    ⌊a / b⌋ is piecewise constant:   dy = da − ⌊a / b⌋ ⊙ db        so   ā = ȳ,   b̄ = −ȳ ⊙ ⌊a / b⌋

    >>> remainder([7.0, -7.0], 4.0)
    tensor([3., 1.], float64)
    """
    a, b = operands("remainder", a, b)
    return record(a.data % b.data,
                  (a, lambda gy: gy),
                  (b, lambda gy: -gy * floor_divide(a, b)))


def negative(x):
    """Negation  y = −x.

    dy = −dx        so   x̄ = −ȳ

    >>> negative([1.0, -2.0])
    tensor([-1.,  2.], float64)
    """
    x = signed("negative", x)
    return record(-x.data, (x, lambda gy: -gy))


def power(a, b):
    """Power  y = aᵇ  (a, b: any shapes that broadcast).

    dy = b ⊙ aᵇ⁻¹ ⊙ da + y ⊙ log a ⊙ db        so   ā = ȳ ⊙ b ⊙ aᵇ⁻¹,   b̄ = ȳ ⊙ y ⊙ log a

    Conventions at a = 0, for first derivatives:
        a⁰ = 1 has slope 0 in a;
        aᵇ has slope 0 in b where b ≥ 0.
    Where a < 0 the slope in b is NaN.

    >>> power([1.0, 2.0, 3.0], 2)
    tensor([1., 4., 9.], float64)
    """
    a, b = operands("power", a, b)
    return record(a.data ** b.data,
                  (a, lambda gy: gy * _slope_in_base(a, b)),
                  (b, with_output(lambda gy, y: gy * _slope_in_exponent(a, b, y))))


def _slope_in_base(a, b):
    """b ⊙ aᵇ⁻¹.  Where a = b = 0, 0 · 0⁻¹ would be NaN: with the exponent 1 it is 0."""
    if isinstance(b, Scalar):                           # it has no minus; its number is b.data
        return b.data * a ** (b.data - 1) if b.data != 0 else zeros_like(a)
    flat = constant((a.data == 0) & (b.data == 0))
    return b * power(a, where(flat, 1, b - 1))


def _slope_in_exponent(a, b, y):
    """y ⊙ log a.  Where a = 0 ≤ b, log 0 would be −∞: with log 1 in its place it is 0."""
    flat = constant((a.data == 0) & (b.data >= 0))
    # where(flat, 1, a) of two numbers would be float64; as an array like y, a keeps y's dtype
    a = a.data * ones_like(y) if isinstance(a, Scalar) else a
    return y * log(where(flat, 1, a))


def exp(x):
    """Exponential  y = eˣ.

    dy = y ⊙ dx        so   x̄ = ȳ ⊙ y

    >>> exp([0.0, 1.0])
    tensor([1.      , 2.718282], float64)
    """
    x = floating("exp", x)
    return record(backend.of(x.data).exp(x.data), (x, with_output(lambda gy, y: gy * y)))


def expm1(x):
    """y = eˣ − 1, accurate near 0.

    dy = eˣ ⊙ dx        so   x̄ = ȳ ⊙ eˣ
    (eˣ = y + 1 as well, but where eˣ is small y + 1 has lost its digits.)

    >>> expm1([0.0, 1e-20])
    tensor([0.e+00, 1.e-20], float64)
    """
    x = floating("expm1", x)
    return record(backend.of(x.data).expm1(x.data), (x, lambda gy: gy * exp(x)))


def log(x):
    """Natural logarithm  y = log x.

    dy = dx / x        so   x̄ = ȳ / x

    >>> log([1.0, 10.0])
    tensor([0.      , 2.302585], float64)
    """
    x = floating("log", x)
    return record(backend.of(x.data).log(x.data), (x, lambda gy: gy / x))


def log1p(x):
    """y = log(1 + x), accurate near 0.

    dy = dx / (1 + x)        so   x̄ = ȳ / (1 + x)

    >>> log1p([0.0, 1e-20])
    tensor([0.e+00, 1.e-20], float64)
    """
    x = floating("log1p", x)
    return record(backend.of(x.data).log1p(x.data), (x, lambda gy: gy / (1 + x)))


def sqrt(x):
    """Square root  y = √x.

    x = y², so dx = 2y ⊙ dy        so   x̄ = ȳ / (2y),   infinite at 0 (that of `norm` is 0 there)

    >>> sqrt([4.0, 9.0])
    tensor([2., 3.], float64)
    """
    x = floating("sqrt", x)
    return record(backend.of(x.data).sqrt(x.data), (x, with_output(lambda gy, y: gy / (2 * y))))


def square(x):
    """Square  y = x².

    dy = 2x ⊙ dx        so   x̄ = 2 ȳ ⊙ x

    >>> square([2.0, -3.0])
    tensor([4., 9.], float64)
    """
    x = operand("square", x)
    return record(x.data * x.data, (x, lambda gy: gy * (2 * x)))


def absolute(x):
    """Absolute value  y = |x|.

    dy = sign(x) ⊙ dx        so   x̄ = ȳ ⊙ sign(x),   0 at 0

    >>> absolute([2.0, -3.0])
    tensor([2., 3.], float64)
    """
    x = operand("absolute", x)
    return record(abs(x.data), (x, lambda gy: gy * sign(x)))


def sign(x):
    """Sign  −1, 0 or 1.

    Piecewise constant: its derivative is 0, and no gradient flows.

    >>> sign([2.0, 0.0, -3.0])
    tensor([ 1.,  0., -1.], float64)
    """
    x = signed("sign", x)
    return constant(backend.of(x.data).sign(x.data))


def erf(x):
    """Error function  y = 2/√π ∫₀ˣ e^(−t²) dt.

    dy = 2/√π e^(−x²) ⊙ dx        so   x̄ = ȳ ⊙ 2/√π e^(−x²)

    >>> erf([0.0, 1.0])
    tensor([0.      , 0.842701], float64)
    """
    x = floating("erf", x)
    return record(backend.erf(x.data),
                  (x, lambda gy: gy * (2 / math.sqrt(math.pi)) * exp(-square(x))))


def maximum(a, b):
    """Larger of two  (a, b: any shapes that broadcast).

    ā = ȳ where a ≥ b,   b̄ = ȳ where a < b:   a tie sends ȳ to the first

    >>> maximum([1.0, 5.0], 3.0)
    tensor([3., 5.], float64)
    """
    a, b = operands("maximum", a, b)
    return record(_library(a, b).maximum(a.data, b.data),
                  (a, lambda gy: keep(gy, a >= b)),
                  (b, lambda gy: keep(gy, a < b)))


def minimum(a, b):
    """Smaller of two  (a, b: any shapes that broadcast).

    ā = ȳ where a ≤ b,   b̄ = ȳ where a > b:   a tie sends ȳ to the first

    >>> minimum([1.0, 5.0], 3.0)
    tensor([1., 3.], float64)
    """
    a, b = operands("minimum", a, b)
    return record(_library(a, b).minimum(a.data, b.data),
                  (a, lambda gy: keep(gy, a <= b)),
                  (b, lambda gy: keep(gy, a > b)))


def _library(a, b):
    """NumPy or CuPy, whichever has the arrays."""
    return backend.of(b.data if isinstance(a, Scalar) else a.data)


def clip(x, min=None, max=None):
    """x kept between two bounds: numbers, Tensors that broadcast against x, or None for no bound.

    y = min(max(x, low), high), by composition        so   x̄ = ȳ where low ≤ x ≤ high, 0 elsewhere;
    a bound receives ȳ where x is beyond it.  (low and high: the arguments min and max.)
    Raises ValueError where neither is given, or for numbers min > max.

    >>> clip([-2.0, 0.5, 3.0], 0, 1)
    tensor([0. , 0.5, 1. ], float64)
    """
    x = operand("clip", x)
    low, high = _bound("min", min), _bound("max", max)
    if low is None and high is None:
        raise ValueError("clip: give min, max or both")
    if isinstance(low, Real) and isinstance(high, Real) and not low <= high:    # NaN, too
        raise ValueError(f"clip: min must be at most max, got min={low} and max={high}")
    y = x if low is None else maximum(x, low)
    return y if high is None else minimum(y, high)


def _bound(argument, value):
    """A bound.  A single number without a gradient becomes Python's: a float32 x stays float32."""
    if value is None or type(value) in (int, float):
        return value
    value = operand("clip", value, argument)
    return value.item() if value.ndim == 0 and not value.requires_grad else value


def where(condition, a, b):
    """a where the condition holds, b elsewhere  (three shapes that broadcast).

    ā = ȳ where it holds, 0 elsewhere;   b̄ = ȳ where it does not, 0 elsewhere
    The cotangent is selected, not multiplied by 0 or 1: an infinity or NaN in ȳ never reaches the
    branch that was not taken.  (That branch receives 0, and a rule in it may turn this into NaN, by
    0 · ∞ or 0 / 0.  So where a quotient is a branch, its divisor needs a `where` of its own:
    where(b == 0, 0, a / where(b == 0, 1, b)).)

    >>> where([True, False], [1.0, 2.0], 0)
    tensor([1., 0.], float64)
    """
    condition = operand("where", condition, "condition") != 0
    _, a = operands("where", condition, a, ("condition", "a"))      # on one device, in shapes that
    _, b = operands("where", condition, b, ("condition", "b"))      # broadcast; numbers as Scalars
    operands("where", a, b)                                         # a beside b, too
    return record(backend.of(condition.data).where(condition.data, a.data, b.data),
                  (a, lambda gy: keep(gy, condition)),
                  (b, lambda gy: keep(gy, constant(~condition.data))))


def keep(u, condition):
    """u where the boolean condition holds, 0 elsewhere.

    dL = ⟨ȳ, keep(du)⟩ = ⟨keep(ȳ), du⟩        so   ū = ȳ where it holds, 0 elsewhere
    """
    return record(kernels.keep(u.data, condition.data), (u, lambda gy: keep(gy, condition)))


def astype(x, dtype):
    """x in another dtype.

    x̄ = ȳ, which `grad` brings to x's dtype.  Integers and booleans are constants.
    Raises TypeError for what is no floating-point, integer or boolean dtype.  (Complex ones pass,
    too, for gradcheck, which differentiates by  f'(x) ≈ Im f(x + ih) / h.)

    >>> astype([1, 2], "float32")
    tensor([1., 2.], float32)
    """
    x = operand("astype", x)
    try:
        if dtype is None:                               # which NumPy takes for float64
            raise TypeError
        wanted = backend.CPU.module.dtype(dtype).newbyteorder("=")      # in this machine's order
    except TypeError:
        raise TypeError(f"astype: {dtype!r} is not a dtype") from None
    if wanted.kind not in "fiubc":
        raise TypeError(f"astype: dtype {dtype!r} is not a floating-point, integer or boolean type")
    value = x.data.astype(wanted)
    return constant(value) if value.dtype.kind in "iub" else record(value, (x, lambda gy: gy))


def stop_gradient(x):
    """x as a constant: no cotangent flows back.

    >>> from minidl.tensor import tensor
    >>> stop_gradient(tensor([1.0], requires_grad=True))
    tensor([1.], float64)
    """
    return operand("stop_gradient", x).detach()
