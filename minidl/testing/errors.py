"""What the checks of this package raise."""


class GradientError(AssertionError):
    """A gradient that is not the derivative of its function, or that breaks a rule of the engine.

    The message says everything in words; for programs, as far as they are known (None: not):
        function        the name of the function; "gradient of f" where a second derivative is wrong
        order           of the derivative: 1, 2, …
        argument        which one, as "argument 1 ('b')"
        index           of the entry of that argument, a tuple
        gradient        what reverse mode gives there, a number
        difference      what differences (or complex steps) give there
        relative_error  |gradient − difference| / the larger of the two
        shapes          of all inputs
        seed            that repeats the check
    """

    def __init__(self, message, *, function=None, order=None, argument=None, index=None,
                 gradient=None, difference=None, relative_error=None, shapes=None, seed=None):
        super().__init__(message)
        self.function, self.order, self.argument, self.index = function, order, argument, index
        self.gradient, self.difference, self.relative_error = gradient, difference, relative_error
        self.shapes, self.seed = shapes, seed


class NotDifferentiableError(GradientError):
    """The function has no derivative at this input: a kink, a jump, or the end of its domain.

    The gradient may be right.  Where Hypothesis draws the input, catch it and `assume(False)`; or
    draw with `tie_free` and `away_from`.
    """


class NotAnalyticError(ValueError):
    """Complex steps do not measure this function: it is not analytic, or it refuses complex arrays.

    This says nothing about its gradient.
    """

    def __init__(self, function, reason):
        super().__init__(f"gradcheck of {function}: method 'complex' needs an analytic function; "
                         f"{reason}; use method='central'")
        self.function = function
