"""What minidl calls what others call differently, so that an error can say it."""
import difflib
import functools
import inspect
import sys

# PyTorch's and Keras' names of functions and layers → where minidl has them
ELSEWHERE = {
    "Linear": "nn.Dense", "BatchNorm1d": "nn.BatchNorm", "BatchNorm2d": "nn.BatchNorm",
    "BatchNorm3d": "nn.BatchNorm", "BatchNormalization": "nn.BatchNorm",
    "MaxPool1d": "nn.MaxPool", "MaxPool2d": "nn.MaxPool", "MaxPool3d": "nn.MaxPool",
    "MaxPooling2D": "nn.MaxPool", "AvgPool1d": "nn.AveragePool", "AvgPool2d": "nn.AveragePool",
    "AvgPool3d": "nn.AveragePool", "AdaptiveAvgPool2d": "nn.GlobalAveragePool",
    "Conv2D": "nn.Conv2d", "Conv": "nn.Conv2d", "ModuleList": "a plain list of modules",
    "ModuleDict": "a plain dictionary of modules", "Dropout2d": "nn.Dropout",
    "CrossEntropyLoss": "losses.cross_entropy", "MSELoss": "losses.mean_squared_error",
    "L1Loss": "losses.mean_absolute_error", "BCEWithLogitsLoss":
    "losses.binary_cross_entropy_with_logits", "HuberLoss": "losses.huber",
    "TripletMarginLoss": "losses.triplet", "mse_loss": "losses.mean_squared_error",
    "l1_loss": "losses.mean_absolute_error", "mse": "losses.mean_squared_error",
    "binary_cross_entropy": "losses.binary_cross_entropy_with_logits, on logits",
    "nll_loss": "losses.cross_entropy, on logits", "triplet_margin_loss": "losses.triplet",
    "Variable": "tensor(…, requires_grad=True)", "FloatTensor": "tensor", "from_numpy": "tensor",
    "as_tensor": "tensor", "array": "tensor", "asarray": "tensor", "rand": "tensor of "
    "rng.random(shape)", "randn": "tensor of rng.standard_normal(shape)", "random":
    "numpy.random.default_rng(seed)", "manual_seed": "rng=…, given to what draws numbers",
    "cat": "ops.concatenate", "vstack": "ops.concatenate", "hstack": "ops.concatenate(…, axis=1)",
    "permute": "ops.transpose", "view": "ops.reshape", "unsqueeze": "ops.expand_dims",
    "expand": "ops.broadcast_to", "chunk": "ops.split", "mm": "ops.matmul", "bmm": "ops.matmul",
    "clamp": "ops.clip", "pow": "ops.power", "mul": "ops.multiply", "div": "ops.divide",
    "sub": "ops.subtract", "neg": "ops.negative", "abs": "ops.absolute", "gather":
    "ops.take_along_axis", "scatter_add": "ops.add_at", "index_select": "ops.take",
    "conv1d": "ops.conv", "conv2d": "ops.conv", "conv3d": "ops.conv",
    "conv_transpose2d": "ops.conv_transpose", "max_pool2d": "ops.max_pool",
    "avg_pool2d": "ops.average_pool", "interpolate": "ops.resize", "asin": "ops.arcsin",
    "acos": "ops.arccos", "atan": "ops.arctan", "logical_and": "ops.bitwise_and",
    "logical_or": "ops.bitwise_or", "logical_not": "ops.invert", "mod": "ops.remainder",
    "detach": "ops.stop_gradient", "functional": "ops", "LBFGS": "optim.minimize_lbfgs",
    "lr_scheduler": "training.schedules", "DataLoader": "data.batches", "device":
    "use_device", "cuda": "use_device(\"gpu\")"}

