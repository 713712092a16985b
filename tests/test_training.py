"""Small networks learn to read digits: as well as they should, the same every time, and just as
PyTorch does."""
import numpy as np
import pytest

import minidl as md
from minidl import nn

SEGMENTS = {"a": np.s_[0, :], "b": np.s_[:4, 3], "c": np.s_[3:, 3], "d": np.s_[6, :],
            "e": np.s_[3:, 0], "f": np.s_[:4, 0], "g": np.s_[3, :]}
GLYPHS = np.zeros((10, 7, 4))
for glyph, lit in zip(GLYPHS, "abcdef bc abged abgcd fgbc afgcd afgedc abc abcdefg abcdfg".split()):
    for segment in lit:
        glyph[SEGMENTS[segment]] = 1


def digits(count, seed):
    """Pictures of digits in one of four places, under noise: float32 (count, 12, 12, 1); and their
    labels (count,)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(10, size=count)
    pictures = rng.normal(0, 0.2, (count, 12, 12, 1))
    for picture, label, (top, left) in zip(pictures, labels,
                                           rng.integers((2, 3), (4, 5), (count, 2))):
        picture[top:top + 7, left:left + 4, 0] += GLYPHS[label]
    return pictures.astype("float32"), labels


TRAIN, TEST = digits(3000, seed=1), digits(1000, seed=2)


def perceptron(seed, dtype="float32"):
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Flatten(), nn.Dense(144, 64, dtype=dtype, rng=rng), nn.ReLU(),
                         nn.Dense(64, 32, dtype=dtype, rng=rng), nn.ReLU(),
                         nn.Dense(32, 10, dtype=dtype, rng=rng))


def convnet(seed, dtype="float32"):
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, dtype=dtype, rng=rng), nn.ReLU(),
                         nn.MaxPool(2),
                         nn.Conv2d(8, 16, 3, dtype=dtype, rng=rng), nn.ReLU(), nn.MaxPool(2),
                         nn.Flatten(), nn.Dense(64, 32, dtype=dtype, rng=rng), nn.ReLU(),
                         nn.Dense(32, 10, dtype=dtype, rng=rng))


def normalized(seed, dtype="float32"):
    """A network whose state is more than its parameters."""
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, bias=False, dtype=dtype, rng=rng),
                         nn.BatchNorm(4, dtype=dtype),
                         nn.ReLU(), nn.GlobalAveragePool(), nn.Dense(4, 10, dtype=dtype, rng=rng))


networks = pytest.mark.parametrize("network", [perceptron, convnet])


def shuffled(epochs, seed=0):
    """Batches for that many times through the training pictures."""
    batches = md.data.batches(*TRAIN, batch_size=50, rng=seed)
    return [batch for _ in range(epochs) for batch in batches]


def like(net, array):
    """The array as a Tensor in the place of the network."""
    return md.tensor(array, device=net.parameters()[0].device)


def train(net, optimizer, batches):
    """One step for each batch; returns the loss before each."""
    losses = []
    for pictures, labels in batches:
        optimizer.zero_grad()
        loss = md.losses.cross_entropy(net(like(net, pictures)), like(net, labels))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def scores(net, pictures):
    with md.no_grad():
        return net(like(net, pictures)).numpy()


def accuracy(net, pictures, labels):
    return (scores(net, pictures).argmax(-1) == labels).mean()


def values(module):
    return {name: value.numpy() for name, value in module.state_dict().items()}


def assert_identical(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].dtype == second[name].dtype
        assert np.array_equal(first[name], second[name]), name


def learns(net):
    optimizer = md.optim.Adam(net.parameters(), learning_rate=5e-3)
    assert accuracy(net, *TEST) < 0.3
    losses = train(net, optimizer, shuffled(epochs=5))
    assert 2 < losses[0] < 2.6  # log 10 = 2.3: it starts by guessing
    assert np.mean(losses[-20:]) < 0.3
    assert np.mean(losses[-60:]) < np.mean(losses[60:120]) < np.mean(losses[:60])
    assert accuracy(net, *TEST) > 0.92


def test_a_perceptron_learns_on_every_device(device):
    net = perceptron(seed=0)
    learns(net)
    assert {parameter.device for parameter in net.parameters()} == {device}


def test_a_convolutional_network_learns():
    learns(convnet(seed=0))


@networks
def test_the_same_seed_gives_the_same_bits(network):
    def trained(seed):
        net = network(seed)
        losses = train(net, md.optim.Adam(net.parameters(), learning_rate=5e-3),
                       shuffled(epochs=1, seed=seed))
        return losses, values(net)

    losses, state = trained(seed=3)
    again, state_again = trained(seed=3)
    assert losses == again
    assert_identical(state, state_again)
    other, other_state = trained(seed=4)
    assert losses != other
    assert not any(np.array_equal(state[name], other_state[name]) for name in state)


optimizers = {
    "momentum": lambda parameters: md.optim.SGD(parameters, 0.05, momentum=0.9),
    "Adagrad": lambda parameters: md.optim.Adagrad(parameters),
    "RMSprop": lambda parameters: md.optim.RMSprop(parameters, 1e-3, momentum=0.5),
    "Adam": lambda parameters: md.optim.Adam(parameters),
    "AdamW": lambda parameters: md.optim.AdamW(parameters),
}


@pytest.mark.parametrize("name", optimizers)
@pytest.mark.parametrize("network", [perceptron, normalized])
def test_training_goes_on_from_files_as_if_never_interrupted(network, name, tmp_path):
    batches = shuffled(epochs=1)
    straight = network(seed=0)
    losses = train(straight, optimizers[name](straight.parameters()), batches)

    net = network(seed=0)
    optimizer = optimizers[name](net.parameters())
    train(net, optimizer, batches[:30])
    md.save(tmp_path / "net.npz", net)
    md.save(tmp_path / "optimizer.npz", optimizer)

    net = network(seed=1).load_state_dict(md.load(tmp_path / "net.npz"))
    optimizer = optimizers[name](net.parameters())
    optimizer.load_state_dict(md.load(tmp_path / "optimizer.npz"))
    assert train(net, optimizer, batches[30:]) == losses[30:]
    assert_identical(values(net), values(straight))
    assert np.array_equal(scores(net.eval(), TEST[0]), scores(straight.eval(), TEST[0]))

    net = network(seed=1).load_state_dict(md.load(tmp_path / "net.npz"))
    train(net, optimizers[name](net.parameters()), batches[30:])
    assert any(not np.array_equal(*pair)
               for pair in zip(values(net).values(), values(straight).values()))


# PyTorch puts the channels first: filters are (O, C, *K) there, dense weights (out, in).

@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for such small layers, more only wait for each other
    yield torch
    torch.set_num_threads(threads)


def to_torch(weight):
    return weight if weight.ndim == 1 else np.moveaxis(weight, (-1, -2), (0, 1))


def from_torch(weight):
    return weight if weight.ndim == 1 else np.moveaxis(weight, (0, 1), (-1, -2))


def torch_perceptron(x, w):
    from torch.nn.functional import linear
    x = linear(x.flatten(1), w[0], w[1]).relu()
    return linear(linear(x, w[2], w[3]).relu(), w[4], w[5])


def torch_convnet(x, w):
    from torch.nn.functional import conv2d, linear, max_pool2d
    x = max_pool2d(conv2d(x, w[0], w[1], padding=1).relu(), 2)
    x = max_pool2d(conv2d(x, w[2], w[3]).relu(), 2)
    x = x.permute(0, 2, 3, 1).flatten(1)
    return linear(linear(x, w[4], w[5]).relu(), w[6], w[7])


def train_in_torch(torch, forward, weights, batches):
    """(parameters in minidl's layout, test accuracy) after one step of Adam for each batch."""
    w = [torch.tensor(to_torch(weight), requires_grad=True) for weight in weights]

    def predict(pictures):
        return forward(torch.tensor(pictures, dtype=w[0].dtype).permute(0, 3, 1, 2), w)

    optimizer = torch.optim.Adam(w, lr=5e-3)
    for pictures, labels in batches:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(predict(pictures), torch.tensor(labels)).backward()
        optimizer.step()
    with torch.no_grad():
        guessed = predict(TEST[0]).argmax(-1).numpy()
    return [from_torch(weight.detach().numpy()) for weight in w], (guessed == TEST[1]).mean()


pairs = pytest.mark.parametrize("network, forward",
                                [(perceptron, torch_perceptron), (convnet, torch_convnet)],
                                ids=["perceptron", "convnet"])


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-4), ("float64", 1e-9)])
@pairs
def test_pytorch_takes_the_same_steps(torch, network, forward, dtype, tolerance):
    net = network(0, dtype)
    start = [parameter.numpy() for parameter in net.parameters()]
    batches = [(pictures.astype(dtype), labels) for pictures, labels in shuffled(epochs=1)[:50]]
    expected, _ = train_in_torch(torch, forward, start, batches)
    train(net, md.optim.Adam(net.parameters(), learning_rate=5e-3), batches)
    for parameter, before, there in zip(net.parameters(), start, expected):
        here, moved = parameter.numpy(), np.linalg.norm(there - before)
        assert here.dtype == there.dtype == dtype
        assert moved > 0.1 * np.linalg.norm(before)
        assert np.linalg.norm(here - there) < tolerance * moved


@pairs
def test_pytorch_reaches_the_same_accuracy(torch, network, forward):
    here, there = [], []
    for seed in range(3):
        net, batches = network(seed), shuffled(epochs=4, seed=seed)
        _, score = train_in_torch(torch, forward,
                                  [parameter.numpy() for parameter in net.parameters()], batches)
        train(net, md.optim.Adam(net.parameters(), learning_rate=5e-3), batches)
        here.append(accuracy(net, *TEST))
        there.append(score)
    assert min(here) > 0.9
    assert abs(np.mean(here) - np.mean(there)) <= 0.005
