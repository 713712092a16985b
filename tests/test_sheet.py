"""Sheets: what is drawn of a projection, of pictures, and of units with little to show."""
import numpy as np
import pytest

from minidl.visualize import GREY, Shown, contrast, draw_rows, draw_sheet

PICTURE = np.full((20, 20, 3), 200, np.uint8)


def test_contrast_by_hand():
    d = np.array([-2.0, 0.0, 1.0, 2.0]).reshape(2, 2, 1)
    assert contrast(d).ravel().tolist() == [1, GREY, 192, 255]
    assert (contrast(np.zeros((3, 3, 3))) == GREY).all()
    assert (contrast(np.full((2, 2, 1), -128, np.int8)) == 1).all()     # |−128| is no int8


def test_units_and_rows_with_nothing_to_show():
    """Their words stand there all the same."""
    nothing = Shown(3, [], [], [], None, None)
    unit, heading = (draw_sheet("t", [("h", units)]) for units in ([nothing], []))
    assert unit.shape[0] > heading.shape[0] and (unit[heading.shape[0]:] < 128).any()
    one, none = (draw_rows("t", [("a row", pictures)]) for pictures in ([("c", PICTURE)], []))
    assert one.shape[0] > none.shape[0] > draw_rows("t", []).shape[0]


@pytest.mark.parametrize("call, error, words", [
    (lambda: contrast(np.full((2, 2, 1), np.nan)), ValueError, "contrast: .* all finite"),
    (lambda: contrast(np.zeros((0, 2, 1))), ValueError, "contrast: .* must have entries"),
    (lambda: draw_rows("t", [("h", [("c", PICTURE[..., :2])])]), ValueError,
     r"draw: a picture must be \(H, W, 1\) or \(H, W, 3\), got \(20, 20, 2\)"),
    (lambda: draw_rows("t", [("h", [("c", PICTURE[:0])])]), ValueError, "draw: a picture"),
    (lambda: draw_sheet("t", [("h", None)]), TypeError, "draw_sheet: units must be a list"),
])
def test_bad_input(call, error, words):
    with pytest.raises(error, match=f"^{words}"):
        call()
