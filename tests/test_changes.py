"""Changes through a real index: what was painted in at the later date is found there."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine

import georclip
from georclip.errors import ExportError, QueryError
from georclip.export.change_records import CHANGE_PROPERTIES
from georclip.index.store import IndexStore
from georclip.indexing import index_scene
from georclip.scenes.scene import open_scene
from georclip.search.change_query import build_change_query, why_no_changes
from georclip.search.changes import find_changes
from georclip.testing import COLOURS, FakeEncoder, draw_scene
from georclip.values import ChipPlan
from tests.helpers_rfc7946 import findings
from tests.test_export_qgis import ask_qgis

CRS = "EPSG:32631"
SIDE = 640
LAKE = (360, 200, 120)
"""Column, row and side, px of 5 m, of what becomes blue."""
POND = (80, 440, 100)
"""What is blue at first."""
PLAN = ChipPlan(size=80, unit="px")
MEMORY = 100_000_000


def paint(path, *blue, gain=1.0, offset_px=0, seed=0):
    """Green ground with blue squares; `offset_px` moves the scene's corner, not the ground."""
    rng = np.random.default_rng(seed)
    pixels = np.empty((SIDE, SIDE, 3))
    pixels[:] = COLOURS["green"]
    for col, row, side in blue:
        pixels[row : row + side, col : col + side] = COLOURS["blue"]
    patches = rng.normal(0, 12, (SIDE // 10, SIDE // 10, 3))  # fields: plain noise is left out
    pixels = (pixels + patches.repeat(10, axis=0).repeat(10, axis=1)) * gain
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)[offset_px:, offset_px:]
    transform = Affine(5, 0, 500_000 + 5 * offset_px, 0, -5, 5_000_000 - 5 * offset_px)
    with rasterio.open(
        path, "w", driver="GTiff", width=pixels.shape[1], height=pixels.shape[0], count=3,
        dtype="uint8", crs=CRS, transform=transform, photometric="RGB",
    ) as dataset:  # fmt: skip
        dataset.write(np.moveaxis(pixels, -1, 0))
        dataset.update_tags(TIFFTAG_DOCUMENTNAME=path.name)  # else equal scenes are one, moved
    return path


def ground_of(square):
    from georclip.georeference import Georeference

    georeference = Georeference(crs=CRS, transform=(5, 0, 500_000, 0, -5, 5_000_000))
    return georeference.footprint((square[0], square[1], square[2], square[2]))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("changes")
    scenes = [
        paint(folder / "before_20200601.tif", POND),
        paint(folder / "after_20210601.tif", LAKE, seed=1),
        paint(folder / "dark_20220601.tif", LAKE, gain=0.75, offset_px=37, seed=2),
        paint(folder / "same_20230601.tif", POND),
    ]
    far = paint(folder / "far_20240601.tif", LAKE)
    with rasterio.open(far, "r+") as dataset:
        dataset.transform = Affine(5, 0, 700_000, 0, -5, 5_000_000)
    encoder = FakeEncoder()
    with IndexStore.create(folder / "index", encoder=encoder.spec, plan=PLAN) as store:
        for scene in [*scenes, far]:
            index_scene(store, encoder, open_scene(str(scene)), PLAN, memory_bytes=MEMORY)
        yield store


def ask(store, text="blue", **options):
    return find_changes(store, FakeEncoder(), build_change_query(text, **options))


def lies_on(change, square):
    ground = ground_of(square)
    shared = change.chip.footprint.intersection(ground).area
    return shared > 0.3 * min(ground.area, change.chip.footprint.area)


@pytest.mark.parametrize("to", ["2021-06-01", "2022-06-01"])
def test_what_was_painted_in_rose_and_what_was_painted_over_fell(store, to):
    rose = ask(store, from_="2020-06-01", to=to, direction="rose", k=1).changes[0]
    fell = ask(store, from_="2020-06-01", to=to, direction="fell", k=1).changes[0]
    assert lies_on(rose, LAKE)
    assert lies_on(fell, POND)
    assert rose.change > 0 > fell.change
    assert rose.to.score > rose.from_.score
    assert rose.from_.scene.name == "before_20200601.tif"
    assert rose.from_.acquisitions == (datetime(2020, 6, 1, tzinfo=UTC),)
    assert rose.change_z > 5


def test_swapped_times_give_the_same_places_with_other_signs(store):
    there = ask(store, from_="2020-06-01", to="2022-06-01", k=8)
    back = ask(store, from_="2022-06-01", to="2020-06-01", k=8)
    assert [one.chip.chip_id for one in there.changes] == [one.chip.chip_id for one in back.changes]
    assert [one.change for one in there.changes] == pytest.approx(
        [-one.change for one in back.changes]
    )
    assert [one.from_.chip.chip_id for one in there.changes] == [
        one.to.chip.chip_id for one in back.changes
    ]


def test_places_of_an_answer_share_little_ground(store):
    found = ask(store, from_="2020-06-01", to="2022-06-01", k=20).changes
    for number, one in enumerate(found):
        assert one.rank == number + 1
        for other in found[:number]:
            shared = one.chip.footprint.intersection(other.chip.footprint).area
            assert shared <= 0.2001 * min(one.chip.footprint.area, other.chip.footprint.area)


def test_identical_scenes_give_no_change(store):
    found = ask(store, from_="2020-06-01", to="2023-06-01")
    assert found.places > 50
    assert found.changes == ()
    assert "none of the" in why_no_changes(store, found)


def test_several_acquisitions_of_a_time_count_by_their_mean(store):
    one = ask(store, from_="2020-06-01", to="2021-06-01", k=1).changes[0]
    both = ask(store, from_="2020-06-01", to="2021-06-01/2022-06-01", k=200)
    times = {change.to.acquisitions for change in both.changes}
    assert max(len(taken) for taken in times) == 2
    assert all(taken == tuple(sorted(taken)) for taken in times)
    dark = ask(store, from_="2020-06-01", to="2022-06-01", k=200)
    same = [c for c in both.changes if c.chip.chip_id == one.chip.chip_id]
    alone = [c for c in dark.changes if c.chip.chip_id == one.chip.chip_id]
    if same and alone:
        assert same[0].to.score == pytest.approx((one.to.score + alone[0].to.score) / 2)


def test_a_scene_of_both_times_is_refused_by_name(store):
    with pytest.raises(QueryError, match=r"overlap: after_20210601\.tif was taken in both"):
        ask(store, from_="2020-06-01/2021-06-01", to="2021-06-01/..")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"from_": "2019-01-01", "to": "2020-06-01"}, "no scene was taken from 2019-01-01"),
        ({"from_": "2020-06-01", "to": "2024-06-01"}, "No ground is shown both"),
        ({"from_": "2020-06-01", "to": "2021-06-01", "scenes": "x*"}, "no scene is called 'x*'"),
        ({"from_": "2020-06-01", "to": "2021-06-01", "bbox": "90,0,91,1"}, "the index covers"),
    ],
)
def test_nothing_to_compare_is_explained_by_what_the_index_has(store, options, said):
    found = ask(store, **options)
    assert found.changes == ()
    assert said in why_no_changes(store, found)


