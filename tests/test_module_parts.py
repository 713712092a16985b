"""What a module finds in its attributes: where parts may stand, what they are called, what fits."""
from collections import UserDict, UserList, deque
import copy
import dataclasses
from types import MappingProxyType

import numpy as np
import pytest

import minidl as md
from minidl import nn

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device


def tensor(array, dtype="float64"):
    return md.tensor(np.asarray(array).tolist(), dtype=dtype)


# ---- where parts may stand, and what they are called

class Holder(nn.Module):
    def __init__(self, parts):
        self.parts = parts


def dense(seed=0):
    return nn.Dense(1, 1, rng=seed)


@pytest.mark.parametrize("parts, first, second", [
    ({"a": {"b": dense(0)}, "a.b": dense(1)}, "'parts' → 'a' → 'b' → 'weight'",
     "'parts' → 'a.b' → 'weight'"),
    ({1: dense(0), "1": dense(1)}, "'parts' → 1 → 'weight'", "'parts' → '1' → 'weight'"),
    ({"a": [dense(0)], "a.0": nn.ReLU(), "a.0.weight": nn.Parameter([1.0])},
     "'parts' → 'a.0.weight'",
     "'parts' → 'a' → 0 → 'weight'"),
    ({"a": nn.Parameter([1.0]), "b": [np.ones(2)], "b.0": np.ones(3)}, "'parts' → 'b' → 0",
     "'parts' → 'b.0'")])
def test_names_that_collide_are_both_named(parts, first, second):
    net = Holder(parts)
    held = len(net.parameters())                                    # told apart without names
    assert held == len({id(p) for p in net.parameters()})
    for call in (net.state_dict, lambda: net.load_state_dict({}),
                 lambda: md.save("nowhere.npz", net)):
        with pytest.raises(ValueError) as caught:
            call()
        both = f"Holder: {first} and {second} would both be named 'parts."
        assert str(caught.value).startswith(both)
    net.train().to("cpu").zero_grad()


def test_modules_of_one_name_are_refused():
    net = Holder({1: nn.ReLU(), "1": nn.Tanh()})
    with pytest.raises(ValueError,
                       match="'parts' → 1 and 'parts' → '1' would both be named 'parts.1'"):
        net.named_modules()
    assert [name for name, _ in Holder([nn.ReLU()]).named_modules("net")] == ["net", "net.parts.0"]


def test_arrays_in_lists_deques_and_dictionaries_are_buffers(device):
    def arrays(value):
        return [md.tensor(np.full(2, value), device=device).data for _ in range(4)]

    def network(value):
        a, b, c, d = arrays(value)
        return Holder({"list": [a, [b]], "deque": deque([c]), "dict": {"d": d}})

    net, other = network(1.0), network(2.0)
    state = net.state_dict()
    assert list(state) == ["parts.list.0", "parts.list.1.0", "parts.deque.0", "parts.dict.d"]
    other.load_state_dict(state)
    for value in (other.parts["list"][0], other.parts["list"][1][0], other.parts["deque"][0],
                  other.parts["dict"]["d"]):
        np.testing.assert_array_equal(md.tensor(value).numpy(), [1, 1])
    other.parts["list"][0] += 5                     # a user may change a buffer in place
    np.testing.assert_array_equal(state["parts.list.0"].numpy(), [1, 1])
    np.testing.assert_array_equal(md.tensor(net.parts["list"][0]).numpy(), [1, 1])
    moved = other.to("cpu").state_dict()
    assert {value.device for value in moved.values()} == {"cpu"}
    np.testing.assert_array_equal(moved["parts.list.0"].numpy(), [6, 6])


def test_a_deque_of_layers_is_found_in_its_order(device):
    layers = deque([dense(0), dense(1)])
    net = Holder(layers)
    assert [p is q for p, q in zip(net.parameters(), (layers[0].weight, layers[0].bias,
                                                      layers[1].weight))] == [True] * 3
    assert list(net.state_dict()) == ["parts.0.weight", "parts.0.bias", "parts.1.weight",
                                      "parts.1.bias"]


@pytest.mark.parametrize("parts, words", [
    ({dense(0), dense(1)},
     "Holder: parts, a set, holds a Dense, .* keep it in a list, tuple, deque or dict"),
    ([frozenset({nn.Parameter([1.0, 2.0])})], "Holder: parts.0, a frozenset, holds a Parameter"),
    ({("a", nn.Sequential())}, "Holder: parts, a set, holds a Sequential"),
    ({"a": dense()}.values(), "Holder: parts, a dict_values, holds a Dense"),
    (UserDict(a=dense()), "Holder: parts, a UserDict, holds a Dense"),
    (np.array([[dense(), dense()]]), "Holder: parts, a ndarray, holds a Dense"),
    (UserList([[dense()]]), "Holder: parts, a UserList, holds a Dense"),
    (MappingProxyType({"a": {"b": [dense()]}}), "Holder: parts, a mappingproxy, holds a Dense"),
    (np.array([[dense()], None], object), "Holder: parts, a ndarray, holds a Dense"),
    ({dense(): 3}, "Holder: parts has a Dense among its keys"),
    ({("a", (dense(), 2)): 3}, "Holder: parts has a Dense among its keys")])
