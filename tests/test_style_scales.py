"""Style transfer from coarse to fine: the plan, the margin, Adam's memory, runs that go on,
shares."""
import json

import numpy as np
import pytest
from style_run import run, small_net, two_pictures

import minidl as md
from minidl.style import (
    PRESETS,
    Settings,
    converted,
    load_state,
    save_state,
    style_layer_cost,
    transfer,
)
from minidl.style.canvas import Pictures
from minidl.style.descent import LBFGS_PIXELS, descend, optimizer_for
from minidl.style.pyramid import Frame, enlarge, plan
from minidl.style.shares import CHANNELS, content_weight_for
from minidl.style.transfer import Objective

pytestmark = pytest.mark.usefixtures("device")


@pytest.mark.parametrize("size, steps, scales, expected", [
    (512, 100, None, [(128, 20), (181, 20), (256, 20), (362, 20), (512, 20)]),
    (256, 100, None, [(128, 33), (181, 33), (256, 34)]),
    (512, 100, 2, [(362, 50), (512, 50)]), (512, 100, 1, [(512, 100)]),
    (100, 7, None, [(100, 7)]), (512, 3, None, [(256, 1), (362, 1), (512, 1)]),
    (180, 10, None, [(180, 10)]), (181, 11, None, [(128, 5), (181, 6)]),
])
def test_the_plan(size, steps, scales, expected):
    assert [(scale.size, scale.steps) for scale in plan(size, steps, scales)] == expected


@pytest.mark.parametrize("shape", [(40, 33), (16, 16), (5, 71)])
def test_a_frame_is_mirrored_and_cut_off(shape):
    picture = np.random.default_rng(0).uniform(0, 255, (*shape, 3))
    frame = Frame.around(shape, 8, 16)
    framed = frame.add(picture)
    assert framed.shape[0] % 16 == framed.shape[1] % 16 == 0
    assert min(frame.above, frame.below, frame.left, frame.right) >= 8
    np.testing.assert_array_equal(frame.cut(framed), picture)
    np.testing.assert_array_equal(framed[frame.above - 1], framed[frame.above + 1])
    assert Frame().add(picture) is picture


def test_the_last_rows_are_painted_like_the_others():
    """47 = 2 · 16 + 15 pixels: without a margin the deepest layer hardly sees the last rows."""
    content = np.random.default_rng(0).integers(0, 256, (47, 47, 3)).astype("uint8")

    def share(margin):
        result = transfer(content, two_pictures()[1], size=47, steps=2, net=small_net(),
                          margin=margin,
                          content_layers=["relu5_1"], style_layers=["relu5_1"], content_weight=0.0)
        moved = abs(result.picture - content).mean((1, 2))
        return moved[-6:].mean() / moved[12:-12].mean()

    assert share(0) < 0.3 and share(8) > 0.6


def test_an_array_to_start_from_is_resampled_whatever_its_size():
    """208 pixels: as many as the coarse picture's 147 with its margin."""
    start = np.random.default_rng(0).uniform(90, 160, (208, 208, 3)).astype("float32")
    settings = Settings(size=208, margin=30, init=start, content_layers=["relu1_1"])
    pictures = Pictures(start, [two_pictures()[1]], None, None, settings, small_net())
    canvas = pictures.at(147)
    assert canvas.content.shape[1:] == start.shape
    np.testing.assert_array_equal(canvas.start()[0].numpy(), canvas.content.numpy())


def test_sizes_in_a_run_and_their_pictures():
    seen = []
    result = run(size=181, steps=6, callback=seen.append)
    assert [step.size for step in seen] == [128] * 3 + [181] * 3
    assert [step.number for step in seen] == list(range(1, 7))
    assert [costs["size"] for costs in result.history] == [128] * 3 + [181] * 3
    assert seen[0].picture.shape[1] >= 128 + 16 and result.image.shape == (181, 145, 3)
    assert result.picture.dtype == np.float32
    assert (result.image == np.rint(result.picture)).all()


def test_one_scale_is_the_plain_run():
    """L-BFGS on J from the content, without margin, pyramid or shares: bit for bit."""
    content, style = (md.tensor(md.data.resize(picture, 40)[None], dtype="float32")
                      for picture in two_pictures())
    objective = Objective(small_net(), content, style, content_layers=["relu3_1"],
                          content_weight=1.0, style_weight=1.0)
    history = []

    def evaluate(generated):
        costs = objective(generated)
        history.append(costs["J"].item())
        return costs["J"]

    found = md.optim.minimize_lbfgs(evaluate, content, evaluations=12, bounds=(0.0, 255.0),
                                    history=30, first_step=1.0,
                                    ftol=0.0, gtol=0.0)
    result = run(scales=1)
    assert [costs["J"] for costs in result.history] == history
    assert (result.picture == found.x.numpy()[0]).all()


