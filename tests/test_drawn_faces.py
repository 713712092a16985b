"""Faces from a generator: who somebody is stays, the rest changes."""
import numpy as np
import pytest

from minidl.data import read_people
from minidl.data.drawn_faces import (
    STYLES,
    _draw,
    _moment,
    _person,
    drawn_faces,
    drawn_name,
    write_drawn_faces,
)


def test_shapes_and_labels():
    faces, labels = drawn_faces(3, 4, size=32, seed=0)
    assert faces.shape == (12, 32, 32, 3) and faces.dtype == np.uint8
    assert labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert faces.std(axis=(1, 2)).min() > 8  # every one has something on it, in every colour


def test_same_seed_same_faces():
    faces = drawn_faces(3, 2, size=24, seed=5)[0]
    assert (drawn_faces(3, 2, size=24, seed=5)[0] == faces).all()
    assert (drawn_faces(3, 2, size=24, seed=np.random.default_rng(5))[0] == faces).all()
    assert (drawn_faces(3, 2, size=24, seed=6)[0] != faces).any()


def test_a_person_stays_when_more_are_asked_for():
    few = drawn_faces(2, 2, size=24, seed=1)[0].reshape(2, 2, 24, 24, 3)
    many = drawn_faces(4, 5, size=24, seed=1)[0].reshape(4, 5, 24, 24, 3)
    assert (many[:2, :2] == few).all()


@pytest.mark.parametrize("arguments, words", [
    ((0, 1), "people must be an integer ≥ 1"), ((1, 0), "pictures must be an integer ≥ 1"),
    ((1, 1, 15), "size must be in 16 ≤ size < inf")])
def test_nothing_to_draw(arguments, words):
    with pytest.raises(ValueError, match=f"drawn_faces: {words}"):
        drawn_faces(*arguments)


def test_every_style_is_drawn():
    """Every hair style, with everything that only some people have, in extreme poses."""
    rng = np.random.default_rng(0)
    for style in dict.fromkeys(STYLES):
        person, moment = _person(rng), _moment(rng)
        person.style, person.beard, person.moustache, person.glasses = style, 1.0, True, True
        person.freckles = rng.uniform(-1, 1, (5, 2))
        moment.yaw, moment.opening, moment.soft, moment.without_glasses = 0.38, 1.0, True, False
        with_all = _draw(person, moment, 32, np.random.default_rng(1))
        person.glasses = False
        assert (
            with_all.shape == (32, 32, 3)
            and (with_all != _draw(person, moment, 32, np.random.default_rng(1))).any()
        )


def test_verification_is_neither_trivial_nor_hopeless():
    """Distances of coarse grey pictures tell a little, but far from everything, of who is who."""
    faces, labels = drawn_faces(40, 4, size=32, seed=2)
    grey = faces.mean(-1).reshape(160, 8, 4, 8, 4).mean((2, 4)).reshape(160, 64)
    grey = (grey - grey.mean(1, keepdims=True)) / grey.std(1, keepdims=True)
    distances = ((grey[:, None] - grey) ** 2).sum(-1)
    same, upper = labels[:, None] == labels, np.triu(np.ones((160, 160), bool), 1)
    near, far = distances[same & upper], distances[~same & upper]
    auc = np.mean(near[:, None] < far)
    assert 0.55 < auc < 0.85


def test_pose_moves_what_stands_out():
    """A head that turns to its left carries the nose with it, beyond what the outline does."""
    rng = np.random.default_rng(3)
    person, moment = _person(rng), _moment(rng)
    from minidl.data.drawn_faces import _nose, _outline, _project
    moment.pitch = moment.roll = 0.0
    parts = [*_nose(person, person.skin, person.skin), (_outline(person), person.skin, None)]
    middles = []
    for yaw in (0.0, 0.3):
        moment.yaw = yaw
        middles.append([np.mean(points[0::2]) for points in _project(parts, moment, 100)])
    moved = np.subtract(middles[1], middles[0])
    assert moved[1] > 4 and abs(moved[-1]) < 1


def test_written_as_photographs_are_kept(tmp_path):
    write_drawn_faces(tmp_path / "people", 3, 2, size=32, seed=4)
    people = read_people(tmp_path / "people")
    assert people.names == ["Alex_Acacia", "Ariel_Alder",
                            "Billie_Ash"] and people.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert [path.name for path in people.paths[:2]] == [
        "Alex_Acacia_0001.jpg",
        "Alex_Acacia_0002.jpg",
    ]
    # JPEG's loss
    assert np.abs(np.stack(people.load()).astype(int)
                  - drawn_faces(3, 2, size=32, seed=4)[0]).mean() < 6
    assert len({drawn_name(number) for number in range(1500)}) == 1500
