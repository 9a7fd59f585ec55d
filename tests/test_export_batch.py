"""Hits of several questions: each names its own, in every format, and back."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest

from georclip.export import dumps_hits, read_hits, write_hits
from georclip.export.records import PROPERTIES, Hits, as_batch
from tests.helpers_hits import FIJI, TOWN, make_hit, make_result, some_hits
from tests.helpers_rfc7946 import findings

READABLE = ("hits.geojson", "hits.geojsonseq", "hits.gpkg", "hits.parquet")
QUESTIONS = ["harbor with ships", "=dense houses", "nothing here", "harbor with ships"]


def batch() -> Hits:
    """Four questions, one of them asked twice, and one without a hit; chips come again."""
    return as_batch(
        [
            make_result([make_hit(1), make_hit(2, TOWN)], text=QUESTIONS[0]),
            make_result([make_hit(1, TOWN, chip_id="chip0002"), make_hit(2, FIJI)],
                        text=QUESTIONS[1]),
            make_result([], text=QUESTIONS[2]),
            make_result([make_hit(1), make_hit(2, TOWN)], text=QUESTIONS[3]),
        ]
    )  # fmt: skip


ASKED = [QUESTIONS[0]] * 2 + [QUESTIONS[1]] * 2 + [QUESTIONS[3]] * 2


def test_geojson_names_the_question_of_each_hit_under_ids_of_their_own() -> None:
    text = dumps_hits(batch(), "geojson")
    assert findings(text) == []
    document = json.loads(text)
    found = [item["properties"] for item in document["features"]]
    assert list(found[0]) == ["query", *PROPERTIES]
    assert [one["query"] for one in found] == ASKED
    assert [one["rank"] for one in found] == [1, 2] * 3
    ids = [item["id"] for item in document["features"]]
    assert len(set(ids)) == len(ids)
    assert ids[0].startswith("chip0001-") and ids[4] == f"{ids[0]}-2"
    assert document["georclip"]["queries"] == QUESTIONS
    assert "query" not in document["georclip"]
    sequence = dumps_hits(batch(), "geojsonseq").split("\x1e")[1:]
    assert [json.loads(line)["id"] for line in sequence] == ids


def test_ids_stay_the_same_whatever_else_is_asked() -> None:
    (_, second, _, _) = (make_result([make_hit(1)], text=text) for text in QUESTIONS)
    alone = json.loads(dumps_hits(as_batch([second]), "geojson"))["features"][0]["id"]
    first = make_result([make_hit(1)], text="other")
    both = json.loads(dumps_hits(as_batch([first, second]), "geojson"))["features"]
    assert both[1]["id"] == alone != both[0]["id"]


def test_the_answer_to_one_question_is_as_it_was() -> None:
    document = json.loads(dumps_hits(some_hits(), "geojson"))
    assert list(document["features"][0]["properties"]) == list(PROPERTIES)
    assert document["features"][0]["id"] == "chip0001"
    assert list(document["georclip"]) == [
        "query", "question", "encoder", "rows_considered", "version",
    ]  # fmt: skip


@pytest.mark.parametrize("name", READABLE)
def test_hits_come_back_with_their_questions_and_in_their_order(name: str, tmp_path: Path) -> None:
    write_hits(batch(), tmp_path / name)
    found = read_hits(tmp_path / name)
    assert [record.query for record in found.records] == ASKED
    assert [record.rank for record in found.records] == [1, 2] * 3
    if name != "hits.geojsonseq":
        assert found.provenance == batch().provenance
        assert dumps_hits(found, "geojson") == dumps_hits(batch(), "geojson")
    for suffix in (".geojson", ".gpkg", ".qgz", ".parquet", ".csv"):
        write_hits(found, tmp_path / f"again{suffix}", overwrite=True)


def test_questions_without_any_hit_keep_their_column(tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    nothing = as_batch([make_result([], text="one"), make_result([], text="two")])
    assert dumps_hits(nothing, "csv").startswith("query,rank,")
    write_hits(nothing, tmp_path / "hits.gpkg")
    assert "query" in geopandas.read_file(tmp_path / "hits.gpkg", layer="hits").columns
    assert read_hits(tmp_path / "hits.gpkg").provenance.queries == ("one", "two")


def test_a_project_says_how_many_questions(tmp_path: Path) -> None:
    write_hits(batch(), tmp_path / "hits.qgz")
    with zipfile.ZipFile(tmp_path / "hits.qgz") as archive:
        assert b"<title>georclip: 4 questions</title>" in archive.read("hits.qgs")


def test_csv_leads_with_the_question_and_disarms_it() -> None:
    rows = list(csv.DictReader(io.StringIO(dumps_hits(batch(), "csv"), newline="")))
    assert [row["query"] for row in rows] == [text.replace("=", "'=") for text in ASKED]


@pytest.mark.parametrize("width", [None, 60, 75, 100, 200])
def test_the_table_has_a_column_of_questions_that_is_cut_to_fit(width: int | None) -> None:
    long = "a very long question about harbors, ships and whatever else may be seen there"
    hits = as_batch([make_result([make_hit(1), make_hit(2)], text=long)])
    lines = dumps_hits(hits, "table").splitlines()
    assert lines[1].startswith(long)
    shown = dumps_hits(hits, "table", width=width).splitlines()
    assert shown[0].split()[:3] == ["query", "rank", "score"]
    if width is not None and width > 60:
        assert max(map(len, shown)) <= width
        assert ("beaufort.tif" in shown[1]) == (width > 75)
