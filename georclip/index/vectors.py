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
from georclip.index.scores import coarse_error, widened
from georclip.index.stored import StoredVectors

_faiss: Any = faiss  # its stubs describe the C++ constructors, not those of Python

_GATHER_ROWS = 512
"""Selections up to this many rows are scored directly; a scan would look at every bit."""

_WIDEST_GAP = 8_192
"""Rows that a scan passes over rather than starting anew behind them."""

_PROBED_SHARE = 0.2
"""Part of a segment's lists that is looked into at first."""
_LEAST_CANDIDATES = 100
"""Candidates that a segment names, at least."""
_CANDIDATES_PER_HIT = 10
"""The same, for each of the k that are wanted."""
_CODE_BITS = 2
"""For each component of a vector; with one, three times as many candidates are needed."""
_SAMPLED_PER_LIST = 64
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

    @property
    def codes(self) -> npt.NDArray[np.float16]:
        """The stored vectors, float16, (n, dim), read-only, on disk.

        Raises:
            IndexCorruptError: The file is damaged or holds something else (so for all methods).
            FileNotFoundError: It is gone: a writer may have replaced the segment.
        """
        return self._stored.codes

    def open(self) -> None:
        """Map the file now, so that threads find it mapped."""
        self._stored.address(0)

    def take(self, positions: RowRuns) -> npt.NDArray[np.float16]:
        """Stored vectors at some positions, float16, (n, dim)."""
        self._stored.announce(positions)
        return np.asarray(self._stored.codes[positions.rows()])

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
        if len(positions) <= max(_GATHER_ROWS, k):
            candidates = positions.rows()
        else:
            self._stored.announce(positions)
            candidates = self._scan(query, positions, k)
        scores = self.scores(query, candidates)
        if len(candidates) <= k:
            return candidates, scores
        kept = scores >= np.partition(scores, len(scores) - k)[len(scores) - k]
        return candidates[kept], scores[kept]

    def scores(
        self, query: npt.NDArray[np.float32], positions: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Exact scores of vectors, float32 (n,), at positions int64 (n,), ascending."""
        return self._stored.scores(query, positions)

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
        window = faiss.IndexScalarQuantizer(
            self._dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        window.codes = _faiss.MaybeOwnedVectorUInt8.create_view(
            faiss.cast_integer_to_void_ptr(self._stored.address(first)),
            (end - first) * index.code_size,
            index.codes.owner,
        )
        window.ntotal = end - first
        return window

    @cached_property
    def _index(self) -> Any:  # noqa: ANN401 - an index as FAISS has it
        index = _read(self._path, _faiss.IO_FLAG_MMAP_IFC)
        _check(self._path, index, faiss.IndexScalarQuantizer, self._count, self._dim)
        if index.sq.qtype != faiss.ScalarQuantizer.QT_fp16 or index.code_size != 2 * self._dim:
            raise _damaged(self._path, "its vectors are not fp16")
        return index

    @cached_property
    def _stored(self) -> StoredVectors:
        index = self._index  # which has checked what the file holds
        try:
            return StoredVectors(self._path, count=index.ntotal, dim=index.d)
        except ValueError as error:
            raise _damaged(self._path, str(error)) from error


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
        self._index.is_trained  # noqa: B018 - maps it

    def candidates(
        self, query: npt.NDArray[np.float32], positions: RowRuns, k: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Positions among which the k best are most likely found, and what they may score.

        More lists are probed, twice as many each time, until the selection has given as many
        candidates as are wanted.

        Args:
            query: float32, (dim,), unit length.
            positions: Within the segment; only these count.
            k: At least 1.

        Returns:
            int64, (n,), at least k of them or all, and estimates of scores, float32, (n,).

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
            try:
                estimates, found = index.search(query[None], asked, params=parameters)
            except RuntimeError as error:
                raise _damaged(self._path, "FAISS cannot search it") from error
            if (found[0] >= 0).all():
                self._check_found(found[0])
                return found[0], estimates[0]
            if probes >= index.nlist:  # every list was looked into, and all rows are in lists
                raise _damaged(self._path, "its lists lack rows")
            probes = min(2 * probes, index.nlist)

    @cached_property
    def _index(self) -> Any:  # noqa: ANN401 - an index as FAISS has it
        index = _read(self._path, _faiss.IO_FLAG_MMAP_IFC)
        _check(self._path, index, faiss.IndexIVFRaBitQ, self._count, self._dim)
        centres = faiss.downcast_index(index.quantizer)
        if type(centres) is not faiss.IndexFlatIP or index.nlist < 1:
            raise _damaged(self._path, "its centres are no flat index")
        _check(self._path, centres, faiss.IndexFlatIP, index.nlist, self._dim)
        if not np.isfinite(centres.reconstruct_n(0, index.nlist)).all():
            raise _damaged(self._path, "a centre is not finite")
        expected = _faiss.RaBitQuantizer(self._dim, faiss.METRIC_INNER_PRODUCT, _CODE_BITS)
        if index.code_size != expected.code_size or index.rabitq.nb_bits != _CODE_BITS:
            raise _damaged(self._path, "its codes are of another size")
        lists = index.invlists
        if lists.nlist != index.nlist or lists.code_size != index.code_size:
            raise _damaged(self._path, "its lists are not those of its centres")
        if sum(lists.list_size(number) for number in range(index.nlist)) != self._count:
            raise _damaged(self._path, "its lists do not hold every vector")
        return index

    def _check_found(self, positions: npt.NDArray[np.int64]) -> None:
        """Ids are what the file says: see that they are positions, each once."""
        if positions.max() >= self._count or len(np.unique(positions)) != len(positions):
            raise _damaged(self._path, "its lists name rows that are not there, or one twice")


def write_inverted(path: Path, stored: JoinedVectors, order: npt.NDArray[np.int64]) -> None:
    """Write a segment's inverted file.

    Centres are found by spherical k-means over a seeded sample; a code has two bits for each
    component of what lies between a vector and its centre (extended RaBitQ: Gao and others,
    SIGMOD 2025).

    Args:
        path: File to write.
        stored: Vectors.
        order: Positions in `stored`, as the segment has them.
    """
    lists = min(len(order), round(2 * math.sqrt(len(order))))
    index = _faiss.IndexIVFRaBitQ(
        faiss.IndexFlatIP(stored.dim),
        stored.dim,
        lists,
        faiss.METRIC_INNER_PRODUCT,
        True,  # the lists are its own
        _CODE_BITS,
    )
    index.cp.spherical = True
    index.cp.niter = 10
    index.cp.min_points_per_centroid = 1  # or FAISS warns on stderr
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
    path.open("rb").close()  # FAISS does not say why a file cannot be opened
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
