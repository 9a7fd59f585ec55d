"""FAISS segments of unit vectors stored as fp16: the only file that imports faiss.

A segment is an `IndexScalarQuantizer` (QT_fp16, inner product), written once and mapped into
memory. FAISS scans it; the few rows that can be among the best are scored again here, by the
definition of a score: cosine with the stored vector, normalised in fp32. Why that is exact:
`coarse_error` bounds how far FAISS's inner product lies from the score, so that a row outside
the candidates cannot reach the k-th best.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from georclip.errors import IndexCorruptError

_faiss: Any = faiss  # its stubs describe the C++ constructors, not those of Python

_GATHER_ROWS = 2_048
"""Selections up to this many rows are scored directly; a scan would look at every bit."""

_CHUNK_ROWS = 8_192
"""Rows widened to fp32 at once: bounds the memory of a gather."""


class VectorSegment:
    """Vectors of one segment, mapped into memory. Positions count from 0 within the segment.

    Args:
        path: vectors.faiss.
        count: Vectors that it must hold.
        dim: Their length.

    Raises:
        IndexCorruptError: It is damaged or holds something else.
    """

    def __init__(self, path: Path, *, count: int, dim: int) -> None:
        try:
            self._index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except (RuntimeError, MemoryError) as error:  # a damaged length asks for any memory
            raise _damaged(path, "FAISS cannot read it") from error
        if not isinstance(self._index, faiss.IndexScalarQuantizer):
            raise _damaged(path, "it is no scalar quantizer")
        if self._index.ntotal != count or self._index.d != dim:
            found = f"{self._index.ntotal} vectors of length {self._index.d}"
            raise _damaged(path, f"it holds {found}, not {count} of {dim}")
        if (
            self._index.sq.qtype != faiss.ScalarQuantizer.QT_fp16
            or self._index.code_size != 2 * dim
        ):
            raise _damaged(path, "its vectors are not fp16")
        if self._index.metric_type != faiss.METRIC_INNER_PRODUCT or not self._index.is_trained:
            raise _damaged(path, "it does not compare by inner product")
        self._codes, self._map = _map_codes(path, count, dim)

    @property
    def codes(self) -> npt.NDArray[np.float16]:
        """The stored vectors, float16, (n, dim), read-only, on disk."""
        return self._codes

    def best(
        self, query: npt.NDArray[np.float32], positions: npt.NDArray[np.int64], k: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """The k best of some vectors, and every other that scores as high as the k-th.

        Args:
            query: float32, (dim,), unit length.
            positions: int64, ascending, within the segment.
            k: At least 1.

        Returns:
            Positions and exact scores in no order; at least min(k, n) of them.
        """
        if len(positions) <= max(_GATHER_ROWS, k):
            candidates = positions
        else:
            candidates = self._scan(query, positions, k)
        self._read_ahead(candidates)
        scores = np.empty(len(candidates), dtype=np.float32)
        for start, chunk in _chunks(candidates):
            scores[start : start + len(chunk)] = exact_scores(query, self._codes[chunk])
        if len(candidates) > k:
            kept = scores >= np.partition(scores, len(scores) - k)[len(scores) - k]
            candidates, scores = candidates[kept], scores[kept]
        return candidates, scores

    def _scan(
        self, query: npt.NDArray[np.float32], positions: npt.NDArray[np.int64], k: int
    ) -> npt.NDArray[np.int64]:
        """A superset of the k best, found by FAISS."""
        count, dim = self._codes.shape
        wanted = np.zeros(count, dtype=np.bool_)
        wanted[positions] = True
        bitmap = np.packbits(wanted, bitorder="little")
        parameters = None
        if len(positions) < count:
            parameters = _faiss.SearchParameters(sel=_faiss.IDSelectorBitmap(bitmap))
        asked = min(len(positions), 2 * k + 64)
        scores, found = self._index.search(query[None], asked, params=parameters)
        floor = scores[0, k - 1] - 2 * coarse_error(dim)
        if asked == len(positions) or scores[0, -1] < floor:
            candidates = found[0][scores[0] >= floor]
        else:  # more rows are within the error of the k-th than were asked for: take them all
            _, _, candidates = self._index.range_search(
                query[None], float(np.nextafter(floor, np.float32(-2))), params=parameters
            )
        return np.sort(candidates)

    def _read_ahead(self, positions: npt.NDArray[np.int64]) -> None:
        """Tell the system which pages are about to be read: cold disks answer 50 times faster."""
        if len(positions) == 0 or not hasattr(self._map, "madvise"):
            return
        width = self._codes.strides[0]
        offset = len(self._map) - self._codes.nbytes
        pages = np.unique(
            np.stack([offset + positions * width, offset + (positions + 1) * width - 1])
            // mmap.PAGESIZE
        )
        for first, end in runs_of(pages):
            start = first * mmap.PAGESIZE
            length = min(end * mmap.PAGESIZE, len(self._map)) - start
            self._map.madvise(mmap.MADV_WILLNEED, start, length)


def write_vectors(path: Path, pieces: Iterator[npt.NDArray[np.float16]], dim: int) -> None:
    """Write a segment's vectors as they are stored: fp16 in, the same fp16 out.

    Args:
        path: File to write.
        pieces: float16, (n, dim) each.
        dim: Length of a vector.
    """
    index = faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    for piece in pieces:
        index.add_sa_codes(np.ascontiguousarray(piece, dtype="<f2").view(np.uint8))
    faiss.write_index(index, str(path))


def unit_fp16(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Vectors as they are stored: normalised in fp32, then rounded to fp16.

    Raises:
        ValueError: A vector is zero or not finite.
    """
    wide = np.ascontiguousarray(vectors, dtype=np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", wide, wide, dtype=np.float64))
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise ValueError("a vector is zero or not finite")
    return np.asarray((wide / norms[:, None].astype(np.float32)).astype(np.float16))


def unit_fp32(stored: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    """Stored vectors, (n, dim), normalised in fp32."""
    wide = stored.astype(np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    return np.asarray(wide / np.maximum(norms, np.float32(1e-30))[:, None])


def exact_scores(
    query: npt.NDArray[np.float32], stored: npt.NDArray[np.float16]
) -> npt.NDArray[np.float32]:
    """Cosine of a unit query with stored vectors, normalised, in fp32, within [-1, 1].

    einsum sums every row by itself and in one order, so that equal vectors score equally
    wherever they lie; a BLAS product does not promise that.

    Args:
        query: float32, (dim,).
        stored: float16, (n, dim).
    """
    wide = stored.astype(np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    products = np.einsum("ij,j->i", wide, query)
    return np.asarray(np.clip(products / np.maximum(norms, np.float32(1e-30)), -1.0, 1.0))


def coarse_error(dim: int) -> np.float32:
    """How far an inner product with a stored vector can lie from the score.

    Rounding a unit vector to fp16 changes its length by at most 2**-11 of itself, and by
    2**-25 in each component too small for that; a sum of `dim` products in fp32 is off by at
    most dim * 2**-24, here and in FAISS (Higham, Accuracy and Stability, 3.1).
    """
    return np.float32(1.01 * 2**-11 + math.sqrt(dim) * 2**-25 + 2 * dim * 2**-24)


def runs_of(ascending: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Consecutive numbers as (first, one behind the last)."""
    if len(ascending) == 0:
        return []
    breaks = np.flatnonzero(np.diff(ascending) != 1) + 1
    starts = ascending[np.concatenate([[0], breaks])]
    ends = ascending[np.concatenate([breaks - 1, [len(ascending) - 1]])] + 1
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


class JoinedVectors:
    """Several arrays of stored vectors as if they were one, none copied.

    Args:
        parts: float16, (n, dim) each, usually mapped from disk.
        dim: Length of a vector.
    """

    def __init__(self, parts: Sequence[npt.NDArray[np.float16]], dim: int) -> None:
        self.parts = parts
        self._dim = dim
        self._starts = np.cumsum([0, *(len(part) for part in parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float16]:
        """Vectors at these positions, in this order: float16, (n, dim)."""
        out = np.empty((len(positions), self._dim), dtype=np.float16)
        owners = np.searchsorted(self._starts, positions, side="right") - 1
        for owner in np.unique(owners).tolist():
            mine = owners == owner
            out[mine] = self.parts[owner][positions[mine] - self._starts[owner]]
        return out

    def pieces(self, positions: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.float16]]:
        """The same, a bounded piece at a time."""
        for _, chunk in _chunks(positions):
            yield self.take(chunk)


def _chunks(
    positions: npt.NDArray[np.int64],
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    for start in range(0, len(positions), _CHUNK_ROWS):
        yield start, positions[start : start + _CHUNK_ROWS]


def _map_codes(path: Path, count: int, dim: int) -> tuple[npt.NDArray[np.float16], mmap.mmap]:
    """Map the stored vectors: the end of the file, behind their length in bytes."""
    size = count * dim * 2
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    offset = len(mapped) - size
    if offset < 8 or int.from_bytes(mapped[offset - 8 : offset], "little") != size:
        raise _damaged(path, "its vectors are not where they should be")
    codes = np.frombuffer(mapped, dtype="<f2", count=count * dim, offset=offset)
    return codes.reshape(count, dim), mapped


def _damaged(path: Path, reason: str) -> IndexCorruptError:
    return IndexCorruptError(
        f"{path} is damaged: {reason}; run `georclip verify`, "
        "then restore the folder from a copy or index its scenes again"
    )
