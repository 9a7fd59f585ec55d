"""Rows of chips, and where on the ground they lie: many are asked of PROJ at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from shapely import MultiPolygon, Polygon

from georclip.georeference import Georeference
from georclip.scenes.chips import Level, Run, chip_id
from georclip.values import Chip, Scene, Window

_PLACED_AT_ONCE = 512
"""Windows, at least, that PROJ is asked for in one call, which costs as much as dozens of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipRow:
    """One row of chips.

    Attributes:
        scene: Theirs.
        level: Theirs.
        row_off: First row of the scene that they show, px.
        keep_from: First row of the scene that they or later rows of chips show, px.
        columns: First columns of the scene that they show, px, from left to right.
        sheet: Rows that are placed together with this one.
        first: Number of the first chip in the sheet.
    """

    scene: Scene
    level: Level
    row_off: int
    keep_from: int
    columns: tuple[int, ...]
    sheet: _Sheet
    first: int

    def window(self, place: int) -> Window:
        """The window of a chip, by its number in the row."""
        return self.level.window(self.scene, self.columns[place], self.row_off)

    def areas(self) -> list[tuple[int, int, int, int]]:
        """(col_off, row_off, width, height) of every chip, px of the scene."""
        first = self.window(0)
        return [(col, self.row_off, first.width, first.height) for col in self.columns]

    def describe(self, place: int, valid_fraction: float) -> Chip | None:
        """A chip, by its number in the row; None where the CRS does not reach it."""
        footprint, gsd_m = self.sheet.placed(self.first + place)
        if footprint is None:
            return None
        window = self.window(place)
        return Chip(
            chip_id=chip_id(self.scene.scene_id, window, self.level.scale),
            scene_id=self.scene.scene_id,
            window=window,
            footprint=footprint,
            gsd_m=gsd_m,
            scale=self.level.scale,
            valid_fraction=valid_fraction,
        )


class _Sheet:
    """Rows of chips that are placed together, when the first of them is described."""

    def __init__(self, scene: Scene) -> None:
        self.rows: list[ChipRow] = []
        self.count = 0
        self._ground = Georeference(crs=scene.crs, transform=scene.transform)
        self._footprints: list[Polygon | MultiPolygon | None] = []
        self._gsds_m: list[float] = []

    def placed(self, number: int) -> tuple[Polygon | MultiPolygon | None, float]:
        """Footprint, None where the CRS does not reach it, and ground metres per pixel."""
        if not self._footprints:
            areas = [area for row in self.rows for area in row.areas()]
            self._footprints, gsds = self._ground.place(np.array(areas))
            self._gsds_m = gsds.tolist()
        return self._footprints[number], self._gsds_m[number]


def chip_rows(scene: Scene, run: Run) -> Iterator[ChipRow]:
    """The rows of a run, in the order in which they are cut."""
    earliest: list[int] = []
    for row_off, _ in reversed(run.rows):
        earliest.append(min(row_off, earliest[-1]) if earliest else row_off)
    sheet = _Sheet(scene)
    for (row_off, number), keep_from in zip(run.rows, reversed(earliest), strict=True):
        row = ChipRow(
            scene=scene,
            level=run.levels[number],
            row_off=row_off,
            keep_from=keep_from,
            columns=run.columns[number],
            sheet=sheet,
            first=sheet.count,
        )
        sheet.rows.append(row)
        sheet.count += len(row.columns)
        if sheet.count >= _PLACED_AT_ONCE:
            yield from sheet.rows
            sheet = _Sheet(scene)
    yield from sheet.rows
