"""QGIS itself opens what is written: no style is asked for, no dialog answered.

QGIS lives in the system's Python (apt install python3-qgis); without it its tests skip.
"""

from __future__ import annotations

import json
import logging
import subprocess
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
import rasterio.errors
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.warp import transform_geom
from shapely.geometry import box, mapping, shape

from georclip.export import as_batch, read_hits, write_hits
from georclip.export.rasters import source_of
from georclip.scenes.access import Access
from georclip.values import Hit, Rendering, Scene, Window
from tests.helpers_hits import FIJI, PLAIN, make_hit, make_result, make_scene, some_hits
from tests.test_remote_reading import served

SYSTEM_PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).parent / "qgis_render.py"
SIDE = 256
UTM = "EPSG:32618"


def ask_qgis(folder: Path, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = folder / "jobs.json"
    order.write_text(json.dumps(jobs))
    try:
        done = subprocess.run(
            [SYSTEM_PYTHON, str(SCRIPT), str(order)], capture_output=True, text=True, timeout=600
        )
    except OSError as error:
        pytest.skip(f"no system Python to ask for QGIS: {error}")
    if "No module named 'qgis'" in done.stderr:
        pytest.skip("the system's Python has no QGIS (apt install python3-qgis)")
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(told) == len(jobs), done.stderr
    return told


def draw_scene(
    path: Path,
    colour: tuple[float, float, float],
    *,
    dtype: str = "uint8",
    bands: tuple[int, int, int] = (1, 2, 3),
    count: int = 3,
    rendering: Rendering = PLAIN,
) -> Scene:
    """A scene of one colour, 256 x 256 px of 10 m."""
    path.parent.mkdir(parents=True, exist_ok=True)
    transform = Affine(10, 0, 350_000, 0, -10, 3_840_000)
    with rasterio.open(
        path, "w", driver="GTiff", width=SIDE, height=SIDE, count=count, dtype=dtype,
        crs=UTM, transform=transform,
    ) as dataset:  # fmt: skip
        for band in range(1, count + 1):
            value = colour[bands.index(band)] if band in bands else 0
            dataset.write(np.full((SIDE, SIDE), value, dtype=dtype), band)
    return make_scene(
        uri=str(path), name=path.name, crs=UTM, transform=tuple(transform)[:6], width=SIDE,
        height=SIDE, band_count=count, dtype=dtype, rendering=rendering,
    )  # fmt: skip


def hits_on(scene: Scene, *corners: tuple[int, int]) -> list[Hit]:
    """Hits of 64 px at (column, row) corners."""
    hits = []
    for rank, (col, row) in enumerate(corners, start=1):
        west, north = 350_000 + 10 * col, 3_840_000 - 10 * row
        ground = mapping(box(west, north - 640, west + 640, north))
        footprint = shape(transform_geom(UTM, "EPSG:4326", ground))
        window = Window(col_off=col, row_off=row, width=64, height=64)
        hits.append(make_hit(rank, footprint, scene=scene, window=window))
    return hits


def project_of(path: Path) -> ET.Element:
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [f"{path.stem}.qgs"]
        return ET.fromstring(archive.read(f"{path.stem}.qgs").decode().partition("\n")[2])


WIDE = Rendering(
    bands=(3, 2, 1),
    low=(1000.0, 1000.0, 1000.0),
    high=(3000.0, 3000.0, 3000.0),
    bands_from="description",
    stretch_from="percentiles",
)


@dataclass(frozen=True)
class Opened:
    """What QGIS told of each file, and what it drew."""

    told: dict[str, dict[str, Any]]
    folder: Path

    def pixels(self, name: str) -> np.ndarray:
        """(3, height, width), as signed integers."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(self.folder / f"{name}.png") as drawn:
                return drawn.read([1, 2, 3]).astype(int)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Everything that QGIS is asked, at once, since it takes seconds to start."""
    folder = tmp_path_factory.mktemp("qgis")
    write_hits(some_hits(), folder / "package.gpkg")
    write_hits(make_result(), folder / "empty_package.gpkg")
    write_hits(make_result(), folder / "empty.qgz")
    blue = draw_scene(folder / "data" / "sea.tif", (20, 60, 200))
    write_hits(make_result(hits_on(blue, (0, 0), (96, 96), (192, 192))), folder / "sea.qgz")
    wide = draw_scene(
        folder / "wide.tif", (2000, 3000, 1000), dtype="uint16", bands=(3, 2, 1), count=4,
        rendering=WIDE,
    )  # fmt: skip
    write_hits(make_result(hits_on(wide, (0, 0))), folder / "wide.qgz")
    scaled = draw_scene(
        folder / "scaled.tif", (2000, 3000, 1000), dtype="uint16", bands=(3, 2, 1), count=4,
        rendering=WIDE,
    )  # fmt: skip
    with rasterio.open(scaled.uri, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.0001,) * 4, (5.0,) * 4
    write_hits(make_result(hits_on(scaled, (0, 0))), folder / "scaled.qgz")
    moving = draw_scene(folder / "a" / "scenes" / "sea.tif", (20, 60, 200))
    write_hits(make_result(hits_on(moving, (0, 0))), folder / "a" / "moved.qgz")
    (folder / "a").rename(folder / "b")
    two = as_batch([make_result(hits_on(blue, (0, 0)), text=text) for text in ("ships", "rails")])
    write_hits(two, folder / "two_package.gpkg")
    write_hits(two, folder / "two.qgz")
    files = (
        "two_package.gpkg",
        "two.qgz",
        "package.gpkg",
        "empty_package.gpkg",
        "empty.qgz",
        "sea.qgz",
        "wide.qgz",
        "scaled.qgz",
    )
    paths = [*(folder / file for file in files), folder / "b" / "moved.qgz"]
    jobs = [
        {"path": str(path), "layer": "hits", "png": str(folder / f"{path.stem}.png")}
        for path in paths
    ]
    told = ask_qgis(folder, jobs)
    return Opened({path.stem: one for path, one in zip(paths, told, strict=True)}, folder)


def test_qgis_styles_a_geopackage_by_itself(opened: Opened) -> None:
    told = opened.told["package"]
    assert told["valid"] and told["messages"] == []
    hits = told["hits"]
    assert (hits["features"], hits["crs"]) == (3, "EPSG:4326")
    assert (hits["renderer"], hits["attribute"]) == ("graduatedSymbol", "score")
    assert hits["styled"], "every hit lies in a class"
    assert (
        hits["labels"] and sorted(hits["label_texts"]) == ["1", "2", "3"] and hits["label_buffer"]
    )


@pytest.mark.parametrize("name", ["two_package", "two"])
def test_hits_of_several_questions_say_which_they_answer(name: str, opened: Opened) -> None:
    hits = opened.told[name]["hits"]
    assert (hits["features"], hits["styled"], hits["labels"]) == (2, True, True)
    assert sorted(hits["label_texts"]) == ["1 rails", "1 ships"]


@pytest.mark.parametrize("name", ["empty_package", "empty"])
def test_files_without_hits_open(name: str, opened: Opened) -> None:
    told = opened.told[name]
    assert told["valid"] and told["messages"] == []
    assert told["hits"]["features"] == 0


def test_qgis_draws_hits_over_their_scene(opened: Opened) -> None:
    told = opened.told["sea"]
    assert told["valid"] and told["messages"] == []
    assert told["order"] == ["hits", "sea.tif"]
    assert told["crs"] == UTM
    assert not told["absolute"]
    assert told["title"] == "georclip: harbor with ships"
    assert told["hits"]["renderer"] == "graduatedSymbol" and told["hits"]["labels"]
    west, south, east, north = told["extent"]
    assert west < 350_000 and east > 352_560 and south < 3_837_440 and north > 3_840_000
    assert east - west < 1.3 * 2_560
    pixels = opened.pixels("sea")

    def count(*colour: int) -> int:
        return int((abs(pixels - np.array(colour)[:, None, None]).max(axis=0) < 12).sum())

    assert count(20, 60, 200) > 100_000, "the scene"
    assert count(0xF0, 0xF9, 0x21) > 500, "the best hit's outline"
    assert count(255, 255, 255) > 50, "labels"


def test_a_project_moves_with_its_scene(opened: Opened) -> None:
    assert opened.told["moved"]["valid"]


@pytest.mark.parametrize("name", ["wide", "scaled"])
def test_a_wide_scene_is_stretched_as_its_encoder_saw_it(name: str, opened: Opened) -> None:
    told = opened.told[name]
    assert told["rasters"][0]["bands"] == [3, 2, 1]
    height, width = opened.pixels(name).shape[1:]
    middle = opened.pixels(name)[:, height // 2 - 5 : height // 2, width // 2 - 5 : width // 2]
    assert np.allclose(middle.mean(axis=(1, 2)), (127, 255, 0), atol=3)


def test_one_band_is_shown_in_grey_and_alpha_is_seen_through(tmp_path: Path) -> None:
    grey = Rendering(
        bands=(1, 1, 1), low=(0.0,) * 3, high=(255.0,) * 3, bands_from="count", stretch_from="none"
    )
    pan = draw_scene(tmp_path / "pan.tif", (99, 99, 99), count=1, rendering=grey)
    clear = draw_scene(tmp_path / "clear.tif", (9, 9, 9), count=4)
    with rasterio.open(clear.uri, "r+") as dataset:
        dataset.colorinterp = [*dataset.colorinterp[:3], ColorInterp.alpha]
    result = make_result([*hits_on(pan, (0, 0)), *hits_on(clear, (64, 64))])
    write_hits(result, tmp_path / "hits.qgz")
    renderers = project_of(tmp_path / "hits.qgz").findall(".//rasterrenderer")
    assert [renderer.get("type") for renderer in renderers] == ["singlebandgray", "multibandcolor"]
    assert [renderer.get("alphaBand") for renderer in renderers] == ["-1", "4"]


def test_a_palette_is_kept(tmp_path: Path) -> None:
    scene = draw_scene(tmp_path / "map.tif", (1, 1, 1), count=1)
    with rasterio.open(scene.uri, "r+") as dataset:
        dataset.write_colormap(1, {0: (0, 0, 0, 255), 1: (200, 10, 20, 255)})
    write_hits(make_result(hits_on(scene, (0, 0))), tmp_path / "hits.qgz")
    renderer = project_of(tmp_path / "hits.qgz").find(".//rasterrenderer")
    assert renderer is not None and renderer.get("type") == "paletted"
    colours = {entry.get("value"): entry.get("color") for entry in renderer.iter("paletteEntry")}
    assert colours["1"] == "#c80a14"


def test_hits_from_a_file_find_bands_and_stretch_in_the_raster(tmp_path: Path) -> None:
    scene = draw_scene(tmp_path / "fields.tif", (2000, 3000, 1000), dtype="uint16")
    with rasterio.open(scene.uri, "r+") as dataset:
        dataset.write(np.linspace(0, 1000, SIDE * SIDE).reshape(SIDE, SIDE).astype("uint16"), 1)
    write_hits(make_result(hits_on(scene, (0, 0))), tmp_path / "hits.geojson")
    write_hits(read_hits(tmp_path / "hits.geojson"), tmp_path / "hits.qgz")
    project = project_of(tmp_path / "hits.qgz")
    red = project.find(".//redContrastEnhancement")
    assert red is not None
    assert float(red.findtext("minValue", "")) == pytest.approx(20, abs=3)
    assert float(red.findtext("maxValue", "")) == pytest.approx(980, abs=3)
    assert project.findtext(".//projectCrs//authid") == UTM


def test_a_file_of_hits_may_name_scenes_in_its_folder_and_below(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("data", "work"):
        (tmp_path / name).mkdir()
    scene = draw_scene(tmp_path / "data" / "fields.tif", (20, 30, 10))
    result = make_result(hits_on(scene, (0, 0)))

    def layers(folder: Path, access: Access | None = None) -> int:
        write_hits(result, folder / "hits.geojson", overwrite=True)
        hits = read_hits(folder / "hits.geojson")
        write_hits(hits, folder / "hits.qgz", overwrite=True, access=access)
        return len(list(project_of(folder / "hits.qgz").iter("rasterrenderer")))

    assert layers(tmp_path) == layers(tmp_path / "data") == 1
    assert layers(tmp_path / "work") == 0
    assert f"--allow-outside {tmp_path / 'data'} reads it" in caplog.text
    assert layers(tmp_path / "work", Access(allow_outside=(tmp_path / "data",))) == 1


def test_a_server_that_a_file_of_hits_names_is_not_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw_scene(tmp_path / "fields.tif", (20, 30, 10))
    with served(tmp_path / "fields.tif") as (url, asked):
        write_hits(make_result([make_hit(1, uri=url)]), tmp_path / "hits.geojson")
        write_hits(read_hits(tmp_path / "hits.geojson"), tmp_path / "hits.qgz")
        assert not asked
        assert "--allow-remote reads it" in caplog.text


def test_a_scene_that_is_gone_is_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "georclip"):
        write_hits(make_result([make_hit(1)]), tmp_path / "hits.qgz")
    assert "/scenes/beaufort.tif" in caplog.text
    project = project_of(tmp_path / "hits.qgz")
    assert [layer.get("type") for layer in project.iter("maplayer")] == ["vector"]
    assert project.findtext(".//projectCrs//authid") == "EPSG:3857"


def test_scenes_without_a_common_crs_and_poles_get_a_crs_that_holds_them(tmp_path: Path) -> None:
    write_hits(make_result([make_hit(1, box(10, 87, 11, 88))]), tmp_path / "pole.qgz")
    assert project_of(tmp_path / "pole.qgz").findtext(".//projectCrs//authid") == "EPSG:4326"
    write_hits(make_result([make_hit(1, FIJI)]), tmp_path / "fiji.qgz")
    assert project_of(tmp_path / "fiji.qgz").findtext(".//projectCrs//authid") == "EPSG:3857"


def test_questions_and_names_with_markup_stay_good_xml(tmp_path: Path) -> None:
    scene = draw_scene(tmp_path / "a & <b>.tif", (1, 2, 3))
    write_hits(make_result(hits_on(scene, (0, 0)), text='<&"\x01>'), tmp_path / "hits.qgz")
    project = project_of(tmp_path / "hits.qgz")
    assert project.findtext("title") == 'georclip: <&">'
    names = [layer.get("name") for layer in project.iter("layer-tree-layer")]
    assert names == ["hits", "a & <b>.tif"]


def test_scenes_on_servers_are_named_as_gdal_reads_them(tmp_path: Path) -> None:
    assert source_of("https://example.org/a b.tif", folder=tmp_path) == (
        "/vsicurl/https://example.org/a%20b.tif"
    )
    assert source_of("s3://bucket/a b.tif", folder=tmp_path) == "/vsis3/bucket/a b.tif"
    assert source_of("/vsizip/a.zip/b.tif", folder=tmp_path) == "/vsizip/a.zip/b.tif"
    assert source_of(str(tmp_path / "b.tif"), folder=tmp_path) == "./b.tif"
    assert source_of(str(tmp_path / "b.tif"), folder=tmp_path / "c") == "../b.tif"
