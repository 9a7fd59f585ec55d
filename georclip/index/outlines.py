"""Where chips lie, how large and when: what ranks chips and joins those of one object, no more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.errors import IndexCorruptError
from georclip.index.catalog import Catalog
from georclip.index.chiptable import shapes_of
from georclip.index.sqlite_errors import MEND


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlines:
    """Chips of some rows, in their order, without what only a hit says.

    Attributes:
        chip_ids: Of each chip.
        scales: That each was cut at, float64, (n,).
        footprints: Polygons, (n,), EPSG:4326, split at the date line.
        scenes: Number of each chip's scene.
        acquired: When its scene was taken, as ISO 8601 in UTC, or None.
    """

    chip_ids: tuple[str, ...]
    scales: npt.NDArray[np.float64]
    footprints: npt.NDArray[np.object_]
    scenes: tuple[int, ...]
    acquired: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.chip_ids)


def read_outlines(catalog: Catalog, rows: npt.NDArray[np.int64]) -> Outlines:
    """Outlines of rows.

    Raises:
        GeorclipError: A row is no longer there.
        IndexCorruptError: A chip has no scene, or its footprint is damaged.
    """
    with catalog.snapshot():
        entries = catalog.outlines(rows)
        times = catalog.times({entry[0] for entry in entries})
    try:
        acquired = tuple(times[entry[0]] for entry in entries)
        scales = np.array([entry[2] for entry in entries], dtype=np.float64)
    except KeyError as error:
        raise IndexCorruptError(f"the catalog has chips without a scene; {MEND}") from error
    except (ValueError, TypeError) as error:
        raise IndexCorruptError(f"the catalog holds a damaged chip; {MEND}") from error
    return Outlines(
        chip_ids=tuple(entry[1] for entry in entries),
        scales=scales,
        footprints=shapes_of([entry[3] for entry in entries]),
        scenes=tuple(entry[0] for entry in entries),
        acquired=acquired,
    )
