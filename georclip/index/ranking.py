"""The k best rows of a selection, in one order, whatever the segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from georclip.errors import EncoderMismatchError, QueryError
from georclip.index.runs import RowRuns
from georclip.index.scanning import Scanner
from georclip.index.view import View

ReadChipIds = Callable[[npt.NDArray[np.int64]], list[str]]


def top_rows(
    view: View,
    query: npt.NDArray[np.float32],
    rows: RowRuns,
    k: int,
    *,
    exact: bool,
    sure: int,
    scanner: Scanner,
    chip_ids: ReadChipIds,
) -> list[tuple[int, float]]:
    """The k best of some rows, best first; equal scores in order of chip_id.

    Args:
        view: What can be searched.
        query: float32, (dim,), unit length.
        rows: What to choose from. Removed rows are left out.
        k: Most rows wanted, at least 1.
        exact: Look at every vector, however many there are.
        sure: Rows that inverted files are searched for, as in `Scanner.best`.
        scanner: Looks at them.
        chip_ids: Reads ids of rows from the catalog.

    Returns:
        (row, score) with score in [-1, 1]; fewer than k where there are not as many.
    """
    found, scores = scanner.best(
        view.split(rows.without(view.dead)), query, k, exact=exact, sure=sure
    )
    return first_k(found, scores, k, chip_ids)


def first_k(
    rows: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float32],
    k: int,
    chip_ids: ReadChipIds,
) -> list[tuple[int, float]]:
    """The k best of scored rows in order; only where scores are equal the catalog is asked."""
    if len(rows) > k:
        kept = scores >= np.partition(scores, len(scores) - k)[len(scores) - k]
        rows, scores = rows[kept], scores[kept]
    order = np.argsort(-scores, kind="stable")
    rows, scores = rows[order], scores[order]
    tied = np.zeros(len(rows), dtype=np.bool_)
    tied[1:] = scores[1:] == scores[:-1]
    tied[:-1] |= tied[1:]
    ids = dict(zip(rows[tied].tolist(), chip_ids(rows[tied]) if tied.any() else (), strict=True))
    ranked = zip((-scores).tolist(), rows.tolist(), strict=True)
    ordered = sorted((negative, ids.get(row, ""), row) for negative, row in ranked)
    return [(row, -negative) for negative, _, row in ordered[:k]]


def as_runs(wanted: npt.NDArray[np.int64] | Sequence[int]) -> RowRuns:
    """Rows in any order, some perhaps twice.

    Raises:
        QueryError: They are no list of whole numbers.
    """
    rows = np.asarray(wanted)
    if len(rows) == 0:
        return RowRuns.span(0, 0)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise QueryError(f"rows are whole numbers, (n,), not {rows.dtype} of shape {rows.shape}")
    rows = rows.astype(np.int64)
    return RowRuns.of(rows if (rows[1:] > rows[:-1]).all() else np.unique(rows))


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
