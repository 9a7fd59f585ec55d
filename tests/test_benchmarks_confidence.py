"""What the confidence benchmark prints, on a few drawn pictures."""

from functools import partial

import pytest

from georclip.search.neutral import embed_neutral
from georclip.testing import COLOURS, FakeEncoder
from tests.benchmarks import confidence
from tests.benchmarks.confidence_methods import METHODS
from tests.helpers_mosaic import draw_pictures

SAID = (
    "black", "white", "gray", "brown", "black and white", "gray and white", "brown and black",
    "gray and brown", "white and brown", "gray and black",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*")  # colours leave some ways without any spread
def test_confidence_is_measured_on_few_pictures(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(confidence, "embed_neutral", partial(embed_neutral, prompts=SAID))
    images = []
    for split in ("train", "val"):
        names = ("red", "green", "blue", "yellow")
        colours = [(name, COLOURS[name]) for name in names for _ in range(4)]
        images += draw_pictures(tmp_path / split, colours, noise=12, split=split)
    confidence.measure(FakeEncoder(), images, None, tmp_path / "kept", seeds=2)
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if line.startswith("| plain cosine |")]
    assert len(rows) == 2  # by name, by caption
    assert "Asked by pictures" in printed
    assert "asked for itself: 1.000" in printed
    assert "1.000 / 1.000" in rows[0]
    assert all(f"| {way} |" in printed for way in METHODS)
    assert len(list((tmp_path / "kept").glob("fake-*/*.npz"))) == 8
