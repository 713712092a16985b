"""Elementwise arithmetic and functions, with NumPy's names and NumPy's broadcasting.

Every y = f(x) here acts entry by entry, so dy = f'(x) ⊙ dx and the cotangent of x is x̄ = ȳ ⊙ f'(x).  Where an input was
broadcast, the sweep sums its cotangent back to its shape.
"""
import math
from numbers import Real

from minidl import backend, kernels
from minidl.operands import Scalar, floating, operand, operands
from minidl.tensor import Tensor, constant, record, with_output


def add(a, b):
    """Sum  y = a + b.        dL = ⟨ȳ, da + db⟩        so   ā = ȳ,   b̄ = ȳ"""
    a, b = operands("add", a, b)
    return record(a.data + b.data, (a, lambda gy: gy), (b, lambda gy: gy))


def subtract(a, b):
    """Difference  y = a − b.        dL = ⟨ȳ, da − db⟩        so   ā = ȳ,   b̄ = −ȳ"""
    a, b = operands("subtract", a, b)
    return record(a.data - b.data, (a, lambda gy: gy), (b, lambda gy: -gy))


def multiply(a, b):
    """Elementwise product  y = a ⊙ b.        dL = ⟨ȳ, da ⊙ b + a ⊙ db⟩        so   ā = ȳ ⊙ b,   b̄ = ȳ ⊙ a"""
    a, b = operands("multiply", a, b)
    return record(a.data * b.data, (a, lambda gy: gy * b), (b, lambda gy: gy * a))


def divide(a, b):
    """Quotient  y = a / b.

    dy = da / b − a ⊙ db / b² = (da − y ⊙ db) / b        so   ā = ȳ / b,   b̄ = −ȳ ⊙ y / b
    """
    a, b = operands("divide", a, b)
    return record(a.data / b.data,
                  (a, lambda gy: gy / b),
                  (b, with_output(lambda gy, y: -(gy * y) / b)))


def negative(x):
    """Negation  y = −x.        x̄ = −ȳ"""
    x = operand("negative", x)
    return record(-x.data, (x, lambda gy: -gy))


def power(a, b):
    """Power  y = aᵇ.

    dy = b aᵇ⁻¹ da + y log(a) db        so   ā = ȳ ⊙ b aᵇ⁻¹,   b̄ = ȳ ⊙ y log a
    Conventions at a = 0, for first derivatives: a⁰ = 1 has slope 0 in a, and aᵇ has slope 0 in b
    where b ≥ 0.
    Where a < 0 the slope in b is NaN.
    """
    a, b = operands("power", a, b)
    return record(a.data ** b.data,
                  (a, lambda gy: gy * _slope_in_base(a, b)),
                  (b, with_output(lambda gy, y: gy * _slope_in_exponent(a, b, y))))


def _slope_in_base(a, b):
    """b aᵇ⁻¹; 0 where a = b = 0, by another exponent there, as 0 · 0⁻¹ would be NaN."""
    if isinstance(b, Scalar):
        return b.data * a ** (b.data - 1) if b.data != 0 else zeros_like(a)
    flat = constant((a.data == 0) & (b.data == 0))
    return b * power(a, where(flat, 1, b - 1))


def _slope_in_exponent(a, b, y):
    """y log a; 0 where a = 0 ≤ b, by another logarithm there, as 0 · log 0 would be NaN."""
    flat = constant((a.data == 0) & (b.data >= 0))
    a = a.data * ones_like(y) if isinstance(a, Scalar) else a
    return where(flat, 0, y) * log(where(flat, 1, a))


def exp(x):
    """Exponential  y = eˣ.        dy = y ⊙ dx        so   x̄ = ȳ ⊙ y"""
    x = floating("exp", x)
    return record(backend.of(x.data).exp(x.data), (x, with_output(lambda gy, y: gy * y)))


def expm1(x):
    """y = eˣ − 1, accurate near 0.        x̄ = ȳ ⊙ eˣ

    eˣ is y + 1 too, but without digits where it is small.
    """
    x = floating("expm1", x)
    return record(backend.of(x.data).expm1(x.data), (x, lambda gy: gy * exp(x)))


def log(x):
    """Natural logarithm  y = log x.        dy = dx / x        so   x̄ = ȳ / x"""
    x = floating("log", x)
    return record(backend.of(x.data).log(x.data), (x, lambda gy: gy / x))


def log1p(x):
    """y = log(1 + x), accurate near 0.        x̄ = ȳ / (1 + x)"""
    x = floating("log1p", x)
    return record(backend.of(x.data).log1p(x.data), (x, lambda gy: gy / (1 + x)))


def sqrt(x):
    """Square root  y = √x.        dy = dx / (2y)        so   x̄ = ȳ / (2y),   infinite at 0 (see `norm` for a safe one)"""
    x = floating("sqrt", x)
    return record(backend.of(x.data).sqrt(x.data), (x, with_output(lambda gy, y: gy / (2 * y))))


def square(x):
    """Square  y = x².        x̄ = 2 ȳ ⊙ x"""
    x = operand("square", x)
    return record(x.data * x.data, (x, lambda gy: gy * (2 * x)))


def absolute(x):
    """Absolute value  y = |x|.        x̄ = ȳ ⊙ sign(x),   0 at 0"""
    x = operand("absolute", x)
    return record(abs(x.data), (x, lambda gy: gy * sign(x)))


def sign(x):
    """Sign  −1, 0 or 1.  Piecewise constant: its derivative is 0, so the result is a constant."""
    x = operand("sign", x)
    return constant(backend.of(x.data).sign(x.data))


