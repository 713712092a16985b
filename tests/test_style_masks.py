"""A style for each region, and several styles at once."""
import numpy as np
from PIL import Image
import pytest
from style_run import run, small_net, two_pictures

import minidl as md
from minidl.style import Objective, Settings, gram_matrix
from minidl.style.blending import blend
from minidl.style.canvas import Pictures
from minidl.style.costs import mean_gram
from minidl.style.masks import guides, read_mask
from minidl.visualize import receptive_fields

pytestmark = pytest.mark.usefixtures("device")
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def halves(height=40, width=32, soft=0):
    """The left half white, and the right half."""
    left = np.zeros((height, width), "float32")
    left[:, :width // 2] = 1
    if soft:
        left[:] = np.clip((width / 2 - np.arange(width) + soft / 2) / soft, 0, 1)
    return left, 1 - left


def dot(height=24, width=48):
    """One white pixel."""
    mask = np.zeros((height, width), "float32")
    mask[height // 2, width // 2] = 1
    return mask


def two_styles():
    """Stripes along and stripes across, in other colours."""
    wave = 127 + 100 * np.sin(np.arange(64) * np.pi / 3)
    along, across = np.tile(wave, (64, 1)), np.tile(wave[:, None], (1, 64))
    return [np.stack([along, along / 2, 255 - along], 2).astype("uint8"),
            np.stack([255 - across, across, across / 3], 2).astype("uint8")]


def test_a_mask_of_ones_is_no_mask():
    white = np.full((40, 32), 255, "uint8")
    plain, masked = run(), run(masks=[white])
    assert masked.history == plain.history and (masked.image == plain.image).all()
    both = run(masks=[white], style_masks=[np.ones((24, 48))])
    assert both.history == plain.history and (both.image == plain.image).all()


def test_the_guided_gram_matrix_of_a_half_is_that_halfs():
    a = np.random.default_rng(0).standard_normal((1, 8, 6, 3))
    mask, _ = halves(8, 6)
    guide = guides({"a": receptive_fields(md.nn.Sequential({"a": md.nn.ReLU()}))["a"]}, mask,
                   {"a": (8, 6)})["a"]
    guided = mean_gram(md.tensor(guide.numpy().astype("float64")) * md.tensor(a)).numpy()
    half = a[:, :, :3]
    np.testing.assert_allclose(guided, gram_matrix(md.tensor(half)).numpy() / 24, rtol=1e-6)


def test_a_guide_by_hand():
    """Of a mask of 4 × 8 pixels for a layer whose places own 2 × 2 of them."""
    net = md.nn.Sequential({"pool": md.nn.AveragePool(2),
                            "conv": md.nn.Conv2d(3, 3, 3, padding=1, rng=0)})
    fields, mask = receptive_fields(net), np.zeros((4, 8))
    mask[:, :5] = 1
    simple = guides(fields, mask, {"conv": (2, 4)})["conv"].numpy()[0, :, :, 0]
    expected = np.array([[1, 1, 0.5, 0]] * 2)
    np.testing.assert_allclose(simple, expected / np.sqrt((expected ** 2).mean()), rtol=1e-6)
    inside = guides(fields, mask, {"conv": (2, 4)}, "inside")["conv"].numpy()[0, :, :, 0]
    expected = np.array([[1, 0, 0, 0]] * 2)     # place 1 sees pixels 0 to 5
    np.testing.assert_allclose(inside, expected * 2, rtol=1e-6)
    assert guides(fields, mask * 0, {"conv": (2, 4)}) == {}


@pytest.mark.parametrize("kind", ["simple", "inside"])
def test_places_that_see_nothing_but_padding(kind):
    """A filter of 3 pixels in a padding of 4: beyond the picture its nearest pixel counts."""
    net = md.nn.Sequential({"conv": md.nn.Conv2d(3, 3, 3, padding=4, rng=0)})
    mask = np.zeros((4, 6))
    mask[:, :3] = 1
    guide = guides(receptive_fields(net), mask, {"conv": (10, 12)}, kind)["conv"].numpy()
    width = 6 if kind == "simple" else 5
    assert (guide[0, :, :width] == guide.max()).all() and (guide[0, :, width:] == 0).all()


def test_inside_means_that_nothing_leaks():
    """The cost of a region has no gradient outside of its mask, and one inside."""
    left, right = halves(64, 96)
    settings = Settings(size=96, scales=1, guide="inside", style_layers=LAYERS[:3],
                        content_layers=["relu1_1"])
    content = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype("uint8")
    net = small_net()
    canvas = Pictures(content, two_styles(), [left, right], None, settings, net).full
    for region, mask in zip(canvas.regions(), (left, right)):
        objective = Objective(net, canvas.content, [region], content_layers=["relu1_1"],
                              style_layers=LAYERS[:3], content_weight=0.0, style_weight=1.0)
        picture = md.tensor(canvas.content, requires_grad=True)
        slope, = md.grad(objective(picture)["J_style"], picture)
        slope = np.abs(slope.numpy()[0]).max(2)
        assert (slope[mask == 0] == 0).all() and slope[mask == 1].max() > 0


def test_a_layer_of_which_no_region_says_anything_costs_nothing():
    """At the coarsest size, where relu4_1 sees 38 pixels, and a stripe has 21."""
    content = np.random.default_rng(0).integers(0, 256, (24, 96, 3)).astype("uint8")
    stripes = np.tile((np.arange(96) // 16 % 2).astype("float32"), (24, 1))
    for layers in ["relu1_1", "relu4_1"], ["relu4_1"]:
        result = md.style.transfer(content, two_styles(), masks=[stripes, 1 - stripes],
                                   guide="inside", size=256, margin=0, steps=3, net=small_net(),
                                   style_layers=layers, content_layers=["relu1_1"],
                                   optimizer="adam")
        costs = [(row["size"], row["style relu4_1"]) for row in result.history]
        assert {size for size, cost in costs if cost == 0} == {128}
        assert {size for size, cost in costs if cost > 0} == {181, 256}


@pytest.mark.parametrize("soft", [0, 8])
def test_every_region_is_nearest_to_its_own_style(soft):
    masks, styles, net = halves(64, 64, soft), two_styles(), small_net()
    content = np.random.default_rng(0).integers(90, 160, (64, 64, 3)).astype("uint8")
    settings = dict(size=64, content_layers=["relu3_1"], steps=30, content_weight=0.0)
    result = md.style.transfer(content, styles, masks=masks, net=net, **settings)
    canvas = Pictures(content, styles, masks, None, Settings(**settings), net).full
    picture, _ = canvas.placed({"picture": result.picture})
    seen, regions = dict(net.walk(picture, LAYERS)), canvas.regions()
    for i, region in enumerate(regions):
        for layer in LAYERS:
            gram = mean_gram(region.guides[layer] * seen[layer])
            far = [np.linalg.norm((gram - other.grams[layer]).numpy()) for other in regions]
            assert far[i] < far[1 - i], layer


def test_a_style_mask_takes_the_style_from_there():
    """A style whose left half is one picture, masked to it, is that picture's style in the
    middle."""
    one, two = two_styles()
    both = np.concatenate([one, two], 1)
    left = halves(64, 128)[0]
    settings = Settings(size=128, scales=1, content_layers=["relu1_1"], style_layers=["relu1_1"])
    canvas = Pictures(two_pictures()[0], [both], [np.ones((40, 32))], [left], settings,
                      small_net()).full
    found = canvas.regions()[0].grams["relu1_1"].numpy()[0]
    a = small_net()(canvas.styles[0],
                    layers=["relu1_1"])["relu1_1"].numpy()[0, :, :64].reshape(-1, 6)
    np.testing.assert_allclose(found, a.T @ a / len(a), rtol=1e-4)


def test_blends():
    content, painting = two_pictures()
    other = two_styles()[0]
    single = run()
    assert run(style=[painting]).history == single.history
    one = run(style=[painting, other], style_blend_weights=(1, 0))
    assert one.history == single.history and (one.image == single.image).all()
    equal = run(style=[painting, other])
    half = run(style=[painting, other], style_blend_weights=[0.5, 0.5])
    assert equal.history == half.history != single.history


def test_a_blend_has_the_gradient_of_the_blended_costs():
    net, drawn = small_net(), np.random.default_rng(0)
    pictures = [md.tensor(drawn.uniform(0, 255, (1, 32, 32, 3)), dtype="float32") for _ in range(4)]
    *styles, content, made = pictures
    options = dict(content_layers=["relu1_1"], style_layers=LAYERS, content_weight=0.0,
                   style_weight=1.0)
    grams = [{name: mean_gram(a) for name, a in net.walk(style, LAYERS)} for style in styles]
    region = md.style.masks.Region(blend(grams, [0.3, 0.7]))

    def slope(style):
        picture = md.tensor(made, requires_grad=True)
        return md.grad(Objective(net, content, style, **options)(picture)["J"], picture)[0].numpy()

    expected = 0.3 * slope(styles[0]) + 0.7 * slope(styles[1])
    np.testing.assert_allclose(slope([region]), expected, rtol=1e-3,
                               atol=1e-4 * np.abs(expected).max())


def test_masks_from_any_picture(tmp_path):
    mask = halves()[0]
    Image.fromarray((mask * 255).astype("uint8")).save(tmp_path / "mask.png")
    Image.fromarray((mask * 255).astype("uint8")).convert("RGB").resize((64, 80)).save(
        tmp_path / "mask.jpg"
    )
    for given in (tmp_path / "mask.png", mask, mask > 0.5, mask.astype("uint8"), mask * 255,
                  np.repeat(mask[..., None], 3, 2)):
        np.testing.assert_array_equal(read_mask("mask", given), mask)
    assert abs(read_mask("mask", tmp_path / "mask.jpg").mean() - 0.5) < 0.02
    paired = run(style=two_styles(), masks=[tmp_path / "mask.jpg", halves()[1]], steps=2)
    assert len(paired.history) == 2


def with_masks(*masks, **options):
    return lambda: run(style=two_styles(), masks=masks, **options)


@pytest.mark.parametrize("call, error, words", [
    (with_masks(halves()[0]), ValueError, "got 2 styles and 1 mask: each style needs a mask"),
    (with_masks(*halves(), halves()[0]), ValueError, "got 2 styles and 3 masks"),
    (with_masks(halves()[0], halves(30, 30)[1]), ValueError,
     r"masks\[1\] has 30 × 30 pixels \(height × width\), its picture 40 × 32"),
    (with_masks(halves()[0], halves()[0]), ValueError, "leave 50.0% of the pixels in no region"),
    (with_masks(halves()[0], np.zeros((40, 32))), ValueError, r"masks\[1\] is black all over"),
    (with_masks(*halves(), style_blend_weights=[0.5, 0.5]), ValueError,
     "give the one or the other"),
    (with_masks(halves()[0], np.full((40, 32), np.nan)), ValueError,
     r"masks\[1\] must be in 0..255"),
    (with_masks(halves()[0], np.zeros(7)), ValueError, r"masks\[1\] must be \(H, W\)"),
    (with_masks(halves()[0], np.array([["a"]])), TypeError,
     r"masks\[1\] must be a path or an array"),
    (with_masks(*halves(), guide="inside"), ValueError,
     r"guide='inside' leaves nothing of masks\[0\] at relu5_1, which sees \d+ pixels"),
    (lambda: run(masks=[np.ones((40, 32))], style_masks=[dot()], guide="inside"), ValueError,
     r"guide='inside' leaves nothing of style_masks\[0\] at relu1_1, which sees \d+ pixels"),
    (lambda: run(masks="mask.png"), TypeError,
     "masks must be a list with one mask for each style, got str"),
    (lambda: run(style_masks=[halves(24, 48)[0]]), ValueError, "style_masks, .* come with masks"),
    (lambda: run(style=two_styles(), style_blend_weights=[0.5, 0.6]), ValueError,
     "must add up to 1, got .*, which add up to 1.1"),
    (lambda: run(style=two_styles(), style_blend_weights=[1.0]), ValueError,
     "for each of the 2 styles, got 1"),
    (lambda: run(style=two_styles(), style_blend_weights=[1.5, -0.5]), ValueError,
     r"weights\[0\] ≤ 1, got 1.5"),
    (lambda: run(style=two_styles(), style_blend_weights=0.5), TypeError,
     "must be a list of numbers, got 0.5"),
    (lambda: run(style_blend_weights=np.array(1.0)), TypeError, "must be a list of numbers, got"),
    (lambda: run(style=[]), ValueError, "at least one style"),
])
def test_what_users_get_wrong(call, error, words):
    with pytest.raises(error, match=f"^style transfer: .*{words}"):
        call()


def test_a_mask_needs_a_net_that_tells_what_it_sees():
    net = small_net()

    class Blind:
        walk = staticmethod(net.walk)

    with pytest.raises(TypeError, match="masks need a network that tells what its layers see"):
        run(net=Blind(), masks=[np.ones((40, 32))])
    assert len(run(net=Blind(), steps=1).history) == 1
