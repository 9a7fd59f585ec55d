"""Areas: from a box, from a file in any CRS, from both."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import geopandas
import pytest
import shapely
from shapely import LineString, MultiPolygon, Point, Polygon, box

from georclip.errors import QueryError
from georclip.geometry import geometry_bounds
from georclip.search.aoi import read_aoi
from georclip.search.place import clean_area, find_area

BOWTIE = Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])


def write(path: Path, *shapes: shapely.Geometry, crs: str | None = "EPSG:4326") -> Path:
    geopandas.GeoDataFrame({"n": range(len(shapes))}, geometry=list(shapes), crs=crs).to_file(path)
    return path


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".shp", ".fgb"])
def test_formats(suffix: str, tmp_path: Path) -> None:
    area = read_aoi(write(tmp_path / f"aoi{suffix}", box(0, 0, 1, 1), box(1, 0, 2, 1)))
    assert area.equals(box(0, 0, 2, 1))


def test_a_projected_aoi_lands_where_it_lies(tmp_path: Path) -> None:
    ground = geopandas.GeoSeries([box(-76.8, 34.6, -76.5, 34.8)], crs="EPSG:4326")
    path = write(tmp_path / "aoi.gpkg", *ground.to_crs("EPSG:32618"), crs="EPSG:32618")
    area = read_aoi(path)
    assert area.symmetric_difference(ground.iloc[0]).area < 1e-3 * ground.iloc[0].area


def test_long_edges_of_a_projected_aoi_bend_as_they_do_on_the_ground(tmp_path: Path) -> None:
    # 6 degrees of longitude in UTM at 60 N: a straight edge there is bent in lon/lat
    path = write(
        tmp_path / "aoi.gpkg", box(350_000, 6_600_000, 650_000, 6_800_000), crs="EPSG:32633"
    )
    area = read_aoi(path)
    series = geopandas.GeoSeries([LineString([(350_000, 6_600_000), (650_000, 6_600_000)])])
    on_edge = series.segmentize(1_000).set_crs("EPSG:32633").to_crs("EPSG:4326").iloc[0]
    assert on_edge.hausdorff_distance(area.boundary.intersection(on_edge.buffer(0.01))) < 0.01


def test_a_projected_aoi_over_the_date_line_is_split(tmp_path: Path) -> None:
    ring = box(750_000, 8_100_000, 900_000, 8_200_000)  # zone 60 S, over 180 degrees
    area = read_aoi(write(tmp_path / "aoi.gpkg", ring, crs="EPSG:32760"))
    assert isinstance(area, MultiPolygon)
    west, _, east, _ = geometry_bounds(area)
    assert 178 < west < 180 and -180 < east < -178


def test_longitudes_from_0_to_360_are_brought_back() -> None:
    assert clean_area(box(190, 0, 200, 10), source="x").equals(box(-170, 0, -160, 10))
    split = clean_area(box(170, 0, 190, 10), source="x")
    assert geometry_bounds(split) == (170, 0, -170, 10)
    line = clean_area(LineString([(170, 0), (190, 0)]), source="x")
    assert line.length == pytest.approx(20)
    assert clean_area(Point(200, 1), source="x").equals(Point(-160, 1))


def test_lines_and_points_are_areas_of_interest_too(tmp_path: Path) -> None:
    line = LineString([(0, 0), (1, 1)])
    assert read_aoi(write(tmp_path / "a.geojson", line)).equals(line)
    assert read_aoi(write(tmp_path / "b.gpkg", Point(5, 6))).equals(Point(5, 6))


def test_an_invalid_aoi_is_repaired() -> None:
    area = clean_area(BOWTIE, source="x")
    assert area.is_valid
    assert area.area == pytest.approx(2)


def test_heights_are_dropped() -> None:
    flat = clean_area(Polygon([(0, 0, 5), (1, 0, 5), (1, 1, 5)]), source="x")
    assert not flat.has_z


@pytest.mark.parametrize(
    ("area", "message"),
    [
        (Polygon(), "is empty"),
        (box(0, 0, 500_000, 4_000_000), "no longitude and latitude"),
        (box(0, 80, 1, 95), "no longitude and latitude"),
        (Point(float("nan"), 1), "empty|not finite"),
        (LineString([(0, 0), (float("inf"), 1)]), "not finite"),
    ],
)
def test_areas_that_make_no_sense(area: shapely.Geometry, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        clean_area(area, source="the AOI")


def test_a_file_without_a_crs_is_refused(tmp_path: Path) -> None:
    with (
        pytest.warns(UserWarning, match="crs"),
        pytest.raises(QueryError, match="does not say its CRS"),
    ):
        read_aoi(write(tmp_path / "aoi.shp", box(0, 0, 1, 1), crs=None))


@pytest.mark.parametrize(
    "content",
    ['{"type": "FeatureCollection", "features": []}', "{", "not json", ""],
)
def test_files_that_hold_nothing_are_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "aoi.geojson"
    path.write_text(content)
    with pytest.raises(QueryError, match=r"aoi\.geojson") as caught:
        read_aoi(path)
    assert "\n" not in str(caught.value)


def test_features_without_geometry_are_nothing(tmp_path: Path) -> None:
    path = tmp_path / "aoi.geojson"
    feature = {"type": "Feature", "properties": {"a": 1}, "geometry": None}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    with pytest.raises(QueryError, match=r"aoi\.geojson"):
        read_aoi(path)


def test_a_missing_file_and_a_raster_are_named(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="does not exist"):
        read_aoi(tmp_path / "none.geojson")
    (tmp_path / "a.tif").write_bytes(b"II*\x00")
    with pytest.raises(QueryError, match="cannot be read as vector data"):
        read_aoi(tmp_path / "a.tif")


def test_a_vrt_is_refused_since_it_names_other_files(tmp_path: Path) -> None:
    write(tmp_path / "secret.gpkg", box(0, 0, 1, 1))
    vrt = tmp_path / "aoi.vrt"
    vrt.write_text(
        f'<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>{tmp_path}/secret.gpkg'
        "</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    )
    with pytest.raises(QueryError, match="VRT"):
        read_aoi(vrt)


def test_the_first_of_several_layers_is_used_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "aoi.gpkg"
    for name, area in (("one", box(0, 0, 1, 1)), ("two", box(5, 5, 6, 6))):
        geopandas.GeoDataFrame(geometry=[area], crs="EPSG:4326").to_file(path, layer=name)
    with caplog.at_level(logging.INFO, "georclip"):
        assert read_aoi(path).equals(box(0, 0, 1, 1))
    assert "2 layers: 'one' is used" in caplog.text


def test_a_box_and_an_aoi_leave_what_they_share() -> None:
    shared = find_area(bbox=(0, 0, 10, 10), aoi=box(5, 5, 20, 20))
    assert shared.equals(box(5, 5, 10, 10))
    over = find_area(bbox=(170, -10, -170, 10), aoi=box(175, 0, 185, 5))
    assert geometry_bounds(over) == (175, 0, -175, 5)
    assert find_area(bbox=(0, 0, 10, 10), aoi=Point(5, 5)).equals(Point(5, 5))


@pytest.mark.parametrize("aoi", [box(20, 20, 30, 30), box(10, 0, 20, 10), Point(11, 11)])
def test_a_box_and_an_aoi_that_share_no_area_are_refused(aoi: shapely.Geometry) -> None:
    with pytest.raises(QueryError, match="do not overlap"):
        find_area(bbox=(0, 0, 10, 10), aoi=aoi)


def test_a_box_alone_loads_no_geopandas() -> None:
    code = (
        "import sys; from georclip.search.query import build_query; "
        "build_query('ships', bbox='170,-20,-170,-10'); "
        "sys.exit(bool({'geopandas', 'pyogrio', 'rasterio', 'torch'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_box_with_west_and_east_swapped_is_remarked_on(caplog: pytest.LogCaptureFixture) -> None:
    find_area(bbox=(-76.5, 34.6, -76.8, 34.8))
    assert "swap -76.5 and -76.8" in caplog.text
    caplog.clear()
    find_area(bbox=(170, -20, -170, -10))  # a narrow one over the date line is meant so
    assert not caplog.text
