"""Ways to tell an answer from none, for `confidence`: each gives the best chips a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from georclip.search.calibration import OF_TEXT, Calibration, _pooled

Method = Callable[["Asked", int], np.ndarray]
"""Numbers of the first so many chips, higher is surer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question to one scene; chips best first.

    Attributes:
        present: Whether the scene shows the class.
        question: (dim,).
        vectors: Of all chips, (n, dim).
        scores: Their cosines, (n,).
        right: Which of them show the class, bool (n,).
        background: Seeded sample of the scene's chips, (b, dim).
        neutral: Embedded prompts, (m, dim).
        empty: Which chips the engine puts last, since they show nothing: bool (n,).
    """

    present: bool
    question: np.ndarray
    vectors: np.ndarray
    scores: np.ndarray
    right: np.ndarray
    background: np.ndarray
    neutral: np.ndarray
    empty: np.ndarray

    def as_ranked(self) -> Asked:
        """The answer as the engine gives it: chips that show nothing behind all others."""
        order = np.argsort(self.empty, kind="stable")
        return replace(
            self, vectors=self.vectors[order], scores=self.scores[order],
            right=self.right[order], empty=self.empty[order],
        )  # fmt: skip

    def others(self, count: int) -> np.ndarray:
        """Cosines of chips with the prompts, (count, m)."""
        return self.vectors[:count] @ self.neutral.T

    def usual(self) -> np.ndarray:
        """Cosines of the background with the question, (b,)."""
        return self.background @ self.question


def cosine(asked: Asked, count: int) -> np.ndarray:
    return asked.scores[:count]


def z_score(asked: Asked, count: int) -> np.ndarray:
    usual = asked.usual()
    return (asked.scores[:count] - usual.mean()) / usual.std()


def robust_z(asked: Asked, count: int) -> np.ndarray:
    """From the median, by the spread below it: answers among the background do not widen it."""
    usual = asked.usual()
    below = usual[usual <= np.median(usual)] - np.median(usual)
    return (asked.scores[:count] - np.median(usual)) / np.sqrt((below**2).mean())


def percentile(asked: Asked, count: int) -> np.ndarray:
    usual = np.sort(asked.usual())
    return np.searchsorted(usual, asked.scores[:count]) / len(usual)


def tail(asked: Asked, count: int, *, share: float) -> np.ndarray:
    """Minus log of the chance of such a score, by a generalised Pareto fit of the upper tail.

    By moments (Hosking and Wallis, Technometrics 1987).
    """
    usual = np.sort(asked.usual())
    size = max(5, int(share * len(usual)))
    above = usual[-size:] - usual[-size - 1]
    ratio = above.mean() ** 2 / above.var()
    shape, scale = 0.5 * (1 - ratio), 0.5 * above.mean() * (1 + ratio)
    excess = np.maximum(asked.scores[:count] - usual[-size - 1], 0.0)
    return np.log(np.maximum(1 + shape * excess / scale, 1e-9)) / shape


def softmax(asked: Asked, count: int, *, scale: float) -> np.ndarray:
    """Log odds against all prompts."""
    return scale * asked.scores[:count] - log_sum(scale * asked.others(count))


def margin(asked: Asked, count: int) -> np.ndarray:
    return asked.scores[:count] - asked.others(count).max(axis=1)


def csls(asked: Asked, count: int, *, near: int) -> np.ndarray:
    """Conneau et al. 2018: less what chip and question score with their own neighbours."""
    others = np.sort(asked.others(count), axis=1)[:, -near:].mean(axis=1)
    return 2 * asked.scores[:count] - others - np.sort(asked.usual())[-near:].mean()


def inverted_softmax(asked: Asked, count: int, *, scale: float) -> np.ndarray:
    """Smith et al. 2017: odds of the chip among the background's, for the question."""
    return scale * asked.scores[:count] - log_sum(scale * asked.usual()[None])


def pooled_cosine(asked: Asked, count: int) -> np.ndarray:
    calibration = calibrate(asked)
    block = asked.vectors[: max(count, 100)]
    return _pooled(block[:count], block, calibration.likeness) @ asked.question


def weighted_softmax(asked: Asked, count: int) -> np.ndarray:
    """What is kept, without pooling."""
    prompts = calibrate(asked).prompts
    assert prompts is not None
    return prompts.evidence(asked.question, asked.vectors[:count], OF_TEXT)


def pooled_softmax(asked: Asked, count: int) -> np.ndarray:
    """What is kept, with prompts that count alike however close to the question."""
    calibration = calibrate(asked)
    assert calibration.prompts is not None
    block = asked.vectors[: max(count, 100)]
    chips = _pooled(block[:count], block, calibration.likeness)
    return calibration.prompts.evidence(asked.question, chips, replace(OF_TEXT, distance_power=0.0))


def kept(asked: Asked, count: int) -> np.ndarray:
    """`Calibration.text_confidence`, of as many chips as the engine hands it, as it ranks them."""
    ranked = asked.as_ranked()
    found = calibrate(asked).text_confidence(asked.question, ranked.vectors[: max(count, 100)])
    assert found is not None
    return np.where(ranked.empty[:count], 0.0, found[:count])


def calibrate(asked: Asked) -> Calibration:
    calibration = Calibration.of(asked.background, asked.neutral)
    assert calibration is not None
    return calibration


def log_sum(values: np.ndarray) -> np.ndarray:
    most = values.max(axis=1)
    return np.log(np.exp(values - most[:, None]).sum(axis=1)) + most


METHODS: Mapping[str, Mapping[str, Method]] = {
    "plain cosine": {"": cosine},
    "z-score against the background": {"": z_score},
    "z-score from the median, by the spread below": {"": robust_z},
    "percentile of the background": {"": percentile},
    "Pareto fit of the background's tail": {
        f"upper {share:.0%}": partial(tail, share=share) for share in (0.02, 0.05, 0.1, 0.2)
    },
    "inverted softmax over the background": {
        f"scale {scale}": partial(inverted_softmax, scale=scale) for scale in (5, 15, 30, 60)
    },
    "CSLS, prompts and background": {
        f"{near} neighbours": partial(csls, near=near) for near in (1, 5, 10, 30)
    },
    "margin to the best prompt": {"": margin},
    "softmax against the prompts": {
        f"scale {scale}": partial(softmax, scale=scale) for scale in (3, 5, 10, 15, 30, 60)
    },
    "the same, near prompts count less": {"": weighted_softmax},
    "pooled cosine": {"": pooled_cosine},
    "pooled softmax": {"": pooled_softmax},
    "pooled softmax, near prompts count less (kept)": {"": kept},
}
"""Each way with the settings to choose from, on train."""
