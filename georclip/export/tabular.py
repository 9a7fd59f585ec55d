"""Hits as rows: CSV with WKT, and a table for the terminal."""

from __future__ import annotations

import csv
import io
import math
import unicodedata
from collections.abc import Sequence
from typing import Literal

import shapely

from georclip.export.records import (
    HitRecord,
    Hits,
    Property,
    Record,
    as_hits,
    format_time,
    joined,
    properties,
)
from georclip.geometry import geometry_bounds
from georclip.printable import printable
from georclip.values import SearchResult

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_MIN_NAME_WIDTH = 8
_COLUMNS: tuple[tuple[str, Literal["<", ">"]], ...] = (
    ("query", "<"), ("rank", ">"), ("score", ">"), ("ranked by", ">"), ("confidence", ">"),
    ("scene", "<"), ("lon", ">"), ("lat", ">"), ("side m", ">"), ("acquired", "<"),
)  # fmt: skip
"""Headings of a table; `_left_out` says which of them it goes without."""
WORDS = frozenset({"query", "scene", "scene from", "scene to"})
"""Headings of columns that may be cut."""


def dumps_csv(result: SearchResult | Hits) -> str:
    """Write hits as CSV: the properties, and the footprint as WKT (EPSG:4326, lon lat).

    Text that a spreadsheet would take for a formula is led by an apostrophe. Lines end as
    RFC 4180 has it.
    """
    hits = as_hits(result)
    return csv_of(hits.records, tuple(hits.columns))


def csv_of(records: Sequence[Record], columns: Sequence[str]) -> str:
    """Write some properties of records, and their footprints, as `dumps_csv` does."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*columns, "wkt"])
    for record in records:
        cells = [_cell(value) for value in properties(record, columns).values()]
        wkt = shapely.to_wkt(record.footprint, rounding_precision=7, trim=True)
        writer.writerow([*cells, wkt])
    return text.getvalue()


def _cell(value: Property) -> float | str | None:
    if isinstance(value, list):
        return joined(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


def dumps_table(result: SearchResult | Hits, *, width: int | None = None) -> str:
    """Write hits as aligned columns for people.

    Args:
        result: What to show.
        width: Columns of the terminal: questions and scene names are cut to fit; None cuts
            nothing.

    Returns:
        A heading and one line a hit; a single line where there is none.
    """
    hits = as_hits(result)
    if not hits.records:
        return "no hits\n"
    without = _left_out(hits)
    columns = [column for column in _COLUMNS if column[0] not in without]
    rows = [[heading for heading, _ in columns]]
    for record in hits.records:
        cells = zip(_COLUMNS, _row(record), strict=True)
        rows.append([cell for (heading, _), cell in cells if heading not in without])
    return aligned(rows, [align for _, align in columns], width=width)


def aligned(
    rows: list[list[str]], aligns: Sequence[Literal["<", ">"]], *, width: int | None = None
) -> str:
    """Write rows of cells under each other.

    Args:
        rows: The first holds the headings.
        aligns: Left or right, for each column.
        width: Columns of the terminal: `WORDS` are cut to fit; None cuts nothing.
    """
    if width is not None:
        _fit(rows, width)
    sides = [max(map(_cells, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            _padded(text, side, align) for text, side, align in zip(row, sides, aligns, strict=True)
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _left_out(hits: Hits) -> set[str]:
    """Headings under which no hit has anything to say."""
    without = set() if hits.answers_many else {"query"}
    if all(record.confidence is None for record in hits.records):
        without.add("confidence")
    if all(abs(record.rank_score - record.score) < 5e-4 for record in hits.records):
        without.add("ranked by")
    return without


def _row(record: HitRecord) -> list[str]:
    lon, lat = centre(record)
    side_m = math.sqrt(record.width * record.height) * record.gsd_m  # square on the ground
    acquired = format_time(record.acquired) or "-"
    return [
        printable(record.query or ""),
        str(record.rank),
        f"{record.score:.3f}",
        f"{record.rank_score:.3f}",
        "-" if record.confidence is None else f"{record.confidence:.2f}",
        printable(record.scene),
        f"{lon:.5f}",
        f"{lat:.5f}",
        f"{side_m:.0f}",
        acquired.removesuffix("T00:00:00Z"),
    ]


def _fit(rows: list[list[str]], width: int) -> None:
    """Cut the columns of words, so that a line fits into a terminal."""
    headings = rows[0]
    words = [number for number, heading in enumerate(headings) if heading in WORDS]
    sides = [max(_cells(row[number]) for row in rows) for number in range(len(headings))]
    others = sum(side for number, side in enumerate(sides) if number not in words)
    room = width - others - 2 * (len(headings) - 1)
    words.sort(key=lambda number: sides[number])  # a short column leaves its room to the next
    for left, number in enumerate(words):
        share = max(room // (len(words) - left), _MIN_NAME_WIDTH)
        for row in rows:
            row[number] = _shortened(row[number], share)
        room -= min(sides[number], share)


def centre(record: Record) -> tuple[float, float]:
    """Middle of a footprint's bounds: lon, lat in degrees, also over the date line."""
    west, south, east, north = geometry_bounds(record.footprint)
    if west > east:
        east += 360.0
    lon = (west + east) / 2
    return (lon - 360.0 if lon > 180.0 else lon), (south + north) / 2


def _cells(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        for sign in text
    )


def _shortened(text: str, room: int) -> str:
    """Cut the middle out of a name, so that its beginning and its suffix stay."""
    if _cells(text) <= room:
        return text
    head, tail = text, text[-(room // 3) :]
    while tail and _cells(tail) > room // 3:
        tail = tail[1:]
    while head and _cells(head) + 1 + _cells(tail) > room:
        head = head[:-1]
    return f"{head}…{tail}"


def _padded(text: str, side: int, align: Literal["<", ">"]) -> str:
    blanks = " " * (side - _cells(text))
    return text + blanks if align == "<" else blanks + text
