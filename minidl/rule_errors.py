"""Errors for rules that cannot be called, or that return something other than a cotangent.

Whoever adds an operation meets these first.  Each names the operation, the place where the rule
stands and the line that is written there.
"""
import functools
import inspect
import linecache
import os
import sys

from minidl import backend
from minidl.recording import recording_now


def checked_value(value):
    """The value of an operation as an array; raises TypeError where it is not made of numbers."""
    try:
        array = backend.CPU.module.asarray(value)
    except ValueError:                                  # rows of several lengths
        array = backend.CPU.module.asarray(value, object)
    except TypeError:                                   # a Tensor that requires a gradient
        array = None
    if array is None or array.dtype.kind not in "fiubc":
        operation = sys._getframe(2).f_code.co_name
        raise TypeError(f"{operation}: the value given to record must be an array of numbers, got "
                        f"{_kind(value if array is None else array[()])}; of a Tensor x it is "
                        "x.data")
    return array


def boolean(argument, value):
    """True or False, of an integer, too; TypeError for a dtype, which stands there in NumPy."""
    if isinstance(value, (int, backend.CPU.module.bool_)):
        return bool(value)
    raise TypeError(f"{argument} must be True or False, got {value!r:.60}; dtype=… is named")


def bad_inputs(inputs):
    """The TypeError for arguments of `record` that are no (Tensor, rule); called by `record`."""
    operation = sys._getframe(2).f_code.co_name
    for number, pair in enumerate(inputs, 1):
        start = f"{operation}: input {number} given to record"
        if not isinstance(pair, tuple) or len(pair) != 2:
            return TypeError(f"{start} must be a pair (Tensor, rule), or ((Tensor, …), rule) "
                             f"for inputs that share a rule; got {_kind(pair)}")
        tensors, rule = pair
        for x in tensors if isinstance(tensors, tuple) else (tensors,):
            if not hasattr(x, "node"):
                return TypeError(f"{start} must be a Tensor, got {_kind(x)}; "
                                 "md.operand makes a Tensor of what an operation is given")
        if not callable(getattr(rule, "rule", rule)):
            return TypeError(f"{start} has {_kind(rule)} for a rule; a rule is a function of ȳ")
    return TypeError(f"{operation}: record takes pairs (Tensor, rule)")


def check_differentiable(operation, output, inputs, ready, kind):
    """Raise TypeError unless all are of the kind, Tensors, and `ready` can be called; ValueError
    where one of the inputs requires no gradient, or the output was not recorded."""
    if ready is not None and not callable(ready):
        raise TypeError(f"{operation}: ready must be a function (x, gradient), or None, got "
                        f"{type(ready).__name__}")
    for i, x in enumerate(inputs):
        if not isinstance(x, kind):
            raise TypeError(f"{operation}: inputs[{i}] must be a Tensor, got {type(x).__name__}")
        if x.node is None:
            raise ValueError(f"{operation}: inputs[{i}] of shape {x.shape} does not require a "
                             "gradient")
    if not isinstance(output, kind):
        raise TypeError(f"{operation}: output must be a Tensor, got {type(output).__name__}")
    if output.node is None and inputs and not recording_now():
        raise ValueError(f"{operation}: the output was not recorded, as this is within no_grad(); "
                         "compute it outside, or within recording(True)")


def needs_cotangent(operation, argument, output):
    """The ValueError for an output of several numbers without a cotangent."""
    return ValueError(f"{operation}: the output has shape {output.shape}; without a cotangent "
                      f"({argument}) of that shape only a single number can be differentiated")


def no_array(operation, argument, cotangent):
    """The TypeError for a cotangent that is no array."""
    return TypeError(f"{operation}: {argument} must be a Tensor or an array, "
                     f"got {type(cotangent).__name__}")


def of_call(rule, error):
    """The TypeError for a rule that cannot be called as it should be; the error where it can be."""
    marked = hasattr(rule, "rule")
    function = rule.rule if marked else rule
    try:
        inspect.signature(function).bind(*(None,) * (1 + marked))
    except TypeError as misfit:
        given = "ȳ and y, as with_output says" if marked else "ȳ"
        return TypeError(f"{place(rule)}: a rule is called with {given}, and this one cannot be "
                         f"({misfit}); one that needs the output y is given as "
                         "with_output(lambda gy, y: …)")
    except ValueError:                      # written in C: Python does not know its parameters
        pass
    return error


def bad_cotangent(rule, found, shape):
    """The TypeError or ValueError for what a rule gave for an input of that shape."""
    start = f"{place(rule)}: the rule of an input of shape {shape} gave {_kind(found)}"
    if hasattr(found, "node"):
        return ValueError(f"{start}; a cotangent has the shape of its input, "
                          "or one to which that broadcasts")
    if found is None:
        return TypeError(f"{start}, though a gradient is asked for; a rule gives a Tensor")
    return TypeError(f"{start}; a rule gives a Tensor: it is written in operations of Tensors "
                     "(gy * b, not gy.data * b.data), which can be differentiated in turn")


def several(operation, inputs):
    """The inputs as a list; one Tensor stands for itself."""
    if hasattr(inputs, "node"):
        return [inputs]
    if isinstance(inputs, (str, dict)) or not hasattr(inputs, "__iter__"):
        raise TypeError(f"{operation}: inputs must be a Tensor or a list of them, "
                        f"got {_kind(inputs)}")
    return list(inputs)


def bad_gradient(operation, argument, cotangent, x, owner):
    """The DeviceError or ValueError for a cotangent of x that the caller gives."""
    if cotangent.device != x.device:
        return backend.DeviceError(f"{operation}: {argument} is on {cotangent.device!r}, the "
                                   f"{owner} on {x.device!r}; bring them to one device with "
                                   ".to(device)")
    return ValueError(f"{operation}: {argument} has shape {cotangent.shape}, the {owner} "
                      f"{x.shape}; they must agree")


def bad_count(rule, found, number):
    """The TypeError or ValueError for what a rule shared by `number` inputs gave."""
    start = f"{place(rule)}: a rule shared by {number} inputs gives a tuple of {number} cotangents"
    if isinstance(found, tuple):
        return ValueError(f"{start}; this one gave {len(found)}")
    return TypeError(f"{start}, with None where none is wanted; this one gave {_kind(found)}")


def place(rule):
    """The operation of a rule, and where that is written: name (file.py, line 7: `code`)."""
    rule = getattr(rule, "rule", rule)                  # with_output
    while isinstance(rule, functools.partial):
        rule = rule.func
    code = getattr(rule, "__code__", None)
    name = getattr(rule, "__qualname__", None) or type(rule).__qualname__
    if code is None:
        return name
    line = linecache.getline(code.co_filename, code.co_firstlineno).strip()
    where = f"{os.path.basename(code.co_filename)}, line {code.co_firstlineno}"
    return f"{name.split('.<locals>')[0]} ({where}" + f": `{line}`" * bool(line) + ")"


def _kind(x):
    """What x is, in words."""
    if x is None:
        return "None"
    if hasattr(x, "node"):
        return f"a Tensor of shape {x.shape}"
    if backend.is_array(x):
        return f"an array of shape {x.shape} ({type(x).__module__})"
    return f"{type(x).__name__} {x!r:.60}"
