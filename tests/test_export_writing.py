"""Files appear whole or not at all; every format reads back what was written."""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import shapely

from georclip.errors import ExportError
from georclip.export import FORMATS, check_output, dumps_hits, read_hits, write_hits
from georclip.export.files import replacing
from georclip.export.records import HitRecord, as_hits
from tests.helpers_hits import make_hit, make_result, make_scene, some_hits

READABLE = ("hits.geojson", "hits.geojsonseq", "hits.gpkg", "hits.parquet")


def assert_same(found: HitRecord, wanted: HitRecord) -> None:
    for field in fields(HitRecord):
        one, other = getattr(found, field.name), getattr(wanted, field.name)
        if isinstance(other, float):
            assert one == pytest.approx(other, abs=1e-7), field.name
        elif field.name == "footprint":
            assert one.geom_type == other.geom_type
            assert one.equals_exact(other, tolerance=1e-7, normalize=True)
        else:
            assert one == other, field.name


@pytest.mark.parametrize("name", READABLE)
def test_hits_come_back_as_they_were_written(name: str, tmp_path: Path) -> None:
    exact = datetime(2020, 5, 6, 7, 8, 9, 123_000, tzinfo=UTC)
    scene = make_scene(acquired=exact, name="Zürich 東京.tif", uri="/a b/Zürich 東京.tif")
    result = make_result([*some_hits().hits, make_hit(4, scene=scene, score=-0.1)])
    path = tmp_path / name
    assert write_hits(result, path) == (path,)
    found = read_hits(path)
    wanted = as_hits(result)
    assert len(found.records) == 4
    for one, other in zip(found.records, wanted.records, strict=True):
        assert_same(one, other)
    if name != "hits.geojsonseq":
        assert found.provenance == wanted.provenance


@pytest.mark.parametrize("name", READABLE)
def test_an_answer_without_hits_is_a_good_file_too(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_hits(make_result(), path)
    assert read_hits(path).records == ()


@pytest.mark.parametrize("source", READABLE)
def test_hits_from_a_file_can_be_written_in_every_format(source: str, tmp_path: Path) -> None:
    first = tmp_path / source
    write_hits(some_hits(), first)
    found = read_hits(first)
    for suffix in (".geojson", ".geojsonseq", ".gpkg", ".qgz", ".parquet", ".csv", ".html"):
        written = write_hits(found, tmp_path / f"again{suffix}", overwrite=True)
        assert all(path.stat().st_size > 0 for path in written)


def test_hits_are_sorted_by_rank_when_read(tmp_path: Path) -> None:
    path = tmp_path / "hits.geojson"
    document = json.loads(dumps_hits(some_hits(), "geojson"))
    document["features"].reverse()
    path.write_text(json.dumps(document))
    assert [record.rank for record in read_hits(path).records] == [1, 2, 3]


@pytest.mark.parametrize("name", ["hits.geojson", "hits.gpkg", "hits.qgz", "hits.parquet"])
def test_a_file_is_replaced_only_when_told(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("precious")
    with pytest.raises(ExportError, match="--overwrite"):
        write_hits(some_hits(), path)
    assert path.read_text() == "precious"
    assert path in write_hits(some_hits(), path, overwrite=True)
    assert path.read_bytes() != b"precious"
    assert not [left for left in os.listdir(tmp_path) if left.startswith(".")]


def test_a_project_does_not_replace_a_geopackage_unasked(tmp_path: Path) -> None:
    (tmp_path / "hits.gpkg").write_text("precious")
    for call in (
        lambda: write_hits(some_hits(), tmp_path / "hits.qgz"),
        lambda: check_output(tmp_path / "hits.qgz", None, overwrite=False),
    ):
        with pytest.raises(ExportError, match=r"hits\.gpkg exists"):
            call()
    assert (tmp_path / "hits.gpkg").read_text() == "precious"
    assert not (tmp_path / "hits.qgz").exists()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "hits.geojson"
    path.write_text("precious")
    record = replace(as_hits(some_hits()).records[0], score=float("nan"))
    with pytest.raises(ValueError):
        write_hits(replace(as_hits(some_hits()), records=(record,)), path, overwrite=True)
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["hits.geojson"]


def test_what_sqlite_left_beside_an_old_file_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "hits.gpkg"
    write_hits(some_hits(), path)
    (tmp_path / "hits.gpkg-wal").write_bytes(b"old")
    write_hits(some_hits(), path, overwrite=True)
    assert not (tmp_path / "hits.gpkg-wal").exists()
    assert len(read_hits(path).records) == 3


def test_a_missing_folder_and_a_folder_in_the_way_are_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="does not exist"):
        write_hits(some_hits(), tmp_path / "none" / "hits.gpkg")
    (tmp_path / "hits.gpkg").mkdir()
    with pytest.raises(ExportError, match="is a folder"):
        write_hits(some_hits(), tmp_path / "hits.gpkg", overwrite=True)


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with (
        pytest.raises(ExportError, match="Permission denied"),
        replacing(tmp_path / "hits.csv", overwrite=False),
    ):
        pytest.fail("nothing may be written")


def test_formats_that_need_a_file_do_not_go_to_stdout() -> None:
    for name in ("gpkg", "qgz", "geoparquet"):
        with pytest.raises(ExportError, match="name a file"):
            dumps_hits(some_hits(), name)
        with pytest.raises(ExportError, match="name a file"):
            check_output(None, name, overwrite=False)


def test_unknown_formats_and_suffixes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"no format has the suffix .*\.geojson"):
        write_hits(some_hits(), tmp_path / "hits.shp")
    with pytest.raises(ExportError, match="there is no format 'kml'"):
        write_hits(some_hits(), tmp_path / "hits.kml", "kml")
    with pytest.raises(ExportError, match="there is no format 'kml'"):
        dumps_hits(some_hits(), "kml")
    with pytest.raises(ExportError, match=r"gpkg files end in \.gpkg"):
        write_hits(some_hits(), tmp_path / "hits.geojson", "gpkg")
    assert os.listdir(tmp_path) == []


