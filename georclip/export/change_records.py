"""Changes as they are written: one record a place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import georclip
from georclip.export.records import Kind, describe, format_time
from georclip.search.change_values import Change, ChangeResult
from georclip.values import DateRange

if TYPE_CHECKING:
    from shapely import MultiPolygon, Polygon

CHANGE_PROPERTIES: Mapping[str, Kind] = {
    "rank": "int",
    "change": "float",
    "change_z": "float",
    "rank_change": "float",
    "score_from": "float",
    "score_to": "float",
    "shift": "float",
    "date_from": "time",
    "date_to": "time",
    "acquisitions_from": "texts",
    "acquisitions_to": "texts",
    "scene_from": "text",
    "scene_to": "text",
    "uri_from": "text",
    "uri_to": "text",
    "chip_id_from": "text",
    "chip_id_to": "text",
    "gsd_m": "float",
    "chip_id": "text",
}
"""A change's properties in the order in which they are written, and what each holds."""

CHANGE_OPTIONAL = frozenset({"change_z"})
"""Properties that may be null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecord:
    """A change as it is written: its properties, and the footprint.

    Attributes:
        rank: From 1.
        change: Rise of the score beyond `shift`; below zero where it fell.
        change_z: The change in robust standard deviations over all places, or None.
        rank_change: What rank sorts by.
        score_from: Cosine of the place at the first time: the mean over its acquisitions.
        score_to: Likewise at the second time.
        shift: What the acquisitions' scores rose everywhere.
        date_from: When `scene_from` was taken.
        date_to: When `scene_to` was taken.
        acquisitions_from: Times of all acquisitions that `score_from` is the mean of.
        acquisitions_to: Likewise of `score_to`.
        scene_from: File name of the scene that shows most of the place at the first time.
        scene_to: Likewise at the second time.
        uri_from: Its absolute path or URL.
        uri_to: Likewise.
        chip_id_from: The chip of that scene.
        chip_id_to: Likewise.
        gsd_m: Ground metres per pixel of the chip whose ground the place is.
        chip_id: That chip: unique among the changes.
        footprint: Its outline, EPSG:4326, split at the date line.
    """

    rank: int
    change: float
    change_z: float | None
    rank_change: float
    score_from: float
    score_to: float
    shift: float
    date_from: datetime | None
    date_to: datetime | None
    acquisitions_from: tuple[str, ...]
    acquisitions_to: tuple[str, ...]
    scene_from: str
    scene_to: str
    uri_from: str
    uri_to: str
    chip_id_from: str
    chip_id_to: str
    gsd_m: float
    chip_id: str
    footprint: Polygon | MultiPolygon


def change_records(result: ChangeResult) -> tuple[ChangeRecord, ...]:
    """The places of an answer, the largest change first."""
    return tuple(map(_record, result.changes))


def change_members(result: ChangeResult) -> dict[str, str | int]:
    """Where changes come from: what JSON and tables of metadata say of it."""
    asked = result.asked
    return {
        "query": describe(asked.query),
        "from": _interval(asked.from_),
        "to": _interval(asked.to),
        "direction": asked.direction,
        "encoder": result.encoder.name,
        "places": result.places,
        "version": georclip.__version__,
    }


def _interval(dates: DateRange) -> str:
    """A closed interval as `--datetime` takes it."""
    return "/".join(format_time(end) or ".." for end in (dates.start, dates.end))


def _record(change: Change) -> ChangeRecord:
    earlier, later = change.from_, change.to
    return ChangeRecord(
        rank=change.rank,
        change=change.change,
        change_z=change.change_z,
        rank_change=change.rank_change,
        score_from=earlier.score,
        score_to=later.score,
        shift=change.shift,
        date_from=earlier.scene.acquired,
        date_to=later.scene.acquired,
        acquisitions_from=tuple(format_time(time) or "" for time in earlier.acquisitions),
        acquisitions_to=tuple(format_time(time) or "" for time in later.acquisitions),
        scene_from=earlier.scene.name,
        scene_to=later.scene.name,
        uri_from=earlier.scene.uri,
        uri_to=later.scene.uri,
        chip_id_from=earlier.chip.chip_id,
        chip_id_to=later.chip.chip_id,
        gsd_m=change.chip.gsd_m,
        chip_id=change.chip.chip_id,
        footprint=change.chip.footprint,
    )