def test_parts_without_an_order_or_a_place_are_refused_by_name(parts, words):
    net = Holder(parts)
    for call in (net.parameters, net.state_dict, net.train, net.zero_grad, net.named_modules):
        with pytest.raises(TypeError, match=words):
            call()


@pytest.mark.parametrize("parts", [{1, "a", (2, 3)}, {}.keys(), UserDict(a=1),
                                   np.array(["a", None]), range(3), "ab"])
def test_containers_of_settings_are_left_alone(parts):
    assert Holder(parts).parameters() == [] and Holder(parts).train().training


@pytest.mark.parametrize("parts, words", [
    ((np.ones(2), 3),
     "Holder: parts.0 is an array in a tuple, where another cannot be put .*; keep it in a list"),
    (np.array(["cat", "dog"]),
     "Holder: parts is an array of <U3, and a state is made of real numbers"),
    ([np.ones(2, complex)], "Holder: parts.0 is an array of complex128"),
    (np.ma.masked_array([1.0], [True]), "Holder: parts is a MaskedArray; keep a plain array")])
def test_arrays_that_no_state_can_hold_are_refused_by_name(parts, words):
    net = Holder(parts)
    assert net.train().parameters() == []
    for call in (net.state_dict, lambda: net.load_state_dict({}), lambda: net.to("cpu")):
        with pytest.raises(TypeError, match=words):
            call()


def test_a_state_of_more_than_arrays_is_passed_over_where_it_is_not_strict():
    net = dense()
    state = net.state_dict() | {"epoch": "seven", "optimizer": None}
    assert net.load_state_dict(state, strict=False) is net
    with pytest.raises(TypeError, match="load_state_dict: epoch must be a Tensor or an array"):
        net.load_state_dict(state)


def test_slots_of_a_base_are_refused():
    class Slotted:
        __slots__ = ("part",)

    with pytest.raises(TypeError, match="Both: a Module's parts .* not in __slots__"):
        class Both(Slotted, nn.Module):
            pass


def test_what_would_not_be_learned_does_not_take_a_parameters_place():
    net = dense()
    for value in net.weight * 0.5, md.tensor(np.ones((2, 2))), np.ones((2, 2)):
        with pytest.raises(TypeError, match="^Dense: weight is a Parameter; assign another"):
            net.weight = value
    net.weight = net.bias = nn.Parameter([1.0])
    net.bias = None
    assert [name for name, _ in net.named_parameters()] == ["weight"]


def test_what_holds_itself_is_found_once():
    net = Holder([])
    net.parts += [net.parts, net, dense()]
    assert [name for name, _ in net.named_modules()] == ["", "parts.2"]
    assert list(net.state_dict()) == ["parts.2.weight", "parts.2.bias"]
    assert repr(net).splitlines() == ["Holder(", "  parts.1: …", "  parts.2: Dense(1, 1)", ")"]
    twin = copy.deepcopy(net)
    assert twin.parts[1] is twin and len(twin.parameters()) == 2
    assert twin.parameters()[0] is not net.parameters()[0]
    other = Holder([])
    other.parts = net.parts                                         # one list in two modules
    both = Holder([net, other])
    assert list(both.state_dict()) == ["parts.0.parts.2.weight", "parts.0.parts.2.bias"]


def test_tied_weights_stay_tied(device):
    net = nn.Sequential(nn.Dense(2, 2, bias=False, rng=0), nn.Dense(2, 2, bias=False, rng=1))
    net[1].weight = net[0].weight
    assert list(net.state_dict()) == ["layers.0.weight"]
    net.load_state_dict({"layers.0.weight": np.eye(2) * 3})
    np.testing.assert_array_equal(net(tensor([[1.0, 2.0]], "float32")).numpy(), [[9, 18]])
    twin = copy.deepcopy(net)
    assert twin[0].weight is twin[1].weight and len(twin.parameters()) == 1
    with pytest.raises(ValueError, match="layers.1.weight is unexpected"):
        net.load_state_dict({"layers.0.weight": np.eye(2), "layers.1.weight": np.eye(2)})


# ---- modules that are equal, but not the same