def test_a_scale_starts_from_the_last_ones_picture():
    pictures = []
    run(size=181, steps=2, callback=pictures.append)
    first, second = pictures
    settings = Settings(size=181, content_layers=["relu3_1"])
    canvases = Pictures(*[[p] if i else p for i, p in enumerate(two_pictures())], None, None,
                        settings,
                        small_net())
    coarse, fine = canvases.at(128), canvases.at(181)
    expected = enlarge(coarse.frame.cut(first.picture.numpy()[0]), fine.shape, 0, 255)
    np.testing.assert_allclose(fine.frame.cut(second.picture.numpy()[0]), expected, atol=1e-3)


def test_a_short_run_ends_at_the_size_it_had_come_to():
    def stop(step):
        if step.number == 2:
            raise StopIteration
    result = run(size=181, steps=6, callback=stop)
    assert result.image.shape == (128, 102, 3) and len(result.history) == 2
    assert not result.interrupted


def test_lbfgs_where_its_memory_fits():
    assert optimizer_for(LBFGS_PIXELS) == "lbfgs" and optimizer_for(LBFGS_PIXELS + 1) == "adam"


def test_adams_average_of_iterates():
    """On J = Σ (G − 100)² the average is that of the iterates, weighted by ρ."""
    start, seen = md.tensor(np.full((1, 2, 2, 3), 90.0, "float32")), []
    found = descend(lambda g: ((g - 100.0) ** 2).sum(), start, 4, "adam", average=0.5,
                    learning_rate=1.0,
                    report=lambda number, picture, memory: seen.append(picture.numpy()))
    last = descend(lambda g: ((g - 100.0) ** 2).sum(), start, 5, "adam", learning_rate=1.0,
                   report=lambda number, picture, memory: seen.append(picture.numpy()))
    iterates = seen[-4:]                    # after steps 1 to 4
    weights = np.array([0.5 ** k for k in (3, 2, 1, 0)])
    expected = sum(w * x for w, x in zip(weights, iterates)) / weights.sum()
    np.testing.assert_allclose(found.picture.numpy(), expected, rtol=1e-5)
    assert last.picture.numpy().mean() > found.picture.numpy().mean()


def test_adams_moments_go_to_the_next_scale():
    states = []
    run(size=181, steps=6, optimizer="adam", callback=lambda step: states.append(step.state))
    third, fourth = states[2]["start"], states[3]["start"]
    assert fourth["step"] == 3 and third["step"] == 2 and third["count"] == 2
    assert fourth["count"] == 0
    assert fourth["square"].shape == fourth["picture"].shape and fourth["square"].min() >= 0
    assert fourth["mean"].any()


@pytest.mark.parametrize("optimizer, at", [
    ("adam", 2), ("adam", 3), ("adam", 5), ("gradient_descent", 3), ("gradient_descent", 5),
    ("lbfgs", 5)])
def test_a_run_that_goes_on(tmp_path, optimizer, at):
    options = dict(size=181, steps=6, optimizer=optimizer)
    whole = run(**options)

    def stop(step):
        if step.number == at:
            save_state(tmp_path / "state.npz", step.state)
            raise StopIteration

    run(**options, callback=stop)
    rest = run(**options, resume=load_state(tmp_path / "state.npz"))
    assert [costs["size"] for costs in rest.history] == [128] * 3 + [181] * 3
    if optimizer != "lbfgs":                # which begins with a new curvature
        assert rest.history == whole.history and (rest.image == whole.image).all()
    else:
        assert rest.history[:at] == whole.history[:at]
        assert rest.history[at]["J"] == pytest.approx(
            min(costs["J"] for costs in whole.history[3:at])
        )


