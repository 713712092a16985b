"""demos.gan lab as a user meets it."""

import json

import numpy as np
from PIL import Image
import pytest

from demos import gan, gan_lab
from minidl.data import save_image
from minidl.gan import measures, mixtures

pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(gan_lab, "COLLAPSE", gan_lab.replace(gan_lab.COLLAPSE, steps=3, width=8))


# ---- lab ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["ring", "drawing"])
def test_the_laboratory(tmp_path, data):
    if data == "drawing":
        data = tmp_path / "drawing.png"
        ink = np.full((40, 40), 255, np.uint8)
        ink[10:30, 18:22] = 0
        save_image(data, ink)
    gan.main(
        [
            "lab",
            "--data",
            str(data),
            "--steps",
            "6",
            "--output",
            str(tmp_path / "out"),
            "--json",
            str(tmp_path / "f.json"),
            "--quiet",
        ]
    )
    figures = json.loads((tmp_path / "f.json").read_text())
    samples = np.load(figures["samples"])
    assert samples.shape == (2500, 2) and np.isfinite(samples).all()
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "lab.png",
        "lab.gif",
        "collapse.png",
        "dirac.png",
        "samples.npy",
    }
    with Image.open(tmp_path / "out" / "lab.gif") as movie:
        assert movie.n_frames >= 4
    if data == "ring":
        assert {"modes", "good_share", "reverse_kl", "rarest_share"} <= figures.keys()
        found = measures.modes(samples, mixtures.ring().centres, 0.01)
        assert found.good_share == figures["good_share"] and found.modes == figures["modes"]
    assert figures["bound"] < figures["js"] + 0.05 and len(figures["history"]) > 3
