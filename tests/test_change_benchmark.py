"""The benchmark of changes, on a few drawn pictures and painted lakes."""

import numpy as np
import rasterio
from affine import Affine

from georclip.testing import COLOURS, FakeEncoder
from tests.benchmarks import changes
from tests.helpers_mosaic import draw_pictures


def test_swapped_pictures_of_plain_colours_are_found(tmp_path, capsys):
    names = ("red", "green", "blue", "yellow", "white")
    colours = [(name, COLOURS[name]) for name in names for _ in range(9)]
    pictures = draw_pictures(tmp_path / "pictures", colours, noise=12)
    found = changes.measure_swaps(FakeEncoder(), pictures, tmp_path, cells=36, seed=0)
    assert set(found) == set(changes.SHOWN)
    assert found["as it is"]["evidence (georclip)"] > 0.8
    assert all(0 <= value <= 1 for values in found.values() for value in values.values())
    assert capsys.readouterr().out.count("\n| ") == len(changes.SHOWN)


def test_the_water_of_a_series_is_told_by_both_masks(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(changes, "QUESTIONS", ("blue",))
    scenes = []
    for number, side in enumerate((60, 130, 200)):
        rng = np.random.default_rng(number)
        pixels = np.empty((4, 300, 400))
        pixels[:] = np.array([*COLOURS["green"], 180])[:, None, None]
        pixels[:, 50 : 50 + side, 80 : 80 + side] = np.array([*COLOURS["blue"], 20])[:, None, None]
        pixels = np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)
        scenes.append(tmp_path / f"north_dakota_naip_{2010 + number}0601.tif")
        with rasterio.open(
            scenes[-1], "w", driver="GTiff", width=400, height=300, count=4, dtype="uint8",
            crs="EPSG:26914", transform=Affine(5, 0, 485_900, 0, -5, 5_209_245),
        ) as dataset:  # fmt: skip
            dataset.write(pixels)
    changes.measure_series(FakeEncoder(), scenes, str(tmp_path))
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| blue")]
    assert len(rows) == 2
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert float(cells[3]) > 0.8  # within a pair, scores follow the painted water
        assert float(cells[4]) >= 0.9
