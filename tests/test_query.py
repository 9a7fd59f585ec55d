"""What a person types becomes a question, or one line that says why not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from georclip.errors import QueryError
from georclip.search.query import build_query, parse_datetime_interval, parse_term
from georclip.values import DateRange, Term


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type]


DAY_END = (23, 59, 59, 999_999)


@pytest.mark.parametrize(
    ("text", "value", "weight"),
    [
        ("harbor with ships", "harbor with ships", 1.0),
        ("  harbor \n with\tships ", "harbor with ships", 1.0),
        ("ships::0.5", "ships", 0.5),
        ("ships :: 2", "ships", 2.0),
        ("ships::-1", "ships", -1.0),
        ("a::b::3", "a::b", 3.0),
        ("ratio 1:2", "ratio 1:2", 1.0),
    ],
)
def test_terms(text: str, value: str, weight: float) -> None:
    assert parse_term(text) == Term(kind="text", value=value, weight=weight)


@pytest.mark.parametrize("text", ["", "  ", "::1", "ships::", "ships::x", "ships::0", "ships::nan"])
def test_terms_that_make_no_sense(text: str) -> None:
    with pytest.raises(QueryError):
        parse_term(text)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2018-10-13", at(2018, 10, 13), at(2018, 10, 13, *DAY_END)),
        ("2018-01-01/2018-12-31", at(2018, 1, 1), at(2018, 12, 31, *DAY_END)),
        ("2018-01-01/..", at(2018, 1, 1), None),
        ("2018-01-01/", at(2018, 1, 1), None),
        ("../2018-01-01", None, at(2018, 1, 1, *DAY_END)),
        ("/2018-01-01", None, at(2018, 1, 1, *DAY_END)),
        ("../..", None, None),
        ("2018-10-13T15:00:00Z", at(2018, 10, 13, 15), at(2018, 10, 13, 15)),
        ("2018-10-13t15:00:00z", at(2018, 10, 13, 15), at(2018, 10, 13, 15)),
        ("2018-10-13 15:00:00+02:00/..", at(2018, 10, 13, 13), None),
        ("2018-10-13T15:00:00.25Z/..", at(2018, 10, 13, 15, 0, 0, 250_000), None),
        ("2018-10-13T15:00:00.123456789Z/..", at(2018, 10, 13, 15, 0, 0, 123_456), None),
        ("2016-12-31T23:59:60Z/..", at(2017, 1, 1), None),
        ("2018-01-01 / 2018-01-01", at(2018, 1, 1), at(2018, 1, 1, *DAY_END)),
        ("2018-01-01/2018-01-01T00:00:00Z", at(2018, 1, 1), at(2018, 1, 1)),
        ("2020-02-29", at(2020, 2, 29), at(2020, 2, 29, *DAY_END)),
    ],
)
def test_intervals(text: str, start: datetime | None, end: datetime | None) -> None:
    assert parse_datetime_interval(text) == DateRange(start=start, end=end)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no time"),
        ("..", "no time"),
        ("yesterday", "no time"),
        ("2018", "no time"),
        ("2018-10", "no time"),
        ("13.10.2018", "no time"),
        ("2018-10-13/2018-10-14/2018-10-15", "no time"),
        ("٢٠١٨-10-13", "no time"),
        ("2019-02-29", "does not exist"),
        ("2018-10-13T25:00:00Z", "does not exist"),
        ("0001-01-01T00:00:00+10:00", "does not exist"),
        ("2018-10-13T15:00:00", "add Z"),
        ("2018-10-14/2018-10-13", "ends before it starts"),
    ],
)
def test_intervals_that_make_no_sense(text: str, message: str) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        parse_datetime_interval(text)
    assert "\n" not in str(caught.value)


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)))
def test_instants_come_back(naive: datetime) -> None:
    instant = naive.replace(tzinfo=UTC)
    assert parse_datetime_interval(instant.isoformat()).start == instant


@given(st.text(max_size=40))
def test_any_text_is_a_range_or_a_query_error(text: str) -> None:
    try:
        found = parse_datetime_interval(text)
    except QueryError:
        return
    assert found.start is None or found.end is None or found.start <= found.end


def test_a_whole_question() -> None:
    query = build_query("ships::2", bbox="-77,34,-76,35", dates="2018-01-01/..", scenes="*s2*", k=3)
    assert query.terms == (Term(kind="text", value="ships", weight=2.0),)
    assert query.k == 3
    assert query.aoi is not None and query.aoi.equals(shapely.box(-77, 34, -76, 35))
    assert query.dates == DateRange(start=at(2018, 1, 1), end=None)
    assert query.scenes == "*s2*"


@pytest.mark.parametrize("weight", ["1e308", "-1e7", "1e-300", "-1e-7"])
def test_weights_that_floats_would_lose_are_refused(weight: str) -> None:
    with pytest.raises(QueryError, match="out of range: give one between 1e-06 and 1e"):
        build_query("boats", more=[parse_term(f"ships::{weight}")])
    for kept in ("1e6", "1e-6", "-1e6"):
        build_query("boats", more=[parse_term(f"ships::{kept}")])


def test_a_question_without_filters_has_none() -> None:
    query = build_query("ships")
    assert (query.k, query.aoi, query.dates, query.scenes) == (10, None, None, None)


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_an_empty_question_is_refused(text: str | None) -> None:
    with pytest.raises(QueryError, match="the question is empty"):
        build_query(text)


@pytest.mark.parametrize("k", [0, -3, True, 2.5])
def test_k_is_a_whole_number_from_one(k: int) -> None:
    with pytest.raises(QueryError, match=f"-k {k}"):
        build_query("ships", k=k)


@pytest.mark.parametrize(
    "options",
    [
        {"bbox": "1,2,3"},
        {"bbox": "a,b,c,d"},
        {"bbox": (0, 10, 1, 5)},
        {"bbox": (0, 0, 1, 95)},
        {"dates": ""},
        {"scenes": " "},
        {"min_confidence": 1.5},
        {"aoi": "/nowhere/aoi.geojson"},
    ],
)
def test_filters_that_make_no_sense_are_query_errors(options: dict[str, object]) -> None:
    with pytest.raises(QueryError):
        build_query("ships", **options)  # type: ignore[arg-type]


def test_something_must_be_wanted() -> None:
    with pytest.raises(QueryError, match="not wanted"):
        build_query("ships::-1")


@pytest.mark.parametrize("text", ["buildings:0.5", "harbor::0.5::2", "ships: 2", "a::1::2"])
def test_weights_that_were_meant_otherwise_are_named(text: str) -> None:
    with pytest.raises(QueryError, match="after two colons"):
        parse_term(text)


@pytest.mark.parametrize("text", ["map 1:5000", "houses at 10:30", "a::b", "ships::0.5"])
def test_other_colons_are_left_alone(text: str) -> None:
    try:
        assert parse_term(text).value
    except QueryError as error:
        assert "after two colons" not in str(error)
