"""FAISS files of unit vectors stored as fp16: the only file that imports faiss.

A segment's vectors are an `IndexScalarQuantizer` (QT_fp16, inner product), written once and mapped
into memory when they are first read. FAISS scans them; the few rows that can be among the best are
scored again here, by the definition of a score: cosine with the stored vector, normalised in fp32.
Why that is exact: `coarse_error` bounds how far FAISS's inner product lies from the score, so that
a row outside the candidates cannot reach the k-th best.

Beside them may lie an inverted file (`IndexIVFRaBitQ`): short codes in lists around centres, for
selections so large that looking at every vector takes too long. What it finds is scored again, too.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from georclip.errors import IndexCorruptError
from georclip.index.joined import JoinedVectors
from georclip.index.runs import RowRuns
from georclip.index.scores import coarse_error, exact_scores, widened

_faiss: Any = faiss  # its stubs describe the C++ constructors, not those of Python

_GATHER_ROWS = 512
"""Selections up to this many rows are scored directly; a scan would look at every bit."""

_CHUNK_ROWS = 1_024
"""Rows widened to fp32 at once: what a processor's cache holds."""

_WIDEST_GAP = 8_192
"""Rows that a scan passes over rather than starting anew behind them."""

_ANNOUNCED_GAP = 32
_ANNOUNCED_RUNS = 512
_BLOCK_ROWS = 16
"""Up to this many runs the system is told which pages will be read."""


