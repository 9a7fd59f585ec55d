"""Changes as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from georclip.export.change_records import ChangeRecord
from georclip.export.records import format_time
from georclip.export.tabular import aligned, centre
from georclip.printable import printable

_COLUMNS: tuple[tuple[str, Literal["<", ">"]], ...] = (
    ("rank", ">"), ("ranked by", ">"), ("change", ">"), ("z", ">"), ("from", ">"), ("to", ">"),
    ("lon", ">"), ("lat", ">"), ("date from", "<"), ("date to", "<"),
    ("scene from", "<"), ("scene to", "<"),
)  # fmt: skip


def dumps_change_table(records: Sequence[ChangeRecord], *, width: int | None = None) -> str:
    """Write changes as aligned columns for people.

    Args:
        records: What to show.
        width: Columns of the terminal: scene names are cut to fit; None cuts nothing.

    Returns:
        A heading and one line a place; a single line where there is none.
    """
    if not records:
        return "no changes\n"
    rows = [[heading for heading, _ in _COLUMNS], *map(_row, records)]
    return aligned(rows, [align for _, align in _COLUMNS], width=width)


def _row(record: ChangeRecord) -> list[str]:
    lon, lat = centre(record)
    return [
        str(record.rank),
        f"{record.rank_change:+.3f}",
        f"{record.change:+.3f}",
        "-" if record.change_z is None else f"{record.change_z:+.1f}",
        f"{record.score_from:.3f}",
        f"{record.score_to:.3f}",
        f"{lon:.5f}",
        f"{lat:.5f}",
        (format_time(record.date_from) or "-").removesuffix("T00:00:00Z"),
        (format_time(record.date_to) or "-").removesuffix("T00:00:00Z"),
        printable(record.scene_from),
        printable(record.scene_to),
    ]
