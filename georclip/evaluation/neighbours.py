"""Image-to-image retrieval: what a picture's nearest pictures say about its class.

Weighted k-nearest-neighbour voting as in Wu et al. 2018 (instance discrimination) and Caron et
al. 2021 (DINO): the k most similar pictures vote for their class with exp(cosine / 0.07).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.evaluation.metrics import parts, ranking

VOTERS = 20
TEMPERATURE = 0.07
ANSWERS = 10
"""The k of precision at k."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourFigures:
    """How well pictures find pictures of their class.

    Attributes:
        gallery: Split whose pictures are looked among; the asked one means all pictures but the
            one that asks.
        gallery_images: How many those are.
        images: Pictures that asked.
        voters: Neighbours that vote.
        top_1: Pictures given their own class by the vote, in percent.
        precision_at_10: Share of the asking picture's class among its min(10, pictures of the
            class) nearest, mean over pictures, in [0, 1].
        lonely: Pictures without another of their class: counted as wrong in the vote, left out
            of the precision.
    """

    gallery: str
    gallery_images: int
    images: int
    voters: int
    top_1: float
    precision_at_10: float
    lonely: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Pictures that are looked among.

    Attributes:
        split: Their split.
        vectors: Unit vectors, (pictures, dim).
        labels: Class of each.
    """

    split: str
    vectors: npt.NDArray[np.floating]
    labels: tuple[str, ...]


def measure_neighbours(
    vectors: npt.NDArray[np.floating],
    labels: Sequence[str],
    *,
    split: str,
    gallery: Gallery | None = None,
) -> NeighbourFigures:
    """Let each picture's nearest neighbours vote on its class.

    Args:
        vectors: Unit vectors of the pictures that ask, (images, dim).
        labels: Class of each.
        split: Their split.
        gallery: Looked among; None: the pictures that ask, each without itself.
    """
    among = gallery or Gallery(split=split, vectors=vectors, labels=tuple(labels))
    classes = sorted({*labels, *among.labels})
    number = {name: index for index, name in enumerate(classes)}
    asked = np.array([number[label] for label in labels])
    there = np.array([number[label] for label in among.labels])
    itself = 1 if gallery is None else 0
    voters = min(VOTERS, len(there) - itself)
    right, shares = 0, []
    for part in parts(len(vectors), len(there)):
        scores = vectors[part] @ among.vectors.T  # (part, gallery)
        if itself:
            scores[np.arange(len(scores)), np.arange(part.start, part.stop)] = -np.inf
        nearest = ranking(scores)[:, : max(voters, ANSWERS)]
        near = np.take_along_axis(scores, nearest, axis=1)
        votes = _votes(there[nearest[:, :voters]], near[:, :voters], len(classes))
        right += int((votes.argmax(axis=1) == asked[part]).sum())
        shares.append(_precision(there, nearest, asked[part], itself))
    share = np.concatenate(shares)
    return NeighbourFigures(
        gallery=among.split,
        gallery_images=len(there),
        images=len(vectors),
        voters=voters,
        top_1=right / len(vectors) * 100.0,
        precision_at_10=float(np.nanmean(share)) if not np.isnan(share).all() else 0.0,
        lonely=int(np.isnan(share).sum()),
    )


def _votes(
    classes: npt.NDArray[np.int64], scores: npt.NDArray[np.floating], count: int
) -> npt.NDArray[np.float64]:
    """Votes for each class: (queries, voters) twice -> (queries, classes)."""
    votes = np.zeros((len(classes), count))
    weights = np.exp((scores.astype(np.float64) - 1.0) / TEMPERATURE)  # 1 for an equal picture
    np.add.at(votes, (np.arange(len(classes))[:, None], classes), weights)
    return votes


def _precision(
    there: npt.NDArray[np.int64],
    nearest: npt.NDArray[np.int64],
    asked: npt.NDArray[np.int64],
    itself: int,
) -> npt.NDArray[np.float64]:
    """Share of the asked class among the first answers; NaN where there is no other of it.

    `itself` is 1 where the asking picture is among `there` and does not count, else 0.
    """
    equal = np.bincount(there, minlength=asked.max() + 1)[asked] - itself
    looked_at = np.minimum(ANSWERS, equal)
    counted = np.arange(nearest.shape[1])[None, :] < looked_at[:, None]
    hits = ((there[nearest] == asked[:, None]) & counted).sum(axis=1)
    return np.where(looked_at > 0, hits / np.maximum(looked_at, 1), np.nan)
