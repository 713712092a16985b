"""The deconvnet and guided backpropagation beside captum's, on a VGG with the same weights."""
import numpy as np
import pytest

import minidl as md
from minidl.visualize import deconvnet

torch = pytest.importorskip("torch")
captum = pytest.importorskip("captum.attr")


def vgg_pair():
    """A VGG-19 of few channels by minidl, and by torch, with modules for ReLUs as captum needs
    them."""
    rng, before, blocks, layers = np.random.default_rng(0), 3, [], {}
    for b, count in enumerate(md.models.vgg.CONVOLUTIONS["vgg19"], 1):
        blocks.append([])
        for i in range(1, count + 1):
            w = rng.normal(0, (2 / 9 / before) ** 0.5, (3, 3, before, 8)).astype("float32")
            bias = rng.normal(0, 0.1, 8).astype("float32")
            blocks[-1].append((w, bias))
            conv = torch.nn.Conv2d(before, 8, 3, padding=1)
            conv.weight.data, conv.bias.data = (torch.from_numpy(v.copy())
                                                for v in (w.transpose(3, 2, 0, 1), bias))
            layers |= {f"conv{b}_{i}": conv, f"relu{b}_{i}": torch.nn.ReLU()}
            before = 8
        layers[f"pool{b}"] = torch.nn.MaxPool2d(2)
    return md.models.VGG(blocks, (0.0, 0.0, 0.0)), layers


@pytest.mark.parametrize("layer", ["relu1_2", "relu3_1", "pool4", "relu5_1"])
@pytest.mark.parametrize("rule", ["deconvnet", "guided"])
def test_as_captum_has_it(layer, rule):
    net, layers = vgg_pair()
    names = list(layers)
    upto = torch.nn.Sequential(*(layers[name] for name in names[:names.index(layer) + 1])).eval()
    x = np.random.default_rng(1).normal(0, 1, (64, 48, 3)).astype("float32")
    t = torch.from_numpy(x.transpose(2, 0, 1)[None].copy()).requires_grad_()
    a = upto(t).detach().numpy()[0].transpose(1, 2, 0)
    unit = int(a.max((0, 1)).argmax())
    position = np.unravel_index(a[..., unit].argmax(), a.shape[:2])
    method = captum.Deconvolution if rule == "deconvnet" else captum.GuidedBackprop
    theirs = method(upto).attribute(t,
                                    target=(unit,
                                            *map(int,
                                                 position))).detach().numpy()[0].transpose(1, 2, 0)
    ours = deconvnet(net, x, layer, unit, position, rule, activation=1)
    assert np.abs(theirs).max() > 0
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())
