"""The k best rows of a selection: exact, and in one order, whatever the segments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from georclip.errors import EncoderMismatchError, QueryError
from georclip.index.view import View

ReadChipIds = Callable[[npt.NDArray[np.int64]], list[str]]


def top_rows(
    view: View,
    query: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64] | None,
    k: int,
    chip_ids: ReadChipIds,
) -> list[tuple[int, float]]:
    """The k best of some rows, best first; equal scores in order of chip_id.

    Args:
        view: What can be searched.
        query: float32, (dim,), unit length.
        rows: int64 rows in any order; None is all. Removed rows are left out.
        k: Most rows wanted, at least 1.
        chip_ids: Reads ids of rows from the catalog.

    Returns:
        (row, score) with score in [-1, 1]; fewer than k where there are not as many.
    """
    if rows is None:
        parts = [(segment, view.live_positions(segment)) for segment in view.segments]
    else:
        parts = [
            (segment, view.only_live(segment, positions))
            for segment, positions in view.split(_ascending(rows))
        ]
    found, scored = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.float32)]
    for segment, positions in parts:
        if len(positions):
            best, scores = segment.vectors.best(query, positions, k)
            found.append(best + segment.first_row)
            scored.append(scores)
    return _first_k(np.concatenate(found), np.concatenate(scored), k, chip_ids)


def _ascending(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rows in order, each once; what a selection holds is so already."""
    return rows if (rows[1:] > rows[:-1]).all() else np.unique(rows)


def _first_k(
    rows: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float32],
    k: int,
    chip_ids: ReadChipIds,
) -> list[tuple[int, float]]:
    if len(rows) > k:
        kept = scores >= np.partition(scores, len(scores) - k)[len(scores) - k]
        rows, scores = rows[kept], scores[kept]
    ranked = zip((-scores).tolist(), chip_ids(rows), rows.tolist(), strict=True)
    return [(row, -negative) for negative, _, row in sorted(ranked)[:k]]


def unit_query(query: npt.NDArray[np.float32], dim: int) -> npt.NDArray[np.float32]:
    """A query of unit length.

    Raises:
        EncoderMismatchError: It has another length than the index's vectors.
        QueryError: It is zero or not finite.
    """
    if query.shape != (dim,):
        raise EncoderMismatchError(
            f"the question has shape {query.shape} and the index's vectors ({dim},); "
            "ask with the encoder that made the index"
        )
    wide = query.astype(np.float64)
    norm = float(np.sqrt(wide @ wide))
    if not 0.0 < norm < float("inf"):
        raise QueryError("the question's embedding is zero or not finite; ask something else")
    return (wide / norm).astype(np.float32)