_PROBED_SHARE = 0.2
"""Part of a segment's lists that is looked into at first."""
_LEAST_CANDIDATES = 200
"""Candidates of a segment that are scored exactly, at least."""
_CANDIDATES_PER_HIT = 10
"""The same, for each of the k that are wanted. With these three, ten of a million are found with
a recall of 0.99 and more (README, "Measured")."""
_SAMPLED_PER_LIST = 160
"""Vectors that k-means sees, for each list."""
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stretch:
    """Neighbouring vectors, and which of them are chosen.

    Attributes:
        first: Position of the first in the segment.
        index: FAISS's view of them.
        chosen: Counted from `first`.
    """

    first: int
    index: Any
    chosen: RowRuns

    def best(
        self, query: npt.NDArray[np.float32], most: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Positions in the segment and coarse scores of the best, best first."""
        asked = min(len(self.chosen), most)
        scores, found = self.index.search(query[None], asked, params=self._parameters())
        return np.asarray(found[0] + self.first), scores[0]

    def above(self, query: npt.NDArray[np.float32], floor: np.float32) -> npt.NDArray[np.int64]:
        """Positions in the segment of all whose coarse score is at least `floor`."""
        below = float(np.nextafter(floor, np.float32(-2)))
        _, _, found = self.index.range_search(query[None], below, params=self._parameters())
        return np.asarray(found + self.first)

    def _parameters(self) -> Any:  # noqa: ANN401 - FAISS's own
        if len(self.chosen) == self.index.ntotal:
            return None
        return _faiss.SearchParameters(sel=_selector(self.chosen, self.index.ntotal))


class VectorSegment:
    """Vectors of one segment. Positions count from 0 within the segment.

    Args:
        path: vectors.faiss.
        count: Vectors that it must hold.
        dim: Their length.
    """

    def __init__(self, path: Path, *, count: int, dim: int) -> None:
        self._path = path
        self._count = count
        self._dim = dim
        self._announced = np.zeros(count // _BLOCK_ROWS + 1, dtype=np.bool_)

    @property
    def codes(self) -> npt.NDArray[np.float16]:
        """The stored vectors, float16, (n, dim), read-only, on disk.

        Raises:
            IndexCorruptError: The file is damaged or holds something else (so for all methods).
            FileNotFoundError: It is gone: a writer may have replaced the segment.
        """
        return self._mapped[0]

    def open(self) -> None:
        """Map the file now, so that threads find it mapped."""
        assert self._index is not None
        assert self._mapped is not None

    def best(
        self, query: npt.NDArray[np.float32], positions: RowRuns, k: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """The k best of some vectors, and every other that scores as high as the k-th.

        Args:
            query: float32, (dim,), unit length.
            positions: Within the segment.
            k: At least 1.

        Returns:
            Positions and exact scores in no order; at least min(k, n) of them.
        """
        self._announce(positions)
        if len(positions) <= max(_GATHER_ROWS, k):
            candidates = positions.rows()
        else:
            candidates = self._scan(query, positions, k)
        return self._first(candidates, self.scores(query, candidates), k)

    def best_of(
        self, query: npt.NDArray[np.float32], candidates: npt.NDArray[np.int64], k: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """The same of candidates that something else has found, int64 (n,), ascending."""
        self._announce(RowRuns.of(candidates))
        return self._first(candidates, self.scores(query, candidates), k)

    def scores(
        self, query: npt.NDArray[np.float32], positions: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Exact scores of vectors, float32, (n,)."""
        scores = np.empty(len(positions), dtype=np.float32)
        for start in range(0, len(positions), _CHUNK_ROWS):
            chunk = positions[start : start + _CHUNK_ROWS]
            scores[start : start + len(chunk)] = exact_scores(query, self.codes[chunk])
        return scores

    @staticmethod
    def _first(
        candidates: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], k: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        if len(candidates) <= k:
            return candidates, scores
        kept = scores >= np.partition(scores, len(scores) - k)[len(scores) - k]
        return candidates[kept], scores[kept]

    def _scan(
        self, query: npt.NDArray[np.float32], positions: RowRuns, k: int
    ) -> npt.NDArray[np.int64]:
        """A superset of the k best, found by FAISS, one stretch of rows after the other."""
        stretches = [
            _Stretch(
                first=first, index=self._window(first, end), chosen=positions.between(first, end)
            )
            for first, end in positions.bridged(_WIDEST_GAP)
        ]
        looked = [stretch.best(query, 2 * k + 64) for stretch in stretches]
        scores = np.concatenate([scores for _, scores in looked])
        floor = np.partition(scores, len(scores) - k)[len(scores) - k] - 2 * coarse_error(self._dim)
        candidates = [
            # Where more are within the error of the k-th than were asked for, take them all.
            stretch.above(query, floor)
            if len(found) < len(stretch.chosen) and scores[-1] >= floor
            else found[scores >= floor]
            for stretch, (found, scores) in zip(stretches, looked, strict=True)
        ]
        return np.sort(np.concatenate(candidates))

    def _window(self, first: int, end: int) -> Any:  # noqa: ANN401 - an index as FAISS has it
        """FAISS's view of some of the vectors: nothing is copied, nothing else is looked at."""
        index = self._index
        if (first, end) == (0, self._count):
            return index
        width = index.code_size
        start = self.codes.__array_interface__["data"][0] + first * width
        window = faiss.IndexScalarQuantizer(
            self._dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        window.codes = _faiss.MaybeOwnedVectorUInt8.create_view(
            faiss.cast_integer_to_void_ptr(start), (end - first) * width, index.codes.owner
        )
        window.ntotal = end - first
        return window

    def _announce(self, positions: RowRuns) -> None:
        """Tell the system which pages are about to be read: cold disks answer 50 times faster.

        Each once: what was read lies in memory, as long as there is room for it.
        """
        codes, mapped = self._mapped
        near = positions.bridged(_ANNOUNCED_GAP)
        if len(near.edges) > _ANNOUNCED_RUNS or not hasattr(mapped, "madvise"):
            return
        width, offset = codes.strides[0], len(mapped) - codes.nbytes
        for first, end in near:
            blocks = self._announced[first // _BLOCK_ROWS : (end - 1) // _BLOCK_ROWS + 1]
            if not blocks.all():
                blocks[:] = True
                start = (offset + first * width) // mmap.PAGESIZE * mmap.PAGESIZE
                mapped.madvise(mmap.MADV_WILLNEED, start, offset + end * width - start)

    @cached_property
    def _index(self) -> Any:  # noqa: ANN401 - an index as FAISS has it
        index = _read(self._path, _faiss.IO_FLAG_MMAP_IFC)
        _check(self._path, index, faiss.IndexScalarQuantizer, self._count, self._dim)
        if index.sq.qtype != faiss.ScalarQuantizer.QT_fp16 or index.code_size != 2 * self._dim:
            raise _damaged(self._path, "its vectors are not fp16")
        return index

    @cached_property
    def _mapped(self) -> tuple[npt.NDArray[np.float16], mmap.mmap]:
        """The stored vectors: the end of the file, behind their length in bytes."""
        assert self._index is not None  # which has checked what the file holds
        size = self._count * self._dim * 2
        with self._path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        offset = len(mapped) - size
        if offset < 8 or int.from_bytes(mapped[offset - 8 : offset], "little") != size:
            raise _damaged(self._path, "its vectors are not where they should be")
        codes = np.frombuffer(mapped, dtype="<f2", count=self._count * self._dim, offset=offset)
        return codes.reshape(self._count, self._dim), mapped


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


class InvertedFile:
    """Short codes of one segment's vectors, in lists around centres; a way to candidates.

    Args:
        path: inverted.faiss.
        count: Vectors that it must hold.
        dim: Their length.
    """

    def __init__(self, path: Path, *, count: int, dim: int) -> None:
        self._path = path
        self._count = count
        self._dim = dim

    def open(self) -> None:
        """Map the file now, so that threads find it mapped."""
        assert self._index is not None

    def candidates(
        self, query: npt.NDArray[np.float32], positions: RowRuns, k: int
    ) -> npt.NDArray[np.int64]:
        """Positions among which the k best are most likely found, to be scored exactly.

        More lists are probed, twice as many each time, until the selection has given as many
        candidates as are wanted.

        Args:
            query: float32, (dim,), unit length.
            positions: Within the segment; only these count.
            k: At least 1.

        Returns:
            int64, (n,), ascending; at least min(k, count) of them.

        Raises:
            IndexCorruptError: The file is damaged or holds something else.
            FileNotFoundError: It is gone: a writer may have replaced the segment.
        """
        index = self._index
        chosen = None if len(positions) == self._count else _selector(positions, self._count)
        asked = min(len(positions), max(_LEAST_CANDIDATES, _CANDIDATES_PER_HIT * k))
        probes = max(1, round(index.nlist * _PROBED_SHARE))
        while True:
            parameters = _faiss.IVFRaBitQSearchParameters(nprobe=probes, sel=chosen)
            _, found = index.search(query[None], asked, params=parameters)
            candidates = found[0][found[0] >= 0]
            if len(candidates) == asked or probes >= index.nlist:
                return np.sort(candidates)
            probes = min(2 * probes, index.nlist)

    @cached_property
    def _index(self) -> Any:  # noqa: ANN401 - an index as FAISS has it
        index = _read(self._path, _faiss.IO_FLAG_MMAP_IFC)
        _check(self._path, index, faiss.IndexIVFRaBitQ, self._count, self._dim)
        return index


def write_inverted(path: Path, stored: JoinedVectors, order: npt.NDArray[np.int64]) -> None:
    """Write a segment's inverted file.

    Centres are found by spherical k-means over a seeded sample; a code has one bit for each
    component of what lies between a vector and its centre (RaBitQ: Gao and Long, SIGMOD 2024).

    Args:
        path: File to write.
        stored: Vectors.
        order: Positions in `stored`, as the segment has them.
    """
    lists = max(1, round(math.sqrt(len(order))))
    index = faiss.IndexIVFRaBitQ(
        faiss.IndexFlatIP(stored.dim), stored.dim, lists, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.spherical = True
    index.cp.seed = _SEED
    sample = np.random.default_rng(_SEED).permutation(order)[: _SAMPLED_PER_LIST * lists]
    index.train(widened(stored.take(np.sort(sample))))
    for piece in stored.pieces(order):
        index.add(widened(piece))
    faiss.write_index(index, str(path))


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep FAISS to one core in the calling thread, which is what OpenMP's setting is for."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _selector(positions: RowRuns, count: int) -> Any:  # noqa: ANN401 - FAISS's own
    if len(positions.edges) == 1:
        first, end = positions.edges[0].tolist()
        return _faiss.IDSelectorRange(first, end)
    return _faiss.IDSelectorBitmap(np.packbits(positions.mask(count), bitorder="little"))


def _read(path: Path, flags: int) -> Any:  # noqa: ANN401 - an index as FAISS has it
    if not path.exists():
        raise FileNotFoundError(2, "No such file", str(path))
    try:
        return faiss.read_index(str(path), flags)
    except (RuntimeError, MemoryError) as error:  # a damaged length asks for any memory
        raise _damaged(path, "FAISS cannot read it") from error


def _check(path: Path, index: Any, kind: Any, count: int, dim: int) -> None:  # noqa: ANN401
    if type(index) is not kind:
        raise _damaged(path, f"it is no {kind.__name__}")
    if index.ntotal != count or index.d != dim:
        found = f"{index.ntotal} vectors of length {index.d}"
        raise _damaged(path, f"it holds {found}, not {count} of {dim}")
    if index.metric_type != faiss.METRIC_INNER_PRODUCT or not index.is_trained:
        raise _damaged(path, "it does not compare by inner product")


def _damaged(path: Path, why: str) -> IndexCorruptError:
    return IndexCorruptError(
        f"{path} is damaged: {why}; run `georclip verify`, "
        "then restore the folder from a copy or index its scenes again"
    )
