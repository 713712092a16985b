"""Folders of people, lists of pairs, and their parts."""
import os

import numpy as np
from PIL import Image
import pytest

from minidl.data.pairs import (
    Pairs,
    balanced_pairs,
    names_of,
    pairs_of,
    read_pairs,
    split_people,
    write_pairs,
)
from minidl.data.people import LeftOut, load_usable, read_people


def make(folder, people, name="{person}_{number:04}.jpg", mode="RGB"):
    """A folder of tiny pictures: {person: how many}."""
    for person, count in people.items():
        (folder / person).mkdir(parents=True)
        for number in range(1, count + 1):
            Image.new(mode, (8, 9),
                      number).save(folder / person / name.format(person=person, number=number))
    return folder


@pytest.fixture
def lfw(tmp_path):
    return make(tmp_path / "lfw", {"Ada_Lovelace": 3, "Bob_Dylan": 1, "Cleo_Patra": 2,
                                   "Dora_Maar": 2, "Émile_Zola": 4})


def test_lfw_and_att_layouts(lfw, tmp_path):
    people = read_people(lfw)
    assert people.names == ["Ada_Lovelace", "Bob_Dylan", "Cleo_Patra", "Dora_Maar",
                            "Émile_Zola"] and people.with_second == 4
    assert people.labels.tolist() == [0, 0, 0, 1, 2, 2, 3, 3, 4, 4, 4, 4]
    assert [path.name for path in people.paths[:2]] == [
        "Ada_Lovelace_0001.jpg",
        "Ada_Lovelace_0002.jpg",
    ]
    assert people.load()[0].shape == (9, 8, 3) and people.load(size=4)[0].shape == (4, 4, 3)
    att = read_people(make(tmp_path / "att", {"s1": 2, "s2": 2}, "{number}.pgm", "L"))
    assert att.names == ["s1", "s2"] and att.load()[1][0, 0].tolist() == [2, 2, 2]


def test_only(lfw):
    some = read_people(lfw).only({"Bob_Dylan", "Émile_Zola"})
    assert some.names == ["Bob_Dylan", "Émile_Zola"] and some.labels.tolist() == [0, 1, 1, 1, 1]
    assert {path.parent.name for path in some.paths} == set(some.names)


def left_out(people, folder):
    """{path in the folder: why it was left out}."""
    return {path.relative_to(folder).as_posix(): reason for path, reason in people.left_out}


def test_what_is_no_picture_of_anybody_is_named(lfw):
    assert read_people(lfw).left_out == ()
    for name in ("Ada_Lovelace/notes.txt", "Ada_Lovelace/1.heic", "list.csv",
                 "Bob_Dylan/.DS_Store", "Bob_Dylan/Thumbs.db"):
        (lfw / name).write_text("x")
    (lfw / "stray.jpg").write_bytes((lfw / "Bob_Dylan" / "Bob_Dylan_0001.jpg").read_bytes())
    for name in "Nobody", ".hidden", "Only_texts", "Ada_Lovelace/fake.jpg":
        (lfw / name).mkdir()
    (lfw / "Only_texts" / "a.txt").write_text("x")
    people = read_people(lfw)
    assert len(people.names) == 5 and len(people.paths) == 12
    found = left_out(people, lfw)
    assert set(found) == {"Ada_Lovelace/notes.txt", "Ada_Lovelace/1.heic", "stray.jpg", "Nobody",
                          "Only_texts/a.txt"}
    assert "by its ending it is no picture" in found["Ada_Lovelace/1.heic"]
    assert "there is no picture" in found["Nobody"]
    assert str(people.left_out[0]).startswith(f"{lfw}/Ada_Lovelace/1.heic: by its ending")
    assert str(LeftOut("a\x1b[2J.jpg", "no")) == r"'a\x1b[2J.jpg': no"
    assert people.only({"Bob_Dylan"}).left_out == people.left_out


def test_folders_inside_a_persons_folder_are_that_persons(lfw):
    make(lfw / "Bob_Dylan" / "2019", {"summer": 2})
    people = read_people(lfw)
    assert len(people.names) == 5 and np.bincount(people.labels).tolist() == [3, 3, 2, 2, 4]
    pairs = pairs_of(people, 20, 0)
    assert names_of(pairs) is not None and set(names_of(pairs)[0]) <= set(people.names)
    write_pairs(lfw / "pairs.csv", pairs, lfw)
    again = read_pairs(lfw / "pairs.csv", lfw)
    assert names_of(again) == names_of(pairs)
    one = again.take(np.flatnonzero(again.same)[:1])
    training, validation = split_people(people, 0.4, 0, apart=one)
    assert names_of(again)[0][0] not in training.names + validation.names


