"""Modules: their parts, their state, and how they show themselves."""
import copy

import numpy as np
import pytest

import minidl as md
from minidl import nn

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device


def tensor(array, dtype="float64"):
    return md.tensor(np.asarray(array).tolist(), dtype=dtype)


def small_network(rng=0, **options):
    rng = np.random.default_rng(rng)
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, rng=rng, **options),
                         nn.BatchNorm(4, **options), nn.ReLU(),
                         nn.MaxPool(2), nn.Flatten(), nn.Dropout(0.5, rng=rng),
                         nn.Dense(16, 3, rng=rng, **options))


# ---- what belongs to a module

class Parts(nn.Module):
    """Every way of holding a part, and things that are none."""

    def __init__(self):
        self.own = nn.Parameter([1.0, 2.0])
        self.listed = [nn.Dense(2, 2, rng=0), [nn.Dense(2, 3, bias=False, rng=1)]]
        self.named = {"left": nn.Dense(2, 1, bias=False, rng=2),
                      "scales": (nn.Parameter([3.0]), None)}
        self.shared = self.listed[0]
        self.tied = self.own
        self.count = self.own.data.copy()
        self.size, self.sizes, self.title, self.constant, self.nothing = (
            3,
            (1, 2),
            "x",
            md.tensor([1.0]),
            None,
        )

    def forward(self, x):
        return self.shared(x * self.own)


NAMES = ["own", "named.scales.0", "listed.0.weight", "listed.0.bias", "listed.1.0.weight",
         "named.left.weight"]


def test_attributes_are_found_once_and_in_order(device):
    module = Parts()
    assert [name for name, _ in module.named_parameters()] == NAMES
    assert [id(p) for _, p in module.named_parameters()] == [id(p) for p in module.parameters()]
    assert list(module.state_dict()) == NAMES + ["count"]
    assert [name for name, _ in module.named_modules()] == [
        "",
        "listed.0",
        "listed.1.0",
        "named.left",
    ]
    module.own = nn.Parameter([5.0, 6.0])  # assigned anew: the old one lives on as `tied`
    assert [name for name, _ in module.named_parameters()][:3] == ["own", "named.scales.0", "tied"]


def test_parts_that_hold_each_other_are_found_once():
    a, b = nn.Sequential(), nn.Sequential()
    a.layers, b.layers = [b], [a]
    assert [module for _, module in a.named_modules()] == [a, b]


def test_parameter_always_requires_a_gradient(device):
    p = nn.Parameter([1.0, 2.0])
    assert p.requires_grad and p.device == device and isinstance(p, md.Tensor)
    with md.no_grad():
        assert nn.Parameter([1.0]).requires_grad
    frozen = nn.Parameter(np.ones(2), requires_grad=False, dtype="float32")
    assert not frozen.requires_grad and frozen.device == device and frozen.dtype == np.float32
    with pytest.raises(TypeError, match="floating-point"):
        nn.Parameter([1, 2])


def test_gradients_reach_the_parameters_and_are_forgotten(device):
    module = Parts()
    module(tensor([[1.0, 1.0]], "float32")).sum().backward()
    np.testing.assert_allclose(module.own.grad.numpy(), module.shared.weight.numpy().sum(1),
                               rtol=1e-6)
    np.testing.assert_array_equal(module.shared.bias.grad.numpy(), [1, 1])
    assert module.named["left"].weight.grad is None
    module.zero_grad()
    assert all(p.grad is None for p in module.parameters())


def test_freeze(device):
    net = small_network().freeze()
    assert not any(p.requires_grad for p in net.parameters())
    x = md.tensor(np.ones((2, 4, 4, 2)).tolist(), requires_grad=True, dtype="float32")
    (net.eval()(x) ** 2).sum().backward()
    assert x.grad is not None and all(p.grad is None for p in net.parameters())
    net[6].weight.requires_grad = True
    assert [name for name, p in net.named_parameters() if p.requires_grad] == ["layers.6.weight"]


def test_train_and_eval_reach_every_part():
    net = nn.Sequential(nn.Sequential(nn.Dropout(rng=0)), nn.BatchNorm(2))
    assert net.training and net[0][0].training
    assert net.eval() is net and not any(module.training for _, module in net.named_modules())
    assert net.train() is net and all(module.training for _, module in net.named_modules())