@pytest.mark.parametrize(
    "options",
    [{"direction": "up"}, {"from_": "yesterday"}, {"to": "2020-13-01"}, {"k": 0}, {"text": " "}],
)
def test_a_question_that_makes_no_sense_is_refused(options):
    asked = {"text": "blue", "from_": "2020-01-01", "to": "2021-01-01", **options}
    with pytest.raises(QueryError):
        build_change_query(asked.pop("text"), **asked)


def test_only_places_in_the_box_are_compared(store):
    west, south, east, north = ground_of(LAKE).bounds
    found = ask(store, from_="2020-06-01", to="2021-06-01", bbox=(west, south, east, north))
    assert found.changes
    area = shapely.box(west, south, east, north)
    assert all(one.chip.footprint.intersects(area) for one in found.changes)
    assert not any(lies_on(one, POND) for one in found.changes)


# The command line and Python, with the model in the box


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """A drawn coast, and the same a year later with its forest under water."""
    folder = tmp_path_factory.mktemp("coast")
    first = draw_scene(folder / "coast.tif", pixel_size_m=10)
    forest = first.place("forest").window
    with rasterio.open(first.path) as dataset:
        pixels, profile = dataset.read(), dataset.profile
    rng = np.random.default_rng(0)
    rows = slice(forest.row_off, forest.row_off + forest.height)
    cols = slice(forest.col_off, forest.col_off + forest.width)
    water = np.array([30, 60, 110])[:, None, None] + rng.normal(0, 4, (3, forest.height, 1))
    pixels[:, rows, cols] = np.clip(water, 0, 255)
    with rasterio.open(folder / "later.tif", "w", **profile) as dataset:
        dataset.write(pixels)
        dataset.update_tags(TIFFTAG_DATETIME="2025:06:15 10:42:00")
    plan = ChipPlan(size=64, unit="px")
    with georclip.create_index(folder / "index", model="starter", plan=plan) as index:
        for name in ("coast.tif", "later.tif"):
            index.add(folder / name)
    return folder / "index", first.place("forest").footprint


