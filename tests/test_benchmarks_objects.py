"""The benchmarks of one hit per object, on a few drawn pictures and a small made index."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from georclip.testing import COLOURS, FakeEncoder
from tests.benchmarks import object_cost, objects
from tests.benchmarks.made_index import made_scene
from tests.benchmarks.mixed_mosaic import lay_mixed
from tests.benchmarks.overlapping_index import PatchyVectors, overlapping_chips
from tests.helpers_hits import make_hit
from tests.helpers_mosaic import draw_pictures


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip()[1:-1].split("|")]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory):
    named = [(name, COLOURS[name]) for name in ("red", "green", "blue", "yellow")] * 6
    return draw_pictures(tmp_path_factory.mktemp("pictures"), named, noise=12)


def test_joining_leaves_no_duplicates_and_objects_are_counted_both_ways(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pictures
) -> None:
    truth = objects.laid("drawn", pictures, tmp_path / "scene.tif")
    encoder = FakeEncoder(image_size_px=80)
    rows = [objects.measure(encoder, truth, overlap) for overlap in objects.OVERLAPS]
    objects.print_rows(rows)
    objects.print_classes(rows)
    table = [cells(line) for line in capsys.readouterr().out.splitlines() if line[:7] == "| drawn"]
    assert [row[1] for row in table[:2]] == ["0.25", "0.5"]
    for row in table[:2]:
        assert int(row[4].split()[0]) > 0
        assert int(row[5].split()[0]) == 0
        assert all(0.0 < float(share) <= 1.0 for share in row[6:8])
    assert all(one.objects == 6 for row in rows for one in row.by_class)


def test_duplicates_are_counted_on_the_ground() -> None:
    side = 0.01
    boxes = [(0.0, 60.0), (0.0, 60.0 + 0.7 * side), (0.0, 60.0 + 1.6 * side), (0.003, 60.0)]
    hits = []
    for number, (west, south) in enumerate(boxes):
        hit = make_hit(rank=number + 1)
        outline = shapely.box(west, south, west + side, south + side)
        hits.append(replace(hit, chip=replace(hit.chip, footprint=outline)))
    assert objects.count_duplicates(hits) == (3, 6)  # 1 and 2, 1 and 4, 2 and 4 (0.21)
    other = replace(hits[3], scene=replace(hits[3].scene, scene_id="f" * 16))
    assert objects.count_duplicates([*hits[:3], other]) == (1, 6)
    assert objects.count_duplicates([]) == (0, 0)


def test_the_cost_is_measured_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [
        "object_cost", "--rows", "10000", "--dim", "16", "--repeats", "3", "--together", "20",
        "--folder", str(tmp_path),
    ])  # fmt: skip
    object_cost.main()
    printed = capsys.readouterr().out
    rows = [cells(line) for line in printed.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows[1:3]] == ["10", "20"]
    assert float(rows[1][6]) > 12  # objects of more than a chip


def test_made_chips_share_ground_and_look_alike() -> None:
    chips = overlapping_chips(made_scene(0), 0)
    assert len(chips) == 10_000
    assert {chip.scale for chip in chips} == {1.0, 2.0}
    assert chips[0].footprint.intersection(chips[1].footprint).area == pytest.approx(
        chips[0].footprint.area / 2, rel=0.1
    )
    vectors = PatchyVectors(64)(0)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    near = np.mean(np.sum(vectors[:100] * vectors[1:101], axis=1))
    far = np.mean(np.sum(vectors[:100] * vectors[4_000:4_100], axis=1))
    assert near > far + 0.3


def test_half_of_the_pictures_are_laid_twice_as_wide(tmp_path: Path, pictures) -> None:
    mosaic = lay_mixed(pictures, tmp_path / "mixed.tif", small_px=40, pixel_size_m=2.0, seed=3)
    boxes = mosaic.boxes()
    assert shapely.union_all(boxes).area == pytest.approx(shapely.area(boxes).sum())
    assert shapely.area(boxes).sum() == pytest.approx(mosaic.width * mosaic.height * 4.0)
    sides = np.sqrt(shapely.area(boxes))
    assert (sides > 60 * 2).sum() >= 12
    assert (sides < 42 * 2).sum() >= 12
    assert {cell.image.path for cell in mosaic.cells} == {one.path for one in pictures}
