"""CSV and the terminal's table."""

from __future__ import annotations

import csv
import io

import pytest
import shapely

from georclip.export.tabular import dumps_csv, dumps_table
from tests.helpers_hits import FIJI, TOWN, make_hit, make_result, make_scene, some_hits


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_has_the_properties_and_the_footprint_as_wkt() -> None:
    rows = rows_of(dumps_csv(some_hits()))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert rows[0]["score"] == "0.38"
    assert rows[0]["confidence"] == ""
    assert rows[0]["acquired"] == "2018-10-13T00:00:00Z"
    assert rows[2]["acquired"] == ""
    assert shapely.from_wkt(rows[1]["wkt"]).equals(TOWN)
    assert shapely.from_wkt(rows[2]["wkt"]).equals(FIJI)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_disarms_what_a_spreadsheet_would_run(start: str) -> None:
    name = f"{start}cmd|' /C calc'!A0.tif"
    scene = make_scene(name=name, uri=f"{start}x")
    row = rows_of(dumps_csv(make_result([make_hit(1, scene=scene)])))[0]
    assert row["scene"] == f"'{name}"
    assert row["uri"] == f"'{start}x"


def test_csv_leaves_negative_numbers_alone() -> None:
    row = rows_of(dumps_csv(make_result([make_hit(1, score=-0.25)])))[0]
    assert float(row["score"]) == -0.25


def test_no_hits_leave_the_heading() -> None:
    assert dumps_csv(make_result()).startswith("rank,score,")
    assert dumps_csv(make_result()).count("\n") == 1
    assert dumps_table(make_result()) == "no hits\n"


def test_the_table_is_aligned_and_says_where() -> None:
    lines = dumps_table(some_hits()).splitlines()
    assert lines[0].split() == ["rank", "score", "scene", "lon", "lat", "side", "m", "acquired"]
    assert lines[1].split() == "1 0.380 beaufort.tif -76.68500 34.71500 2560 2018-10-13".split()
    # over the date line the centre lies at it, not at the other end of the world
    assert "179.97500" in lines[3] and "-17.05000" in lines[3]
    column = lines[0].index("scene")
    assert {line[column - 1] for line in lines} == {" "}
    assert {line[column] for line in lines} == {"s", "b", "f"}


def test_long_names_are_cut_to_the_terminal_in_their_middle() -> None:
    scene = make_scene(name="a_very_long_name_of_a_scene_of_the_north_sea_20181013.tif")
    text = dumps_table(make_result([make_hit(1, scene=scene)]), width=80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "a_very" in text and "…" in text and ".tif" in text


def test_wide_signs_take_two_columns() -> None:
    result = make_result([make_hit(1, scene=make_scene(name="東京.tif")), make_hit(2)])
    lines = dumps_table(result).splitlines()
    # two wide signs: the line is two characters shorter up to the next column
    assert lines[1].index("-76.6") == lines[2].index("-76.6") - 2


def test_names_cannot_steer_the_terminal() -> None:
    scene = make_scene(name="a\x1b[2J\nb.tif")
    text = dumps_table(make_result([make_hit(1, scene=scene)]))
    assert "\x1b" not in text
    assert len(text.splitlines()) == 2
