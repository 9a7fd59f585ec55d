"""Captions in a table: CSV or TSV, one row for each sentence."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from georclip.captions.columns import Columns, find_columns
from georclip.captions.entries import Entry
from georclip.captions.forms import CaptionForm
from georclip.captions.naming import some
from georclip.errors import CaptionError

TAB_SUFFIXES = frozenset({".tsv", ".tab"})

Row = tuple[int, list[str]]
"""A row's number, as a spreadsheet counts it (from 1, with the header), and its cells."""


def read_table(text: str, file: Path, form: CaptionForm) -> list[Entry]:
    """Read a table of captions; RFC 4180's quotes, any line ends, blanks around cells dropped.

    Args:
        text: The whole file.
        file: For messages, and its suffix.
        form: Separator and columns.

    Raises:
        CaptionError: A column is missing, or rows are broken; all of them are named.
    """
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise CaptionError(f"{file}, line {line}: holds a NUL: this is no text file of captions")
    rows = _rows(text, file, form.separator or find_separator(text, file))
    if not rows:
        raise CaptionError(f"{file} is empty: it needs rows of image file and caption")
    try:
        columns = find_columns(rows[0][1], rows[1][1] if len(rows) > 1 else None, form)
    except CaptionError as error:
        raise CaptionError(f"{file}: {error}") from None
    rows = rows[1:] if columns.header else rows
    _check_rows(rows, columns, file)
    return [_entry(number, cells, columns) for number, cells in rows]


def find_separator(text: str, file: Path) -> str:
    """A tab for .tsv and .tab, else the first comma, tab or semicolon of the first line."""
    if file.suffix.lower() in TAB_SUFFIXES:
        return "\t"
    return next((letter for letter in text.partition("\n")[0] if letter in ",\t;"), ",")


def _rows(text: str, file: Path, separator: str) -> list[Row]:
    # strict: a quote that is never closed would otherwise swallow the rest of the file
    table = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    try:
        return list(_filled(table))
    except csv.Error as error:
        why = str(error)
        if "field limit" in why:
            why += ": most likely a quote is opened and never closed"
        raise CaptionError(
            f"{file}, line {table.line_num}: {why}; quotes inside a caption are written twice, "
            f"and a caption with {separator!r}, quotes or line ends goes in quotes"
        ) from None


def _filled(table: Iterator[list[str]]) -> Iterator[Row]:
    """Rows that hold anything, without the empty columns that spreadsheets add at the end."""
    for number, cells in enumerate(table, start=1):
        if any(cell.strip() for cell in cells):
            yield number, cells


def _check_rows(rows: Sequence[Row], columns: Columns, file: Path) -> None:
    """Refuse rows from which a caption could not be read whole.

    Raises:
        CaptionError: There are some; all are named.
    """
    broken: list[str] = []
    for number, cells in rows:
        extra = any(cell.strip() for cell in cells[columns.count :])
        if len(cells) < columns.count or extra:
            broken.append(f"row {number} (has {len(cells)} columns, not {columns.count})")
        elif not cells[columns.image].strip():
            broken.append(f"row {number} (names no image)")
    if broken:
        raise CaptionError(
            f"{file}: {len(broken)} of {len(rows)} rows are broken: {some(broken)}; a caption that "
            "holds the separator goes in quotes"
        )


def _entry(number: int, cells: Sequence[str], columns: Columns) -> Entry:
    return Entry(
        where=f"row {number}",
        image=cells[columns.image].strip(),
        sentences=(cells[columns.caption].strip(),),
        split="" if columns.split is None else cells[columns.split],
        label="" if columns.label is None else cells[columns.label],
    )
