"""The page that shows a run, and the grid of small pictures to choose from."""
import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
from PIL import Image
import pytest
from style_run import run, small_net, two_pictures

from minidl.style import Page, preview
from minidl.style.page import plot, table


def test_the_page_shows_picture_costs_and_settings(tmp_path, monkeypatch):
    path = tmp_path / "progress.html"
    page, seen = Page(path, {"size": 40, "style": "<a & b>.jpg"}, "A & B", steps=3), []

    def follow(step):
        page.written = -1e9                                 # as after some seconds
        page.show(step)
        seen.append(path.read_text())

    result = run(steps=3, callback=follow)
    page.finish(result.image, "done <now>")
    last = path.read_text()
    assert "evaluation 2 of 3, at 40 pixels; written at " in seen[1]
    assert 'http-equiv="refresh"' in seen[1]
    assert "done &lt;now&gt;" in last and "refresh" not in last
    assert "&lt;a &amp; b&gt;.jpg" in last and "<h1>A &amp; B</h1>" in last
    for name in ("J_style", "style relu5_1", "content relu3_1"):
        assert name in last
    data = base64.b64decode(re.search(r"base64,([^\"]+)\"", last)[1])
    with Image.open(io.BytesIO(data)) as shown:
        assert shown.size == (32, 40)
    ElementTree.fromstring(re.search(r"<svg.*</svg>", last)[0])


def test_the_page_is_not_written_at_every_step(tmp_path):
    page = Page(tmp_path / "progress.html", {})
    run(steps=3, callback=page.show)
    assert len(page.history) == 3
    assert "evaluation 1," in (tmp_path / "progress.html").read_text()


def test_a_plot_of_costs_that_vanish():
    history = [{"J": 10.0, "style a": 0.0, "J_style": 3.0, "size": 8},
               {"J": 1.0, "style a": 0.0, "J_style": 3.0, "size": 8}]
    lines = ElementTree.fromstring(plot(history)).findall("polyline")
    assert [len(line.get("points").split()) for line in lines] == [2, 0]
    heights = [float(point.split(",")[1]) for point in lines[0].get("points").split()]
    assert heights[0] < heights[1]                          # down the page as J falls
    assert plot([]) == "" and plot([{"J": 0.0}]) == ""
    assert (
        table({"a": 0.123456}) == '<table><tr><th>a</th><td class="number">0.1235</td></tr></table>'
    )


def test_the_grid_has_a_picture_for_each_look_and_scale():
    content, painting = two_pictures()
    seen = []
    grid = preview(content, painting, looks=["light", 0.01], style_scales=(1, 2, 3), size=40,
                   steps=2, net=small_net(),
                   content_layers=["relu3_1"], callback=seen.append)
    assert grid.dtype == np.uint8 and grid.shape == (2 * (40 + 6 + 16), 3 * (32 + 6), 3)
    assert len(seen) == 12
    corner = grid[16:56, :32]
    alone = run(steps=2, look="light", content_weight=None)
    assert (corner == alone.image).all()
    assert (grid[:16] < 128).any()                          # its title


@pytest.mark.parametrize("options, words", [
    ({"looks": []}, "at least one value"), ({"looks": ["wild"]}, "look must be light"),
    ({"style_scales": [0]}, "style_scale"), ({"size": 3}, "size must be at least 16")])
def test_a_grid_that_cannot_be(options, words):
    with pytest.raises(ValueError, match=words):
        preview(*two_pictures(), net=small_net(), **options)