def test_to_moves_parameters_and_buffers():
    for name in md.devices():
        net = small_network()
        before = {key: value.numpy() for key, value in net.state_dict().items()}
        net(tensor(np.ones((2, 4, 4, 2)), "float32")).sum().backward()
        net.load_state_dict(before)
        assert net.to(name) is net
        assert {value.device for value in net.state_dict().values()} == {name}
        assert all(p.grad is None and p.requires_grad for p in net.parameters())
        x = md.tensor(np.ones((2, 4, 4, 2)), dtype="float32").to(name)
        net(x).sum().backward()
        assert {p.grad.device for p in net.parameters()} == {name}
        net.load_state_dict(before).to("cpu")
        for key, value in net.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), before[key])


def test_a_module_without_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty has no forward"):
        Empty()(1)


def test_deepcopy_is_independent(device):
    net = small_network()
    twin = copy.deepcopy(net)
    x = tensor(np.random.default_rng(0).normal(size=(2, 4, 4, 2)), "float32")
    twin(x).sum().backward()
    assert all(p.grad is None for p in net.parameters()) and twin[6].weight.grad is not None
    assert not np.array_equal(md.tensor(twin[1].running_mean).numpy(),
                              md.tensor(net[1].running_mean).numpy())


def test_sequential(device):
    net = small_network()
    assert len(net) == 7 and net[-1].weight.shape == (16, 3)
    head = net[:2]
    assert isinstance(head, nn.Sequential) and len(head) == 2 and head[0] is net[0]
    with pytest.raises(TypeError, match=r"Sequential: layer 1 must be a Module, got .*ReLU.*; "
                                        r"write ReLU\(…\)"):
        nn.Sequential(nn.Flatten(), nn.ReLU)
    with pytest.raises(TypeError, match="layer 0 must be a Module, got 3"):
        nn.Sequential(3)


# ---- state dictionaries

def test_state_round_trip(device, tmp_path):
    x = tensor(np.random.default_rng(0).normal(size=(3, 4, 4, 2)), "float32")
    net, other = small_network(0), small_network(1)
    net(x)  # the running statistics are state, too
    expected = net.eval()(x).numpy()
    assert not np.allclose(other.eval()(x).numpy(), expected)
    assert other.load_state_dict(net.state_dict()) is other
    np.testing.assert_array_equal(other(x).numpy(), expected)
    assert other[0].weight.requires_grad and other[0].weight.device == device
    md.save(tmp_path / "net.npz", net)
    third = small_network(2)
    third.load_state_dict(md.load(tmp_path / "net.npz"))            # NumPy arrays
    np.testing.assert_array_equal(third.eval()(x).numpy(), expected)


def test_state_is_a_snapshot(device):
    net = small_network()
    state = net.state_dict()
    before = {name: value.numpy() for name, value in state.items()}
    optimizer = md.optim.Adam(net.parameters(), 0.1)
    net(tensor(np.random.default_rng(0).normal(size=(3, 4, 4, 2)), "float32")).sum().backward()
    optimizer.step()
    for name, value in net.state_dict().items():
        assert not np.array_equal(value.numpy(), before[name]), name
        np.testing.assert_array_equal(state[name].numpy(), before[name])
    net.load_state_dict(state)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_a_loaded_array_is_a_copy_in_the_modules_dtype(device):
    layer = nn.Dense(1, 2, bias=False, rng=0)
    weight = np.array([[1.5, 2.5]])
    layer.load_state_dict({"weight": weight})
    weight[:] = 9
    np.testing.assert_array_equal(layer.weight.numpy(), [[1.5, 2.5]])
    assert layer.weight.dtype == np.float32 and layer.weight.device == device


