from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import rasterio

from georclip.errors import SceneError
from georclip.scenes.dates import find_acquired, parse_moment
from georclip.scenes.scene import open_scene
from tests.conftest import PLACES, textured


def test_a_scene_is_described(make_raster) -> None:
    path = make_raster("scene_20200102.tif", bands=4, dtype="uint16", nodata=0, place="lonlat")
    scene = open_scene(str(path))
    assert (scene.uri, scene.name) == (str(path), "scene_20200102.tif")
    assert (scene.width, scene.height, scene.band_count) == (200, 150, 4)
    assert (scene.crs, scene.dtype, scene.nodata) == ("EPSG:4326", "uint16", 0.0)
    assert scene.transform == tuple(PLACES["lonlat"].transform())[:6]
    assert scene.gsd_m == pytest.approx(2.02, rel=0.05)
    assert scene.acquired == datetime(2020, 1, 2, tzinfo=UTC)
    assert scene.rendering.stretch_from == "percentiles"
    assert len(scene.scene_id) == 16


def test_relative_paths_name_the_same_scene(make_raster, monkeypatch, tmp_path: Path) -> None:
    make_raster("a.tif")
    monkeypatch.chdir(tmp_path)
    assert open_scene("a.tif") == open_scene(str(tmp_path / "a.tif"))


@pytest.mark.parametrize("place", sorted(PLACES))
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64"])
def test_every_place_and_type_opens(make_raster, place: str, dtype: str) -> None:
    scene = open_scene(str(make_raster(place=place, dtype=dtype)))
    assert scene.crs == PLACES[place].crs
    assert scene.gsd_m > 0


def test_identity_follows_the_pixels_and_not_the_place(make_raster, tmp_path: Path) -> None:
    first = make_raster("a.tif", height=300, width=300)
    scene = open_scene(str(first))
    copy = tmp_path / "elsewhere" / "b.tif"
    copy.parent.mkdir()
    shutil.copy(first, copy)
    os.utime(copy, (1, 1))
    assert open_scene(str(copy)).scene_id == scene.scene_id
    with rasterio.open(first, "r+") as file:
        file.write(np.full((1, 1), 1, dtype=np.uint8), 1, window=((299, 300), (299, 300)))
    assert open_scene(str(first)).scene_id != scene.scene_id


def test_a_full_hash_sees_every_block(make_raster) -> None:
    path = make_raster(height=900, width=900)
    before = open_scene(str(path), full_hash=True).scene_id
    assert before == open_scene(str(path), full_hash=True).scene_id
    for row in (10, 470, 890):
        with rasterio.open(path, "r+") as file:
            file.write(np.full((1, 1), 1, dtype=np.uint8), 2, window=((row, row + 1), (7, 8)))
        after = open_scene(str(path), full_hash=True).scene_id
        assert after != before
        before = after


def test_tags_are_part_of_the_identity(make_raster) -> None:
    path = make_raster()
    before = open_scene(str(path)).scene_id
    with rasterio.open(path, "r+") as file:
        file.update_tags(SENSOR="new")
    assert open_scene(str(path)).scene_id != before


def test_bands_and_stretch_can_be_asked_for(make_raster) -> None:
    path = str(make_raster(bands=4, dtype="uint16"))
    rendering = open_scene(path, bands=(4, 3, 2), stretch=(100.0, 900.0)).rendering
    assert (rendering.bands, rendering.bands_from) == ((4, 3, 2), "asked")
    assert (rendering.low, rendering.high) == ((100.0,) * 3, (900.0,) * 3)
    with pytest.raises(SceneError, match="from 1 to 4") as caught:
        open_scene(path, bands=(1, 2, 5))
    assert str(caught.value).startswith(path)


def test_a_large_raster_is_sampled(make_raster, monkeypatch) -> None:
    monkeypatch.setattr("georclip.scenes.scene._SCANNED_PX", 1000)
    values = textured(3, 600, 800, "uint16")
    sampled = open_scene(str(make_raster(values=values))).rendering
    monkeypatch.undo()
    whole = open_scene(str(make_raster(values=values))).rendering
    assert sampled.low == pytest.approx(whole.low, rel=0.05)
    assert sampled.high == pytest.approx(whole.high, rel=0.05)


def write(path: Path, **options) -> str:
    profile = {
        "driver": "GTiff",
        "width": 20,
        "height": 20,
        "count": 1,
        "dtype": "uint8",
        "crs": "EPSG:32632",
        "transform": PLACES["utm"].transform(),
        **options,
    }
    with rasterio.open(path, "w", **profile) as file:
        shape = (profile["count"], profile["height"], profile["width"])
        file.write(np.ones(shape).astype(profile["dtype"]))
    return str(path)


