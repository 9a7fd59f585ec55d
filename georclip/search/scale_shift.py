"""Scores of chips of different scales, made comparable.

Chips of each scale have scores of their own for a question: what is small shows little else, and
scores high or low; what is large shows a mixture. Ranked by raw cosines, the scale with the most
chips fills the first ranks with its best luck. So the scores of every scale are moved half of the
way to where a high quantile of them, over the index's background, is the same for all scales.
Quantile and share are those of the rule that on scenes laid of training pictures was never worse
than the cosine and on average gained most; it does so on held-out ones, too
(`tests/benchmarks/scales.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

QUANTILE = 0.8
SHARE = 0.5
"""Of the way to equal quantiles that scores are moved."""
MOST_CHIPS = 384
"""Chips of a scale that are looked at: more changes little but the cost."""
LEAST_CHIPS = 8
"""Chips of a scale in the background below which its scores stay as they are."""

_Vectors = npt.NDArray[np.float32]
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScaleShift:
    """The background of an index whose chips have several scales.

    Attributes:
        vectors: float32, (n, dim), unit rows, ordered by scale.
        scales: float32, (s,), ascending: those with enough chips.
        bounds: int64, (s + 1,): where the rows of each scale begin and end.
        weights: float64, (s,): share of each scale in the index, adding up to 1.
    """

    vectors: _Vectors
    scales: npt.NDArray[np.float32]
    bounds: npt.NDArray[np.int64]
    weights: _Floats

    @classmethod
    def of(cls, vectors: _Vectors, scales: npt.NDArray[np.float32]) -> ScaleShift | None:
        """Take a background apart.

        Args:
            vectors: float32, (n, dim), unit rows.
            scales: float32, (n,).

        Returns:
            None where fewer than two scales have chips enough: scores are ranks then.
        """
        kept, counts = np.unique(scales, return_counts=True)
        kept, counts = kept[counts >= LEAST_CHIPS], counts[counts >= LEAST_CHIPS]
        if len(kept) < 2:
            return None
        parts = [vectors[np.flatnonzero(scales == scale)[:MOST_CHIPS]] for scale in kept]
        return cls(
            vectors=np.concatenate(parts),
            scales=kept,
            bounds=np.cumsum([0, *map(len, parts)], dtype=np.int64),
            weights=counts / counts.sum(),
        )

    def offsets(self, direction: _Vectors) -> _Floats:
        """What the scores of each scale lie too high: float64, (s,).

        Args:
            direction: What scores are cosines with, float32, (dim,), unit length.
        """
        scores = self.vectors @ direction
        parts = zip(self.bounds[:-1].tolist(), self.bounds[1:].tolist(), strict=True)
        high = np.array([_high(scores[first:end]) for first, end in parts], dtype=np.float64)
        return np.asarray(SHARE * (high - self.weights @ high))

    def apply(self, offsets: _Floats, scores: _Floats, scales: _Floats) -> _Floats:
        """What to rank candidates by.

        Args:
            offsets: Of the question, as `offsets` gives them.
            scores: float64, (c,).
            scales: float64, (c,): scales unknown to the background keep their scores.
        """
        own = scales.astype(np.float32)
        place = np.minimum(np.searchsorted(self.scales, own), len(self.scales) - 1)
        known = self.scales[place] == own
        return np.where(known, scores - offsets[place], scores)


def _high(scores: npt.NDArray[np.float32]) -> float:
    """The quantile, as numpy's method "higher" has it, in a tenth of the time."""
    place = math.ceil(QUANTILE * (len(scores) - 1))
    return float(np.partition(scores, place)[place])