def test_all_problems_of_a_state_are_listed_and_nothing_is_changed(device):
    net = small_network()
    before = {name: value.numpy() for name, value in net.state_dict().items()}
    state = {name: np.zeros_like(value) for name, value in before.items()}
    del state["layers.0.bias"], state["layers.1.running_mean"]
    state |= {"layers.6.weight": np.zeros((3, 16)), "layers.9.weight": np.zeros(1),
              "title": np.zeros(1)}
    with pytest.raises(ValueError) as caught:
        net.load_state_dict(state)
    assert str(caught.value) == (
        "load_state_dict of Sequential: layers.0.bias is missing; layers.1.running_mean is "
        "missing; layers.9.weight is "
        "unexpected; title is unexpected; layers.6.weight has shape (3, 16), expected (16, 3)")
    with pytest.raises(TypeError, match="layers.0.weight must be a Tensor or an array"):
        net.load_state_dict(before | {"layers.0.weight": "text"})
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


# ---- summary and repr

def test_repr_shows_the_structure():
    assert repr(nn.Sequential(small_network()[:2], nn.LeakyReLU(0.2))) == """\
Sequential(
  layers.0: Sequential(
    layers.0: Conv2d(2, 4, 3, padding=1)
    layers.1: BatchNorm(4)
  )
  layers.1: LeakyReLU(0.2)
)"""
    assert repr(nn.ConvTranspose2d(2, 4, (3, 5), stride=2, output_padding=1, bias=False,
                                   rng=0)) == (
        "ConvTranspose2d(2, 4, (3, 5), bias=False, stride=2, output_padding=1)")
    assert repr(nn.MaxPool(3, stride=2)) == "MaxPool(3, stride=2)"
    assert repr(nn.MaxPool(2)) == "MaxPool(2)"
    assert repr(nn.ELU(0.5)) == "ELU(0.5)" and repr(nn.Softmax(0)) == "Softmax(axis=0)"
    assert repr(nn.Embedding(5, 2, rng=0)) == "Embedding(5, 2)"
    assert repr(nn.Dropout(0.25, rng=0)) == "Dropout(0.25)"
    assert repr(nn.BatchNorm(3, momentum=0.2)) == "BatchNorm(3, momentum=0.2)"
    assert repr(nn.LayerNorm(3)) == "LayerNorm(3)"


def test_summary_table(device):
    net = small_network()
    net[0].freeze()
    modes = [module.training for _, module in net.named_modules()]
    state = net[5].rng.bit_generator.state
    expected = """\
layer               output shape  size  parameters
input               (4, 4, 2)       32           0
layers.0 Conv2d     (4, 4, 4)       64          76
layers.1 BatchNorm  (4, 4, 4)       64           8
layers.2 ReLU       (4, 4, 4)       64           0
layers.3 MaxPool    (2, 2, 4)       16           0
layers.4 Flatten    (16,)           16           0
layers.5 Dropout    (16,)           16           0
layers.6 Dense      (3,)             3          51
total 135 parameters, 76 of them frozen"""
    assert nn.summary(net, (4, 4, 2)) == expected
    assert nn.summary(net, (4, 4, 2)) == expected                   # it leaves nothing behind
    assert not any("forward" in vars(module) for _, module in net.named_modules())
    assert [module.training for _, module in net.named_modules()] == modes
    assert net[5].rng.bit_generator.state == state
    np.testing.assert_array_equal(md.tensor(net[1].running_mean).numpy(), np.zeros(4))


def test_summary_leaves_a_forward_that_the_user_put_there():
    layer = nn.Dense(2, 3, rng=0)
    layer.forward = own = lambda x: x
    assert nn.summary(nn.Sequential(layer), 2).splitlines()[2].split()[2] == "(2,)"
    assert layer.forward is own


def test_summary_of_shared_and_nested_parts(device):
    table = nn.summary(Parts(), (2,)).splitlines()
    assert table[2].split() == ["Parts", "(2,)", "2", "3"]  # its own parameters: own, scales
    assert table[3].split() == ["listed.0", "Dense", "(2,)", "2", "6"]
    assert table[4] == "total 17 parameters"
    table = nn.summary(nn.Sequential(nn.Embedding(10, 4, rng=0), nn.GlobalMaxPool()), (6,),
                       dtype="int64").splitlines()
    assert table[2].split() == ["layers.0", "Embedding", "(6,", "4)", "24", "40"]
    with pytest.raises(ValueError, match="must have 3 features"):
        nn.summary(nn.Dense(3, 2, rng=0), (4,))
