"""Whose colours a picture has: moments, chroma, and what clipping does."""
import numpy as np
import pytest
from style_run import run, small_net, two_pictures

from minidl.style import Settings, luminance, match_colors, match_luminance, with_chroma
from minidl.style.canvas import Pictures
from minidl.style.colors import clipped


def pictures(seed=0):
    """A content and a style with correlated colours, (H, W, 3) in 0..255."""
    drawn = np.random.default_rng(seed)
    mixing = drawn.uniform(-30, 30, (2, 3, 3))
    return [(drawn.standard_normal((24, 30, 3)) @ m + drawn.uniform(90, 160, 3)) for m in mixing]


def moments(picture):
    pixels = picture.reshape(-1, 3)
    return pixels.mean(0), np.cov(pixels.T, bias=True)


@pytest.mark.parametrize("method", ["match", "cholesky"])
def test_the_style_gets_the_contents_mean_and_covariance(method):
    content, style = pictures()
    for found, asked in zip(moments(match_colors(style, content, method)), moments(content)):
        np.testing.assert_allclose(found, asked, rtol=1e-12)


def test_monge_and_kantorovich_move_the_pixels_least():
    content, style = pictures(1)
    moved = {method: ((match_colors(style, content, method) - style) ** 2).mean()
             for method in ("match", "cholesky")}
    assert moved["match"] < moved["cholesky"]
    same = match_colors(style, style)
    np.testing.assert_allclose(same, style, atol=1e-9)


def test_a_content_without_some_colours_can_be_matched():
    content, style = pictures()
    grey = np.repeat(content[..., :1], 3, 2)
    for method in ("match", "cholesky"):
        np.testing.assert_allclose(moments(match_colors(style, grey, method))[1], moments(grey)[1],
                                   atol=1e-6)
    with pytest.raises(ValueError,
                       match="match_colors: all of the style's colours lie in one plane"):
        match_colors(grey, content)


def test_luminance_by_hand_and_its_moments():
    assert luminance(np.array([[[100.0, 200.0, 50.0]]])).item() == pytest.approx(29.9 + 117.4 + 5.7)
    content, style = pictures()
    matched = match_luminance(style, content)
    assert (matched[..., 0] == matched[..., 2]).all()
    for moment in (np.mean, np.std):
        assert moment(matched) == pytest.approx(moment(luminance(content)), rel=1e-12)
    for value in (9.0, 33.3, 100.1):                        # whose means are off by rounding
        flat = match_luminance(np.full((50, 37, 3), value), content)
        assert flat == pytest.approx(luminance(content).mean())


@pytest.mark.parametrize("call", [match_colors, match_luminance, with_chroma])
def test_pictures_without_pixels(call):
    with pytest.raises(ValueError, match=r"has no pixels, its shape is \(0, 30, 3\)"):
        call(pictures()[0][:0], pictures()[1][:0])


def test_chroma_is_the_contents_and_luminance_gives_way():
    drawn = np.random.default_rng(0)
    content, made = drawn.uniform(0, 255, (2, 16, 16, 3))
    found = with_chroma(made, content)
    np.testing.assert_allclose(found - luminance(found), content - luminance(content), atol=1e-10)
    assert found.min() >= -1e-10 and found.max() <= 255 + 1e-10
    calm = (content - luminance(content)) / 4 + 127                 # nothing need give way
    np.testing.assert_allclose(luminance(with_chroma(made / 2 + 60, calm)),
                               luminance(made / 2 + 60), rtol=1e-12)


def test_clipping_is_reported():
    picture = np.array([[[0.0, 255.0, 128.0], [-9.0, 3.0, 3.0]],
                        [[1.0, 2.0, 256.0], [255.4, 0.0, 0.0]]])
    held, share = clipped(picture)
    assert held.min() == 0 and held.max() == 255 and share == 0.5


def chroma(picture):
    picture = picture.astype("float64")
    return picture - luminance(picture)


@pytest.mark.parametrize("kind", ["content", "luminance"])
def test_a_picture_keeps_the_contents_chroma(device, kind):
    """Within 1 of 255, after rounding to bytes."""
    content, _ = two_pictures()
    result = run(colors=kind)
    assert np.abs(chroma(result.image) - chroma(content)).max() <= 1
    assert (result.image != content).any()
    assert result.history[-1]["J"] < result.history[0]["J"]


@pytest.mark.parametrize("kind", ["match", "cholesky"])
def test_a_picture_of_a_recoloured_style(device, kind):
    content, painting = two_pictures()
    given = Pictures(content, [painting], None, None, Settings(size=40, colors=kind), small_net())
    assert given.styles[0].min() == 0 and given.styles[0].max() == 255
    assert 0 < given.stretched < 1 and run(colors=kind, steps=1).stretched == given.stretched
    assert run(steps=1).stretched == 0
    grey = np.repeat(two_pictures()[1][..., :1], 3, 2)
    with pytest.raises(ValueError, match="colors='luminance'"):
        run(style=grey, colors=kind)
