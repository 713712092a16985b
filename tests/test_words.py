"""What a newcomer reads, types and is told: help(), examples, and errors in minidl's own words."""
import inspect
import pathlib
import pydoc
import re

import numpy as np
import odd_arguments
import odd_calls
import pytest

import minidl as md
from minidl import (
    classification,
    data,
    faces,
    gan,
    losses,
    models,
    nn,
    oneshot,
    ops,
    optim,
    style,
    testing,
    training,
    visualize,
    weights,
)
from minidl.parallel import distributed

ROOT = pathlib.Path(md.__file__).parent
ROOMS = [md, ops, nn, losses, optim, testing, data, weights, models, training, faces, oneshot,
         style, visualize, gan, classification, distributed]
FILES = [path for pattern in ("tensor.py", "operands.py", "arraylike.py", "backend.py", "losses.py",
                              "optim.py", "minimize.py", "recording.py", "rule_errors.py",
                              "settings.py", "states.py", "names.py", "notation.py",
                              "__init__.py", "ops/*.py", "nn/*.py", "testing/*.py")
         for path in sorted(ROOT.glob(pattern))]


def name(room):
    return room.__name__


@pytest.mark.parametrize("room", ROOMS, ids=name)
def test_help_names_every_public_name_in_a_line(room):
    shown = re.sub(".\b", "", pydoc.render_doc(room))
    lines = [line.split("  ")[0] for line in inspect.getdoc(room).splitlines()
             if re.match(r"    [A-Za-z]", line)] + [
        line.strip().split("  ")[0] for line in inspect.getdoc(room).splitlines()
        if line.startswith("    ")]
    named = {word for line in lines for word in re.split(r",\s*", line.strip())}
    assert set(room.__all__) - named == set()
    functions = [n for n in room.__all__ if inspect.isfunction(getattr(room, n, None))]
    assert [n for n in functions if not re.search(rf"^ +{n}\(", shown, re.MULTILINE)] == []


@pytest.mark.parametrize("room", [ops, nn, losses, optim], ids=name)
def test_every_public_name_has_an_example_that_runs(room):
    """They are run as doctests."""
    without = [n for n in room.__all__ if callable(getattr(room, n))
               and ">>> " not in getattr(room, n).__doc__]
    assert without == []


@pytest.mark.parametrize("room", [ops, nn, losses, optim], ids=name)
def test_every_public_name_is_told_apart_by_its_first_line(room):
    first = [inspect.getdoc(getattr(room, n)).split("\n")[0] for n in room.__all__
             if callable(getattr(room, n))]
    assert len(set(first)) == len(first) and all(len(line) <= 100 for line in first)


def test_no_line_is_longer_than_100():
    long = [f"{path.name}:{i}" for path in FILES
            for i, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            if len(line) > 100]
    assert long == []


def test_errors_are_in_our_words():
    """At least 97 of 100 calls that fail say why in minidl's words, in every room; none hangs or
    changes its arguments."""
    found = odd_calls.measure()
    assert found.failed.total() > 15000 and found.hung == [] and found.changed == []
    assert {room: share for room, share in found.shares().items() if share < 0.97} == {}, (
        "\n".join(found.foreign))


@pytest.mark.parametrize("room", odd_calls.ROOMS, ids=odd_calls.short)
def test_every_public_callable_is_called_oddly(room):
    """It has an example, or a row in tests/odd_arguments.py."""
    called = {label for label, *_ in odd_calls.callables([room])}
    names = {f"{odd_calls.short(room)}.{n}" for n, _ in odd_calls.public(room)}
    assert names - called <= {"nn.Module", "optim.Optimizer", "optim.Minimum"}


t = md.tensor([1.0, 2.0])
w = md.tensor([1.0, 2.0], requires_grad=True)

