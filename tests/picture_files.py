"""For the tests of files: a picture, what pictures are compared by, and how a bad file is
refused."""
import warnings

import numpy as np
import pytest

from minidl.data import load_image


def smooth(height=20, width=30):
    """A picture without sharp edges: red grows to the right, green downwards, blue along the
    diagonal."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1),
                     (x + y) * 255 // (width + height - 2)],
                    axis=-1).astype(np.uint8)


def difference(a, b):
    assert a.shape == b.shape
    return np.abs(a.astype(int) - b.astype(int)).max()


def check_picture(picture, shape):
    assert picture.dtype == np.uint8 and picture.shape == shape
    assert picture.flags.c_contiguous and picture.flags.writeable


def refused(path, *words, read=load_image):
    """Reading raises one ValueError, in one line and without a warning, that names the file and
    says `words`."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with pytest.raises(ValueError) as caught:
            read(path)
    message = str(caught.value)
    assert type(caught.value) is ValueError and str(path) in message and "\n" not in message
    assert all(word in message for word in words), message
    assert not heard