def test_links(lfw, tmp_path):
    """A person's folder may be a link; one further inside might lead round in circles."""
    make(tmp_path / "elsewhere", {"Eve": 2})
    (lfw / "Eve").symlink_to(tmp_path / "elsewhere" / "Eve")
    (lfw / "Bob_Dylan" / "again").symlink_to(lfw)
    (lfw / "Bob_Dylan" / "broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (lfw / "loop").symlink_to(".")
    (lfw / "above").symlink_to(tmp_path)
    people = read_people(lfw)
    assert "Eve" in people.names and len(people.paths) == 14
    whole = "it is a link to a folder that holds all of them"
    assert left_out(people, lfw) == {"loop": whole, "above": whole,
                                     "Bob_Dylan/again": "it is a link to another folder",
                                     "Bob_Dylan/broken.jpg": "it is no file"}


def test_one_name_in_two_forms_is_one_person(tmp_path):
    """José as Windows and as a Mac writes it."""
    folder = make(tmp_path / "two", {"Jos\u00e9": 1, "Jose\u0301": 2, "Ann": 1})
    people = read_people(folder)
    assert people.names == ["Ann", "Jos\u00e9"] and people.labels.tolist() == [0, 1, 1, 1]
    first, second = (f"{name}/{name}_0001.jpg" for name in ("Jos\u00e9", "Jose\u0301"))
    (folder / "pairs.csv").write_text(f"image_a,image_b,same\n{first},{second},1\n", "utf-8")
    pairs = read_pairs(folder / "pairs.csv", folder)
    assert names_of(pairs) == (["Jos\u00e9"], ["Jos\u00e9"])
    only = make(tmp_path / "mac", {"Zoe\u0308": 2})
    first, second = (f"Zo\u00eb/Zo\u00eb_{number}.jpg" for number in ("0001", "0002"))
    (only / "pairs.csv").write_text(f"image_a,image_b,same\n{first},{second},1\n", "utf-8")
    pairs = read_pairs(only / "pairs.csv", only)
    assert pairs.a[0].is_file() and pairs.b[0].is_file()
    assert names_of(pairs) == (["Zo\u00eb"], ["Zo\u00eb"])


def test_spaces_around_a_name_are_no_part_of_it(tmp_path):
    people = read_people(make(tmp_path, {"Ann": 1, " Ann": 1, "Ann ": 2, "   ": 1, "\u3164": 1}))
    assert people.names == ["Ann"] and len(people.paths) == 4
    assert [reason for _, reason in people.left_out] == ["its name is no printable text"] * 2


def test_pairs_of_names_with_spaces_around_there_and_back(tmp_path):
    folder = make(tmp_path / "f", {" Ann": 2, "Bob ": 2, "Cy": 2})
    pairs = pairs_of(read_people(folder), 6, 0)
    write_pairs(tmp_path / "pairs.csv", pairs, folder)
    back = read_pairs(tmp_path / "pairs.csv", folder)
    assert (back.a, back.b) == (pairs.a, pairs.b)
    (tmp_path / "pairs.csv").write_text("image_a, image_b,same\nCy/Cy_0001.jpg , Cy/Cy_0002.jpg,1")
    assert len(read_pairs(tmp_path / "pairs.csv", folder).a) == 1


@pytest.mark.skipif(os.name == "nt", reason="there, names are text")
def test_pairs_with_a_path_that_is_no_text(tmp_path):
    folder = make(tmp_path / "f", {"Ann": 2, "Cy": 2})
    os.rename(folder / "Cy" / "Cy_0001.jpg", os.fsencode(folder) + b"/Cy/\xe9.jpg")
    with pytest.raises(ValueError, match=r"write_pairs: '.*/Cy/.udce9.jpg' is no UTF-8"):
        write_pairs(tmp_path / "pairs.csv", pairs_of(read_people(folder), 4, 0), folder)


def test_a_table_of_pairs_that_is_a_pipe(lfw):
    os.mkfifo(lfw / "pairs.csv")
    with pytest.raises(OSError, match="pairs.csv is a pipe"):
        read_pairs(lfw / "pairs.csv", lfw)


def test_a_name_that_cannot_be_shown_is_named_and_the_rest_goes_on(lfw):
    make(lfw, {"a\x1b[31mb": 1, "علی\u200cرضا": 1})
    people = read_people(lfw)
    assert "علی\u200cرضا" in people.names and len(people.names) == 6
    assert [reason for _, reason in people.left_out] == ["its name is no printable text"]


def test_pictures_that_can_be_read(lfw):
    paths = read_people(lfw).paths
    paths[1].write_bytes(b"\xff\xd8\xff\xe0 cut off")
    paths[2].unlink()
    pictures, places, others = load_usable(paths)
    assert len(pictures) == 10 and places == [0, *range(3, 12)] and pictures[0].shape == (9, 8, 3)
    assert [path for path, _ in others] == paths[1:3]
    assert others[0].reason.startswith("is not a usable picture")
    assert "No such file" in others[1].reason


def test_the_first_pictures_of_each(lfw):
    people = read_people(lfw).first(2)
    assert np.bincount(people.labels).tolist() == [2, 1, 2, 2, 2]
    assert people.take([0, 3]).names == ["Ada_Lovelace", "Cleo_Patra"]
    turned = people.take(np.arange(len(people.paths))[::-1])
    assert turned.first(1).paths == [turned.paths[i] for i in (0, 2, 4, 6, 7)]


def test_folders_without_people(tmp_path, lfw):
    with pytest.raises(ValueError, match="nothing-there is not a folder"):
        read_people(tmp_path / "nothing-there")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no people: it is empty or has no folders; "
                                         "expected a folder for each"):
        read_people(tmp_path / "empty")
    (tmp_path / "empty" / "inside").mkdir()
    with pytest.raises(ValueError, match="there are no pictures in its 1 folders"):
        read_people(tmp_path / "empty")
    with pytest.raises(ValueError, match="one level deeper, in .*lfw"):
        read_people(tmp_path)
    with pytest.raises(ValueError, match="its pictures lie in the folder itself"):
        read_people(lfw / "Ada_Lovelace")


