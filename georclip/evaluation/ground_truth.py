"""Which of a scene's cells a chip shows, by area on the ground, and how good a ranking is.

A chip is right for a question when cells that answer it cover more than half of the chip's
footprint: what holds the answer in a corner, beside other things, does not count. A chip stands
for one place: the cell that covers most of it, among the cells that make it right if it is. Of
the chips that stand for one place only the best ranked is an answer, right or wrong, as a list
of places is read: overlapping chips of one object count once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS, Transformer
from shapely.geometry.base import BaseGeometry

RIGHT_SHARE = 0.5
"""A chip is right when right cells cover more than this share of it."""
SLIVER_SHARE = 0.1
"""What covers less of a chip than this is not what the chip was taken for."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How chips and cells overlap.

    Entries are ordered by chip, and within a chip by share, largest first.

    Attributes:
        chips: Number of chips.
        cells: Number of cells.
        chip: int64, (n,): number of the chip.
        cell: int64, (n,): number of the cell.
        share: float64, (n,): part of the chip's footprint that the cell covers, in (0, 1].
    """

    chips: int
    cells: int
    chip: npt.NDArray[np.int64]
    cell: npt.NDArray[np.int64]
    share: npt.NDArray[np.float64]

    def largest_share(self) -> npt.NDArray[np.float64]:
        """Part of each chip that one cell covers at most: float64 in [0, 1], (chips,)."""
        largest = np.zeros(self.chips, dtype=np.float64)
        np.maximum.at(largest, self.chip, self.share)
        return largest

    @property
    def shown_cells(self) -> int:
        """Cells that cover more than half of some chip."""
        return len(np.unique(self.cell[self.share > RIGHT_SHARE]))

    def covered(self, right: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """Part of each chip that some cells cover.

        Args:
            right: bool, (cells,): which cells.

        Returns:
            float64 in [0, 1], (chips,).
        """
        weights = self.share * right[self.cell]
        return np.bincount(self.chip, weights, minlength=self.chips).astype(np.float64)

    def largest(self, among: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """The cell that covers most of each chip, of some cells.

        Args:
            among: bool, (cells,): which cells.

        Returns:
            int64, (chips,): number of the cell; -1 where none of them covers any of the chip.
        """
        kept = among[self.cell]
        chips, first = np.unique(self.chip[kept], return_index=True)
        largest = np.full(self.chips, -1, dtype=np.int64)
        largest[chips] = self.cell[kept][first]
        return largest


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Why answers were wrong, as shares of the answers looked at, each in [0, 1].

    Attributes:
        straddling: The chip holds some of what was wanted, and too little of it.
        mixed: It holds none of it, and parts of several cells.
        mistaken: It lies in one cell, up to slivers, and that is of another kind; or nothing
            was answered.
    """

    straddling: float
    mixed: float
    mistaken: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a question got, a place at a time, best first.

    Attributes:
        right: bool, (places,): whether the place was rightly named.
        wanted_share: float64 in [0, 1], (places,): part of the chip that names the place which
            right cells cover.
        largest_share: float64 in [0, 1], (places,): part of it that one cell covers at most.
        wanted: How many cells are right in all, at least 1.
    """

    right: npt.NDArray[np.bool_]
    wanted_share: npt.NDArray[np.float64]
    largest_share: npt.NDArray[np.float64]
    wanted: int

    def looked_at(self, k: int) -> int:
        """Answers that precision at k counts: no more than there are right ones to find."""
        return min(k, self.wanted)

    def precision(self, k: int) -> float:
        """Share of right places among the first min(k, wanted), in [0, 1]; none is a miss."""
        looked_at = self.looked_at(k)
        return float(self.right[:looked_at].sum() / looked_at)

    def losses(self, k: int) -> Losses:
        """Why others of the first min(k, wanted) are wrong: 1 less precision, in three parts."""
        looked_at = self.looked_at(k)
        wrong = ~self.right[:looked_at]
        held = self.wanted_share[:looked_at] >= SLIVER_SHARE
        several = self.largest_share[:looked_at] < 1.0 - SLIVER_SHARE
        straddling = int((wrong & held).sum())
        mixed = int((wrong & ~held & several).sum())
        right = int(self.right[:looked_at].sum())
        return Losses(
            straddling=straddling / looked_at,
            mixed=mixed / looked_at,
            mistaken=(looked_at - right - straddling - mixed) / looked_at,
        )

    def average_precision(self) -> float:
        """Mean over all right cells of the precision at the rank of each; 0 where never found."""
        ranks = np.flatnonzero(self.right) + 1
        return float((np.arange(1, len(ranks) + 1) / ranks).sum() / self.wanted)

    def found_by(self, k: int) -> bool:
        """Whether a right place is among the first k."""
        return bool(self.right[:k].any())


def measure_shares(
    footprints: Sequence[BaseGeometry], cells: npt.NDArray[np.object_], crs: str
) -> Shares:
    """Intersect chips with cells on the ground.

    Args:
        footprints: Of chips, EPSG:4326, as an index holds them.
        cells: Boxes in `crs`, (cells,), sharing no area.
        crs: A projected CRS in metres: areas are measured in its plane.
    """
    to_plane = Transformer.from_crs("EPSG:4326", CRS.from_user_input(crs), always_xy=True)
    chips = shapely.transform(
        np.array(footprints, dtype=np.object_),
        lambda lonlat: np.stack(to_plane.transform(lonlat[:, 0], lonlat[:, 1]), axis=1),
    )
    cell, chip = shapely.STRtree(chips).query(cells, predicate="intersects")
    share = shapely.area(shapely.intersection(chips[chip], cells[cell])) / shapely.area(chips[chip])
    kept = share > 0.0
    order = np.lexsort((cell[kept], -share[kept], chip[kept]))
    return Shares(
        chips=len(chips),
        cells=len(cells),
        chip=chip[kept][order].astype(np.int64),
        cell=cell[kept][order].astype(np.int64),
        share=share[kept][order].astype(np.float64),
    )


def judge(
    shares: Shares, ranked: npt.NDArray[np.integer], right_cells: npt.NDArray[np.bool_]
) -> Answers:
    """Judge a ranking of chips for one question.

    Args:
        shares: Of all chips of the scene.
        ranked: Numbers of chips, best first, each once.
        right_cells: bool, (cells,): which cells answer the question; at least one.

    Raises:
        ValueError: No cell answers it.
    """
    wanted = int(right_cells.sum())
    if wanted == 0:
        raise ValueError("a question that no cell answers has no figures")
    covered = shares.covered(right_cells)
    right = covered > RIGHT_SHARE
    anywhere = np.ones(shares.cells, dtype=np.bool_)
    place = np.where(right, shares.largest(right_cells), shares.largest(anywhere))
    _, first = np.unique(place[ranked], return_index=True)
    named = np.asarray(ranked)[np.sort(first)]  # the best chip of each place, best first
    return Answers(
        right=right[named],
        wanted_share=covered[named],
        largest_share=shares.largest_share()[named],
        wanted=wanted,
    )
