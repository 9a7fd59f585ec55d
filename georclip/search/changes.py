"""A sentence and two times -> places where its score rose or fell between them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.errors import QueryError
from georclip.search.change_ranking import Compared, compare, order_changes
from georclip.search.change_values import Change, ChangeQuery, ChangeResult, Side
from georclip.search.place_scores import Acquisition, score_places
from georclip.search.same_ground import project_footprints
from georclip.search.suppression import group_objects
from georclip.search.terms import resolve_many
from georclip.values import Chip, Scene

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder
    from georclip.index.store import IndexStore

_Ints = npt.NDArray[np.int64]

_AT_ONCE = 65_536
"""Vectors in memory."""
_LEAST_POOL = 256
_WIDER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Chips of one acquisition.

    Attributes:
        acquired: When, UTC.
        later: Whether it is of the second time.
        rows: int64, (n,), ascending: the chips in the index.
    """

    acquired: datetime
    later: bool
    rows: _Ints


def find_changes(store: IndexStore, encoder: Encoder, asked: ChangeQuery) -> ChangeResult:
    """Find the places whose score changed most between two times.

    Args:
        store: An open index.
        encoder: What made the index's vectors.
        asked: What is asked.

    Returns:
        At most `asked.query.k` places, none of which shares more than a fifth of its ground with
        another (see `suppression`).

    Raises:
        QueryError: The question cannot be asked as it stands, or a scene lies in both times.
        EncoderMismatchError: The encoder is not the one that made the index.
    """
    started = time.perf_counter()
    (question,) = resolve_many(store, encoder, (asked.query,))
    if isinstance(question, QueryError):
        raise question
    changes: tuple[Change, ...] = ()
    places = 0
    with store.snapshot():  # a commit between these steps would move rows: it waits
        taken = find_acquisitions(store, asked)
        if len({one.later for one in taken}) == 2:
            compared = compare_acquisitions(store, question.direction, taken)
            changes = _report(store, compared, taken, asked)
            places = len(compared.change)
    return ChangeResult(
        asked=asked,
        changes=changes,
        encoder=store.encoder,
        places=places,
        elapsed_s=time.perf_counter() - started,
    )


def find_acquisitions(store: IndexStore, asked: ChangeQuery) -> list[Taken]:
    """Chips that pass the filters, by time. Scenes of one time are parts of one acquisition."""
    query = asked.query
    earlier, later = (
        store.select(aoi=query.aoi, dates=dates, scenes=query.scenes).rows
        for dates in (asked.from_, asked.to)
    )
    scenes = {one.number: one.scene for one in store.indexed_scenes()}
    twice = np.intersect1d(earlier, later, assume_unique=True)[:1]
    if len(twice):
        name = scenes[int(store.scene_numbers(twice)[0])].name
        raise QueryError(
            f"the two times overlap: {name} was taken in both, and cannot be compared with "
            "itself; let the one end before the other begins"
        )
    found = [
        Taken(acquired=acquired, later=is_later, rows=some)
        for is_later, side in ((False, earlier), (True, later))
        for acquired, some in _by_time(side, store.scene_numbers(side), scenes)
    ]
    return sorted(found, key=lambda one: one.acquired)


def _by_time(
    rows: _Ints, numbers: _Ints, scenes: dict[int, Scene]
) -> Iterator[tuple[datetime, _Ints]]:
    """Rows of each acquisition."""
    times = {number: scenes[number].acquired for number in np.unique(numbers).tolist()}
    for acquired in dict.fromkeys(times.values()):
        if acquired is not None:
            own = [number for number, at in times.items() if at == acquired]
            yield acquired, rows[np.isin(numbers, own)]


def compare_acquisitions(
    store: IndexStore, direction: npt.NDArray[np.float32], taken: Sequence[Taken]
) -> Compared:
    """Compare the places that both times show.

    Args:
        store: The index, held to one state meanwhile.
        direction: float32, (dim,), unit length: the question.
        taken: At least one of each time.
    """
    acquisitions = [_read(store, one, direction) for one in taken]
    return compare(score_places(acquisitions), np.array([one.later for one in taken]))


def _read(store: IndexStore, taken: Taken, direction: npt.NDArray[np.float32]) -> Acquisition:
    """Score the chips of one acquisition, and read their ground."""
    scores = [
        # einsum sums every row in one order: equal vectors score equally wherever they lie
        np.einsum("ij,j->i", store.vectors(taken.rows[start : start + _AT_ONCE]), direction)
        for start in range(0, len(taken.rows), _AT_ONCE)
    ]
    return Acquisition(
        rows=taken.rows,
        scores=np.clip(np.concatenate(scores), -1.0, 1.0).astype(np.float64),
        outlines=project_footprints(store.footprints(taken.rows)),
    )


def _report(
    store: IndexStore, compared: Compared, taken: list[Taken], asked: ChangeQuery
) -> tuple[Change, ...]:
    """The largest changes, one for each place."""
    order = order_changes(compared, asked.direction)
    k = asked.query.k
    pool = max(_LEAST_POOL, _WIDER * k)
    while True:
        some = order[:pool]
        footprints = store.footprints(compared.places.rows[some])
        objects = group_objects(list(footprints), [None] * len(some), k)
        if len(objects) == k or len(some) == len(order):
            break
        pool *= _WIDER
    chosen = [int(some[one.best]) for one in objects]
    place = compared.places.place  # ascending
    starts, ends = np.searchsorted(place, chosen), np.searchsorted(place, chosen, side="right")
    entries = [range(*span) for span in zip(starts.tolist(), ends.tolist(), strict=True)]
    sides = [
        (
            _pick(compared, entry, taken, later=False),
            _pick(compared, entry, taken, later=True),
        )
        for entry in entries
    ]
    rows = [int(compared.places.rows[place]) for place in chosen]
    needed = sorted({*rows, *(row for side in sides for row, _ in side)})
    shown = dict(zip(needed, store.fetch(needed), strict=True))
    return tuple(
        Change(
            rank=rank,
            change=float(compared.change[place]),
            change_z=None if compared.change_z is None else float(compared.change_z[place]),
            rank_change=float(compared.rank_change[place]),
            chip=shown[rows[rank - 1]][0],
            from_=_side(float(compared.score_from[place]), earlier, shown),
            to=_side(float(compared.score_to[place]), later, shown),
        )
        for rank, (place, (earlier, later)) in enumerate(zip(chosen, sides, strict=True), start=1)
    )


def _pick(
    compared: Compared, entries: range, taken: list[Taken], *, later: bool
) -> tuple[int, tuple[datetime, ...]]:
    """The row that shows most of a place at one of the times, and when it was taken."""
    places = compared.places
    own = [entry for entry in entries if taken[int(places.acquisition[entry])].later == later]
    own.sort(key=lambda entry: int(places.acquisition[entry]))  # acquisitions lie in time's order
    # Of those that show it equally well, but for rounding, the latest.
    best = own[-1 - int(np.argmax(np.round(places.best_iou[own[::-1]], 3)))]
    times = tuple(taken[int(places.acquisition[entry])].acquired for entry in own)
    return int(places.best_row[best]), times


def _side(
    score: float, picked: tuple[int, tuple[datetime, ...]], shown: dict[int, tuple[Chip, Scene]]
) -> Side:
    row, times = picked
    chip, scene = shown[row]
    return Side(score=score, acquisitions=times, chip=chip, scene=scene)