def test_unreadable_picture_names_person_and_file(lfw):
    (lfw / "Cleo_Patra" / "Cleo_Patra_0002.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    with pytest.raises(ValueError, match=r"person Cleo_Patra: .*Cleo_Patra_0002.jpg is not a "
                                         r"usable picture") as caught:
        read_people(lfw).load()
    assert "\n" not in str(caught.value)


def test_nobody_twice(tmp_path):
    people = read_people(make(tmp_path / "singles", {"A": 1, "B": 1}))
    with pytest.raises(ValueError, match="singles: nobody has a second picture among 2 people"):
        people.check_trainable()
    with pytest.raises(ValueError, match="only one person has a second picture"):
        read_people(make(tmp_path / "one", {"A": 3, "B": 1})).check_trainable()
    with pytest.raises(ValueError, match="nobody has a second picture"):
        pairs_of(people, 10, 0)


def test_trainable(lfw):
    read_people(lfw).check_trainable()


def test_places_and_paths_that_are_not_there(lfw):
    people = read_people(lfw)
    with pytest.raises(ValueError, match=r"indices must be in -12\.\.11, got 12 to 12"):
        people.take([12])
    with pytest.raises(ValueError, match="person: .*lfw does not lie in .*lfw"):
        pairs_of(people, 2, 0).person(lfw)


def test_pairs_there_and_back(lfw, tmp_path):
    pairs = pairs_of(read_people(lfw), 8, seed=3)
    write_pairs(tmp_path / "pairs.csv", pairs, lfw)
    text = (tmp_path / "pairs.csv").read_text(encoding="utf-8")
    assert text.startswith("image_a,image_b,same\n") and text.count("\n") == 9
    again = read_pairs(tmp_path / "pairs.csv", lfw)
    assert again.a == pairs.a and again.b == pairs.b and again.same.tolist() == pairs.same.tolist()


@pytest.mark.parametrize("text, words", [
    ("", "line 1: expected the columns image_a,image_b,same, got nothing"),
    ("a,b\n", "line 1: expected the columns image_a,image_b,same, got a,b"),
    ("HEADER", "holds no pairs below its header"),
    ("HEADERGOOD,GOOD2\n", "line 2: expected two paths and 0 or 1"),
    ("HEADERGOOD,GOOD2,1\n\nGOOD,GOOD2,yes\n", "line 4: expected two paths and 0 or 1, got 'Ada"),
    ("HEADERGOOD,Ada_Lovelace/none.jpg,1\n",
     "line 2: there is no picture 'Ada_Lovelace/none.jpg' in"),
    ("HEADERGOOD,../outside.jpg,0\n", "line 2: there is no picture '../outside.jpg'"),
    ("HEADER" + 300 * "a" + ",GOOD,1\n", "line 2: there is no picture 'aaa"),
    ("HEADERGOOD,GOOD,1\n", "is paired with itself"),
    ("HEADERGOOD,\"GOOD2,1\n", "line "),
])
def test_bad_pairs_name_the_line(lfw, tmp_path, text, words):
    (tmp_path / "outside.jpg").write_bytes((lfw / "Bob_Dylan" / "Bob_Dylan_0001.jpg").read_bytes())
    file = tmp_path / "pairs.csv"
    file.write_text(text.replace("HEADER", "image_a,image_b,same\n")
                    .replace("GOOD2", "Ada_Lovelace/Ada_Lovelace_0002.jpg")
                    .replace("GOOD", "Ada_Lovelace/Ada_Lovelace_0001.jpg"))
    with pytest.raises(ValueError) as caught:
        read_pairs(file, lfw)
    assert words in str(caught.value) and "pairs.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pairs_in_another_encoding(lfw, tmp_path):
    (tmp_path / "pairs.csv").write_bytes(b"image_a,image_b,same\n\xff\xfe\x00,b,1\n")
    with pytest.raises(ValueError, match=r"pairs.csv, line \d: .*utf-8"):
        read_pairs(tmp_path / "pairs.csv", lfw)
    good = ("image_a,image_b,same\r\n"
            "Bob_Dylan/Bob_Dylan_0001.jpg, Ada_Lovelace/Ada_Lovelace_0001.jpg ,0\r\n")
    (tmp_path / "excel.csv").write_bytes(b"\xef\xbb\xbf" + good.encode())
    assert read_pairs(tmp_path / "excel.csv", lfw).same.tolist() == [False]


