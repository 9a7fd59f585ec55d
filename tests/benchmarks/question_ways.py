"""Ways to combine terms that `questions` compares with georclip's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from georclip.search.combining import combine
from georclip.search.question import Part

Vectors = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]
Way = Callable[[list[Part], Vectors, Vectors], Scores]
"""Terms, a background (n, dim), chips (m, dim) -> what chips rank by, (m,)."""

_CLEAR = 2.0
"""Standard deviations at which a term counts as shown, for the ways that ask."""


def georclip(parts: list[Part], background: Vectors, chips: Vectors) -> Scores:
    return (chips @ combine(parts, background).direction).astype(np.float64)


def cosines(parts: list[Part], background: Vectors, chips: Vectors) -> Scores:
    return sum(part.weight * (chips @ part.vector).astype(np.float64) for part in parts)


def standardised(parts: list[Part], background: Vectors, chips: Vectors) -> Scores:
    return sum(part.weight * _z(part, background, chips) for part in parts)


def normal_function(parts: list[Part], background: Vectors, chips: Vectors) -> Scores:
    """WeiCom's: the Gaussian's distribution function of standardised similarities."""
    return sum(part.weight * _phi(_z(part, background, chips)) for part in parts)


def clear_only(parts: list[Part], background: Vectors, chips: Vectors) -> Scores:
    """A product of probabilities that each term is shown, or not shown: saturated both ways."""
    scores = np.zeros(len(chips))
    for part in parts:
        away = _z(part, background, chips) - _CLEAR
        sign = math.copysign(1.0, part.weight)
        scores -= abs(part.weight) * np.logaddexp(0, -sign * away)
    return scores


def spared(parts: list[Part], background: Vectors, chips: Vectors) -> Scores:
    """Standardised, but an unwanted term only costs what shows more of it than most chips."""
    scores = np.zeros(len(chips))
    for part in parts:
        found = _z(part, background, chips)
        scores += part.weight * (found if part.weight > 0 else np.logaddexp(0, found))
    return scores


WAYS: Mapping[str, Way] = {
    "cosines added": cosines,
    "standardised, equal weights": standardised,
    "Gaussian function (WeiCom)": normal_function,
    "unwanted spared below the mean": spared,
    "product of probabilities": clear_only,
    "georclip": georclip,
}


def _z(part: Part, background: Vectors, chips: Vectors) -> Scores:
    known = (background @ part.vector).astype(np.float64)
    return ((chips @ part.vector).astype(np.float64) - known.mean()) / known.std()


def _phi(values: Scores) -> Scores:
    return 0.5 * (1 + np.vectorize(math.erf)(values / math.sqrt(2)))
