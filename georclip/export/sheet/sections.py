"""What a page shows, put in order: one section a question, each with its hits and maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from georclip.export.records import HitRecord, Hits
from georclip.export.sheet.pictures import MapPlan
from georclip.export.sheet.places import group_by_place, is_legible
from georclip.export.sheet.projection import Projection, View, choose_projection, fit_view

_MAIN_WIDTH, _MAIN_HEIGHTS = 560.0, (260.0, 600.0)
_PLACE_WIDTH, _PLACE_HEIGHTS = 360.0, (170.0, 260.0)
_MARGIN = 0.08
"""Around all hits, as a share of their longer side; never less than a hit's own side."""
_WIDE_MARGIN = 0.1
_REGION_DEG = 2.0
"""Places within such an extent are not split further."""
_MOST_PLACES = 8
"""Places with a map of their own; the others are on the overview."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Hits near each other, where others lie far away.

    Attributes:
        letter: What they are called on the overview.
        records: Numbers of the hits, best first.
        plan: Their own map; None beyond the first few places.
    """

    letter: str
    records: tuple[int, ...]
    plan: MapPlan | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One question and its answer.

    Attributes:
        number: From 1.
        question: In words; "" where a file does not say.
        records: Numbers of its hits in `Hits.records`.
        overview: The view of all hits; None without any.
        plan: The map with all hits' outlines; None where places have their own maps.
        places: Places far apart; () where one map shows all.
    """

    number: int
    question: str
    records: tuple[int, ...]
    overview: View | None
    plan: MapPlan | None
    places: tuple[Place, ...]

    @property
    def plans(self) -> tuple[MapPlan, ...]:
        """The maps with outlines, in their order."""
        own = [place.plan for place in self.places]
        return tuple(plan for plan in (self.plan, *own) if plan is not None)


def sections_of(hits: Hits) -> list[Section]:
    """Put hits in order: one section a question, those without a hit too."""
    if not hits.answers_many:
        return [_section(1, hits.provenance.query, tuple(range(len(hits.records))), hits)]
    runs = _runs(hits.records)
    asked: list[tuple[str, tuple[int, ...]]] = []
    for question in hits.provenance.queries:
        mine = bool(runs) and _same(hits.records[runs[0][0]].query, question)
        asked.append((question, runs.pop(0) if mine else ()))
    asked += [(hits.records[run[0]].query or "", run) for run in runs]  # no list, or another order
    return [_section(number, *one, hits) for number, one in enumerate(asked, start=1)]


def _same(named: str | None, question: str) -> bool:
    return " ".join((named or "").split()) == " ".join(question.split())


def _runs(records: Sequence[HitRecord]) -> list[tuple[int, ...]]:
    """Hits of one question after the other: where the question changes, or ranks begin anew."""
    runs: list[list[int]] = []
    for number, record in enumerate(records):
        before = records[number - 1] if number else None
        if before is None or before.query != record.query or before.rank >= record.rank:
            runs.append([])
        runs[-1].append(number)
    return [tuple(run) for run in runs]


def _section(number: int, question: str, records: tuple[int, ...], hits: Hits) -> Section:
    footprints = [hits.records[one].footprint for one in records]
    if not footprints:
        return Section(
            number=number, question=question, records=(), overview=None, plan=None, places=()
        )
    projection = choose_projection(footprints)
    view = fit_view(
        projection, footprints, margin=_MARGIN, width=_MAIN_WIDTH, heights=_MAIN_HEIGHTS
    )
    groups = _places(projection, footprints)
    if len(groups) == 1:
        plan = MapPlan(view=view, records=records, with_backdrop=True)
        return Section(
            number=number, question=question, records=records, overview=view, plan=plan, places=()
        )
    wide = fit_view(
        projection, footprints, margin=_WIDE_MARGIN, width=_MAIN_WIDTH, heights=_MAIN_HEIGHTS
    )
    places = []
    for at, group in enumerate(groups):
        numbers = tuple(records[one] for one in group)
        own = [footprints[one] for one in group]
        plan = MapPlan(
            view=fit_view(
                choose_projection(own), own,
                margin=_MARGIN, width=_PLACE_WIDTH, heights=_PLACE_HEIGHTS,
            ),
            records=numbers,
            with_backdrop=True,
        )  # fmt: skip
        letter = _letter(at)
        places.append(
            Place(letter=letter, records=numbers, plan=plan if at < _MOST_PLACES else None)
        )
    return Section(
        number=number,
        question=question,
        records=records,
        overview=wide,
        plan=None,
        places=tuple(places),
    )


def _places(projection: Projection, footprints: Sequence[BaseGeometry]) -> list[tuple[int, ...]]:
    """Numbers of footprints that one map can show, the best one's first; one group if all can."""
    everything = tuple(range(len(footprints)))
    groups = _told_apart(projection, footprints, everything)
    if len(groups) <= _MOST_PLACES or _extent(projection, footprints) > _REGION_DEG:
        return groups
    return [everything]


def _told_apart(
    projection: Projection, footprints: Sequence[BaseGeometry], numbers: tuple[int, ...]
) -> list[tuple[int, ...]]:
    """Split until outlines can be seen; within a region once at most."""
    own = [footprints[number] for number in numbers]
    view = fit_view(projection, own, margin=_MARGIN, width=_MAIN_WIDTH, heights=_MAIN_HEIGHTS)
    if is_legible(view, own):
        return [numbers]
    groups = [tuple(numbers[at] for at in group) for group in group_by_place(projection, own)]
    if len(groups) == 1:
        return groups
    found: list[tuple[int, ...]] = []
    for group in groups:
        wide = _extent(projection, [footprints[number] for number in group]) > _REGION_DEG
        found += _told_apart(projection, footprints, group) if wide else [group]
    return sorted(found)


def _extent(projection: Projection, footprints: Sequence[BaseGeometry]) -> float:
    """The longer side of what footprints cover, projected degrees."""
    bounds = shapely.bounds([projection.led(one) for one in footprints])
    return float(max(np.ptp(bounds[:, ::2]), np.ptp(bounds[:, 1::2])))


def _letter(number: int) -> str:
    """A to Z, then AA to AZ, BA, ..."""
    first, last = divmod(number, 26)
    return (_letter(first - 1) if first else "") + chr(ord("A") + last)


def centre_of(record: HitRecord) -> tuple[float, float]:
    """Middle of a footprint: lon, lat in degrees, also over the date line."""
    projection = choose_projection([record.footprint])
    west, south, east, north = projection.led(record.footprint).bounds
    lon = (west + east) / 2
    return (lon + 180.0) % 360.0 - 180.0, (south + north) / 2


def zoom_of(record: HitRecord) -> int:
    """The zoom of a web map on which a hit covers about a third of a screen."""
    projection = choose_projection([record.footprint])
    west, south, east, north = projection.led(record.footprint).bounds
    across = max(east - west, north - south, 1e-6)
    return int(min(max(round(math.log2(360.0 / across)), 1), 19))
