"""Scores of places at two times -> which of them changed most: pure, on arrays.

A rise from "nothing like it" to "hardly like it" is no answer: what ranks is the change of
evidence, a soft threshold of the score at `THRESHOLD` robust standard deviations above the median
of all places. Scores far below it all say the same, that the place does not answer the question;
above it evidence grows with the score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.search.change_values import Direction
from georclip.search.place_scores import PlaceScores
from georclip.search.scene_shifts import LEAST_PLACES, find_shifts, robust_sigma

_Floats = npt.NDArray[np.float64]

THRESHOLD = 2.0
"""Chosen on training pictures (tests/benchmarks/changes.py); 1 to 2.5 do as well."""

_LEAST_CHANGE = 1e-6
"""Less is rounding: scores are float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Places that both times show.

    Attributes:
        places: Their scores, entry by entry.
        score_from: float64, (places,): mean score at the first time.
        score_to: float64, (places,): mean score at the second time.
        change: float64, (places,): rise beyond that of whole acquisitions.
        change_z: float64, (places,): the same in robust standard deviations; None where the
            places are too few to tell.
        rank_change: float64, (places,): rise of evidence, what places are ranked by; the change
            itself where places are too few to tell. It has the sign of the change.
    """

    places: PlaceScores
    score_from: _Floats
    score_to: _Floats
    change: _Floats
    change_z: _Floats | None
    rank_change: _Floats


def compare(places: PlaceScores, later: npt.NDArray[np.bool_]) -> Compared:
    """Compare the places that both times show.

    Args:
        places: As `score_places` finds them.
        later: bool, (acquisitions,): which are of the second time.
    """
    is_later = later[places.acquisition]
    count = len(places.rows)
    both = np.ones(count, dtype=np.bool_)
    for side in (is_later, ~is_later):
        both &= np.bincount(places.place[side], minlength=count) > 0
    kept = places.of_places(both)
    is_later, count = later[kept.acquisition], len(kept.rows)
    enough = count >= LEAST_PLACES
    shifts = np.zeros(len(later))
    if enough:
        shifts = find_shifts(kept.score, kept.place, kept.acquisition, len(later))
    own = kept.score - shifts[kept.acquisition]
    own_from, own_to = _means(own, kept, ~is_later), _means(own, kept, is_later)
    change = own_to - own_from
    return Compared(
        places=kept,
        score_from=_means(kept.score, kept, ~is_later),
        score_to=_means(kept.score, kept, is_later),
        change=change,
        change_z=change / (robust_sigma(change) or 1.0) if enough else None,
        rank_change=_rise_of_evidence(own_from, own_to) if enough else change,
    )


def order_changes(compared: Compared, direction: Direction) -> npt.NDArray[np.int64]:
    """Places that changed in a direction, the largest change first; equal ones as they come."""
    change = compared.change
    wanted = np.abs(change) > _LEAST_CHANGE
    if direction != "both":
        wanted &= (change > 0) == (direction == "rose")
    found = np.flatnonzero(wanted)
    return found[np.argsort(-np.abs(compared.rank_change[found]), kind="stable")]


def _rise_of_evidence(earlier: _Floats, later: _Floats) -> _Floats:
    """How much more the later scores say that places answer the question."""
    both = np.concatenate([earlier, later])
    middle, sigma = np.median(both), robust_sigma(both) or 1.0
    before, after = (
        np.logaddexp(0.0, (scores - middle) / sigma - THRESHOLD) for scores in (earlier, later)
    )
    return np.asarray(after - before)


def _means(values: _Floats, places: PlaceScores, side: npt.NDArray[np.bool_]) -> _Floats:
    """Mean of the values of one side, for each place."""
    count = len(places.rows)
    totals = np.bincount(places.place[side], weights=values[side], minlength=count)
    return np.asarray(totals / np.bincount(places.place[side], minlength=count))
