"""Scores of chips of several acquisitions -> scores of places that they share.

A place is the ground of one chip. Where grids line up, every acquisition has a chip of just that
ground, and it alone counts. Where they do not, chips that share the ground count by how much of
it they share (`SHARPNESS`), and chips of every acquisition are places, so that no grid is favoured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.search.same_ground import ProjectedFootprints, joined, shared_ground

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]

LEAST_IOU = 0.2
"""Chips that share less are of other ground, or of another scale. Of two grids of one stride that
overlap by a quarter, at the worst offset, four chips share 0.24 with each other."""
SHARPNESS = 2.0
"""Power of the intersection over union that weighs a chip."""
_SAME_IOU = 0.7
"""From this on a chip is not a place of its own beside another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """Chips that were taken at one time.

    Attributes:
        rows: int64, (n,), ascending: the chips in the index.
        scores: float64, (n,): cosine with the question.
        outlines: Their ground.
    """

    rows: _Ints
    scores: _Floats
    outlines: ProjectedFootprints


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceScores:
    """Scores of places, each in at least one acquisition. One entry for each pair of both.

    Attributes:
        rows: int64, (places,): the chip whose ground each place is.
        place: int64, (n,): number of the place, ascending.
        acquisition: int64, (n,): number of the acquisition.
        score: float64, (n,).
        best_row: int64, (n,): the chip of the acquisition that shows most of the place.
        best_iou: float64, (n,): how much of it, as intersection over union.
    """

    rows: _Ints
    place: _Ints
    acquisition: _Ints
    score: _Floats
    best_row: _Ints
    best_iou: _Floats

    def of_places(self, kept: npt.NDArray[np.bool_]) -> PlaceScores:
        """Some of the places, bool (places,), numbered anew in their order."""
        numbers = np.cumsum(kept) - 1
        chosen = kept[self.place]
        return PlaceScores(
            rows=self.rows[kept],
            place=numbers[self.place[chosen]],
            acquisition=self.acquisition[chosen],
            score=self.score[chosen],
            best_row=self.best_row[chosen],
            best_iou=self.best_iou[chosen],
        )


def score_places(acquisitions: Sequence[Acquisition]) -> PlaceScores:
    """Find the places of acquisitions, and what each acquisition scores there.

    Args:
        acquisitions: In a fixed order, on which it depends which of nearly equal chips stands
            for a place.
    """
    rows, places = _find_places(acquisitions)
    entries = [_scored(places, one) for one in acquisitions]
    sizes = [len(place) for place, *_ in entries]
    place, score, best_row, best_iou = (
        np.concatenate([np.empty(0), *column]) for column in zip(*entries, strict=True)
    )
    order = np.argsort(place, kind="stable")
    return PlaceScores(
        rows=rows,
        place=place[order].astype(np.int64),
        acquisition=np.repeat(np.arange(len(sizes)), sizes)[order],
        score=score[order],
        best_row=best_row[order].astype(np.int64),
        best_iou=best_iou[order],
    )


def _find_places(acquisitions: Sequence[Acquisition]) -> tuple[_Ints, ProjectedFootprints]:
    """Chips that stand for places, and their ground."""
    rows = [acquisitions[0].rows]
    places = acquisitions[0].outlines
    for one in acquisitions[1:]:
        known = shared_ground(one.outlines, places, least_iou=_SAME_IOU)
        new = np.ones(len(one.rows), dtype=np.bool_)
        new[known.first] = False
        rows.append(one.rows[new])
        places = joined([places, one.outlines.take(new)])
    return np.concatenate(rows), places


def _scored(
    places: ProjectedFootprints, acquisition: Acquisition
) -> tuple[_Ints, _Floats, _Ints, _Floats]:
    """Places that an acquisition shows: number, score, best chip and its share."""
    shared = shared_ground(places, acquisition.outlines, least_iou=LEAST_IOU)
    if len(shared.first) == 0:
        return shared.first, shared.iou, shared.first, shared.iou
    order = np.lexsort((acquisition.rows[shared.second], -shared.iou, shared.first))
    place, chip, iou = shared.first[order], shared.second[order], shared.iou[order]
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    weights = iou**SHARPNESS
    totals = np.add.reduceat(weights, starts)
    scores = np.add.reduceat(weights * acquisition.scores[chip], starts) / totals
    return place[starts], scores, acquisition.rows[chip[starts]], iou[starts]