def test_states_that_do_not_fit(tmp_path):
    states = []
    run(steps=3, callback=lambda step: states.append(step.state))
    with pytest.raises(ValueError, match="a run at 40 pixels, this one goes by 48"):
        run(size=48, resume=states[0])
    with pytest.raises(ValueError, match="finished, all 3 steps at .* ask for more steps"):
        run(steps=3, resume=states[-1])
    with pytest.raises(ValueError, match="another content or margin"):
        run(steps=3, margin=0, resume=states[0])
    for other in dict(content_weight=3.0), dict(seed=1), dict(optimizer="adam"):
        with pytest.raises(ValueError, match="a run with other pictures, masks or settings"):
            run(steps=3, resume=states[0], **other)
    path = tmp_path / "state.npz"
    save_state(path, states[1])
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], whole[:-30], b"PK" + bytes(200)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="is not a usable state"):
            load_state(path)
    start = states[1]["start"]
    for change in ({"history": 1}, {"done": -1}, {"size": "a"}, {"size": [40]}, {"start": {}},
                   {"start": start | {"picture": np.zeros((2, 2))}},
                   {"start": start | {"frame": np.array([1])}},
                   {"start": start | {"other": np.zeros(3)}}):
        wrong = states[1] | change
        text = json.dumps({name: value for name, value in wrong.items() if name != "start"})
        np.savez(path, json=np.frombuffer(text.encode(), np.uint8), **wrong["start"])
        with pytest.raises(ValueError, match="is not a usable state"):
            load_state(path)
        with pytest.raises(ValueError, match="save_state: state must be the state of an Evaluat"):
            save_state(path, wrong)
        with pytest.raises(ValueError, match="style transfer: resume must be the state of an Eval"):
            run(steps=3, resume=wrong)
    with pytest.raises(ValueError, match="must be the state of an Evaluation, it is none, or dam"):
        run(steps=3, resume=states[1] | {"start": 3})
    with pytest.raises(TypeError, match="load_state: path must be a path, got int 3"):
        load_state(3)


def test_shares_at_the_probe_are_those_asked_for():
    settings = Settings(size=40, content_layers=["relu3_1"])
    pictures = Pictures(two_pictures()[0], [two_pictures()[1]], None, None, settings, small_net())
    canvas = pictures.full
    objective = Objective(small_net(), canvas.content, canvas.regions(), content_layers=["relu3_1"],
                          content_weight=1.0, style_weight=1.0)
    for share in (0.5, 0.02, PRESETS["light"]):
        objective.content_weight = content_weight_for(share, objective, canvas.probe())
        pulls = []
        for name, weight in (("J_content", objective.content_weight), ("J_style", 1.0)):
            probe = md.tensor(canvas.probe(), requires_grad=True)
            slope, = md.grad(objective(probe)[name] * weight, probe)
            pulls.append(np.abs(slope.numpy()).sum(dtype="float64"))
        assert pulls[0] / sum(pulls) == pytest.approx(share, rel=1e-4)


def test_presets_go_from_light_to_strong():
    assert PRESETS["light"] > PRESETS["balanced"] > PRESETS["strong"]
    given = [run(steps=1, content_weight=None, look=look).history[0]["content_weight"]
             for look in ("light", "balanced", None, 0.5)]
    assert given[0] > given[1] == given[2] < given[3]


def test_weights_of_other_tools():
    """Their costs by hand, on activations of VGG's shapes, are ours with the converted weights."""
    rng = np.random.default_rng(0)
    size = 32
    shapes = {"relu1_1": (32, 32, 64), "relu2_1": (16, 16, 128), "relu3_1": (8, 8, 256),
              "relu4_1": (4, 4, 512), "relu5_1": (2, 2, 512)}
    style, made = ({name: rng.uniform(0, 9, shape) for name, shape in shapes.items()}
                   for _ in range(2))
    content, seen = rng.uniform(0, 9, (2, 4, 4, 512))
    difference = ((content - seen) ** 2).sum()
    gram = {name: (lambda a: a.reshape(-1, a.shape[-1]).T @ a.reshape(-1, a.shape[-1]))
            for name in shapes}

    def ours(tool):
        found = converted(tool, height=size, width=size)
        styles = sum(weight * style_layer_cost(
            md.tensor(gram[name](style[name])[None] / shapes[name][0] ** 2),
            md.tensor(made[name][None])).item()
            for name, weight in found["style_layer_weights"].items())
        return (
            found["content_weight"] * difference / (4 * content.size)
            + found["style_weight"] * styles
        )

    lua = 5 * difference / content.size + 100 * sum(
        np.mean(((gram[n](style[n]) - gram[n](made[n])) / made[n].size) ** 2) for n in shapes)
    tf = 5 * difference / (2 * np.sqrt(512 * 16)) + 10_000 / 5 * sum(
        0.2 * ((gram[n](style[n]) - gram[n](made[n])) ** 2).sum()
        / (4 * s[2] ** 2 * (s[0] * s[1]) ** 2)
        for n, s in shapes.items())
    assert ours("neural-style") == pytest.approx(lua, rel=1e-6)
    assert ours("neural-style-pt") == pytest.approx(lua, rel=1e-6)
    assert ours("neural-style-tf") == pytest.approx(tf, rel=1e-6)
    assert sum(converted("neural-style")["style_layer_weights"].values()) == pytest.approx(1)
    assert set(CHANNELS) == set(shapes)
    with pytest.raises(ValueError, match="tool must be one of neural-style, "):
        converted("photoshop")


