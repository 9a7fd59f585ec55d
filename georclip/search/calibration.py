"""How sure an answer is: a number in [0, 1] beside the cosine, comparable between questions.

A cosine means little by itself: some sentences score high with everything, others low with what
they name, and every encoder has a range of its own. Three things make a number of it:

1. **Support.** A chip's vector is averaged with those of the chips most like it among the best
   answers: neighbours on the ground, other scales, other places of the same kind (database-side
   augmentation: Turcot and Lowe 2009; Arandjelovic and Zisserman, CVPR 2012). What only one of
   many views shows by chance is evened out; what is there stays.
2. **Rivals.** The question competes for the chip with neutral prompts (`georclip.search.neutral`)
   by a softmax, as CLIP's zero-shot classification does. A prompt counts the less the closer its
   wording is to the question's, so that a near-synonym does not take the answer away.
3. **Scale.** Similarities are measured in units of the index's own background: the spread of one
   chip's similarities over the prompts. Encoders whose cosines all lie between 0.2 and 0.35 and
   others that use the whole range are treated alike.

A question that is a picture competes with other chips instead of sentences, by the same formula.
Pictures, unlike sentences, can also be the same: a chip whose cosine with the question nears 1 is
convincing whatever else the index holds, and whatever it is pooled with.

Measured with the model in the box (tests/benchmarks/confidence.py; README, "How sure?"). Nothing
in the formula knows that model, but the figures are its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Confidences = npt.NDArray[np.float64]

CONVINCING = 0.6
"""A hit from this confidence on is called convincing: of ten hits, what reaches it answers training
scenes best (F1 over classes; best cut-offs of the kinds of scenes: 0.57 to 0.66)."""

_BLOCK = 100
"""Chips are pooled with the hundred of their rank and the hundred before."""
_POOLED = 8
_ALIKE = 0.5
"""Only chips that are nearer than halfway to what has nothing to do with each other are pooled: of
a handful of chips in a small area, one does not speak for another."""
_PEERS = 256
"""Most chips of the background that are rivals of a picture: more changes nothing but the cost."""
_LEAST_RIVALS = 8
_SMALLEST_SPREAD = 1e-4
_MOST_ALIKE = 0.999
_LEAST_WEIGHT = 1e-12
_SAME_POWER = 12
"""Half a confidence at 94 % of the way from unrelated to the same. On training scenes 2 % of the
pictures whose class is not there have a chip as near, and the curve was sure of those already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How evidence becomes a confidence; chosen on training scenes, see tests/benchmarks.

    Attributes:
        sharpness: Softmax scale: cosines are multiplied by this over the spread of the rivals.
        distance_power: Of a rival's distance from the question, which weighs it.
        slope: Of the logistic curve, per unit of evidence.
        middle: Evidence at which the confidence is one half.
    """

    sharpness: float
    distance_power: float
    slope: float
    middle: float


# Scenes laid of training pictures, in which every class has its likes, are told apart best at an
# evidence of 7.2; real scenes and drawings, which the starter knows less well and where less is
# alike, at 6.4: the middle lies between.
OF_TEXT = Curve(sharpness=3.0, distance_power=4.0, slope=1.2, middle=6.8)
# Asked with pictures, scenes with and without the class are told apart best at 6.5 and, mixed with
# others, at 7.1.
OF_IMAGE = Curve(sharpness=3.0, distance_power=4.0, slope=1.0, middle=6.8)


@dataclass(frozen=True, slots=True, eq=False)
class Rivals:
    """What a question competes with for a chip, and the scale of similarities with them.

    Attributes:
        vectors: float32 (m, dim), unit rows.
        spread: Standard deviation of a background chip's cosines with them, mean over chips.
        likeness: Mean cosine between two of them: how alike two are that have nothing to do with
            each other.
    """

    vectors: Vectors
    spread: float
    likeness: float

    @classmethod
    def of(cls, vectors: Vectors, background: Vectors) -> Rivals | None:
        """Learn the scale; None where there are too few to compete with."""
        count = len(vectors)
        if count < _LEAST_RIVALS:
            return None
        spread = float((background @ vectors.T).std(axis=1).mean())
        return cls(vectors, max(spread, _SMALLEST_SPREAD), _likeness(vectors))

    def evidence(self, question: Vectors, chips: Vectors, curve: Curve) -> Confidences:
        """Log odds of the question against the mean rival, by a softmax: float64 (c,).

        A rival's weight is its distance from the question, in units of the distance of two that
        have nothing to do with each other, at most 1, to the power that the curve says.
        """
        scale = curve.sharpness / self.spread
        asked = scale * (chips @ question).astype(np.float64)
        others = scale * (chips @ self.vectors.T).astype(np.float64)  # (c, m)
        distance = (1.0 - self.vectors @ question).astype(np.float64) / (1.0 - self.likeness)
        weights = np.maximum(np.clip(distance, 0.0, 1.0) ** curve.distance_power, _LEAST_WEIGHT)
        return np.asarray(asked - _log_sum(others + np.log(weights / weights.sum())))


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What an index and its encoder say about similarities in general.

    Attributes:
        prompts: Rivals of a sentence; None where nobody embedded neutral prompts.
        peers: Rivals of a picture: chips of the background; None where there are too few.
        likeness: Mean cosine between two chips that have nothing to do with each other.
    """

    prompts: Rivals | None
    peers: Rivals | None
    likeness: float

    @classmethod
    def of(cls, background: Vectors, neutral: Vectors | None) -> Calibration | None:
        """Learn the scales of an index.

        Args:
            background: Seeded sample of its chips, float32 (n, dim), unit rows.
            neutral: Embedded neutral prompts, float32 (m, dim), unit rows, or None.

        Returns:
            None where nothing can be said: no background, or too few of both.
        """
        if len(background) == 0:
            return None
        step = -(-len(background) // _PEERS)
        some = np.ascontiguousarray(background[::step], dtype=np.float32)
        prompts = None
        if neutral is not None:
            prompts = Rivals.of(np.asarray(neutral, dtype=np.float32), some)
        peers = Rivals.of(some, some)
        if prompts is None and peers is None:
            return None
        return cls(prompts, peers, _likeness(some))

    def text_confidence(self, question: Vectors, ranked: Vectors) -> Confidences | None:
        """How sure it is that chips show what a sentence asks for.

        Args:
            question: The embedded sentence, float32 (dim,), unit length.
            ranked: Vectors of the question's best chips, best first, float32 (c, dim), unit rows:
                k of them rounded up by `block_of`, or fewer where there are no more, so that the
                number of hits asked for does not change what one is worth.

        Returns:
            float64 in [0, 1], (c,); None without neutral prompts.
        """
        return _confidence(self.prompts, self.likeness, question, ranked, OF_TEXT)

    def image_confidence(self, question: Vectors, ranked: Vectors) -> Confidences | None:
        """How sure it is that chips show what a picture (a file, a chip, a place) shows.

        Cosines between pictures lie elsewhere than those with sentences. Rivals are chips of the
        background, each the less the more it looks like the question. A chip that is all but the
        question itself, a chip of the index asked for its likes, needs neither support nor rivals:
        the larger of both numbers counts.

        Args:
            question: The embedded picture, float32 (dim,), unit length.
            ranked: As for `text_confidence`.

        Returns:
            float64 in [0, 1], (c,); None with too small a background.
        """
        found = _confidence(self.peers, self.likeness, question, ranked, OF_IMAGE)
        if found is None:
            return None
        return np.maximum(found, _sameness(question, ranked, self.likeness))


def block_of(k: int) -> int:
    """How many of the best chips the confidences of k hits are worked out from."""
    return -(-k // _BLOCK) * _BLOCK


def _confidence(
    rivals: Rivals | None, likeness: float, question: Vectors, ranked: Vectors, curve: Curve
) -> Confidences | None:
    if rivals is None:
        return None
    asked = np.asarray(question, dtype=np.float32)
    found = [np.zeros(0)]
    for start in range(0, len(ranked), _BLOCK):
        block = ranked[start : start + _BLOCK]
        support = ranked[max(0, start - _BLOCK) : start + _BLOCK]
        evidence = rivals.evidence(asked, _pooled(block, support, likeness), curve)
        found.append(_logistic(curve.slope * (evidence - curve.middle)))
    return np.concatenate(found)


def _sameness(question: Vectors, chips: Vectors, likeness: float) -> Confidences:
    """How nearly chips are the question: 1 where they are, 0 where they have nothing to do with it.

    The part of the way from the cosine of unrelated chips to 1, which an encoder's own range does
    not change, to a high power: float64 in [0, 1], (c,).
    """
    cosines = (chips @ np.asarray(question, dtype=np.float32)).astype(np.float64)
    share = np.clip((cosines - likeness) / (1.0 - likeness), 0.0, 1.0)
    return np.asarray(share**_SAME_POWER)


def _pooled(chips: Vectors, support: Vectors, likeness: float) -> Vectors:
    """Each chip's mean with those of the support that are much like it, of unit length.

    Args:
        chips: float32 (c, dim), unit rows, all of them in the support.
        support: float32 (s, dim), unit rows.
        likeness: Mean cosine between two chips that have nothing to do with each other.

    Returns:
        float32 (c, dim).
    """
    cosines = chips @ support.T  # (c, s)
    count = min(_POOLED, len(support))
    nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    least = likeness + _ALIKE * (1.0 - likeness)
    alike = np.take_along_axis(cosines, nearest, axis=1) >= least
    # One chip's nearest is itself, so that none is pooled with nothing.
    weights = alike / np.maximum(alike.sum(axis=1, keepdims=True), 1)
    return np.asarray((weights.astype(np.float32)[:, None, :] @ support[nearest])[:, 0])


def _likeness(vectors: Vectors) -> float:
    """Mean cosine between two different ones of unit rows, below 1; 0 for a single one."""
    count = len(vectors)
    if count < 2:
        return 0.0
    total = float(np.square(vectors.sum(axis=0, dtype=np.float64)).sum())
    return min((total - count) / (count * (count - 1)), _MOST_ALIKE)


def _log_sum(values: Confidences) -> Confidences:
    """Logarithm of the sum of exponentials of each row, without overflow."""
    largest = values.max(axis=1, keepdims=True)
    return np.asarray(np.log(np.exp(values - largest).sum(axis=1)) + largest[:, 0])


def _logistic(values: Confidences) -> Confidences:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -700.0, 700.0))))