def run(*arguments):
    command = [sys.executable, "-m", "georclip.cli.main", "changes", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


TIMES = ("--from", "2024-06-15", "--to", "2025-06-15")


def test_the_command_prints_rfc_7946_with_scores_and_dates_of_both_times(index):
    path, forest = index
    done = run("forest", "-i", path, *TIMES, "--direction", "fell", "-k", 3)
    assert done.returncode == 0, done.stderr
    assert findings(done.stdout) == []
    found = json.loads(done.stdout)
    first = found["features"][0]
    assert list(first["properties"]) == list(CHANGE_PROPERTIES)
    ground = shapely.from_geojson(json.dumps(first["geometry"]))
    assert ground.intersection(forest).area > 0.3 * ground.area
    told = first["properties"]
    assert (told["date_from"], told["date_to"]) == ("2024-06-15T10:42:00Z", "2025-06-15T10:42:00Z")
    assert (told["scene_from"], told["scene_to"]) == ("coast.tif", "later.tif")
    assert told["score_from"] > told["score_to"]
    assert told["change"] == pytest.approx(
        told["score_to"] - told["score_from"] - told["shift"], abs=1e-6
    )
    asked = found["georclip"]
    assert asked["query"] == "forest"
    assert asked["direction"] == "fell"
    assert asked["from"].startswith("2024-06-15T00:00:00Z/")


def test_formats_tell_the_same_places(index, tmp_path):
    path, _ = index
    seq = run("forest", "-i", path, *TIMES, "-k", 3, "-f", "geojsonseq")
    ids = [json.loads(line.strip("\x1e"))["id"] for line in seq.stdout.split("\n")[:-1]]
    for name in ("changes.csv", "changes.gpkg", "changes.parquet"):
        done = run("forest", "-i", path, *TIMES, "-k", 3, "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert "3 changes" in done.stderr
    csv = (tmp_path / "changes.csv").read_text().splitlines()
    assert csv[0].split(",")[:2] == ["rank", "change"]
    frame = pyogrio.read_dataframe(tmp_path / "changes.gpkg", layer="changes")
    assert frame["chip_id"].tolist() == ids
    assert len(csv) == 4
    table = run("forest", "-i", path, *TIMES, "-k", 3, "-f", "table").stdout.splitlines()
    assert len(table) == 4
    assert table[0].split()[:3] == ["rank", "ranked", "by"]


def test_nothing_to_compare_is_no_error(index):
    path, _ = index
    done = run("forest", "-i", path, "--from", "2001-01-01", "--to", "2025-06-15")
    assert done.returncode == 0
    assert json.loads(done.stdout)["features"] == []
    assert "no scene was taken" in done.stderr
    assert run("forest", "-i", path, *TIMES, "-f", "gpkg").returncode == 1
    assert run("forest", "-i", path, "--from", "2024-06-15").returncode == 2


def test_from_python(index, tmp_path):
    path, _ = index
    with georclip.open_index(path) as opened:
        result = opened.changes("forest", from_="2024-06-15", to="2025-06-15", k=4)
        assert opened.why_no_changes(result) == ""
    frame = result.to_geodataframe()
    assert list(frame.columns) == [*CHANGE_PROPERTIES, "geometry"]
    assert len(frame) == len(result.changes) > 0
    assert json.loads(result.to_geojson())["georclip"]["places"] == result.places
    assert result.write(tmp_path / "changes.geojson").is_file()
    with pytest.raises(ExportError, match="--overwrite"):
        result.write(tmp_path / "changes.geojson")
    with pytest.raises(ExportError, match="not written as qgz"):
        result.write(tmp_path / "changes.qgz")


def test_qgis_opens_changes_with_their_style(index, tmp_path):
    path, _ = index
    with georclip.open_index(path) as opened:
        result = opened.changes("forest", from_="2024-06-15", to="2025-06-15", k=6)
    result.write(tmp_path / "changes.gpkg")
    job = {"path": str(tmp_path / "changes.gpkg"), "layer": "changes", "png": None}
    (told,) = ask_qgis(tmp_path, [job])
    shown = told["hits"]
    assert shown["attribute"] == "change"
    assert shown["renderer"] == "graduatedSymbol"
    assert shown["styled"]
    assert sum(shown["classes"]) >= shown["features"] == len(result.changes)
    assert shown["label_texts"][0] == "1 ▼"
    assert not told["messages"]
