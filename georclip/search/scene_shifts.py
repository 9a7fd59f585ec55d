"""What a whole acquisition shifts every score by, told from what changed at a place.

Season, light and sensor move all scores of an acquisition. Scores are taken as a sum of what a
place shows, what its acquisition adds everywhere, and a rest: fitted by median polish (Tukey,
Exploratory Data Analysis, 1977, chapter 11), so that places that did change, as long as they are
fewer than half, do not sway it. For two acquisitions it is the median difference over the ground
that both show.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]

LEAST_PLACES = 16
"""Of fewer places a median tells as much of them as of the acquisition."""

_ROUNDS = 20
_SETTLED = 1e-7
_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, where the rest is normal."""


def find_shifts(scores: _Floats, places: _Ints, groups: _Ints, count: int) -> _Floats:
    """What each group of scores is shifted by.

    Args:
        scores: (n,), each of one place in one group.
        places: (n,), numbers of places from 0 on.
        groups: (n,), numbers of acquisitions, below `count`.
        count: Acquisitions.

    Returns:
        (count,), adding up to zero over the scores; zero for an acquisition of fewer than
        `LEAST_PLACES` scores.
    """
    shifts = np.zeros(count)
    sizes = np.bincount(groups, minlength=count)
    enough = sizes >= LEAST_PLACES
    if enough.sum() < 2:
        return shifts
    of_places, of_groups = _Medians(places), _Medians(groups)
    for _ in range(_ROUNDS):
        content = of_places(scores - shifts[groups])
        step = np.zeros(count)
        step[of_groups.present] = of_groups(scores - shifts[groups] - content[of_places.back])
        step[~enough] = 0.0
        shifts += step
        if np.abs(step).max() < _SETTLED:
            break
    shifts[enough] -= np.average(shifts[enough], weights=sizes[enough])
    return shifts


def robust_sigma(values: _Floats) -> float:
    """Standard deviation that outliers do not sway: from the median absolute deviation.

    Where more than half of the values are equal, which makes that zero, the mean absolute
    deviation stands in for it.
    """
    if len(values) == 0:
        return 0.0
    away = np.abs(values - np.median(values))
    sigma = _TO_SIGMA * float(np.median(away))
    return sigma if sigma > 0 else float(np.sqrt(np.pi / 2) * away.mean())


class _Medians:
    """Medians of values by group, of groups that stay the same."""

    def __init__(self, groups: _Ints) -> None:
        self.present, self.back, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        first = np.cumsum(sizes) - sizes
        self._low, self._high = first + (sizes - 1) // 2, first + sizes // 2

    def __call__(self, values: _Floats) -> _Floats:
        """One median for each group, in order of `present`."""
        ordered = values[np.lexsort((values, self.back))]
        middle: _Floats = (ordered[self._low] + ordered[self._high]) / 2
        return middle
