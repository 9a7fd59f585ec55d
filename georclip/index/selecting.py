"""Filters: which rows pass an area, dates and a glob over scenes, before any vector is read.

Boxes decide most rows, a page of them at a time: pages inside the area pass whole, pages away from
it are never looked at. Of the rest every row's box is asked, and only what is left then is tested
with its footprint from the catalog.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from shapely.geometry.base import BaseGeometry

from georclip.geometry import footprints_pass_aoi
from georclip.index.areas import Area
from georclip.index.chiptable import shapes_of
from georclip.index.records import IndexedScene, Selection, as_utc, scene_matches
from georclip.index.runs import RowRuns
from georclip.index.view import View
from georclip.values import DateRange

_FEW_RUNS = 64
"""Up to this many runs are copied one by one, which is quicker than row by row."""

ReadFootprints = Callable[[npt.NDArray[np.int64]], list[bytes]]


def select_rows(
    view: View,
    scenes: tuple[IndexedScene, ...],
    footprints: ReadFootprints,
    *,
    aoi: BaseGeometry | None,
    dates: DateRange | None,
    pattern: str | None,
) -> Selection:
    """Rows that pass every filter.

    Args:
        view: What can be searched.
        scenes: All scenes; only looked at for dates and pattern.
        footprints: Reads WKB of rows from the catalog.
        aoi: EPSG:4326, split at the date line; None is anywhere.
        dates: Closed interval; None is any time, unknown ones included.
        pattern: Glob over uris and names; None is all.
    """
    runs = view.live if aoi is None else _in_area(view, Area(aoi), footprints)
    if pattern is None and dates is None:
        return Selection(runs=runs, undated_scenes_left_out=0)
    named = [s for s in scenes if pattern is None or scene_matches(pattern, s.scene)]
    undated = [s.number for s in named if s.scene.acquired is None] if dates is not None else []
    passing = [s.number for s in named if dates is None or _taken_within(s, dates)]
    parts, strangers = [], set[int]()
    for segment, positions in view.split(runs):
        owners = _take(segment.columns.scenes, positions)
        kept = np.isin(owners, passing)
        parts.append(positions.where(kept).shifted(segment.first_row))
        if undated:
            strangers.update(np.unique(owners[~kept]).tolist())
    return Selection(
        runs=RowRuns.joined(parts), undated_scenes_left_out=len(strangers.intersection(undated))
    )


def _taken_within(indexed: IndexedScene, dates: DateRange) -> bool:
    """Whether a scene's time is known and lies in a closed interval."""
    if indexed.scene.acquired is None:
        return False
    taken = as_utc(indexed.scene.acquired)
    after = dates.start is None or taken >= as_utc(dates.start)
    return after and (dates.end is None or taken <= as_utc(dates.end))


def _in_area(view: View, area: Area, footprints: ReadFootprints) -> RowRuns:
    """Live rows whose footprints share area with an area."""
    pages = area.judge_pages(view.pages.bounds)
    whole, partly = view.pages.rows(pages.inside), view.pages.rows(pages.unsure)
    bounds = [_take(s.columns.bounds, positions) for s, positions in view.split(partly)]
    chips = area.judge_chips(np.concatenate([np.empty((0, 4)), *bounds]))
    rows, kept = partly.rows(), chips.inside
    if chips.unsure.any():
        asked = np.flatnonzero(chips.unsure)
        asked = asked[~np.isin(rows[asked], view.dead)]  # the catalog no longer knows the others
        kept[asked] = footprints_pass_aoi(shapes_of(footprints(rows[asked])), area.aoi)
    return RowRuns.joined([whole, RowRuns.of(rows[kept])]).without(view.dead)


def _take(column: npt.NDArray[Any], runs: RowRuns) -> npt.NDArray[Any]:
    """Values of a column at some positions, in order."""
    if len(runs.edges) > _FEW_RUNS:
        return column[runs.rows()]
    return np.concatenate([column[:0], *(column[first:end] for first, end in runs)])
