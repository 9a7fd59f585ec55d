"""Several terms -> one direction, on similarities that the index itself makes comparable.

Cosines of a text with pictures and of a picture with pictures live on different scales, and so do
those of two texts: added as they are, the widest decides alone. Each term's similarities are
therefore standardised over the index's background (mean 0, standard deviation 1) before they are
weighted and added, as WeiCom does for remote sensing (Psomas et al., Composed image retrieval for
remote sensing, 2024). Its further step, the normal distribution's function, flattens just the
chips that answer best, and ranks worse here, as do penalties that spare what shows little of the
unwanted (`tests/benchmarks/questions.py`). What is left is linear: a weighted sum of cosines is one
cosine, with the sum of the terms' vectors, each over its standard deviation. So a question of many
terms is found in one search, exact or not, however large the index, and means are left out, since
they move every chip alike.

Several pictures, as marks of good and bad hits are, tell more than their sum: what they share that
other chips do not. They are compared in the background's whitened space (linear discriminant
analysis with one covariance for all questions: Hariharan et al., Discriminative decorrelation for
clustering and classification, 2012), half way towards the identity, since a few thousand
chips say little of the rarest directions (Ledoit and Wolf 2004).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from georclip.errors import QueryError
from georclip.search.question import Part, Question, single

Vectors = npt.NDArray[np.float64]

PICTURE_WEIGHT = 1.5
"""What a picture counts for beside a text of the same weight."""
UNWANTED_WEIGHT = 0.7
"""What an unwanted term counts for beside a wanted one: more of it, and chips come first that show
neither."""
SHRINKAGE = 0.5
"""How far the background's covariance is drawn to the identity, for several pictures."""

_LEAST_SAMPLE = 16
"""Chips of a background that say how similarities spread."""
_FLAT = 1e-6
"""A standard deviation of cosines that is no spread but rounding."""


def combine(parts: Sequence[Part], background: npt.NDArray[np.float32] | None) -> Question:
    """Make one question of terms.

    Args:
        parts: At least one with a positive weight.
        background: A sample of the index's vectors, (n, dim), unit length; None, or too few, and
            similarities are added as they are.

    Returns:
        Its direction is the first part's vector where there is no other.

    Raises:
        QueryError: The terms cancel each other out.
    """
    if len(parts) == 1:
        return single(parts[0])
    spread = _Spread(background, len(parts[0].vector))
    axes = np.stack([part.vector for part in parts]).astype(np.float64)  # (parts, dim)
    pictures = [number for number, part in enumerate(parts) if part.is_picture]
    if len(pictures) > 1:
        axes[pictures] = spread.discriminants(axes[pictures])
    strengths = np.array([_strength(part) for part in parts])
    direction = strengths / spread.deviations(axes) @ axes
    length = float(np.linalg.norm(direction))
    if not length > _FLAT:
        raise QueryError("the wanted and the unwanted terms cancel each other out: change one")
    return Question(direction=(direction / length).astype(np.float32), parts=tuple(parts))


def _strength(part: Part) -> float:
    strength = part.weight * (PICTURE_WEIGHT if part.is_picture else 1.0)
    return strength if strength > 0 else strength * UNWANTED_WEIGHT


class _Spread:
    """How vectors of an index spread about their mean."""

    def __init__(self, background: npt.NDArray[np.float32] | None, dim: int) -> None:
        """Take a sample, (n, dim)."""
        if background is None or len(background) < _LEAST_SAMPLE:
            background = np.empty((0, dim), dtype=np.float32)
        self._sample = background
        self._mean = background.mean(axis=0, dtype=np.float64) if len(background) else np.zeros(dim)

    def deviations(self, axes: Vectors) -> Vectors:
        """Standard deviations of the products of chips with axes, (n, dim): (n,), positive."""
        lengths = np.linalg.norm(axes, axis=1)
        spread = lengths
        if len(self._sample):
            spread = (self._sample @ axes.T.astype(np.float32)).std(axis=0, dtype=np.float64)
        found: Vectors = np.maximum(spread, _FLAT * lengths)
        return np.where(found > 0, found, 1.0)

    def discriminants(self, vectors: Vectors) -> Vectors:
        """Axes that part chips like these, (n, dim), from others: covariance^-1 (vector - mean)."""
        if not len(self._sample):
            return vectors
        away = self._sample - self._mean.astype(np.float32)
        covariance = (away.T @ away).astype(np.float64) / len(away)
        dim = len(self._mean)
        level = float(np.trace(covariance)) / dim or 1.0
        shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * level * np.eye(dim)
        return np.asarray(np.linalg.solve(shrunk, (vectors - self._mean).T).T, dtype=np.float64)