@dataclasses.dataclass
class Equal(nn.Module):
    """Dataclasses compare their fields, and have no hash."""
    width: int = 3
    inner: nn.Module = None

    def __post_init__(self):
        self.layer = nn.Dense(2, self.width, rng=0)
        self.drop = nn.Dropout(rng=0)

    def forward(self, x):
        return self.layer(x)


@dataclasses.dataclass(frozen=True)
class Frozen(nn.Module):
    scale: nn.Parameter
    part: nn.Module

    def forward(self, x):
        return self.part(x) * self.scale


class AlwaysEqual(nn.Module):
    def __init__(self):
        self.scale = nn.Parameter([1.0])

    def __eq__(self, other):
        return True

    def forward(self, x):
        return x * self.scale


def test_identity_not_equality_tells_modules_apart(device):
    net = Equal(2, inner=Equal(2))
    assert net.inner == Equal(2)
    names = ["inner.layer.weight", "inner.layer.bias", "layer.weight", "layer.bias"]
    assert sorted(net.state_dict()) == sorted(names) and len(net.parameters()) == 4
    net.eval()
    assert not (net.drop.training or net.inner.training or net.inner.drop.training)
    net(tensor([[1.0, 2.0]], "float32")).sum().backward()
    assert net.layer.weight.grad is not None
    net.zero_grad()
    assert net.layer.weight.grad is None
    twin = copy.deepcopy(net).to("cpu")
    state = {name: np.full(value.shape, 7.0) for name, value in net.state_dict().items()}
    twin.load_state_dict(state)
    assert all((p.numpy() == 7).all() for p in twin.parameters())
    assert not (net.layer.weight.numpy() == 7).any()
    several = nn.Sequential(AlwaysEqual(), AlwaysEqual(), AlwaysEqual())
    assert len(several.named_modules()) == 4 and len(several.parameters()) == 3
    assert nn.summary(several, (1,)).splitlines()[-1] == "total 3 parameters"


def test_a_frozen_dataclass_is_a_module(device):
    net = Frozen(nn.Parameter([2.0], dtype="float32"), nn.Dropout(0.5, rng=0))
    assert list(net.state_dict()) == ["scale"] and not net.eval().training and not net.part.training
    assert net.load_state_dict({"scale": [5.0]})(tensor([1.0], "float32")).item() == 5
    assert nn.summary(net.train(), (1,)).endswith("total 1 parameters") and net.training
    assert net.to("cpu").scale.device == "cpu"


def test_slots_would_hide_parts():
    with pytest.raises(TypeError, match="Hidden: .* in ordinary attributes, not in __slots__"):
        @dataclasses.dataclass(slots=True)
        class Hidden(nn.Module):
            layer: nn.Module


# ---- values that do not fit

@pytest.mark.parametrize("buffer, value, words", [
    (np.zeros(2, "int64"), [0.5, 1.0], "parts has dtype float64, expected int64"),
    (np.zeros(2, "uint8"), [3, 300], "parts holds 300, which uint8 cannot hold"),
    (np.zeros(2, "uint8"), [3, -1], "parts holds -1, which uint8 cannot hold"),
    (np.zeros(2, "float16"), [3.0, 1e5], "parts holds 100000.0, which float16 cannot hold"),
    (np.zeros(2, "float32"), [-1e300, 1.0], r"parts holds -1e\+300, which float32 cannot hold"),
    (np.zeros(2, bool), [0, 2], "parts holds 2, which bool cannot hold"),
    (np.zeros(2, "float32"), [[1.0, 2.0]], r"parts has shape \(1, 2\), expected \(2,\)")])
def test_numbers_that_would_be_lost_are_refused(device, buffer, value, words):
    net = Holder(md.tensor(buffer, device=device).data)
    net.scale = nn.Parameter([1.0])
    with pytest.raises(ValueError, match=f"load_state_dict of Holder: {words}$"):
        net.load_state_dict({"parts": value, "scale": [9.0]})
    assert net.scale.item() == 1 and not md.tensor(net.parts).numpy().any()


@pytest.mark.parametrize("kind, value", [("float32", [np.nan, -np.inf]), ("float32", [1, 2]),
                                         ("float16", [1e-9, 3]),
                                         ("int8", [True, False]),
                                         ("uint8", np.array([255, 0], ">i8")), ("bool", [1, 0])])
def test_values_that_fit_are_taken_over(device, kind, value):
    net = Holder(md.tensor(np.zeros(2, kind), device=device).data)
    net.load_state_dict({"parts": value})
    np.testing.assert_array_equal(md.tensor(net.parts).numpy(), np.array(value).astype(kind))


def test_a_state_is_a_dictionary():
    with pytest.raises(TypeError,
                       match="load_state_dict of Dense: state must be a dictionary .*, got list"):
        dense().load_state_dict([np.ones((1, 1))])
