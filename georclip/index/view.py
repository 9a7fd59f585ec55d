"""One state of an index, as seen by whoever reads it: open segments and tombstones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.errors import GeorclipError, IndexCorruptError
from georclip.index.catalog import Catalog
from georclip.index.files import Layout
from georclip.index.segments import Segment, open_segment

_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What can be searched.

    Attributes:
        generation: The catalog's commit that it shows.
        segments: In order of their rows.
        dead: Tombstones, int64, ascending.
    """

    generation: int
    segments: tuple[Segment, ...]
    dead: npt.NDArray[np.int64]

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

    def split(self, rows: npt.NDArray[np.int64]) -> list[tuple[Segment, npt.NDArray[np.int64]]]:
        """Ascending rows as positions per segment; segments without any are left out.

        Raises:
            GeorclipError: A row lies in no segment.
        """
        parts = []
        found = 0
        for segment in self.segments:
            first, end = segment.record.first_row, segment.record.end_row
            low, high = np.searchsorted(rows, [first, end])
            if high > low:
                parts.append((segment, rows[low:high] - first))
                found += int(high - low)
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
            raise IndexCorruptError(
                f"{error.filename} is missing; restore the folder from a copy, "
                "or index its scenes again into a new one"
            ) from error
        return View(generation=generation, segments=segments, dead=dead)
    raise GeorclipError(f"{layout.root} changes too fast to be opened; try again")
