"""Optimisers: their settings, states that are damaged, copies, and other processes."""
import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from test_optim import RULES, parameters, train

import minidl as md
from minidl import nn, optim

pytestmark = pytest.mark.usefixtures("device")      # every test of this file runs on every device


@pytest.mark.parametrize("make, error, words", [
    (lambda p: optim.SGD(p, np.inf), ValueError,
     "SGD: learning_rate must be in 0 ≤ learning_rate < inf, got inf"),
    (lambda p: optim.SGD(p, 0.1, weight_decay=np.nan), ValueError,
     "SGD: weight_decay must be in .*, got nan"),
    (lambda p: optim.SGD(p, 0.1, weight_decay=np.inf), ValueError,
     "SGD: weight_decay must be in .*, got inf"),
    (lambda p: optim.SGD(p, 0.1, -0.1), ValueError,
     "SGD: momentum must be in 0 ≤ momentum < 1, got -0.1"),
    (lambda p: optim.Adagrad(p, eps=-1e-8), ValueError,
     "Adagrad: eps must be in .* ≤ eps < inf, got -1e-08"),
    (lambda p: optim.Adagrad(p, eps=0), ValueError, "Adagrad: eps must be in .*, got 0"),
    (lambda p: optim.RMSprop(p, eps=1e-46), ValueError, "RMSprop: eps must be in .*, got 1e-46"),
    (lambda p: optim.RMSprop(p, smoothing=1), ValueError,
     "RMSprop: smoothing must be in 0 ≤ smoothing < 1, got 1"),
    (lambda p: optim.RMSprop(p, momentum=1.5), ValueError,
     "RMSprop: momentum must be in .*, got 1.5"),
    (lambda p: optim.Adam(p, betas=(1, 0.9)), ValueError,
     "Adam: beta must be in 0 ≤ beta < 1, got 1"),
    (lambda p: optim.AdamW(p, betas=(0.9, np.nan)), ValueError,
     "AdamW: beta must be in .*, got nan"),
    (lambda p: optim.Adam(p, betas=0.9), TypeError,
     r"Adam: betas must be a pair \(β₁, β₂\), got 0.9"),
    (lambda p: optim.Adam(p, betas=(0.9, 0.9, 0.9)), TypeError, "Adam: betas must be a pair"),
    (lambda p: optim.SGD(p, "0.1"), TypeError, "SGD: learning_rate must be a number, got '0.1'"),
    (lambda p: optim.SGD(p, None), TypeError, "SGD: learning_rate must be a number, got None"),
    (lambda p: optim.SGD(p, 1j), TypeError, "SGD: learning_rate must be a number"),
    (lambda p: optim.SGD(p, [0.1, 0.2]), TypeError, "SGD: learning_rate must be a number"),
    (lambda p: optim.SGD(p, md.tensor(0.1, requires_grad=True)), TypeError,
     "SGD: learning_rate is a number, to which no gradient flows; got a Tensor that requires one"),
    (lambda p: optim.SGD(nn.Dense(1, 1, rng=0), 0.1), TypeError,
     r"net.parameters\(\) .*, got Dense"),
    (lambda p: optim.SGD(set(p), 0.1), TypeError,
     "parameters must be Tensors in an order, .* got set"),
])
def test_settings_are_refused_where_they_are_given(device, make, error, words):
    with pytest.raises(error, match=words):
        make([nn.Parameter([1.0])])


def test_a_constant_tensor_may_be_a_setting(device):
    optimizer = optim.SGD([nn.Parameter([1.0])], md.tensor(0.5))
    assert type(optimizer.learning_rate) is float and optimizer.learning_rate == 0.5


@pytest.mark.parametrize("entry, words", [
    ({"0.mean": None}, "0.mean is missing"), ({"1.step": None}, "1.step is missing"),
    ({"0.step": 2.5}, "0.step must be a whole number ≥ 1"),
    ({"0.step": -1}, "0.step must be a whole number ≥ 1"),
    ({"0.step": np.ones(2, int)}, "0.step must be a whole number ≥ 1"),
    ({"2.square": -1.0}, "2.square, made of squares, holds -1.0"),
    ({"0.mean": np.full((3, 4), 1e300)}, r"0.mean holds 1e\+300, which float32 cannot hold"),
    ({"².mean": np.ones(4)}, "².mean is unexpected"),
    ({3: 1.0}, "3 is unexpected"),
    ({"00.mean": np.ones((3, 4))}, "00.mean is unexpected"),
    ({"learning_rate": -1.0}, "of Adam: learning_rate must be one number, 0 ≤ η < inf, got "),
    ({"learning_rate": np.ones(2), "0.step": 2.5},
     "of Adam: learning_rate must be one number, .*; 0.step must be a whole number"),
])
def test_a_state_that_is_damaged_changes_nothing(device, entry, words):
    params = parameters("float32")
    optimizer = optim.Adam(params, 0.1)
    train(optimizer, params, 2)
    before = {name: md.tensor(value).numpy() for name, value in optimizer.state_dict().items()}
    state = {name: value for name, value in (before | entry).items() if value is not None}
    with pytest.raises(ValueError, match=words):
        optimizer.load_state_dict(state)
    for name, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(md.tensor(value).numpy(), before[name])
    with pytest.raises(TypeError,
                       match="load_state_dict of Adam: state must be a dictionary .*, got list"):
        optimizer.load_state_dict([1])


@pytest.mark.parametrize("rule", RULES)
def test_a_copy_goes_on_as_the_original(device, rule):
    params = parameters()
    optimizer = RULES[rule](params)
    train(optimizer, params, 2)
    again, other = copy.deepcopy((params, optimizer))
    assert all(p is q for p, q in zip(other.parameters, again))         # tied in the copy, too
    before = [p.numpy() for p in params]
    path = train(other, again, 2)
    for p, values in zip(params, before):
        np.testing.assert_array_equal(p.numpy(), values)
    for ours, theirs in zip(train(optimizer, params, 2), path):
        for p, q in zip(ours, theirs):
            np.testing.assert_array_equal(p, q)


ELSEWHERE = """
import pickle, sys
from minidl import ops
net, optimizer, x = pickle.load(sys.stdin.buffer)
for _ in range(2):
    optimizer.zero_grad()
    ops.mean(ops.square(net(x))).backward()
    optimizer.step()
state = {name: value.numpy() for name, value in net.state_dict().items()}
pickle.dump(state, sys.stdout.buffer)
"""


@pytest.mark.parametrize("rule", ["SGD of Nesterov", "AdamW"])
def test_a_network_and_its_optimizer_go_on_in_another_process(rule):
    md.use_device("cpu")
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Dense(3, 4, rng=rng), nn.BatchNorm(4), nn.Tanh(),
                        nn.Dropout(0.5, rng=rng),
                        nn.Dense(4, 1, rng=rng))
    optimizer, x = RULES[rule](net.parameters()), md.tensor(rng.normal(size=(8, 3)))

    def steps():
        for _ in range(2):
            optimizer.zero_grad()
            md.ops.mean(md.ops.square(net(x))).backward()
            optimizer.step()

    steps()
    sent = pickle.dumps((net, optimizer, x))
    came = pickle.loads(subprocess.run([sys.executable, "-c", ELSEWHERE], input=sent,
                                       stdout=subprocess.PIPE,
                                       check=True).stdout)
    steps()
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(came[name], value.numpy())
    assert list(came) == list(net.state_dict())
