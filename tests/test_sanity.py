"""Upper layers drawn anew, and what a projection owes to them."""
import numpy as np
import pytest
from scipy.stats import spearmanr

import minidl as md
from minidl import nn
from minidl.visualize import (
    compare,
    drawn_anew,
    patch_projection,
    project,
    rank_correlation,
    top_patches,
)

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device


def small_net(size=None):
    rng = np.random.default_rng(0)
    net = nn.Sequential({"conv1": nn.Conv2d(3, 6, 3, padding=1, rng=rng), "relu1": nn.ReLU(),
                         "pool1": nn.MaxPool(2),
                         ("conv2", "relu2"): nn.ConvReLU(6, 8, 3, padding=1, rng=rng),
                         "pool2": nn.MaxPool(2),
                         ("conv3", "relu3"): nn.ConvReLU(8, 5, 3, padding=1, rng=rng)})
    if size:
        net.size = size
    return net


def test_what_lies_behind_is_drawn_anew():
    net = small_net()
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    other, again = drawn_anew(net, "relu1", 0), drawn_anew(net, "relu1", 0)
    for name, value in other.state_dict().items():
        own = net.state_dict()[name].numpy()
        assert (own == before[name]).all()
        assert (value.numpy() == again.state_dict()[name].numpy()).all()
        assert value.dtype == own.dtype
        if "conv1" in name:
            assert (value.numpy() == own).all()
        elif "weight" in name:
            assert (value.numpy() != own).all() and value.device == net.state_dict()[name].device
            assert value.numpy().std() == pytest.approx(own.std(), rel=0.25)
    with pytest.raises(ValueError, match="drawn_anew: layer 'relu9' is none of conv1"):
        drawn_anew(net, "relu9", 0)


def test_the_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    a = rng.integers(-3, 4, (6, 7, 1)).astype("float32")            # with ties
    b = a + rng.normal(0, 1, a.shape)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic)
    assert rank_correlation(a, 5 * a) == pytest.approx(1)
    assert rank_correlation(a, np.exp(-a)) == pytest.approx(-1)
    assert np.isnan(rank_correlation(a, np.zeros_like(a)))
    with pytest.raises(ValueError,
                       match=r"rank_correlation: the shapes \(1, 2\) and \(2, 1\) differ"):
        rank_correlation([[1, 2]], [[1], [2]])


@pytest.mark.parametrize("size", [None, 26])
def test_a_patch_brought_back_from_its_crop(size):
    """From the aligned crop alone as from the whole picture, also where the unit sees padding."""
    net, rng = small_net(size), np.random.default_rng(1)
    pictures, padded = [rng.normal(0, 1, (26, 26, 3)).astype("float32") for _ in range(6)], 0
    for unit, patches in top_patches(net, pictures, "relu3").patches.items():
        for patch in patches:
            picture = pictures[patch.picture]
            s = np.zeros((6, 6, 5), "float32")
            s[(*patch.position, unit)] = patch.activation
            whole = project(net, picture, "relu3", s)
            np.testing.assert_allclose(patch_projection(net, patch, picture, "relu3", unit),
                                       patch.shown(whole),
                                       rtol=1e-4, atol=1e-4 * max(np.abs(whole).max(), 1e-9))
            assert not size or patch.shown(whole).shape == (18, 18, 3)
            padded += any(low < 0 or high > 26 for low, high in patch.box)
    assert padded


def test_two_networks_compared():
    net, rng = small_net(), np.random.default_rng(2)
    picture = rng.normal(0, 1, (26, 26, 3)).astype("float32")
    patch = top_patches(net, [picture], "relu3", [1]).patches[1][0]
    for rule in "deconvnet", "guided", "gradient":
        ours, same, rank = compare(net, net, patch, picture, "conv3", 1, rule)
        assert (ours == same).all() and rank == pytest.approx(1)
        ours, theirs, rank = compare(net, drawn_anew(net, "relu1", 0), patch, picture, "conv3", 1,
                                     rule)
        assert rank == rank_correlation(ours, theirs) < 1
        assert ours.shape == theirs.shape == patch.shown(picture).shape


def test_the_signal_is_the_same_for_both():
    """Where the other network's unit is not active at all, the patch's activation still goes
    down."""
    net, rng = small_net(), np.random.default_rng(2)
    picture = rng.normal(0, 1, (26, 26, 3)).astype("float32")
    patch = top_patches(net, [picture], "relu3", [1]).patches[1][0]
    dead = drawn_anew(net, "pool2", 0)
    dead["conv3"].bias.data = dead["conv3"].bias.data * 0 - 1e6
    assert not dead(md.tensor(picture[None])).numpy().any()
    assert compare(net, dead, patch, picture, "relu3", 1)[1].any()
    # its ReLU is shut
    assert not compare(net, dead, patch, picture, "relu3", 1, "gradient")[1].any()
