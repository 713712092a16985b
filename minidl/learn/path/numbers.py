"""A number and its slope: operations that act entry by entry."""
from minidl.learn.path.chapter import Chapter, derive, fault, write

NUMBERS = Chapter("1. A number and its slope", (
    write("square", "ops.elementwise:square", "x"),
    write("subtract-right", "ops.elementwise:subtract", "b"),
    write("mul-left", "ops.elementwise:multiply", "a"),
    fault("factor-two", "factor_two_forgotten"),
    derive("exp", "ops.elementwise:exp", "x"),
    derive("log", "ops.elementwise:log", "x"),
    derive("sqrt", "ops.elementwise:sqrt", "x"),
    write("cos", "ops.trigonometry:cos", "x"),
    derive("divide-right", "ops.elementwise:divide", "b"),
    fault("tanh-cotangent", "cotangent_forgotten"),
))
