"""Filters: which rows pass an area, dates and a glob over scenes, before any vector is read.

Bounds decide most rows: those whose box lies inside the area pass, those whose box is away
from it fail. Only what is left is tested with its footprint from the catalog.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from georclip.geometry import footprints_pass_aoi
from georclip.index.chiptable import shapes_of
from georclip.index.records import IndexedScene, Selection, as_utc, scene_matches
from georclip.index.segments import Segment
from georclip.index.view import View
from georclip.values import DateRange

ReadFootprints = Callable[[npt.NDArray[np.int64]], list[bytes]]

_MOST_BOXES = 16
"""Parts of an area that get a box of their own; beyond, one box serves for all."""


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
    named = [s for s in scenes if pattern is None or scene_matches(pattern, s.scene)]
    undated = [s.number for s in named if s.scene.acquired is None] if dates is not None else []
    wanted = None
    if pattern is not None or dates is not None:
        passing = {s.number for s in named if dates is None or _taken_within(s, dates)}
        wanted = np.array(sorted(passing | set(undated)), dtype=np.int64)
    rows, numbers = [], []
    for segment in view.segments:
        positions = _in_area(view, segment, wanted, aoi, footprints)
        rows.append(positions + segment.first_row)
        numbers.append(segment.columns.scenes[positions])
    all_rows = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
    if not undated:
        return Selection(rows=all_rows, undated_scenes_left_out=0)
    owners = np.concatenate(numbers) if numbers else np.empty(0, dtype=np.int64)
    without_time = np.isin(owners, np.array(undated, dtype=np.int64))
    return Selection(
        rows=all_rows[~without_time],
        undated_scenes_left_out=len(np.unique(owners[without_time])),
    )


def _taken_within(indexed: IndexedScene, dates: DateRange) -> bool:
    """Whether a scene's time is known and lies in a closed interval."""
    if indexed.scene.acquired is None:
        return False
    taken = as_utc(indexed.scene.acquired)
    after = dates.start is None or taken >= as_utc(dates.start)
    return after and (dates.end is None or taken <= as_utc(dates.end))


def _in_area(
    view: View,
    segment: Segment,
    wanted: npt.NDArray[np.int64] | None,
    aoi: BaseGeometry | None,
    footprints: ReadFootprints,
) -> npt.NDArray[np.int64]:
    """Live positions of a segment that belong to wanted scenes and share area with the AOI."""
    if aoi is None:
        positions = view.live_positions(segment)
    else:
        positions = view.only_live(segment, segment.columns.near(_boxes(aoi)))
    if wanted is not None:
        positions = positions[np.isin(segment.columns.scenes[positions], wanted)]
    if aoi is None or len(positions) == 0:
        return positions
    bounds = segment.columns.bounds[positions]
    inside, unsure = _by_bounds(bounds, aoi)
    if unsure.any():
        wkb = footprints(positions[unsure] + segment.first_row)
        inside[unsure] = footprints_pass_aoi(shapes_of(wkb), aoi)
    return positions[inside]


def _by_bounds(
    bounds: npt.NDArray[np.float64], aoi: BaseGeometry
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """What boxes alone can say: surely inside, and unsure.

    A footprint has area and lies in its box, so that a box inside the area passes. A box over
    the date line is left unsure.

    Args:
        bounds: (n, 4) west, south, east, north.
        aoi: EPSG:4326.
    """
    plain = bounds[:, 0] <= bounds[:, 2]
    inside = np.zeros(len(bounds), dtype=np.bool_)
    unsure = ~plain
    if aoi.geom_type == "GeometryCollection":
        return inside, np.ones(len(bounds), dtype=np.bool_)
    west, south, east, north = (bounds[plain, side] for side in range(4))
    boxes = shapely.box(west, south, east, north)
    shapely.prepare(aoi)
    inside[plain] = shapely.contains(aoi, boxes)
    unsure[plain] = ~inside[plain] & shapely.intersects(aoi, boxes)
    # A point or line on the date line lies on both of its sides.
    if aoi.area == 0:
        unsure[:] = True
    return inside, unsure


def _boxes(aoi: BaseGeometry) -> npt.NDArray[np.float64]:
    """Boxes around the parts of an area, (n, 4), or around all of it where it has many."""
    if aoi.is_empty:
        return np.empty((0, 4))
    parts = shapely.get_parts(aoi)
    parts = parts[~shapely.is_empty(parts)]
    boxes: npt.NDArray[np.float64] = shapely.bounds(parts if len(parts) <= _MOST_BOXES else aoi)
    return boxes.reshape(-1, 4)
