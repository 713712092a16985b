"""Settings, pictures and masks of style transfer that a newcomer gets wrong, or nearly right."""
import re
import signal

import numpy as np
from PIL import Image
import pytest
from style_run import run, small_net, two_pictures

from demos import command_line, style_transfer
from minidl.style import preview, transfer
from minidl.style.blending import check_blend
from minidl.style.costs import check_layer_weights
from minidl.style.masks import read_mask


def test_weights_printed_with_four_digits_pass_and_are_divided_by_their_sum():
    weights = check_layer_weights("test", "abcde", dict(zip("abcde", (
        0.7442, 0.186, 0.04651, 0.01163, 0.01163))))                    # add up to 0.99997
    assert sum(weights.values()) == pytest.approx(1, abs=1e-15)
    assert weights["a"] == pytest.approx(0.7442 / 0.99997)
    assert check_blend("test", [0.333, 0.333, 0.333], 3) == pytest.approx([1 / 3] * 3)
    with pytest.raises(ValueError, match="add up to 0.998"):
        check_layer_weights("test", "ab", {"a": 0.499, "b": 0.499})


def test_pictures_of_any_whole_numbers_are_those_of_8_bits():
    content, painting = two_pictures()
    expected = run(steps=2).image
    found = transfer(content.astype("int64"), painting.astype("uint16"), size=40, steps=2,
                     net=small_net(), content_layers=["relu3_1"], content_weight=1.0)
    assert (found.image == expected).all()
    with pytest.raises(ValueError, match=r"content must be \(H, W, 3\), with pixels"):
        transfer(np.zeros((0, 0, 3)), painting, net=small_net())


@pytest.mark.parametrize("options, kind, words", [
    ({"sise": 3}, TypeError, "there is no setting 'sise'; is 'size' meant?"),
    ({"size": True}, TypeError, "size must be a whole number, got True"),
    ({"size": 10 ** 9}, ValueError, "size must be at most 65,536"),
    ({"steps": 10 ** 12}, ValueError, "steps must be at most 1,000,000,000"),
    ({"margin": 41}, ValueError, "margin must be at most the picture's size, 40, got 41"),
    ({"style_scale": 1e9}, ValueError, "at most 65,536"),
    ({"seed": "a"}, TypeError, "style transfer: seed"),
    ({"masks": np.ones((40, 32))}, TypeError, "put it in a list")])
def test_settings_that_cannot_be_are_named(options, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        run(**options)


def test_blend_weights_may_be_a_generator():
    content, painting = two_pictures()
    both = [painting, content[:24]]
    given = run(both, steps=2, style_blend_weights=(w for w in (0.25, 0.75)))
    assert (given.image == run(both, steps=2, style_blend_weights=[0.25, 0.75]).image).all()


def test_the_grids_settings_are_in_the_plural():
    with pytest.raises(TypeError, match="'look'; is 'looks' meant"):
        preview(*two_pictures(), net=small_net(), look="light")
    with pytest.raises(TypeError, match="'stepz'; is 'steps' meant"):
        preview(*two_pictures(), net=small_net(), stepz=3)


def test_masks_that_show_no_region_say_why(tmp_path):
    path = tmp_path / "mask.png"
    Image.fromarray(np.eye(9, dtype="uint8")).save(path)
    with pytest.raises(ValueError, match="its brightest value is 1 of 255"):
        read_mask("masks[0]", path)
    form = np.full((9, 9, 4), 255, "uint8")
    form[:4, :, 3] = 0                                  # white, and transparent above
    Image.fromarray(form).save(path)
    with pytest.raises(ValueError, match="white all over, as transparency counts as white"):
        read_mask("masks[0]", path)
    with pytest.raises(ValueError, match="divide 16 bits by 257"):
        read_mask("masks[0]", np.full((9, 9), 65535, "uint16"))


@pytest.mark.parametrize("arguments", [["--look", "light"], ["--margin", "4"],
                                       ["--style-scale", "2"]])
def test_the_preview_takes_no_option_that_it_varies(arguments, capsys):
    with pytest.raises(SystemExit):
        style_transfer.main(["--preview", *arguments])
    assert "--preview shows several looks and style scales" in capsys.readouterr().err


def test_ctrl_c_waits_for_nothing_where_files_are_written():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)   # in the background: ignored
    try:
        with command_line.undisturbed():
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
