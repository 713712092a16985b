"""Receptive fields: the recurrences against the pixels that real gradients reach, and known
tables."""
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

import minidl as md
from minidl import nn
from minidl.visualize import ReceptiveField, receptive_fields

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}

# (size, first pixel that unit 0 sees) of the layers of VGG-16 and VGG-19
VGG16 = {"relu1_1": (3, -1), "relu1_2": (5, -2), "pool1": (6, -2), "relu2_1": (10, -4),
         "relu2_2": (14, -6),
         "pool2": (16, -6), "relu3_1": (24, -10), "relu3_2": (32, -14), "relu3_3": (40, -18),
         "pool3": (44, -18),
         "relu4_1": (60, -26), "relu4_2": (76, -34), "relu4_3": (92, -42), "pool4": (100, -42),
         "relu5_1": (132, -58), "relu5_2": (164, -74), "relu5_3": (196, -90), "pool5": (212, -90)}
VGG19 = VGG16 | {
         "relu3_4": (48, -22), "pool3": (52, -22), "relu4_1": (68, -30), "relu4_2": (84, -38),
         "relu4_3": (100, -46),
         "relu4_4": (116, -54), "pool4": (124, -54), "relu5_1": (156, -70), "relu5_2": (188, -86),
         "relu5_3": (220, -102), "relu5_4": (252, -118), "pool5": (268, -118)}


def vgg(kind):
    """A VGG of one channel, which knows nothing."""
    before, blocks = 3, []
    for count in md.models.vgg.CONVOLUTIONS[kind]:
        blocks.append([])
        for _ in range(count):
            blocks[-1].append((np.ones((3, 3, before, 1), "float32"), np.zeros(1, "float32")))
            before = 1
    return md.models.VGG(blocks, (0.0, 0.0, 0.0))


@pytest.mark.parametrize("kind, table", [("vgg16", VGG16), ("vgg19", VGG19)])
def test_the_tables_of_vgg(kind, table):
    fields = receptive_fields(vgg(kind))
    assert set(fields) == {"mean", *md.models.vgg.layer_names(kind)} and fields["mean"] == (1, 1, 0)
    assert set(table) == {name for name in fields if name[:4] in ("relu", "pool")}
    for name, (size, low) in table.items():
        block = int(name[4])
        jump = 2 ** (block if name.startswith("pool") else block - 1)
        assert fields[name] == (size, jump, (jump - 1) / 2), name
        assert fields[name].box((0, 0)) == ((low, low + size),) * 2, name
        assert fields[name].box((1, 2)) == ((low + jump, low + jump + size),
                                            (low + 2 * jump, low + 2 * jump + size))
        assert name[:4] != "relu" or fields[name.replace("relu", "conv")] == fields[name]


