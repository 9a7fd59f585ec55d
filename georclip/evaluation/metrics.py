"""Retrieval figures, from scores alone. Equal scores rank by lowest index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def ranking(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Order candidates per query, best first.

    Args:
        scores: (queries, candidates), higher is better.

    Returns:
        int64, (queries, candidates): candidate indices; equal scores by lowest index.
    """
    return np.argsort(-scores, axis=1, kind="stable").astype(np.int64)


def precision_per_query(
    scores: npt.NDArray[np.floating], relevant: npt.NDArray[np.bool_], k: int
) -> npt.NDArray[np.float64]:
    """Share of right answers among the first min(k, number of right answers there are).

    Args:
        scores: (queries, candidates), higher is better.
        relevant: bool, (queries, candidates); every query needs a right answer.
        k: Answers looked at, at least 1.

    Returns:
        float64 in [0, 1], (queries,).

    Raises:
        ValueError: k is below 1, shapes differ, or a query has no right answer.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    if scores.shape != relevant.shape:
        raise ValueError(f"scores are {scores.shape} but relevant is {relevant.shape}")
    there = relevant.sum(axis=1)
    if np.any(there == 0):
        raise ValueError("a query without any right answer has no precision")
    ordered = np.take_along_axis(relevant, ranking(scores), axis=1)
    looked_at = np.minimum(k, there)
    counted = np.arange(relevant.shape[1])[None, :] < looked_at[:, None]
    return np.asarray((ordered & counted).sum(axis=1) / looked_at, dtype=np.float64)


def class_precision(
    image_vectors: npt.NDArray[np.floating],
    class_vectors: npt.NDArray[np.floating],
    labels: Sequence[str],
    classes: Sequence[str],
    k: int = 10,
) -> dict[str, float]:
    """Precision at min(k, n) for each class name as a query.

    Args:
        image_vectors: Unit vectors, (images, dim).
        class_vectors: Unit vectors of the class names, (classes, dim).
        labels: Class of each image.
        classes: The names, in the order of `class_vectors`.
        k: Answers looked at.
    """
    relevant = np.array([[label == name for label in labels] for name in classes])
    precision = precision_per_query(class_vectors @ image_vectors.T, relevant, k)
    return dict(zip(classes, precision.tolist(), strict=True))


def recall_at(scores: npt.NDArray[np.floating], relevant: npt.NDArray[np.bool_], k: int) -> float:
    """Percentage of queries with a right answer among the first k (protocol A).

    Args:
        scores: (queries, candidates), higher is better.
        relevant: bool, (queries, candidates).
        k: Answers looked at, at least 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    ordered = np.take_along_axis(relevant, ranking(scores), axis=1)
    return float(ordered[:, :k].any(axis=1).mean() * 100.0)


def mean_recall(
    image_vectors: npt.NDArray[np.floating],
    text_vectors: npt.NDArray[np.floating],
    image_of_text: npt.NDArray[np.integer],
) -> float:
    """Mean of R@1, R@5 and R@10 in both directions, protocol A, in percent.

    Protocol A: every caption belongs to its own picture alone, equal captions included.

    Args:
        image_vectors: Unit vectors, (images, dim).
        text_vectors: Unit vectors, (texts, dim).
        image_of_text: Index of each text's picture, (texts,).
    """
    scores = text_vectors @ image_vectors.T  # (texts, images)
    relevant = image_of_text[:, None] == np.arange(len(image_vectors))[None, :]
    recalls = [recall_at(scores, relevant, k) for k in (1, 5, 10)]
    recalls += [recall_at(scores.T, relevant.T, k) for k in (1, 5, 10)]
    return float(np.mean(recalls))
