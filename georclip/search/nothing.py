"""Why no chip passes the filters of a question, for people."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import shapely

from georclip.values import DateRange, Query

if TYPE_CHECKING:
    from georclip.index.store import IndexInfo, IndexStore


def why_nothing(store: IndexStore, query: Query) -> str:
    """Name each filter that no chip passes by itself, and what the index has instead.

    Args:
        store: An open index.
        query: A question whose filters left nothing.
    """
    info = store.info()
    if info.bounds is None or not info.chip_count:
        return "The index holds no chips: add scenes with `georclip index`."
    reasons = []
    if query.scenes is not None and not len(store.select(scenes=query.scenes)):
        reasons.append(
            f"no scene is called {query.scenes!r}; `georclip list` names the scenes, and globs "
            "such as '*part*' work"
        )
    if query.dates is not None and not len(store.select(dates=query.dates)):
        reasons.append(f"no scene was taken {within(query.dates)}; {known_times(info)}")
    if query.aoi is not None and not len(store.select(aoi=query.aoi)):
        covered = ",".join(f"{side:.4f}" for side in info.bounds)
        hint = ""
        if len(store.select(aoi=shapely.transform(query.aoi, lambda lonlat: lonlat[:, ::-1]))):
            hint = " (with longitude and latitude swapped, chips do lie in it)"
        reasons.append(f"no chip lies in the area asked for{hint}; the index covers {covered}")
    if not reasons:
        reasons.append("chips pass each of them, and none passes all: leave one out")
    return f"No chip passes the filters: {'. '.join(reasons)}."


def within(dates: DateRange) -> str:
    """An interval in words, after "taken"."""
    if dates.start is None:
        return "at a known time" if dates.end is None else f"up to {_shown(dates.end)}"
    if dates.end is None:
        return f"from {_shown(dates.start)} on"
    return f"from {_shown(dates.start)} to {_shown(dates.end)}"


def known_times(info: IndexInfo) -> str:
    """When the scenes of an index were taken, in words."""
    if info.first_acquired is None or info.last_acquired is None:
        return "no scene of the index has a known time (georclip index --datetime gives one)"
    known = f"the index's are from {_shown(info.first_acquired)} to {_shown(info.last_acquired)}"
    if info.undated_scenes:
        known += f", and {info.undated_scenes} without a known time"
    return known


def _shown(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")