MISTAKES = {
    "minidl.nn has no 'Linear'; in minidl that is nn.Dense": lambda: nn.Linear(3, 2),
    "minidl.nn has no 'BatchNorm2d'; in minidl that is nn.BatchNorm": lambda: nn.BatchNorm2d(3),
    "minidl.ops has no 'cat'; in minidl that is ops.concatenate": lambda: ops.cat([t, t]),
    "minidl.ops has no 'sofmax'; is 'softmax' meant?": lambda: ops.sofmax(t),
    "minidl.losses has no 'MSELoss'; in minidl that is losses.mean_squared_error":
        lambda: losses.MSELoss(),
    "minidl.optim has no 'adam'; is 'Adam' meant?": lambda: optim.adam(w),
    "minidl has no 'from_numpy'; in minidl that is tensor": lambda: md.from_numpy(np.zeros(2)),
    "a Tensor has no 'view'; write t.reshape": lambda: t.view(2, 1),
    "a Tensor has no 'unsqueeze'; write t.expand_dims": lambda: t.unsqueeze(0),
    "a Tensor has no 'numel'; write t.size": lambda: t.numel(),
    "numpy.sin takes no Tensor: ops.sin does": lambda: np.sin(t),
    "numpy.logical_and takes no Tensor: ops.bitwise_and does": lambda: np.logical_and(t, t),
    "numpy.sum takes no Tensor: ops.sum does": lambda: np.sum(t),
    "numpy.mean takes no Tensor: ops.mean does": lambda: np.mean(t, axis=0),
    "numpy.amax takes no Tensor: ops.max does": lambda: np.amax(t),
    "exp: x must be a Tensor or an array, got a list of which NumPy makes no array of numbers":
        lambda: ops.exp([[1, 2], [3]]),
    r"numpy.hypot takes no Tensor: t.numpy\(\) is an array": lambda: np.hypot(t, t),
    r"numpy.divmod takes no Tensor: t.numpy\(\) is an array": lambda: divmod(np.ones(2), t),
    "Adam: there is no argument 'lr'; in minidl it is learning_rate": lambda: optim.Adam(w, lr=0.1),
    "SGD: there is no argument 'lr'; in minidl it is learning_rate": lambda: optim.SGD(w, lr=0.1),
    "Dense: there is no argument 'units'; in minidl it is out_features":
        lambda: nn.Dense(3, units=2, rng=0),
    "ConvTranspose2d: there is no argument 'outpad'; is 'output_padding' meant":
        lambda: nn.ConvTranspose2d(1, 2, 3, outpad=1, rng=0),
    "Conv2d: there is no argument 'strides'; in minidl it is stride":
        lambda: nn.Conv2d(3, 2, 3, strides=2, rng=0),
    "Dropout: there is no argument 'p'; in minidl it is rate": lambda: nn.Dropout(p=0.5),
    "randomness is explicit in minidl: pass rng": lambda: nn.Dense(3, 2),
    "Dropout: there is no argument 'q'; there are rate, rng": lambda: nn.Dropout(q=0.5),
    "Dense: initializer must be a function": lambda: nn.Dense(3, 2, initializer="he", rng=0),
    "Dense: initializer gave weights of shape .1,.":
        lambda: nn.Dense(3, 2, initializer=lambda *_: np.zeros(1), rng=0),
    "bitwise_and: a must be of booleans or integers, got float64; compare first": lambda: t & t,
    "negative: x is of booleans": lambda: -(t > 1),
    "tensor: the rows of nested lists must be of one length":
        lambda: md.tensor([[1.0], [1.0, 2.0]]),
    "a device is named by a string": lambda: md.zeros(2, device=0),
    "grad: inputs must be a Tensor or a list of them, got None": lambda: md.grad(w.sum(), None),
    "conv: stride must be below": lambda: ops.conv([[[1.0]]], [[[1.0]]], stride=10 ** 30),
    "zeros: shape .* has more elements than fit into memory": lambda: md.zeros((10 ** 30, 2)),
    "zeros: shape must not be negative": lambda: md.zeros(-1),
    "rng must be a seed of at least 0, got -1": lambda: nn.Dense(3, 2, rng=-1),
    "Adam: learning_rate must be in .*, got inf": lambda: optim.Adam(w, float("inf")),
    "Adam: beta must be in .*, got 1": lambda: optim.Adam(w, betas=(0.9, 1)),
    "Adam: eps must be in .*, got -1": lambda: optim.Adam(w, eps=-1),
    "standardize: eps must be in .*, got -1": lambda: ops.standardize(t, 0, -1),
    "batch_norm: eps must be in .*, got -1":
        lambda: ops.batch_norm([[1.0], [2.0]], [1.0], [0.0], eps=-1),
    "dropout: rate must be in .*, got nan": lambda: ops.dropout(t, float("nan"), 0),
    "triplet: margin must be in .*, got -1": lambda: losses.triplet([[1.0]], [[1.0]], [[1.0]], -1),
    "exp: x must be a Tensor or an array, got complex": lambda: ops.exp(1j),
    "summary: model must be a Module, got function": lambda: nn.summary(ops.relu, (3,)),
    # of the applications
    "encode: batch must be an integer ≥ 1, got -1": lambda: faces.encode(
        odd_arguments.encoder(), [odd_arguments.PICTURE], batch=-1),
    "encode: encoder must be a Module with size and channels, got str, which has no size":
        lambda: faces.encode("face128", []),
    "train: margin must be in 0 ≤ margin < inf, got -1": lambda: faces.train(
        **odd_arguments.face_training() | {"margin": -1}),
    "semi_hard: margin must be in 0 ≤ margin ≤ inf, got -0.1": lambda: faces.semi_hard(
        [0, 1], np.zeros((2, 2)), -0.1),
    "roc: distances must be an array of numbers, got an array of complex128": lambda: faces.roc(
        np.array([1j, 2.0]), [0, 1]),
    "Recipe: learning_rate must be in .*, got inf": lambda: gan.Recipe(learning_rate=float("inf")),
    "PeopleSampler: seed must be one integer, got 1.5": lambda: faces.PeopleSampler(
        odd_arguments.LABELS, 2, 2, seed=1.5),
    "train: steps must be an integer ≥ 1, got 0.5": lambda: oneshot.train(
        models.CharacterEncoder(rng=0), odd_arguments.characters(), steps=0.5),
    "Loop: steps must be a whole number, got 0.5": lambda: training.Loop(print, print, 0.5),
    "preview: looks and style_scales must each hold at least one value": lambda: style.preview(
        odd_arguments.PICTURE, odd_arguments.PICTURE, looks=[]),
    "split_people: share must be in 0 < share < 1, got 1.5": lambda: data.split_people(
        None, 1.5, 0),
    "drawn_faces: size must be below": lambda: data.drawn_faces(1, 1, size=10 ** 30),
    "chip: size must be in 1 ≤ size ≤ 16384, got 1000": lambda: faces.chip(
        odd_arguments.PICTURE, odd_arguments.LANDMARKS, size=10 ** 30),
    "read_people: folder must be a path, got int 3": lambda: data.read_people(3),
    "open_file: path must be a path, got bool True": lambda: weights.load(True),
    "luminance: picture must be numbers .H, W, 3., got shape .3,.": lambda: style.luminance(
        [1.0, 2.0, 3.0]),
    "top_patches: callback must be a function of a number, or None": lambda: visualize.top_patches(
        odd_arguments.net(), [], "relu1", callback=1),
    "gradcheck: order must be in 1 ≤ order ≤ 9, got 0": lambda: testing.gradcheck(
        ops.exp, 1.0, order=0),
    # of signals, volumes, and several processes
    "GridAugmentation: noise must be in 0 ≤ noise < inf, got -1": lambda: data.GridAugmentation(
        noise=-1),
    "drawn_beats: count must be below": lambda: data.drawn_beats(10 ** 30),
    "tubes_and_balls: size must be in 8 ≤ size < inf, got 7": lambda: data.tubes_and_balls(1, 7),
    "find_beats: recording must be a Recording, got ndarray": lambda: data.find_beats(np.zeros(9)),
    "find_beats: hertz must be in 50 ≤ hertz < inf, got 1": lambda: data.find_beats(
        odd_arguments.PULSE._replace(hertz=1e-9)),
    "windows: a recording must be numbers .T, C., got shape .12,.": lambda: data.windows(
        [np.zeros(12)], 4, 2),
    "windows: hop must be an integer ≥ 1, got 0": lambda: data.windows([np.zeros((12, 2))], 4, 0),
    "read_nifti: path must be a path, got int 3": lambda: data.read_nifti(3),
    "read_brain: grey must be a path, got NoneType": lambda: data.read_brain("a", None, "b"),
    "watch_exercises: mirrored must be True or False, got str": lambda: data.watch_exercises("no"),
    "convnet: axes must be in 1 ≤ axes ≤ 3, got 4": lambda: classification.convnet(
        4, 1, 2, [], rng=0),
    "convnet: a block must be a Block, got tuple": lambda: classification.convnet(
        1, 1, 2, [(8, 3)], rng=0),
    "Recipe: learning_rate must be in .*, got nan": lambda: classification.Recipe(
        learning_rate=float("nan")),
    "train: expected 8 labels, one for each example, got 7": lambda: classification.train(
        odd_arguments.classifier(), odd_arguments.SIGNALS, odd_arguments.LABELS[:7],
        classification.Recipe()),
    "score_gradient: labels lie between 0 and 4; allowed are 0 to 3":
        lambda: classification.score_gradient(odd_arguments.classifier(), odd_arguments.SIGNALS[:2],
                                              [0, 4]),
    "confusion: answers lie between -1 and 1; allowed are 0 to 1": lambda: classification.confusion(
        [0, 1], [-1, 1], 2),
    "nearest_neighbour: x .8, 12, 2., labels .8,. and asked .8, 11, 2. do not fit":
        lambda: classification.nearest_neighbour(
            odd_arguments.SIGNALS, odd_arguments.LABELS, odd_arguments.SIGNALS[:, 1:]),
    "interval: answers must be an integer ≥ 1, got 0": lambda: classification.interval([]),
    "Standard: x must have 2 channels on its last axis": lambda: classification.Standard.of(
        odd_arguments.SIGNALS)(np.zeros((3, 5))),
    "indices: batch_size must be an integer ≥ 1, got 0": lambda: training.indices(0, 8, 0, 0),
    "indices: t must be in 0 ≤ t < inf, got -1": lambda: training.indices(-1, 8, 2, 0),
    "cosine: t must be in -1 < t < inf, got -1": lambda: training.schedules.cosine(-1, 10),
    "inverse_root: t must be a number, got None": lambda: training.schedules.inverse_root(None, 10),
    "warm_up_cosine: steps must be in 0 < steps < inf, got 0":
        lambda: training.schedules.warm_up_cosine(0, 0),
    "jointly: f must be a function of the inputs, got str": lambda: training.jointly("f", t),
    "use: expected a Communicator, as .* gives it, got str": lambda: distributed.use(
        "mpi").__enter__(),
    "rows_of: rank must be in 0 ≤ rank ≤ 1, got 2": lambda: distributed.rows_of(5, 2, 2),
    "all_sum: x must be an array, got list": lambda: distributed.Solo().all_sum([1.0]),
    "all_gather: expected a Communicator": lambda: ops.communication.all_gather(t, "mpi"),
    "reduce_scatter: counts .3. must be one for each of 1 ranks, and add up to the rows of x .2,.":
        lambda: ops.communication.reduce_scatter(t, [3]),
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_likely_mistake_is_told_what_minidl_calls_it(words):
    with pytest.raises((TypeError, ValueError, AttributeError), match=f"^{words}") as caught:
        MISTAKES[words]()
    assert "\n" not in str(caught.value)


def test_numpy_arrays_on_the_left_of_an_operator():
    array = np.array([3.0, 2.0])
    for f in (lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b,
              lambda a, b: a // b,
              lambda a, b: a % b, lambda a, b: a ** b, lambda a, b: a @ b, lambda a, b: a < b,
              lambda a, b: a <= b,
              lambda a, b: a > b, lambda a, b: a >= b, lambda a, b: a == b, lambda a, b: a != b):
        for left, right in ((array, t), (t, array), (np.float64(3), w), (w, np.float64(3))):
            if isinstance(left, np.float64) or isinstance(right, np.float64):
                if f(np.ones(2), np.ones(2)).ndim == 0:                 # a matrix product
                    continue
            y = f(left, right)
            assert isinstance(y, md.Tensor)
            plain = [x.numpy() if isinstance(x, md.Tensor) else x for x in (left, right)]
            np.testing.assert_array_equal(y.numpy(), f(*plain))
    assert (array * w).requires_grad
    for bits, other in ((np.array([True, False]), md.tensor([True, True])),):
        np.testing.assert_array_equal(((bits & other) | (bits ^ other)).numpy(), [True, True])
    with pytest.raises(TypeError, match="^numpy.add takes no Tensor"):
        array += w
    assert t.__array_ufunc__ is None  # CuPy's arrays then leave the operator to the Tensor


def test_a_state_need_not_be_complete():
    net = nn.Sequential(nn.Dense(2, 3, rng=0), nn.Dense(3, 1, rng=1))
    state = {"layers.0.weight": np.ones((2, 3)), "elsewhere": np.ones(1)}
    kept = net.layers["1"].weight.numpy()
    with pytest.raises(ValueError, match="layers.0.bias is missing"):
        net.load_state_dict(state)
    assert net.load_state_dict(state, strict=False) is net
    np.testing.assert_array_equal(net.layers["0"].weight.numpy(), 1)
    np.testing.assert_array_equal(net.layers["1"].weight.numpy(), kept)
    with pytest.raises(ValueError, match="layers.0.weight has shape"):
        net.load_state_dict({"layers.0.weight": np.ones(2)}, strict=False)


def test_dot_of_a_number_multiplies():
    assert ops.dot(w, 3.0).numpy().tolist() == [3.0, 6.0] and ops.dot(3, 4).item() == 12
    with pytest.raises(ValueError, match="^dot: the last axis of a"):
        ops.dot(w, [[1.0, 2.0]])


def test_a_product_keeps_its_gradient_where_elements_are_zero():
    """Π x over three: the gradient is the product of the others, the second derivative of the
    third."""
    x = md.tensor([0.0, 2.0, 3.0], requires_grad=True)
    first, = md.grad(ops.prod(x), x, create_graph=True)
    np.testing.assert_array_equal(first.numpy(), [6, 0, 0])
    second, = md.grad(first[1], x)
    np.testing.assert_array_equal(second.numpy(), [3, 0, 0])
    assert ops.prod(np.array([100, 100], "int8")).item() == 10_000
    assert ops.prod([]).item() == 1