def sin(x):
    """Sine (radians).        x̄ = ȳ ⊙ cos x"""
    x = floating("sin", x)
    return record(backend.of(x.data).sin(x.data), (x, lambda gy: gy * cos(x)))


def cos(x):
    """Cosine (radians).        x̄ = −ȳ ⊙ sin x"""
    x = floating("cos", x)
    return record(backend.of(x.data).cos(x.data), (x, lambda gy: -gy * sin(x)))


def erf(x):
    """Error function  y = 2/√π ∫₀ˣ e^(−t²) dt.        x̄ = ȳ ⊙ 2/√π e^(−x²)"""
    x = floating("erf", x)
    return record(backend.erf(x.data), (x, lambda gy: gy * (2 / math.sqrt(math.pi)) * exp(-square(x))))


def maximum(a, b):
    """Larger of two.        ā = ȳ where a ≥ b,   b̄ = ȳ where a < b: a tie sends ȳ to the first"""
    a, b = operands("maximum", a, b)
    return record(_library(a, b).maximum(a.data, b.data),
                  (a, lambda gy: keep(gy, a >= b)),
                  (b, lambda gy: keep(gy, a < b)))


def minimum(a, b):
    """Smaller of two.        ā = ȳ where a ≤ b,   b̄ = ȳ where a > b: a tie sends ȳ to the first"""
    a, b = operands("minimum", a, b)
    return record(_library(a, b).minimum(a.data, b.data),
                  (a, lambda gy: keep(gy, a <= b)),
                  (b, lambda gy: keep(gy, a > b)))


def _library(a, b):
    return backend.of(b.data if isinstance(a, Scalar) else a.data)


def clip(x, lowest=None, highest=None):
    """x held between two bounds: numbers, Tensors that broadcast against x, or None for no bound.

    y = min(max(x, lowest), highest)        so   x̄ = ȳ where lowest ≤ x ≤ highest, 0 elsewhere;
    a bound receives ȳ where x is beyond it.  Raises ValueError without a bound, or for numbers
    lowest > highest.
    """
    x = operand("clip", x)
    lowest, highest = _bound(lowest), _bound(highest)
    if lowest is None and highest is None:
        raise ValueError("clip: give lowest, highest or both")
    if isinstance(lowest, Real) and isinstance(highest, Real) and lowest > highest:
        raise ValueError(f"clip: lowest {lowest} is above highest {highest}")
    y = x if lowest is None else maximum(x, lowest)
    return y if highest is None else minimum(y, highest)


def _bound(value):
    """One number to which no gradient flows as a Python number, which promotes no array."""
    single = getattr(value, "ndim", None) == 0 and not getattr(value, "requires_grad", False)
    return value.item() if single else value


def where(condition, a, b):
    """a where the condition holds, b elsewhere.        ā = ȳ where it holds,   b̄ = ȳ elsewhere

    The cotangent is selected, not multiplied by 0 or 1: an infinity or NaN of the branch not taken stays out.
    """
    condition = operand("where", condition, "condition") != 0
    _, a = operands("where", condition, a, ("condition", "a"))
    _, b = operands("where", condition, b, ("condition", "b"))
    if isinstance(a, Tensor):
        operands("where", a, b)
    return record(backend.of(condition.data).where(condition.data, a.data, b.data),
                  (a, lambda gy: keep(gy, condition)),
                  (b, lambda gy: keep(gy, constant(~condition.data))))


def keep(u, condition):
    """u where the boolean condition holds, 0 elsewhere.  Linear in u:        ū = ȳ where it holds, 0 elsewhere"""
    return record(kernels.keep(u.data, condition.data), (u, lambda gy: keep(gy, condition)))


def astype(x, dtype):
    """x in another dtype.        x̄ = ȳ, in x's dtype.  To integers or booleans no gradient flows."""
    x = operand("astype", x)
    try:
        wanted = backend.CPU.module.dtype(dtype).newbyteorder("=")
    except TypeError:
        raise TypeError(f"astype: {dtype!r} is not a dtype") from None
    if wanted.kind not in "fiubc":                      # gradcheck's complex steps are complex
        raise TypeError(f"astype: dtype {dtype!r} is not a floating-point, integer or boolean type")
    value = x.data.astype(wanted)
    return constant(value) if value.dtype.kind in "iub" else record(value, (x, lambda gy: gy))


def _comparison(name, compare):
    def operation(a, b):
        a, b = operands(name, a, b)
        return constant(compare(a.data, b.data))
    operation.__name__ = name
    operation.__doc__ = f"NumPy's `{name}`, elementwise: a boolean Tensor, through which no gradient flows."
    return operation


equal = _comparison("equal", lambda a, b: a == b)
not_equal = _comparison("not_equal", lambda a, b: a != b)
less = _comparison("less", lambda a, b: a < b)
less_equal = _comparison("less_equal", lambda a, b: a <= b)
greater = _comparison("greater", lambda a, b: a > b)
greater_equal = _comparison("greater_equal", lambda a, b: a >= b)


def zeros_like(x):
    """Zeros of x's shape, dtype and device."""
    x = operand("zeros_like", x)
    return constant(backend.of(x.data).zeros_like(x.data))


def ones_like(x):
    """Ones of x's shape, dtype and device."""
    x = operand("ones_like", x)
    return constant(backend.of(x.data).ones_like(x.data))


def stop_gradient(x):
    """x as a constant: no cotangent flows back."""
    return operand("stop_gradient", x).detach()
