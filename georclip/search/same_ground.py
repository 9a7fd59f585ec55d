"""Which chips of two sets show the same ground, and how much of it both show.

Grids of two acquisitions need not line up: pixel sizes, extents and chip sizes differ. Ground that
is shared is measured as intersection over union in Lambert's cylindrical equal-area projection,
x = lon, y = sin(lat) (Snyder, Map Projections, USGS Professional Paper 1395, page 76): a share
means the same at every latitude, and is high only for chips of like size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import shapely

from georclip.geometry import equal_area

_Geometries = npt.NDArray[np.object_]
_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]

_AT_ONCE = 65_536
"""Outlines that are looked up together: bounds the candidates in memory."""


@dataclass(frozen=True, kw_only=True)
class ProjectedFootprints:
    """Footprints in an equal-area projection, taken apart where the date line splits them.

    Attributes:
        parts: (m,) polygons.
        owners: int64, (m,): the footprint that each is a part of, ascending.
        areas: float64, (n,): of whole footprints.
    """

    parts: _Geometries
    owners: _Ints
    areas: _Floats

    @cached_property
    def tree(self) -> shapely.STRtree:
        """A search tree over the parts."""
        return shapely.STRtree(self.parts)

    @cached_property
    def boxes(self) -> _Floats:
        """Bounds of the parts, (m, 4)."""
        return np.asarray(shapely.bounds(self.parts)).reshape(-1, 4)

    def __len__(self) -> int:
        """How many footprints."""
        return len(self.areas)

    def take(self, kept: npt.NDArray[np.bool_]) -> ProjectedFootprints:
        """Some of the footprints, bool (n,), numbered anew in their order."""
        numbers = np.cumsum(kept) - 1
        chosen = kept[self.owners]
        return ProjectedFootprints(
            parts=self.parts[chosen],
            owners=numbers[self.owners[chosen]],
            areas=self.areas[kept],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Pairs of footprints that share ground.

    Attributes:
        first: int64, (p,): footprint of the first set, ascending.
        second: int64, (p,): footprint of the second set.
        iou: float64, (p,): intersection over union, in (0, 1].
    """

    first: _Ints
    second: _Ints
    iou: _Floats


def project_footprints(footprints: _Geometries) -> ProjectedFootprints:
    """Project footprints.

    Args:
        footprints: (n,) polygons or multipolygons, EPSG:4326, split at the date line.
    """
    broken = ~shapely.is_valid(footprints)
    if broken.any():  # only an index from elsewhere holds such; intersections of them would raise
        footprints = footprints.copy()
        footprints[broken] = shapely.make_valid(footprints[broken])
    parts, owners = shapely.get_parts(footprints, return_index=True)
    parts = shapely.transform(parts, equal_area)
    areas: _Floats = np.bincount(
        owners, weights=shapely.area(parts), minlength=len(footprints)
    ).astype(np.float64)
    return ProjectedFootprints(parts=parts, owners=owners.astype(np.int64), areas=areas)


def joined(outlines: list[ProjectedFootprints]) -> ProjectedFootprints:
    """Sets one after the other, numbered on."""
    before = np.cumsum([0, *(len(one) for one in outlines)])
    owners = [one.owners + first for one, first in zip(outlines, before.tolist(), strict=False)]
    return ProjectedFootprints(
        parts=np.concatenate([np.empty(0, dtype=object), *(one.parts for one in outlines)]),
        owners=np.concatenate([np.empty(0, dtype=np.int64), *owners]),
        areas=np.concatenate([np.empty(0), *(one.areas for one in outlines)]),
    )


def shared_ground(
    first: ProjectedFootprints, second: ProjectedFootprints, *, least_iou: float
) -> Shared:
    """Pairs that share ground; the cost grows with the number of pairs that meet.

    Args:
        first: n footprints.
        second: m footprints, over which a search tree is laid.
        least_iou: Pairs with less are left out, in (0, 1].
    """
    found = [
        _shared(first, second, np.arange(start, min(start + _AT_ONCE, len(first.parts))), least_iou)
        for start in range(0, len(first.parts), _AT_ONCE)
    ]
    pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *(pair for pair, _ in found)])
    areas = np.concatenate([np.empty(0), *(area for _, area in found)])
    # A footprint that the date line splits meets another part by part: what they share adds up.
    keys, back = np.unique(pairs[:, 0] * max(len(second), 1) + pairs[:, 1], return_inverse=True)
    shared = np.bincount(back, weights=areas, minlength=len(keys))
    one, other = np.divmod(keys, max(len(second), 1))
    iou = shared / (first.areas[one] + second.areas[other] - shared)
    kept = iou >= least_iou
    return Shared(first=one[kept], second=other[kept], iou=np.minimum(iou[kept], 1.0))


def _shared(
    first: ProjectedFootprints, second: ProjectedFootprints, some: _Ints, least_iou: float
) -> tuple[_Ints, _Floats]:
    """(p, 2) footprints and the area that a part of each shares, of those that may share enough."""
    ours, theirs = second.tree.query(first.parts[some])
    ours = some[ours]
    one, other = first.owners[ours], second.owners[theirs]
    whole = first.areas[one] + second.areas[other]
    split = (first.areas[one] > shapely.area(first.parts[ours]) * (1 + 1e-9)) | (
        second.areas[other] > shapely.area(second.parts[theirs]) * (1 + 1e-9)
    )
    boxes, others = first.boxes[ours], second.boxes[theirs]
    sides = np.minimum(boxes[:, 2:], others[:, 2:]) - np.maximum(boxes[:, :2], others[:, :2])
    most = np.maximum(sides, 0.0).prod(axis=1)
    # No pair shares more than its boxes do, and intersections are what costs.
    likely = split | (most * (1 + 1e-9) >= least_iou * (whole - most))
    ours, theirs = ours[likely], theirs[likely]
    areas = shapely.area(shapely.intersection(first.parts[ours], second.parts[theirs]))
    return np.stack([one[likely], other[likely]], axis=1), areas
