"""One state of an index, as seen by whoever reads it: open segments and tombstones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from georclip.errors import GeorclipError
from georclip.index.catalog import Catalog
from georclip.index.files import Layout, missing
from georclip.index.pages import PageTable, gather_pages
from georclip.index.runs import RowRuns
from georclip.index.segments import Segment, open_segment

_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class View:
    """What can be searched. Without slots: what follows from it is kept once it is known.

    Attributes:
        generation: The catalog's commit that it shows.
        segments: In order of their rows.
        dead: Tombstones, int64, ascending.
    """

    generation: int
    segments: tuple[Segment, ...]
    dead: npt.NDArray[np.int64]

    @cached_property
    def live(self) -> RowRuns:
        """All rows whose chips were not removed."""
        spans = [RowRuns.span(s.record.first_row, s.record.end_row) for s in self.segments]
        return RowRuns.joined(spans).without(self.dead)

    @cached_property
    def pages(self) -> PageTable:
        """Boxes around the pages of all segments."""
        return gather_pages(self.segments)

    @cached_property
    def _spans(self) -> npt.NDArray[np.int64]:
        """(segments, 2): first row of each, and one behind its last."""
        spans = [(s.record.first_row, s.record.end_row) for s in self.segments]
        return np.array(spans, dtype=np.int64).reshape(-1, 2)

    def live_positions(self, segment: Segment) -> npt.NDArray[np.int64]:
        """Positions in a segment whose chips were not removed, ascending."""
        alive = np.ones(segment.record.row_count, dtype=np.bool_)
        alive[self._dead_in(segment)] = False
        return np.flatnonzero(alive).astype(np.int64)

    def only_live(
        self, segment: Segment, positions: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Those of ascending positions whose chips were not removed."""
        dead = self._dead_in(segment)
        if len(dead) == 0:
            return positions
        return positions[~np.isin(positions, dead, assume_unique=True)]

    def _dead_in(self, segment: Segment) -> npt.NDArray[np.int64]:
        first, end = segment.record.first_row, segment.record.end_row
        low, high = np.searchsorted(self.dead, [first, end])
        return self.dead[low:high] - first

    def split(self, rows: RowRuns) -> list[tuple[Segment, RowRuns]]:
        """Rows as positions per segment; segments without any are left out.

        Raises:
            GeorclipError: A row lies in no segment.
        """
        parts, found = [], 0
        spans = self._spans
        low = np.searchsorted(rows.edges[:, 1], spans[:, 0], side="right")
        high = np.searchsorted(rows.edges[:, 0], spans[:, 1], side="left")
        for number in np.flatnonzero(high > low).tolist():
            first, end = spans[number].tolist()
            parts.append((self.segments[number], rows.between(first, end)))
            found += len(parts[-1][1])
        if found != len(rows):
            raise GeorclipError(
                f"{len(rows) - found} rows are not in the index: "
                "it was changed meanwhile; ask again"
            )
        return parts


def open_view(layout: Layout, catalog: Catalog, dim: int, known: View | None = None) -> View:
    """Open the state that the catalog shows now.

    A writer may replace segments between the look at the catalog and the opening of the files:
    then the catalog is asked again.

    Args:
        layout: The index.
        catalog: Its catalog.
        dim: Length of a vector.
        known: An older view, whose segments stay open where they are still in use.

    Raises:
        IndexCorruptError: A file is missing or damaged.
    """
    opened = {segment.record: segment for segment in known.segments} if known else {}
    for attempt in range(_TRIES):
        with catalog.snapshot():
            generation = catalog.generation()
            records = catalog.segments()
            dead = catalog.tombstones()
        try:
            segments = tuple(
                opened.get(record) or open_segment(layout, record, dim) for record in records
            )
        except FileNotFoundError as error:
            if attempt + 1 < _TRIES and catalog.generation() != generation:
                continue
            raise missing(error.filename) from error
        return View(generation=generation, segments=segments, dead=dead)
    raise GeorclipError(f"{layout.root} changes too fast to be opened; try again")
