"""Stored vectors as an array on disk: mapped, announced before they are read, scored exactly."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import numpy.typing as npt

from georclip.index.runs import RowRuns
from georclip.index.scores import exact_scores

_CHUNK_ROWS = 1_024
"""Rows widened to fp32 at once: what a processor's cache holds."""
_ANNOUNCED_GAP = 32
_ANNOUNCED_RUNS = 512
"""Up to this many runs, bridged where close, the system is told which pages will be read."""
_BLOCK_ROWS = 16


class StoredVectors:
    """The end of a file as vectors. Positions count from 0.

    Args:
        path: The file.
        count: Vectors.
        dim: Their length.

    Raises:
        ValueError: The bytes before them do not say how many bytes they are.
    """

    def __init__(self, path: Path, *, count: int, dim: int) -> None:
        size = count * dim * 2
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._offset = len(self._map) - size
        before = self._map[self._offset - 8 : self._offset] if self._offset >= 8 else b""
        if int.from_bytes(before, "little") != size or not before:
            raise ValueError("its vectors are not where they should be")
        flat = np.frombuffer(self._map, dtype="<f2", count=count * dim, offset=self._offset)
        self.codes: npt.NDArray[np.float16] = flat.reshape(count, dim)
        """float16, (n, dim), read-only, on disk."""
        self._announced = np.zeros(count // _BLOCK_ROWS + 1, dtype=np.bool_)

    def address(self, position: int) -> int:
        """Where in memory a vector begins."""
        start: int = self.codes.__array_interface__["data"][0]
        return start + position * self.codes.strides[0]

    def announce(self, positions: RowRuns) -> None:
        """Tell the system which pages are about to be read: cold disks answer 50 times faster.

        Each once: what was read lies in memory, as long as there is room for it.
        """
        near = positions.bridged(_ANNOUNCED_GAP)
        if len(near.edges) > _ANNOUNCED_RUNS or not hasattr(self._map, "madvise"):
            return
        width = self.codes.strides[0]
        for first, end in near:
            blocks = self._announced[first // _BLOCK_ROWS : (end - 1) // _BLOCK_ROWS + 1]
            if not blocks.all():
                blocks[:] = True
                start = (self._offset + first * width) // mmap.PAGESIZE * mmap.PAGESIZE
                self._map.madvise(mmap.MADV_WILLNEED, start, self._offset + end * width - start)

    def scores(
        self, query: npt.NDArray[np.float32], positions: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Exact scores of vectors, float32, (n,).

        Args:
            query: float32, (dim,), unit length.
            positions: int64, (n,), ascending.
        """
        self.announce(RowRuns.of(positions))
        scores = np.empty(len(positions), dtype=np.float32)
        for start in range(0, len(positions), _CHUNK_ROWS):
            chunk = positions[start : start + _CHUNK_ROWS]
            scores[start : start + len(chunk)] = exact_scores(query, self.codes[chunk])
        return scores