@st.composite
def small_nets(draw):
    """A net of one channel whose weights are all 1, in 1 to 3 dimensions, each axis with its own
    settings."""
    ndim = draw(st.integers(1, 3))
    per_axis = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(ndim))
    layers = []
    for _ in range(draw(st.integers(1, 2 if ndim == 3 else 3))):
        kernel, stride = per_axis(1, 3), per_axis(1, 2)
        kind = draw(st.sampled_from(["convolution", "average", "maximum"]))
        if kind == "convolution":
            padding = tuple(draw(st.integers(0, 2)
                                 | st.tuples(st.integers(0, 2), st.integers(0, 2)))
                            for _ in range(ndim))
            padding = draw(st.just(padding) | st.just("same")) if set(stride) == {1} else padding
            layers.append(CONVOLUTIONS[ndim](1, 1, kernel, stride, padding, per_axis(1, 2),
                                             bias=False, rng=0,
                                             initializer=lambda shape, rng: np.ones(shape),
                                             dtype="float64"))
        else:
            pool = nn.AveragePool if kind == "average" else nn.MaxPool
            layers.append(pool(kernel, stride, tuple(draw(st.integers(0, k // 2)) for k in kernel)))
    return ndim, nn.Sequential(*layers)


@given(small_nets(), st.data())
def test_a_gradient_reaches_the_box(case, data):
    """No pixel outside the box; where nothing pads and no maximum chooses, its first and last along
    each axis."""
    ndim, net = case
    last = net.names[-1]
    field = receptive_fields(net)[last]
    inner = [-(low // jump)
             for (low, _), (_, jump, _) in zip(field.box((0,) * ndim), field.along(ndim))]
    sizes = [high + data.draw(st.integers(0, 2)) for _, high in field.box(inner)]
    x = md.tensor(np.random.default_rng(0).random((1, *sizes, 1)), requires_grad=True)
    y = net(x)
    whole = not any(isinstance(layer, nn.MaxPool) for layer in net.layers.values())
    drawn = tuple(data.draw(st.integers(0, n - 1)) for n in y.shape[1:-1])
    for position in drawn, tuple(inner):
        reached = md.grad(y[(0, *position, 0)], x)[0].numpy()[0, ..., 0] != 0
        for axis, (low, high) in enumerate(field.box(position)):
            found = np.flatnonzero(reached.any(tuple(a for a in range(ndim) if a != axis)))
            assert found.size == 0 or low <= found[0] and found[-1] < high
            if whole and position == tuple(inner):
                assert (found[0], found[-1]) == (low, high - 1)


@given(small_nets(), st.data())
def test_an_aligned_crop_gives_the_same_value(case, data):
    """Anywhere in a picture: in its corners, where a box is half padding, and where strides leave
    the last pixels out."""
    ndim, net = case
    field = receptive_fields(net)[net.names[-1]]
    sizes = [size + data.draw(st.integers(0, 6)) for size, *_ in field.along(ndim)]
    x = np.random.default_rng(0).random((1, *sizes, 1))
    y = net(md.tensor(x)).numpy()
    drawn = tuple(data.draw(st.integers(0, n - 1)) for n in y.shape[1:-1])
    for position in drawn, (0,) * ndim, tuple(n - 1 for n in y.shape[1:-1]):
        crop, place = field.aligned(position, sizes)
        again = net(md.tensor(x[(0, *(slice(*bounds) for bounds in crop))][None])).numpy()
        np.testing.assert_allclose(again[(0, *place, 0)], y[(0, *position, 0)], rtol=1e-12)


def test_axes_that_differ():
    net = nn.Sequential({"conv": nn.Conv2d(1, 1, (3, 5), stride=(1, 2), padding=((0, 1), 2), rng=0),
                         "pool": nn.AveragePool(2, padding=((1, 0),))})
    fields = receptive_fields(net)
    assert fields == {"conv": ((3, 5), (1, 2), (1, 0)), "pool": ((4, 7), (2, 4), (0.5, -1))}
    assert fields["pool"].box((3, 1)) == ((5, 9), (0, 7))
    with pytest.raises(ValueError, match="of 2 axes is none of 3 axes"):
        fields["pool"].box((1, 1, 1))


def test_where_there_is_no_field():
    net = nn.Sequential({"conv": nn.Conv1d(1, 1, 3, rng=0), "flatten": nn.Flatten(),
                         "dense": nn.Dense(4, 2, rng=0)})
    assert receptive_fields(net) == {"conv": (3, 1, 1), "flatten": None, "dense": None}
    same = nn.Sequential(nn.Conv1d(1, 1, 3, padding="same", rng=0),
                         nn.Conv1d(1, 1, 3, stride=2, padding="same", rng=0))
    assert receptive_fields(same) == {"0": (3, 1, 0), "1": None}
    with pytest.raises(TypeError,
                       match="receptive_fields: net must be a nn.Sequential, .* got Dense"):
        receptive_fields(nn.Dense(1, 1, rng=0))


def test_the_aligned_crop():
    field = ReceptiveField(6, 4, 1.5)                               # low(i) = 4 i − 1
    assert field.box((2,)) == ((7, 13),)
    assert field.aligned((2,), (100,)) == (((4, 13),), (1,))  # from the next multiple of 4 down
    assert field.aligned((0,), (100,)) == (((0, 6),), (0,))  # moved inside, to share the edge
    assert field.aligned((2,), (10,)) == (((4, 10),), (1,))


def test_the_room_is_there():
    code = "import minidl as md; md.visualize.receptive_fields; dir(md).index('visualize')"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("size", [9, 12, 15])
def test_a_residual_block(halves, size):
    """A gradient reaches the box; where nothing is negative and the ends are near no border, its
    corners."""
    ones = np.ones((3, 3, 2, 2), "float32"), np.zeros(2, "float32")
    net = nn.Sequential({"first": nn.Conv2d(2, 2, 3, 2, rng=0),
                         "block": md.models.face_resnet.Residual(ones, ones, halves)})
    field = receptive_fields(net)["block"]
    assert field == ((15, 4, 3), (11, 2, 1))[not halves]
    x = md.tensor(np.random.default_rng(0).random((1, 4 * size, 4 * size, 2)), requires_grad=True,
                  dtype="float32")
    net["first"].weight.data = abs(net["first"].weight.data)
    y = net(x)
    for place in np.ndindex(*y.shape[1:3]):
        reached = md.grad(y[(0, *place, 0)], x)[0].numpy()[0].any(-1)
        box = field.box(place)
        outside = reached.copy()
        outside[tuple(slice(max(low, 0), high) for low, high in box)] = False
        assert not outside.any()
        if all(low >= 0 and high <= 4 * size for low, high in box):
            assert reached[box[0][0], box[1][0]] and reached[box[0][1] - 1, box[1][1] - 1]


def test_the_encoders_have_fields():
    """The border that SiameseEncoder cuts off shifts what its units see; face128 goes on to its
    last block."""
    fields = receptive_fields(md.models.siamese_encoder(40, border=4, widths=(2, 2), features=3))
    assert fields["light"] == (1, 1, 4) and fields["conv1"].box((0, 0)) == ((3, 6), (3, 6))
    assert fields["relu2"] == (7, 4, 4) and fields["relu3"] == (15, 4, 4)
    assert fields["flatten"] is None
    fields = receptive_fields(md.models.CharacterEncoder(rng=0))
    assert fields["relu3"] == (22, 8, 3.5) and fields["conv4"] == (38, 8, 3.5)