def test_content_layers_have_weights():
    layers = ["relu2_1", "relu3_1"]
    costs = run(content_layers=layers, content_layer_weights={"relu2_1": 0.25, "relu3_1": 0.75},
                steps=3).history[-1]
    assert costs["J_content"] == pytest.approx(0.25 * costs["content relu2_1"]
                                               + 0.75 * costs["content relu3_1"], rel=1e-5)


def wavelength(picture):
    """Of the strongest wave in rows and columns, by the first rise of the autocorrelation."""
    grey = picture.astype(float).mean(2)
    grey -= grey.mean()
    power = np.abs(np.fft.fft2(grey)) ** 2
    shares = power[0, 1:power.shape[1] // 2]
    return power.shape[1] / (1 + shares.argmax())


def test_style_scale_doubles_the_style():
    """A style of stripes 8 pixels apart at its size is held to as stripes 16 apart at twice its
    size."""
    stripes = np.tile(127 + 100 * np.sin(2 * np.pi * np.arange(64) / 8), (64, 1))
    stripes = np.repeat(stripes[..., None], 3, 2).astype("float32")
    for scale, expected in ((1, 8), (2, 16)):
        settings = Settings(size=64, style_scale=scale)
        pictures = Pictures(np.zeros((64, 64, 3), "uint8"), [stripes], None, None, settings,
                            small_net())
        canvas = pictures.full
        middle = canvas.styles[0].numpy()[0, 16:-16, 16:-16]
        middle = middle[:64, :64]
        assert wavelength(middle) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("options, error, words", [
    ({"scales": 0}, ValueError, "scales must be at least 1, got 0"),
    ({"scales": 1.5}, TypeError, "scales must be a whole number"),
    ({"margin": -1}, ValueError, "margin must be at least 0"),
    ({"average": 1.0}, ValueError, "0 ≤ average < 1, got 1.0"),
    ({"average": 0.5, "optimizer": "lbfgs"}, ValueError, "average is for optimizer='adam'"),
    ({"average": 0.5}, ValueError, "average is for optimizer='adam', got 0.5 with None"),
    ({"look": "balanced"}, ValueError, "give the one or the other"),
    ({"look": "wild", "content_weight": None}, ValueError, "light, balanced, strong or"),
    ({"look": 1.0, "content_weight": None}, ValueError, "0 < look < 1, got 1.0"),
    ({"style_scale": 0}, ValueError, "0 < style_scale < inf"),
    ({"style_scale": 0.1}, ValueError, "makes the style 4 pixels long"),
    ({"content_layer_weights": {"relu3_1": 0.5}}, ValueError, "add up to 1"),
    ({"colors": "sepia"}, ValueError,
     "colors must be one of content, luminance, match, cholesky, None"),
    ({"colors": np.array(["match", "content"])}, ValueError, "colors must be one of content, lum"),
    ({"optimizer": ["adam"]}, ValueError, "optimizer must be one of lbfgs, adam, gradient_descent"),
    ({"guide": "outside"}, ValueError, "guide must be one of simple, inside"),
    ({"stepz": 3}, TypeError, "stepz"),
])
def test_wrong_settings(options, error, words):
    with pytest.raises(error, match=words):
        run(**options)


def test_settings_can_be_written_down():
    settings = Settings(size=64, style_blend_weights=[0.5, 0.5])
    assert Settings(**json.loads(json.dumps(vars(settings)))) .size == 64


def test_ctrl_c_in_the_first_evaluation_of_a_size_loses_nothing():
    """The last Evaluation's state is of the size before, and the run goes on from there."""
    net, seen = small_net(), []

    class Interrupted(type(net)):
        pressed = False

        def walk(self, x, layers):
            if x.requires_grad and len(seen) == 3 and not self.pressed:
                self.pressed = True
                raise KeyboardInterrupt
            return super().walk(x, layers)

    net.__class__ = Interrupted
    options = dict(size=181, steps=6, optimizer="gradient_descent", net=net)
    result = run(**options, callback=seen.append)
    assert result.interrupted and len(result.history) == 3 and result.image.shape == (181, 145, 3)
    state = seen[-1].state
    assert state["size"] == 128 and state["done"] == 2
    rest = run(**options, resume=state)
    assert rest.history == run(**options).history