def test_a_format_named_wins_over_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "hits.txt"
    write_hits(some_hits(), path, "table")
    assert path.read_text().startswith("rank")
    assert set(FORMATS) == {
        "geojson",
        "geojsonseq",
        "gpkg",
        "qgz",
        "geoparquet",
        "csv",
        "html",
        "table",
    }


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.geojson", "{", "cannot be read as geojson"),
        ("a.geojson", "[]", "no FeatureCollection"),
        ("a.geojson", '{"features": [{"properties": {}, "geometry": null}]}', "has no rank"),
        ("a.geojsonseq", "\x1e{nothing}\n", "cannot be read"),
        ("a.gpkg", "nothing", "cannot be read as gpkg"),
        ("a.parquet", "nothing", "cannot be read as geoparquet"),
        ("a.csv", "rank\n1\n", "hits cannot be read"),
        ("a.shp", "", "no format"),
    ],
)
def test_what_is_no_file_of_hits_is_refused(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ExportError, match=message):
        read_hits(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="there is no file"):
        read_hits(tmp_path / "none.gpkg")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rank": None}, "no value of rank"),
        ({"score": "high"}, "which is no float"),
        ({"acquired": "yesterday"}, "which is no time"),
    ],
)
def test_a_property_that_makes_no_sense_is_named(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    document = json.loads(dumps_hits(some_hits(), "geojson"))
    document["features"][1]["properties"].update(change)
    path = tmp_path / "hits.geojson"
    path.write_text(json.dumps(document))
    with pytest.raises(ExportError, match=message) as caught:
        read_hits(path)
    assert "2" in str(caught.value)  # which feature


def test_points_are_no_hits(tmp_path: Path) -> None:
    document = json.loads(dumps_hits(some_hits(), "geojson"))
    document["features"][0]["geometry"] = json.loads(shapely.to_geojson(shapely.Point(1, 2)))
    path = tmp_path / "hits.geojson"
    path.write_text(json.dumps(document))
    with pytest.raises(ExportError, match="no area"):
        read_hits(path)