@pytest.mark.parametrize("seed", range(5))
def test_balanced_pairs(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 12, 60)
    a, b, same = balanced_pairs(labels, 100, seed)
    assert len(a) == len(b) == 100 and same.sum() == 50
    assert (same == (labels[a] == labels[b])).all() and (a != b).all()
    assert len({tuple(sorted(pair)) for pair in zip(a.tolist(), b.tolist())}) == 100
    again = balanced_pairs(labels, 100, seed)
    assert all((x == y).all() for x, y in zip(again, (a, b, same)))
    assert (balanced_pairs(labels, 100, seed + 1)[0] != a).any()


def test_balanced_pairs_take_all_that_there_are():
    a, b, same = balanced_pairs([0, 0, 0, 1, 1, 2], 1000, 0)
    assert (
        sorted(zip(a[same].tolist(), b[same].tolist())) == [(0, 1), (0, 2), (1, 2), (3, 4)]
        and (~same).sum() == 4
    )
    # ten pairs of one person, but only five of two
    a, b, same = balanced_pairs([0] * 5 + [1], 1000, 0)
    assert same.sum() == (~same).sum() == 5


def test_balanced_pairs_are_of_many_people():
    # one person has five times as many pictures as all others
    labels = np.repeat(np.arange(41), [200] + [2] * 40)
    a, _, same = balanced_pairs(labels, 40, 0)
    assert np.mean(labels[a[same]] == 0) < 0.3


@pytest.mark.parametrize("labels, count, words", [
    ([0, 0, 1], 1, "2 ≤ count < inf, got 1"), ([0, 1, 2], 4, "nobody has a second picture"),
    ([0, 0, 0], 4, "no pair of two people")])
def test_impossible_pairs(labels, count, words):
    with pytest.raises(ValueError, match=words):
        balanced_pairs(labels, count, 0)


def test_people_of_pairs_are_never_trained_on(tmp_path):
    people = read_people(make(tmp_path, {f"person{i:02}": 1 + i % 3 for i in range(30)}))
    pairs = Pairs([people.paths[0]], [people.paths[5]], np.array([False]))
    asked = {people.paths[0].parent.name, people.paths[5].parent.name}
    training, validation = split_people(people, 0.25, 7, apart=pairs)
    assert not set(training.names) & set(validation.names)
    assert not asked & {*training.names, *validation.names}
    assert {*training.names, *validation.names, *asked} == set(people.names)
    assert len(validation.names) == 5 and np.bincount(validation.labels).min() >= 2
    assert split_people(people, 0.25, 7, apart=pairs)[1].names == validation.names
    assert split_people(people, 0.25, 8, apart=pairs)[1].names != validation.names
    everybody = split_people(people, 0.25, 7)
    assert sorted(everybody[0].names + everybody[1].names) == people.names


@pytest.mark.parametrize("share", [0, 1, -0.5])
def test_shares_out_of_range(lfw, share):
    with pytest.raises(ValueError, match="share must be in 0 < share < 1"):
        split_people(read_people(lfw), share, 0)


def test_too_few_to_split(lfw):
    people = read_people(lfw)
    training, validation = split_people(people, 0.01, 0)  # never fewer than two to validate on
    assert len(validation.names) == 2
    asked = Pairs([people.paths[0]], [people.paths[-1]], np.array([False]))
    with pytest.raises(ValueError, match="2 people with a second picture who are in none of the "
                                         "pairs are too few"):
        split_people(people, 0.5, 0, apart=asked)


def test_names_of_pairs(lfw):
    people = read_people(lfw)
    pairs = pairs_of(people, 8, 0)
    first, second = names_of(pairs)
    assert [a == b
            for a, b in zip(first,
                            second)] == pairs.same.tolist() and set(first) <= set(people.names)
    assert names_of(Pairs(pairs.a, pairs.b, ~pairs.same)) is None