LOCAL = 'LOCAL_CS["here",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
MARS = "+proj=eqc +R=3396190 +units=m +no_defs"


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"crs": None, "transform": None}, "no georeference"),
        ({"crs": None}, "no CRS"),
        ({"transform": None}, "no transform"),
        ({"crs": LOCAL}, "Engineering CRS"),
        ({"crs": MARS}, "not of the Earth"),
        ({"dtype": "complex64"}, "complex"),
        ({"nodata": 1}, "no valid pixel"),
        ({"transform": rasterio.Affine(1, 0, 0, 2, 0, 0)}, "no area"),
        ({"crs": "EPSG:4326", "transform": rasterio.Affine(1, 0, 500, 0, -1, 1000)}, "lon/lat"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, capfd, options, complaint: str
) -> None:
    path = write(tmp_path / "scene.tif", **options)
    capfd.readouterr()
    with pytest.raises(SceneError, match=complaint) as caught:
        open_scene(path)
    message = str(caught.value)
    assert message.startswith(path)
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"hello", "no raster"),
        (b"II*\x00" + b"\x00" * 50, "cannot be opened|no raster"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 50, "cannot be opened|no raster"),
    ],
)
def test_files_that_are_no_raster_are_refused(
    tmp_path: Path, capfd, content: bytes | None, complaint: str
) -> None:
    path = tmp_path / "scene.tif"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SceneError, match=complaint) as caught:
        open_scene(str(path))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(make_raster, kept: float) -> None:
    path = make_raster(height=400, width=400, compress="deflate", layout="striped")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(SceneError, match=r"truncated|damaged|no raster"):
        open_scene(str(path))


def test_a_folder_is_no_scene(tmp_path: Path) -> None:
    with pytest.raises(SceneError):
        open_scene(str(tmp_path))


NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scene_20181013.tif", datetime(2018, 10, 13, tzinfo=UTC)),
        ("2018-10-13_scene.tif", datetime(2018, 10, 13, tzinfo=UTC)),
        ("S2A_MSIL2A_20181013T155901_N0209.jp2", datetime(2018, 10, 13, 15, 59, 1, tzinfo=UTC)),
        ("2018:10:13 15:59:01", datetime(2018, 10, 13, 15, 59, 1, tzinfo=UTC)),
        ("2018-10-13T15:59:01.123Z", datetime(2018, 10, 13, 15, 59, 1, tzinfo=UTC)),
        ("2018-10-13T15:59:01+02:00", datetime(2018, 10, 13, 13, 59, 1, tzinfo=UTC)),
        ("2018-10-13T23:59:01-0130", datetime(2018, 10, 14, 1, 29, 1, tzinfo=UTC)),
        ("tile_99999999_20181013.tif", datetime(2018, 10, 13, tzinfo=UTC)),
        ("20181332.tif", None),
        ("19591231.tif", None),
        ((NOW + timedelta(days=40)).strftime("%Y%m%d"), None),
        ("scene_1985.tif", None),
        ("1234201810135678.tif", None),
        ("", None),
    ],
)
def test_moments_are_read(text: str, expected: datetime | None) -> None:
    assert parse_moment(text) == expected


@pytest.mark.parametrize(
    ("tags", "imagery", "name", "expected"),
    [
        ({"ACQUISITION_DATE": "2019-05-06"}, {}, "a_20180101.tif", datetime(2019, 5, 6)),
        ({}, {"ACQUISITIONDATETIME": "2019-05-06T01:02:03"}, "a", datetime(2019, 5, 6, 1, 2, 3)),
        ({"TIFFTAG_DATETIME": "2020:01:01 10:00:00"}, {}, "a", datetime(2020, 1, 1, 10)),
        ({"TIFFTAG_DATETIME": "2020:01:01 10:00:00"}, {}, "20180101", datetime(2018, 1, 1)),
        ({"TIFFTAG_DATETIME": "2018:01:01 10:00:00"}, {}, "20180101", datetime(2018, 1, 1, 10)),
        ({"date_acquired": "2015-01-02"}, {}, "a", datetime(2015, 1, 2)),
        ({"DATE": "yesterday"}, {}, "a", None),
    ],
)
def test_acquisition_is_found(tags, imagery, name: str, expected: datetime | None) -> None:
    found = find_acquired(tags, imagery, name)
    assert found == (None if expected is None else expected.replace(tzinfo=UTC))


def test_a_time_that_was_given_wins_and_becomes_utc(make_raster) -> None:
    path = str(make_raster("scene_20180101.tif"))
    there = timezone(timedelta(hours=5))
    given = open_scene(path, acquired=datetime(2020, 1, 1, 3, tzinfo=there)).acquired
    assert given == datetime(2019, 12, 31, 22, tzinfo=UTC)
    assert given.tzinfo == UTC
    naive = open_scene(path, acquired=datetime(2020, 1, 1, 3)).acquired
    assert naive == datetime(2020, 1, 1, 3, tzinfo=UTC)


def test_the_real_scenes_open(shared_data: Path) -> None:
    paths = sorted((shared_data / "scenes").glob("*.tif"))
    scenes = {path.stem: open_scene(str(path)) for path in paths}
    assert len(scenes) == len(paths) >= 12
    cape = scenes["cape_lookout_s2_20181013"]
    assert cape.rendering.bands == (3, 2, 1)
    assert cape.rendering.bands_from == "colour interpretation"
    assert cape.acquired == datetime(2018, 10, 13, tzinfo=UTC)
    assert scenes["las_vegas_uint16"].rendering.stretch_from == "percentiles"
    assert scenes["korea_hills_cog"].gsd_m == pytest.approx(0.47, abs=0.01)


def test_the_odd_rasters_open_or_say_why(shared_data: Path, capfd) -> None:
    refused = {}
    for path in sorted((shared_data / "scenes" / "odd").glob("*.tif")):
        try:
            open_scene(str(path))
        except SceneError as error:
            refused[path.stem] = str(error)
    assert set(refused) == {"cog_hirise_mars", "inverted_lat"}
    assert "not of the Earth" in refused["cog_hirise_mars"]
    assert "no valid pixel" in refused["inverted_lat"]
    assert capfd.readouterr() == ("", "")
