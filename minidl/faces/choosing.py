"""Which of the faces in a picture is meant."""
import numpy as np

from minidl.operands import listed
from minidl.settings import having, numbers


def one_face(faces: list, at: tuple[float, float] | None = None):
    """The face that is meant: the only one; or, with a point `at` (x, y) in pixels, the one whose
    box the point is in, the smallest where boxes overlap.

    Raises ValueError, which says where faces are, unless it is clear which.  Of several faces the
    surest or the largest is not simply taken: the gallery might know a stranger by that name from
    then on.
    """
    faces = listed("one_face", "faces", faces, "faces")
    for face in faces:
        having("one_face", "a face", face, "a Face, as find gives it", "box")
    at = None if at is None else numbers("one_face", "at", at, "(2,)")
    if not faces:
        raise ValueError("no face was found in it")
    if at is not None:
        held = [face for face in faces if _holds(face.box, at)]
        if not held:
            raise ValueError(f"no face was found at {at[0]:g},{at[1]:g}; {_where(faces)}")
        return min(held, key=lambda face: np.prod(face.box[2:] - face.box[:2]))
    if len(faces) > 1:
        raise ValueError(f"{len(faces)} faces were found in it, and one is wanted; {_where(faces)}")
    return faces[0]


def middle(box):
    """The middle of a box as text, "x,y" in whole pixels."""
    x0, y0, x1, y1 = box
    return f"{round((x0 + x1) / 2)},{round((y0 + y1) / 2)}"


def _holds(box, point):
    return all(box[:2] <= point) and all(point <= box[2:])


def _where(faces, most=8):
    said = "; ".join(f"one at {middle(face.box)}, {face.box[2] - face.box[0]:.0f} wide"
                     for face in faces[:most])
    return said + (f"; {len(faces) - most} more" if len(faces) > most else "")
