"""Stored vectors of several segments and staged parts as if they were one array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

_PIECE_ROWS = 8_192
"""Vectors handed on at once: bounds the memory of writing a segment."""


class JoinedVectors:
    """Several arrays of stored vectors as if they were one, none copied.

    Args:
        parts: float16, (n, dim) each, usually mapped from disk.
        dim: Length of a vector.
    """

    def __init__(self, parts: Sequence[npt.NDArray[np.float16]], dim: int) -> None:
        self.parts = parts
        self.dim = dim
        self._starts = np.cumsum([0, *(len(part) for part in parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float16]:
        """Vectors at these positions, in this order: float16, (n, dim)."""
        out = np.empty((len(positions), self.dim), dtype=np.float16)
        owners = np.searchsorted(self._starts, positions, side="right") - 1
        for owner in np.unique(owners).tolist():
            mine = owners == owner
            out[mine] = self.parts[owner][positions[mine] - self._starts[owner]]
        return out

    def pieces(self, positions: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.float16]]:
        """The same, a bounded piece at a time."""
        for start in range(0, len(positions), _PIECE_ROWS):
            yield self.take(positions[start : start + _PIECE_ROWS])
