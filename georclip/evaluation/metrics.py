"""Retrieval figures, from scores alone. Equal scores rank by lowest index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

NOT_FOUND = int(np.iinfo(np.int64).max)
"""Rank of a right answer that never comes: beyond every k."""
_CELLS = 4_000_000
"""Scores held at once where queries can be taken in parts."""


def ranking(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Order candidates per query, best first.

    Args:
        scores: (queries, candidates), higher is better.

    Returns:
        int64, (queries, candidates): candidate indices; equal scores by lowest index.
    """
    return np.argsort(-scores, axis=1, kind="stable").astype(np.int64)


def first_hits(
    scores: npt.NDArray[np.floating], relevant: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Rank of each query's best right answer, counted and not sorted for.

    Args:
        scores: (queries, candidates), higher is better.
        relevant: bool, (queries, candidates).

    Returns:
        int64, (queries,): 0 where a right answer comes first; `NOT_FOUND` where a query has none,
        or a score that is not a number.

    Raises:
        ValueError: Shapes differ.
    """
    _check_shapes(scores, relevant)
    count = scores.shape[1]
    if count == 0:
        return np.full(len(scores), NOT_FOUND, dtype=np.int64)
    best = np.where(relevant, scores, -np.inf).argmax(axis=1)  # of equal ones the first
    score = np.take_along_axis(scores, best[:, None], axis=1)
    before = np.arange(count)[None, :] < best[:, None]
    ranks = ((scores > score) | ((scores == score) & before)).sum(axis=1)
    # NaN is neither above nor below anything, and would come first otherwise.
    found = relevant.any(axis=1) & ~np.isnan(scores).any(axis=1)
    return np.asarray(np.where(found, ranks, NOT_FOUND), dtype=np.int64)


def recall_of(ranks: npt.NDArray[np.integer], k: int) -> float:
    """Percentage of queries whose first right answer is among the first k.

    Args:
        ranks: From 0, as `first_hits` gives them, (queries,), at least one.
        k: Answers looked at, at least 1.

    Raises:
        ValueError: k is below 1.
    """
    _check_k(k)
    return float((ranks < k).mean() * 100.0)


def recall_at(scores: npt.NDArray[np.floating], relevant: npt.NDArray[np.bool_], k: int) -> float:
    """Percentage of queries with a right answer among the first k.

    Args:
        scores: (queries, candidates), higher is better.
        relevant: bool, (queries, candidates).
        k: Answers looked at, at least 1.

    Raises:
        ValueError: k is below 1, or shapes differ.
    """
    _check_k(k)
    return recall_of(first_hits(scores, relevant), k)


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
    _check_k(k)
    _check_shapes(scores, relevant)
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


def parts(queries: int, candidates: int) -> list[slice]:
    """Queries in parts whose scores against all candidates fit comfortably into memory."""
    step = max(1, _CELLS // max(1, candidates))
    return [slice(start, min(start + step, queries)) for start in range(0, queries, step)]


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")


def _check_shapes(scores: npt.NDArray[np.floating], relevant: npt.NDArray[np.bool_]) -> None:
    if scores.shape != relevant.shape:
        raise ValueError(f"scores are {scores.shape} but relevant is {relevant.shape}")
