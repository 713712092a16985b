"""Labelled time series: files of the .ts form, whole, odd and damaged."""
import hashlib
import os
import warnings
import zipfile

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from minidl import packages
from minidl.data import japanese_vowels, read_ts, series

HEAD = "# a comment\n@problemName P\n@timestamps false\n@classLabel true a b\n\n@data\n"


def written(tmp_path, text):
    path = tmp_path / "data.ts"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_two_channels_known_by_hand(tmp_path):
    found = read_ts(written(tmp_path, HEAD + "1,2,3:4,5,6:b\n# between\n\n-1.5,0,1e2:0,0,0:a\n"))
    assert found.names == ["a", "b"] and found.labels.tolist() == [1, 0]
    assert found.values.dtype == np.float32 and found.values.shape == (2, 3, 2)
    assert found.values[0].tolist() == [[1, 4], [2, 5], [3, 6]]
    assert found.values[1, :, 0].tolist() == [-1.5, 0, 100]


@pytest.mark.parametrize("text, words", [
    ("", "no line @data"),
    ("1,2:a\n", "no line @data"),
    (b"\xff\xfe\x00", "is no text"),
    ("@data\n1,2:a\n", "has no classes"),
    ("@classLabel false\n@data\n1,2:a\n", "has no classes"),
    (HEAD, "holds no examples"),
    (HEAD.replace("timestamps false", "timestamps true") + "(0,1):a\n", "has timestamps"),
    (HEAD + "1,2:a\n1,2:c\n", "line 8: ends in 'c', expected one of the classes a, b"),
    (HEAD.replace(" a b", " \x1b[2J " + "long " * 100) + "1,2:c\n",
     r"one of the classes \\x1b\[2J, long, [long, ]{80,99}; is it cut off"),
    (HEAD + "1,2:a\n1,2", "line 8: ends in '1,2'.*cut off"),
    (HEAD + "a\n", "line 7: has a class and no values"),
    (HEAD + "1,x:a\n", "line 7: has something other than numbers"),
    (HEAD + "1,?:a\n", "line 7: has something other than numbers"),
    (HEAD + "1,:a\n", "line 7: has something other than numbers"),
    (HEAD + "1,nan:a\n", "line 7: has values that are not finite"),
    (HEAD + "1,1e60:a\n", "line 7: has values that are not finite"),
    (HEAD + "1,2:1,2,3:a\n", "line 7: its channels have 2 to 3 values"),
    (HEAD + "1,2:a\n1,2,3:b\n",
     "line 8: is a series of 3 values of 1 channels, expected 2 values of 1 channels"),
    (HEAD + "1,2:a\n1,2:3,4:b\n", "line 8: is a series of 2 values of 2 channels"),
])
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, text, words):
    with warnings.catch_warnings(), pytest.raises(ValueError, match=f"data.ts.*{words}") as caught:
        warnings.simplefilter("error")
        read_ts(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_every_cut_is_refused_or_leaves_whole_examples(tmp_path):
    text = HEAD + "".join(f"{i},{i + 1}:{2 * i},7:{'ab'[i % 2]}\n" for i in range(3))
    whole = read_ts(written(tmp_path, text))
    for cut in range(len(text)):
        try:
            found = read_ts(written(tmp_path, text[:cut]))
        except ValueError as error:
            assert "data.ts" in str(error)
        else:
            assert (found.values == whole.values[:len(found.values)]).all()
            assert (found.labels == whole.labels[:len(found.labels)]).all()


@given(st.text(alphabet="@:,.-?12ab \n#", max_size=80))
def test_no_text_gives_another_error(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("ts") / "any.ts"
    path.write_text(HEAD + text)
    try:
        found = read_ts(path)
    except ValueError:
        return
    assert found.values.ndim == 3 and len(found.labels) == len(found.values)


def test_a_file_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(series, "LARGEST", 1 << 20)
    path = tmp_path / "large.ts"
    with open(path, "wb") as stream:
        os.truncate(stream.fileno(), (1 << 20) + 1)
    with pytest.raises(ValueError, match="larger than 1 MB"):
        read_ts(path)


def test_the_vowels_come_with_one_download(tmp_path, monkeypatch):
    """Both files out of one archive, and nothing is asked for again."""
    monkeypatch.setenv("MINIDL_CACHE", str(tmp_path / "cache"))
    texts = {part: HEAD + f"{k},2:a\n" for k, part in enumerate(("TRAIN", "TEST"))}
    downloads = []

    def download(client, requirement, folder, title, size):
        downloads.append(requirement)
        with zipfile.ZipFile(folder / "aeon.whl", "w") as archive:
            for part, text in texts.items():
                archive.writestr("aeon/datasets/data/JapaneseVowels/"
                                 f"JapaneseVowels_eq_{part}.ts", text)
        return folder / "aeon.whl"

    real = packages.fetch

    def fetch(name, requirement, member, sha256, size, **options):
        """The same, for these small files."""
        facts = {part: (hashlib.sha256(text.encode()).hexdigest(), len(text))
                 for part, text in texts.items()}
        (other, beside, *_), = options["beside"]
        return real(name, requirement, member, *facts["TRAIN"],
                    beside=[(other, beside, *facts["TEST"])])

    monkeypatch.setattr(packages, "_download", download)
    monkeypatch.setattr(packages, "fetch", fetch)
    for _ in range(2):
        train, test = japanese_vowels()
        assert train.values[0, 0, 0] == 0 and test.values[0, 0, 0] == 1
    assert downloads == ["aeon==1.6.0"]
