"""Where chips lie and when they were taken: what joins chips of one object, and no more."""

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
        footprints: Polygons, (n,), EPSG:4326, split at the date line.
        scenes: Number of each chip's scene.
        acquired: When its scene was taken, as ISO 8601 in UTC, or None.
    """

    chip_ids: tuple[str, ...]
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
        times = catalog.times({scene for scene, _, _ in entries})
    try:
        acquired = tuple(times[scene] for scene, _, _ in entries)
    except KeyError as error:
        raise IndexCorruptError(f"the catalog has chips without a scene; {MEND}") from error
    return Outlines(
        chip_ids=tuple(chip_id for _, chip_id, _ in entries),
        footprints=shapes_of([wkb for _, _, wkb in entries]),
        scenes=tuple(scene for scene, _, _ in entries),
        acquired=acquired,
    )
