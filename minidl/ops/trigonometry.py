"""Trigonometric and hyperbolic functions and their inverses, entry by entry; angles in radians.

Every y = f(x) has x's shape, and x̄ = ȳ ⊙ f'(x).  Whole numbers become float64.  (The hyperbolic
tangent stands among the nonlinearities of networks, in activation.py.)
"""
from minidl import backend
from minidl.operands import floating
from minidl.ops.elementwise import sqrt, square
from minidl.ops.precision import precise
from minidl.tensor import record, with_output


def sin(x):
    """Sine.

    dy = cos(x) dx        so   x̄ = ȳ ⊙ cos x

    >>> sin([0.0, 1.5707963267948966])
    tensor([0., 1.], float64)
    """
    x = floating("sin", x)
    return record(backend.of(x.data).sin(x.data), (x, lambda gy: gy * cos(x)))


def cos(x):
    """Cosine.

    dy = −sin(x) dx        so   x̄ = −ȳ ⊙ sin x

    >>> cos([0.0, 3.141592653589793])
    tensor([ 1., -1.], float64)
    """
    x = floating("cos", x)
    return record(backend.of(x.data).cos(x.data), (x, lambda gy: -gy * sin(x)))


def tan(x):
    """Tangent  y = sin x / cos x.

    dy = (cos² x + sin² x) / cos² x dx = (1 + y²) dx        so   x̄ = ȳ ⊙ (1 + y²)

    >>> tan([0.0, 1.0])
    tensor([0.      , 1.557408], float64)
    """
    x = floating("tan", x)
    return record(backend.of(x.data).tan(x.data),
                  (x, with_output(lambda gy, y: gy * (1 + square(y)))))


def arcsin(x):
    """The y in [−π/2, π/2] with sin y = x; NaN where |x| > 1.

    dx = cos(y) dy, and cos y = √(1 − x²)        so   x̄ = ȳ / √((1 − x)(1 + x)),   infinite at ±1
    (1 − x² written as a product keeps its digits near ±1.)

    >>> arcsin([0.0, 1.0])
    tensor([0.      , 1.570796], float64)
    """
    x = floating("arcsin", x)
    return record(backend.of(x.data).arcsin(x.data), (x, lambda gy: gy / sqrt((1 - x) * (1 + x))))


def arccos(x):
    """The y in [0, π] with cos y = x; NaN where |x| > 1.

    dx = −sin(y) dy, and sin y = √(1 − x²)      so   x̄ = −ȳ / √((1 − x)(1 + x)),   infinite at ±1

    >>> arccos([1.0, 0.0])
    tensor([0.      , 1.570796], float64)
    """
    x = floating("arccos", x)
    return record(backend.of(x.data).arccos(x.data), (x, lambda gy: -gy / sqrt((1 - x) * (1 + x))))


@precise
def arctan(x):
    """The y in (−π/2, π/2) with tan y = x.

    dx = (1 + tan² y) dy        so   x̄ = ȳ / (1 + x²)

    >>> arctan([0.0, 1.0])
    tensor([0.      , 0.785398], float64)
    """
    return record(backend.of(x.data).arctan(x.data), (x, lambda gy: gy / (1 + square(x))))


def sinh(x):
    """Hyperbolic sine  y = (eˣ − e⁻ˣ) / 2.

    dy = cosh(x) dx        so   x̄ = ȳ ⊙ cosh x

    >>> sinh([0.0, 1.0])
    tensor([0.      , 1.175201], float64)
    """
    x = floating("sinh", x)
    return record(backend.of(x.data).sinh(x.data), (x, lambda gy: gy * cosh(x)))


def cosh(x):
    """Hyperbolic cosine  y = (eˣ + e⁻ˣ) / 2.

    dy = sinh(x) dx        so   x̄ = ȳ ⊙ sinh x

    >>> cosh([0.0, 1.0])
    tensor([1.      , 1.543081], float64)
    """
    x = floating("cosh", x)
    return record(backend.of(x.data).cosh(x.data), (x, lambda gy: gy * sinh(x)))


@precise
def arcsinh(x):
    """The y with sinh y = x.

    dx = cosh(y) dy, and cosh y = √(1 + x²)        so   x̄ = ȳ / √(1 + x²)

    >>> arcsinh([0.0, 1.0])
    tensor([0.      , 0.881374], float64)
    """
    return record(backend.of(x.data).arcsinh(x.data), (x, lambda gy: gy / sqrt(1 + square(x))))


def arccosh(x):
    """The y ≥ 0 with cosh y = x; NaN where x < 1.

    dx = sinh(y) dy, and sinh y = √(x² − 1)    so   x̄ = ȳ / (√(x − 1) √(x + 1)),   infinite at 1

    >>> arccosh([1.0, 2.0])
    tensor([0.      , 1.316958], float64)
    """
    x = floating("arccosh", x)
    return record(backend.of(x.data).arccosh(x.data),
                  (x, lambda gy: gy / (sqrt(x - 1) * sqrt(x + 1))))


def arctanh(x):
    """The y with tanh y = x; infinite at ±1, NaN where |x| > 1.

    dx = (1 − tanh² y) dy        so   x̄ = ȳ / ((1 − x)(1 + x))

    >>> arctanh([0.0, 0.5])
    tensor([0.      , 0.549306], float64)
    """
    x = floating("arctanh", x)
    return record(backend.of(x.data).arctanh(x.data), (x, lambda gy: gy / ((1 - x) * (1 + x))))
