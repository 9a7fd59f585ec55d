"""Many chips as columns: what is staged, written to the catalog and read back.

A million chip objects take gigabytes; the same as arrays and WKB some hundred bytes each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from shapely import MultiPolygon, Polygon

from georclip.errors import IndexCorruptError
from georclip.geometry import geometry_bounds
from georclip.values import Chip, Window

_DIGEST_MODULUS = 1 << 256
_VERIFY = "run `georclip verify --full` to see which scenes to index again"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipTable:
    """Chips of one scene, one entry per chip in every field.

    Attributes:
        chip_ids: Stable ids.
        windows: int64, (n, 4): col_off, row_off, width, height, px.
        measures: float64, (n, 3): gsd_m, scale, valid_fraction.
        footprints: WKB, EPSG:4326.
    """

    chip_ids: tuple[str, ...]
    windows: npt.NDArray[np.int64]
    measures: npt.NDArray[np.float64]
    footprints: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.chip_ids)

    def take(self, order: npt.NDArray[np.int64]) -> ChipTable:
        """The chips at these positions, in this order."""
        positions = order.tolist()
        return ChipTable(
            chip_ids=tuple(self.chip_ids[position] for position in positions),
            windows=self.windows[order],
            measures=self.measures[order],
            footprints=tuple(self.footprints[position] for position in positions),
        )

    def bounds(self) -> npt.NDArray[np.float64]:
        """Bounds of the footprints, (n, 4), degrees; west > east crosses the date line."""
        return footprint_bounds(shapes_of(self.footprints))

    def chips(self, scene_ids: Iterable[str]) -> Iterator[Chip]:
        """The chips as values; `scene_ids` names the scene of each.

        Raises:
            IndexCorruptError: A footprint is damaged.
        """
        rows = zip(
            self.chip_ids,
            scene_ids,
            self.windows.tolist(),
            self.measures.tolist(),
            shapes_of(self.footprints),
            strict=True,
        )
        for chip_id, scene_id, (col, row, width, height), (gsd_m, scale, valid), shape in rows:
            if not isinstance(shape, Polygon | MultiPolygon):
                raise IndexCorruptError(f"the footprint of {chip_id} is no area; {_VERIFY}")
            yield Chip(
                chip_id=chip_id,
                scene_id=scene_id,
                window=Window(col_off=col, row_off=row, width=width, height=height),
                footprint=shape,
                gsd_m=gsd_m,
                scale=scale,
                valid_fraction=valid,
            )


def table_of(chips: Sequence[Chip]) -> ChipTable:
    """Chips as columns."""
    windows = [(c.window.col_off, c.window.row_off, c.window.width, c.window.height) for c in chips]
    measures = [(c.gsd_m, c.scale, c.valid_fraction) for c in chips]
    shapes = np.empty(len(chips), dtype=object)
    shapes[:] = [chip.footprint for chip in chips]
    return ChipTable(
        chip_ids=tuple(chip.chip_id for chip in chips),
        windows=np.array(windows, dtype=np.int64).reshape(-1, 4),
        measures=np.array(measures, dtype=np.float64).reshape(-1, 3),
        footprints=tuple(shapely.to_wkb(shapes, output_dimension=2)),
    )


def joined(tables: Sequence[ChipTable]) -> ChipTable:
    """Tables one after the other."""
    if not tables:
        return table_of(())
    return ChipTable(
        chip_ids=tuple(chip_id for table in tables for chip_id in table.chip_ids),
        windows=np.concatenate([table.windows for table in tables]),
        measures=np.concatenate([table.measures for table in tables]),
        footprints=tuple(wkb for table in tables for wkb in table.footprints),
    )


def shapes_of(footprints: Sequence[bytes]) -> npt.NDArray[np.object_]:
    """Footprints from WKB, (n,).

    Raises:
        IndexCorruptError: One is damaged.
    """
    try:
        return np.asarray(shapely.from_wkb(np.array(footprints, dtype=object)))
    except (shapely.GEOSException, TypeError) as error:
        raise IndexCorruptError(f"a footprint in the catalog is damaged; {_VERIFY}") from error


def footprint_bounds(shapes: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    """Bounds of many footprints at once.

    Args:
        shapes: (n,) polygons, or multipolygons where split at the date line.

    Returns:
        (n, 4) west, south, east, north; west > east crosses the date line.
    """
    bounds: npt.NDArray[np.float64] = shapely.bounds(shapes).reshape(-1, 4)
    split = np.flatnonzero(shapely.get_num_geometries(shapes) > 1)
    for position in split.tolist():
        bounds[position] = geometry_bounds(shapes[position])
    return bounds


def table_digest(table: ChipTable, vectors: npt.NDArray[np.float16]) -> int:
    """A digest of chips with their stored vectors that does not depend on their order.

    The SHA-256 of each chip, added up modulo 2**256: rows are renumbered when an index is
    compacted, and a scene's digest stays. It finds damage, not intent.

    Args:
        table: n chips.
        vectors: float16, (n, dim), as stored.
    """
    total = 0
    for position, chip_id in enumerate(table.chip_ids):
        chip = hashlib.sha256(chip_id.encode() + b"\0")
        chip.update(np.ascontiguousarray(table.windows[position], dtype="<i8").tobytes())
        chip.update(np.ascontiguousarray(table.measures[position], dtype="<f8").tobytes())
        chip.update(table.footprints[position])
        chip.update(np.ascontiguousarray(vectors[position], dtype="<f2").tobytes())
        total += int.from_bytes(chip.digest())
    return total % _DIGEST_MODULUS


def digest_text(total: int) -> str:
    """A digest as 64 hex digits."""
    return f"{total % _DIGEST_MODULUS:064x}"
