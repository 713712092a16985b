"""A number and its slope: operations that act entry by entry."""
from minidl.learn.path.chapter import Chapter, derive, fault, write

NUMBERS = Chapter("1. A number and its slope", (
    write("square", "ops.elementwise:square", "x"),
    write("subtract-right", "ops.elementwise:subtract", "b"),
    write("mul-left", "ops.elementwise:multiply", "a"),
    fault("factor-two", "factor_two_forgotten"),
    derive("exp", "ops.elementwise:exp", "x", hidden="y ⊙ dx"),
    derive("log", "ops.elementwise:log", "x", hidden="dx / x"),
    derive("sqrt", "ops.elementwise:sqrt", "x"),
    write("cos", "ops.trigonometry:cos", "x"),
    derive("divide-right", "ops.elementwise:divide", "b",
           hidden="da / b − a ⊙ db / b² = (da − y ⊙ db) / b"),
    fault("operands", "operands_exchanged"),
    derive("arctan", "ops.trigonometry:arctan", "x"),
    derive("erf", "ops.elementwise:erf", "x", hidden="2/√π e^(−x²) ⊙ dx"),
    write("absolute", "ops.elementwise:absolute", "x"),
    fault("inner-derivative", "inner_derivative_forgotten"),
    fault("half-a-product", "half_of_the_product_rule"),
    fault("cotangent", "cotangent_forgotten"),
))
