"""The benchmark of indexing, on a small scene with a tiny tower: that it runs and adds up."""

from __future__ import annotations

import pytest

from tests.benchmarks import indexing
from tests.benchmarks.memory import draw
from tests.helpers_clip import TINY, register

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("model", [TINY, f"{TINY}-int8", "starter"])
def test_the_whole_stands_beside_its_parts(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GEORCLIP_CACHE", str(tmp_path / "cache"))
    register(tmp_path)
    scene = tmp_path / "scene.tif"
    draw(scene, 600, indexing.LAYOUT)
    found = indexing.measure(tmp_path, scene, model, 2, 5)
    indexing.print_rates(model, 600, found, 5)
    printed = capsys.readouterr().out
    assert len({one.report.encoded for one in found}) == 1
    for one in found:
        assert one.report.encoded == one.report.chips > 5
        assert min(one.tower, one.reading, one.whole) > 0
        assert (one.plain is None) == (model == "starter")
    assert ("whole : plain loop" in printed) == (model != "starter")
    assert "of 1 / (1 / tower + 1 / reading)" in printed
