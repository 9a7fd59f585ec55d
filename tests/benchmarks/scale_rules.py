"""Ways to make scores of chips of different scales comparable: what `scales` compares.

Each takes scores and scales of candidates, and scores and scales of a sample of the index's chips,
for one question: float64 (n,), float64 (n,), float64 (m,), float64 (m,). It gives what to rank by.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rule = Callable[[Floats, Floats, Floats, Floats], Floats]

_LEAST = 8
"""Chips of a scale in the sample below which its scores stay as they are."""


def raw(scores: Floats, scales: Floats, sample: Floats, sample_scales: Floats) -> Floats:
    """Cosines as they are."""
    return scores


def centred(
    scores: Floats, scales: Floats, sample: Floats, sample_scales: Floats, *, share: float
) -> Floats:
    """Less a share of what the mean of a scale lies above the mean of all."""
    return _per_scale(
        scores, scales, sample, sample_scales,
        lambda own, of_scale: own - share * (of_scale.mean() - sample.mean()),
    )  # fmt: skip


def standardised(
    scores: Floats, scales: Floats, sample: Floats, sample_scales: Floats, *, share: float
) -> Floats:
    """Mean and spread of a scale moved to those of all, or a share of the way."""

    def moved(own: Floats, of_scale: Floats) -> Floats:
        mean = sample.mean() + share * (of_scale.mean() - sample.mean())
        ratio = (max(of_scale.std(), 1e-9) / max(sample.std(), 1e-9)) ** share
        return np.asarray(sample.mean() + (own - mean) / ratio)

    return _per_scale(scores, scales, sample, sample_scales, moved)


def by_quantile(scores: Floats, scales: Floats, sample: Floats, sample_scales: Floats) -> Floats:
    """A score's place among those of its scale, as the score at that place among all."""

    def mapped(own: Floats, of_scale: Floats) -> Floats:
        places = np.searchsorted(np.sort(of_scale), own) / len(of_scale)
        return np.asarray(np.quantile(sample, places) + np.maximum(own - of_scale.max(), 0.0))

    return _per_scale(scores, scales, sample, sample_scales, mapped)


def by_tail(
    scores: Floats,
    scales: Floats,
    sample: Floats,
    sample_scales: Floats,
    *,
    quantile: float,
    share: float,
) -> Floats:
    """Less a share of what a high quantile of a scale lies above that of all."""
    of_all = np.quantile(sample, quantile)
    return _per_scale(
        scores, scales, sample, sample_scales,
        lambda own, of_scale: own - share * (np.quantile(of_scale, quantile) - of_all),
    )  # fmt: skip


RULES: dict[str, Rule] = {
    "raw cosine": raw,
    **{f"centred, {share:g}": partial(centred, share=share) for share in (0.5, 1.0)},
    **{f"standardised, {share:g}": partial(standardised, share=share) for share in (0.5, 1.0)},
    "quantile mapped": by_quantile,
    **{
        f"tail {quantile:g}, {share:g}": partial(by_tail, quantile=quantile, share=share)
        for quantile in (0.8, 0.9, 0.95)
        for share in (0.5, 1.0)
    },
}


def _per_scale(
    scores: Floats,
    scales: Floats,
    sample: Floats,
    sample_scales: Floats,
    change: Callable[[Floats, Floats], Floats],
) -> Floats:
    changed = scores.copy()
    for scale in np.unique(scales):
        of_scale = sample[sample_scales == scale]
        if len(of_scale) >= _LEAST:
            changed[scales == scale] = change(scores[scales == scale], of_scale)
    return changed