# the methods of PyTorch's Tensor and of NumPy's arrays → what to write for t.name
METHODS = {
    "view": "t.reshape(…)", "permute": "t.transpose(…)", "unsqueeze": "t.expand_dims(axis)",
    "clamp": "t.clip(min, max)", "pow": "t ** n", "mul": "a * b", "add": "a + b", "sub": "a - b",
    "div": "a / b", "mm": "a @ b", "matmul": "a @ b", "t": "t.T", "cpu": "t.to(\"cpu\")",
    "cuda": "t.to(\"gpu\")", "float": "t.astype(\"float32\")", "double": "t.astype(\"float64\")",
    "half": "t.astype(\"float16\")", "long": "t.astype(\"int64\")", "type": "t.astype(dtype)",
    "dim": "t.ndim", "numel": "t.size", "clone": "ops.astype(t, t.dtype), or tensor(t)",
    "copy": "tensor(t)", "tolist": "t.numpy().tolist()", "requires_grad_": "t.requires_grad = True",
    "detach_": "t.detach()", "zero_": "ops.zeros_like(t): no Tensor is changed in place",
    "add_": "t + x: no Tensor is changed in place", "expand": "t.broadcast_to(shape)",
    "gather": "t.take_along_axis(indices, axis)", "contiguous": "t itself: it has no strides",
    "is_leaf": "t.requires_grad", "grad_fn": "t.node", "conj": "t itself: it is real",
    "fill": "ops.full(shape, number)", "sort": "numpy.sort(t.numpy())"}

# NumPy's names of its functions that are not minidl's names
NUMPY = {"conjugate": "astype", "true_divide": "divide", "fabs": "absolute", "float_power": "power",
         "logical_and": "bitwise_and", "logical_or": "bitwise_or", "logical_not": "invert",
         "mod": "remainder", "amax": "max", "amin": "min", "fmax": "maximum",
         "fmin": "minimum", "positive": "add"}

# the names of arguments elsewhere → here
ARGUMENTS = {
    "lr": "learning_rate", "momentum_decay": "momentum", "beta1": "betas=(β₁, β₂)",
    "epsilon": "eps", "alpha": "smoothing", "dim": "axis", "keepdim": "keepdims",
    "in_dim": "in_features", "units": "out_features", "kernel": "kernel_size",
    "window": "kernel_size", "filters": "out_channels", "strides": "stride",
    "pad": "padding", "seed": "rng", "generator": "rng", "p": "rate",
    "negative_slope": "slope", "num_features": "features", "num_embeddings": "count",
    "embedding_dim": "features", "normalized_shape": "features", "target": "labels",
    "input": "x", "size_average": "reduction", "params": "parameters", "decay": "weight_decay"}


def unknown(module, name):
    """What an AttributeError says of a name that a module of minidl does not have."""
    start = f"{module} has no {name!r}"
    if name in ELSEWHERE:
        return f"{start}; in minidl that is {ELSEWHERE[name]}"
    return start + _close(name, getattr(sys.modules.get(module), "__all__", ()))


def told(init):
    """Decorates an __init__: a keyword that it does not know is a TypeError in minidl's words."""
    @functools.wraps(init)
    def call(self, *arguments, **options):
        if options:
            known = inspect.signature(init).parameters
            unknown = options.keys() - known
            if unknown and all(p.kind is not p.VAR_KEYWORD for p in known.values()):
                owner, name = type(self).__name__, sorted(unknown)[0]
                raise TypeError(unknown_argument(owner, name, [*known][1:]))
        init(self, *arguments, **options)

    return init if hasattr(init, "__wrapped__") else call


def unknown_argument(owner, name, known):
    """What a TypeError says of an argument's name that a function does not know."""
    start = f"{owner}: there is no argument {name!r}"
    here = ARGUMENTS.get(name, "")
    if here.partition("=")[0] in known:
        return f"{start}; in minidl it is {here}"
    return start + (_close(name, known) or f"; there are {', '.join(known)}")


def _close(name, known):
    close = difflib.get_close_matches(name, known, 1)
    return f"; is {close[0]!r} meant?" if close else ""
