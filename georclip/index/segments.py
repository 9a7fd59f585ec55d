"""Segments: folders of vectors and columns, written once and never changed.

Which rows go into which segment is decided here too: small commits are merged with their
neighbours so that sizes at least double from the newest to the older ones. A row is so written
about log2(n) times, and a million rows added one by one lie in a handful of files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from georclip.errors import IndexCorruptError
from georclip.index.columns import SegmentColumns, write_columns
from georclip.index.files import Layout, describe_file, remove_folder, sync_file
from georclip.index.joined import JoinedVectors
from georclip.index.locks import sync_folder
from georclip.index.records import SegmentRecord
from georclip.index.vectors import InvertedFile, VectorSegment, write_inverted, write_vectors

VECTORS_FILE = "vectors.faiss"
INVERTED_FILE = "inverted.faiss"

LISTED_ROWS = 250_000
"""Rows of an index from which on inverted files pay; below, every vector is compared."""
LEAST_LISTED = 16_384
"""Rows of one segment from which on its inverted file is quicker than a scan."""

_SEGMENT_BYTES = 128 << 20
"""Vectors of one segment, at most: writing one holds them in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A segment opened for reading.

    Attributes:
        record: Its number and range of rows.
        columns: Bounds and scenes.
        vectors: Embeddings.
        inverted: A quick way to the best of them, where `compact` has made one.
    """

    record: SegmentRecord
    columns: SegmentColumns
    vectors: VectorSegment
    inverted: InvertedFile | None

    def check(self) -> None:
        """Map every file, which sees that their headers are right.

        Raises:
            IndexCorruptError: One is damaged.
        """
        self.vectors.open()
        self.columns.check()
        if self.inverted is not None:
            self.inverted.open()

    @property
    def first_row(self) -> int:
        """First row of its range."""
        return self.record.first_row


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSource:
    """Rows that are to be written, wherever they lie now.

    Attributes:
        vectors: n stored vectors.
        bounds: float64, (n, 4), degrees.
        scenes: int64, (n,), scene numbers.
    """

    vectors: JoinedVectors
    bounds: npt.NDArray[np.float64]
    scenes: npt.NDArray[np.int64]


def open_segment(layout: Layout, record: SegmentRecord, dim: int) -> Segment:
    """Look at a segment's files; each is mapped into memory when it is first read.

    Raises:
        FileNotFoundError: A file is missing: a writer may just have replaced the segment.
        IndexCorruptError: A file has another size than on record.
    """
    folder = layout.segment(record.number)
    for file in record.files:
        size = (layout.root / file.name).stat().st_size
        if size != file.bytes:
            raise IndexCorruptError(
                f"{layout.root / file.name} has {size} bytes instead of {file.bytes}; "
                "restore the folder from a copy, or index its scenes again"
            )
    return Segment(
        record=record,
        columns=SegmentColumns(folder, count=record.row_count),
        vectors=VectorSegment(folder / VECTORS_FILE, count=record.row_count, dim=dim),
        inverted=InvertedFile(folder / INVERTED_FILE, count=record.row_count, dim=dim)
        if any(file.name.endswith(f"/{INVERTED_FILE}") for file in record.files)
        else None,
    )


def write_segment(
    layout: Layout,
    number: int,
    first_row: int,
    source: RowSource,
    order: npt.NDArray[np.int64],
    *,
    dim: int,
    with_lists: bool = False,
) -> SegmentRecord:
    """Write a segment, complete and synced before its folder has its name.

    Nobody knows the folder until a catalog transaction enters it.

    Args:
        layout: The index.
        number: A number never used before.
        first_row: Row of its first vector.
        source: Where the rows are taken from.
        order: Positions in `source`, in the order of the new rows.
        dim: Length of a vector.
        with_lists: Write an inverted file, too: seconds for 100,000 rows.
    """
    final = layout.segment(number)
    folder = final.with_name(final.name + ".tmp")
    for left_over in (folder, final):
        remove_folder(left_over)
    folder.mkdir(parents=True)
    vectors = folder / VECTORS_FILE
    write_vectors(vectors, source.vectors.pieces(order), dim)
    written = [vectors, *write_columns(folder, source.bounds[order], source.scenes[order])]
    if with_lists and len(order) >= LEAST_LISTED:
        written.append(folder / INVERTED_FILE)
        write_inverted(written[-1], source.vectors, order)
    for path in written:
        sync_file(path)
    sync_folder(folder)
    folder.rename(final)
    sync_folder(layout.segments)
    return SegmentRecord(
        number=number,
        first_row=first_row,
        row_count=len(order),
        files=tuple(describe_file(layout, final / path.name) for path in written),
    )


def segment_rows(dim: int) -> int:
    """Rows that a segment holds, at most."""
    return max(1024, _SEGMENT_BYTES // (2 * dim))


def slices(count: int, dim: int) -> Iterator[tuple[int, int]]:
    """Cut `count` rows into segments: (first, one behind the last) of each."""
    step = segment_rows(dim)
    for start in range(0, count, step):
        yield start, min(start + step, count)


def mergeable_tail(
    segments: Sequence[SegmentRecord], new_rows: int, next_row: int, dim: int
) -> tuple[SegmentRecord, ...]:
    """The newest segments that a commit of `new_rows` should be merged with, oldest first.

    Args:
        segments: In order of their rows.
        new_rows: Rows of the commit, at least 1.
        next_row: First row of the commit: only segments that end there can be joined.
        dim: Length of a vector.
    """
    tail: list[SegmentRecord] = []
    total, start = new_rows, next_row
    for segment in reversed(segments):
        joined = total + segment.row_count
        if segment.row_count >= 2 * total or joined > segment_rows(dim):
            break
        if segment.end_row != start:
            break
        tail.append(segment)
        total, start = joined, segment.first_row
    return tuple(reversed(tail))


def folders_on_disk(layout: Layout) -> list[Path]:
    """Everything in the folder of segments."""
    return sorted(layout.segments.iterdir()) if layout.segments.is_dir() else []


def remove_unknown_segments(layout: Layout, known: Sequence[SegmentRecord]) -> None:
    """Remove folders of segments that no catalog knows: left by a kill, or merged since.

    Only folders that are named like segments are touched, and only by the one writer.
    """
    names = {f"{segment.number:06d}" for segment in known}
    for folder in folders_on_disk(layout):
        stem = folder.name.removesuffix(".tmp")
        if stem.isdigit() and len(stem) >= 6 and folder.name not in names:
            remove_folder(folder)
