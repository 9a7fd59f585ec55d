"""GeoDataFrame, GeoParquet and GeoPackage, looked at with other readers."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from xml.etree import ElementTree as ET

import pyarrow.parquet as pq
import pytest

from georclip.export.geodataframe import to_geodataframe
from georclip.export.records import PROPERTIES
from georclip.export.writing import write_hits
from tests.helpers_hits import HARBOR, make_result, some_hits


@pytest.mark.parametrize("count", [0, 3])
def test_columns_have_the_same_types_with_and_without_hits(count: int) -> None:
    frame = to_geodataframe(some_hits() if count else make_result())
    assert len(frame) == count
    assert list(frame.columns) == [*PROPERTIES, "geometry"]
    assert frame.crs == "EPSG:4326"
    assert str(frame["acquired"].dtype) == "datetime64[us, UTC]"
    assert str(frame["confidence"].dtype) == "float64"
    assert str(frame["rank"].dtype) == "int64"


def test_a_frame_holds_footprints_times_and_where_it_comes_from() -> None:
    frame = to_geodataframe(some_hits())
    assert frame.geometry.iloc[0].equals(HARBOR)
    assert frame["acquired"].iloc[0].isoformat() == "2018-10-13T00:00:00+00:00"
    assert frame["acquired"].isna().tolist() == [False, False, True]
    assert frame["confidence"].isna().all()
    assert frame.attrs["georclip"]["query"] == "harbor with ships"


@pytest.mark.parametrize("count", [0, 3])
def test_geoparquet_is_1_1_with_a_bbox_covering(count: int, tmp_path: Path) -> None:
    path = tmp_path / "hits.parquet"
    write_hits(some_hits() if count else make_result(), path)
    table = pq.read_table(path)
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    about = geo["columns"]["geometry"]
    assert about["encoding"] == "WKB"
    assert about["crs"]["id"] == {"authority": "EPSG", "code": 4326}
    assert about["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert table.num_rows == count
    if count:
        box = table.column("bbox")[0].as_py()
        assert (box["xmin"], box["ymax"]) == (-76.70, 34.73)


@pytest.fixture
def package(tmp_path: Path) -> sqlite3.Connection:
    path = tmp_path / "hits.gpkg"
    write_hits(some_hits(), path)
    return sqlite3.connect(path)


def test_a_geopackage_is_version_1_2_with_a_layer_of_multipolygons(
    package: sqlite3.Connection,
) -> None:
    assert package.execute("PRAGMA user_version").fetchone() == (10200,)
    assert package.execute(
        "SELECT table_name, column_name, geometry_type_name, srs_id FROM gpkg_geometry_columns"
    ).fetchall() == [("hits", "geom", "MULTIPOLYGON", 4326)]
    kinds = dict(package.execute("SELECT table_name, data_type FROM gpkg_contents"))
    assert kinds == {"hits": "features", "layer_styles": "attributes"}
    taken = package.execute("SELECT acquired, confidence FROM hits ORDER BY rank").fetchall()
    assert taken[0][0].startswith("2018-10-13T00:00:00") and taken[0][0].endswith("Z")
    assert taken[2] == (None, None)
    assert package.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_geopackage_brings_its_style_as_qgis_looks_for_it(package: sqlite3.Connection) -> None:
    columns = [row[1] for row in package.execute("PRAGMA table_info(layer_styles)")]
    assert (
        columns
        == (
            "id f_table_catalog f_table_schema f_table_name f_geometry_column styleName styleQML "
            "styleSLD useAsDefault description owner ui update_time"
        ).split()
    )
    row = package.execute(
        "SELECT f_table_catalog, f_table_schema, f_table_name, f_geometry_column, useAsDefault, "
        "update_time, styleQML FROM layer_styles"
    ).fetchone()
    assert row[:5] == ("", "", "hits", "geom", 1)
    assert "T" in row[5] and row[5].endswith("Z")
    style = ET.fromstring(row[6].partition("\n")[2])
    renderer = style.find("renderer-v2")
    assert renderer is not None and renderer.get("attr") == "score"
    ranges = style.findall(".//range")
    for score in (0.34, 0.36, 0.38):
        assert any(
            float(part.get("lower", "")) <= score <= float(part.get("upper", "")) for part in ranges
        )
