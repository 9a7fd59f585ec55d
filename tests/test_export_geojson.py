"""GeoJSON: judged by the checker, and read by GDAL."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon, affinity

from georclip.export import geojson
from georclip.geometry import split_at_date_line
from tests.helpers_hits import FIJI, HARBOR, TOWN, make_hit, make_result, make_scene, some_hits
from tests.helpers_rfc7946 import findings

CONTRACT = (
    "rank score rank_score confidence scene uri scene_id acquired col_off row_off width height "
    "scale gsd_m valid_fraction chip_id"
).split()


def test_a_collection_follows_rfc_7946_and_the_contract() -> None:
    text = geojson.dumps(some_hits())
    assert findings(text) == []
    document = json.loads(text)
    assert [item["id"] for item in document["features"]] == ["chip0001", "chip0002", "chip0003"]
    first = document["features"][0]["properties"]
    assert list(first) == [*CONTRACT, "convincing", "members"]
    assert first["rank"] == 1
    assert first["score"] == first["rank_score"] == 0.38
    assert first["confidence"] is None
    assert first["scene"] == "beaufort.tif"
    assert first["uri"] == "/scenes/beaufort.tif"
    assert first["acquired"] == "2018-10-13T00:00:00Z"
    assert (first["col_off"], first["row_off"], first["width"], first["height"]) == (
        64,
        0,
        256,
        256,
    )
    assert document["features"][2]["properties"]["acquired"] is None
    assert document["georclip"]["query"] == "harbor with ships"
    assert document["georclip"]["rows_considered"] == 1000


def test_boxes_over_the_date_line_have_west_above_east() -> None:
    document = json.loads(geojson.dumps(make_result([make_hit(1, FIJI)])))
    assert document["bbox"] == [179.9, -17.1, -179.95, -17.0]
    assert document["features"][0]["bbox"] == document["bbox"]
    assert document["features"][0]["geometry"]["type"] == "MultiPolygon"


def test_no_hits_make_an_empty_collection_without_a_box() -> None:
    text = geojson.dumps(make_result())
    assert findings(text) == []
    document = json.loads(text)
    assert document["features"] == []
    assert "bbox" not in document
    assert geojson.dumps_sequence(make_result()) == ""


def test_a_sequence_parts_features_by_record_separators() -> None:
    text = geojson.dumps_sequence(some_hits())
    records = text.split("\x1e")
    assert records[0] == ""
    assert all(record.endswith("\n") and record.count("\n") == 1 for record in records[1:])
    assert [json.loads(record)["id"] for record in records[1:]] == [
        "chip0001",
        "chip0002",
        "chip0003",
    ]
    assert all(findings(record) == [] for record in records[1:])


def test_clockwise_footprints_with_holes_are_turned() -> None:
    ring = [(10, 10), (10, 11), (11, 11), (11, 10)]
    hole = [(10.2, 10.2), (10.4, 10.2), (10.4, 10.4), (10.2, 10.4)]
    assert findings(geojson.dumps(make_result([make_hit(1, Polygon(ring, [hole]))]))) == []


def test_a_sliver_beyond_the_date_line_vanishes_with_rounding() -> None:
    sliver = shapely.box(-180, 0, -179.99999999, 1)
    text = geojson.dumps(
        make_result([make_hit(1, MultiPolygon([shapely.box(179, 0, 180, 1), sliver]))])
    )
    assert findings(text) == []
    assert json.loads(text)["features"][0]["geometry"]["type"] == "Polygon"


def test_times_keep_their_fraction_and_become_utc() -> None:
    scene = make_scene(acquired=datetime(2020, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC))
    item = json.loads(geojson.dumps(make_result([make_hit(1, scene=scene)])))["features"][0]
    assert item["properties"]["acquired"] == "2020-01-02T03:04:05.250000Z"


def test_names_of_any_script_and_quotes_survive() -> None:
    name = 'Zürich "东京"\n.tif'
    result = make_result([make_hit(1, scene=make_scene(name=name))], text='a "b"')
    text = geojson.dumps(result)
    assert json.loads(text)["features"][0]["properties"]["scene"] == name
    assert json.loads(text)["georclip"]["query"] == 'a "b"'


@st.composite
def turned_squares(draw: st.DrawFn) -> Polygon | MultiPolygon:
    """Squares of 1 m to 1,000 km anywhere but at the poles, turned, split at the date line."""
    lon = draw(st.floats(-200, 200))
    lat = draw(st.floats(-80, 80))
    side = 10 ** draw(st.floats(-5, 0.9))
    square = shapely.box(lon - side / 2, lat - side / 2, lon + side / 2, lat + side / 2)
    turned = affinity.rotate(square, draw(st.floats(0, 360)))
    return split_at_date_line(turned)


@settings(max_examples=60, deadline=None)
@given(st.lists(turned_squares(), min_size=1, max_size=4))
def test_any_footprints_follow_rfc_7946(footprints: list[Polygon | MultiPolygon]) -> None:
    result = make_result([make_hit(rank, shape) for rank, shape in enumerate(footprints, start=1)])
    text = geojson.dumps(result)
    assert findings(text) == []
    for item, footprint in zip(json.loads(text)["features"], footprints, strict=True):
        written = shapely.from_geojson(json.dumps(item["geometry"]))
        assert written.hausdorff_distance(footprint) < 2e-7


def test_gdal_reads_what_is_written(tmp_path) -> None:
    geopandas = pytest.importorskip("geopandas")
    path = tmp_path / "hits.geojson"
    path.write_text(geojson.dumps(some_hits()), encoding="utf-8")
    frame = geopandas.read_file(path)
    assert frame.crs == "EPSG:4326"
    assert list(frame["rank"]) == [1, 2, 3]
    assert math.isclose(frame.geometry.iloc[0].area, HARBOR.area, rel_tol=1e-9)
    assert frame.geometry.iloc[1].equals(TOWN)


def test_writing_geojson_loads_no_geopandas_or_rasterio() -> None:
    code = (
        "import sys; from georclip.export.writing import dumps_hits; "
        "from tests.helpers_hits import some_hits; "
        "dumps_hits(some_hits(), 'geojson'); dumps_hits(some_hits(), 'table'); "
        "sys.exit(bool({'geopandas', 'pandas', 'pyogrio', 'rasterio', 'torch'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
