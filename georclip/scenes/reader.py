"""A scene's chips with their pixels, in a fixed order, within bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from georclip.errors import SceneError
from georclip.scenes.chips import Level, ResolvedPlan, Run, reading_runs, rows_held
from georclip.scenes.cutting import Cut, cut_row
from georclip.scenes.pixels import PixelReader
from georclip.scenes.placing import ChipRow, chip_rows
from georclip.scenes.quality import (
    fill_invalid,
    is_blank,
    is_saturated,
)
from georclip.scenes.raster import Dataset, open_raster
from georclip.scenes.strips import Pixels, Strip, Valid, held_bytes
from georclip.values import ChipImage, Scene, Window

_ONE_BLOCK_PX = 4_000_000
"""A compressed file that is one block is worth a note from this size on."""
_READ_AHEAD_BYTES = 96 * 1024 * 1024
"""Rows held where memory allows: fewer, longer reads, and the same memory for narrow scenes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipCounts:
    """Planned chips that were left out, by reason.

    Attributes:
        low_valid: Too few valid pixels, or off the Earth.
        blank: Nearly one colour.
        saturated: A quarter pure black or pure white (half, where the scene is stretched).
    """

    low_valid: int = 0
    blank: int = 0
    saturated: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.low_valid + self.blank + self.saturated


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChip:
    """A chip with its place in the plan.

    Attributes:
        number: From 0, over all planned chips of the scene, skipped ones included.
        image: The chip.
    """

    number: int
    image: ChipImage


class ChipReader:
    """Reads a scene's chips. The order is a function of scene and plan alone.

    Iterating opens the scene, and may be done once. Rows are read in the order of the file's
    blocks, once per decimation and column range, into a strip that chips are cut from.
    """

    def __init__(
        self,
        scene: Scene,
        resolved: ResolvedPlan,
        *,
        memory_bytes: int,
        max_side_px: int,
        start: int = 0,
        threads: int = 1,
    ) -> None:
        """Prepare to read.

        Args:
            scene: From `open_scene`, which has checked what its file may name.
            resolved: From `resolve_plan` for this scene.
            memory_bytes: Bound on the rows held. Where they would take more, chips are read
                window by window, and blocks more than once.
            max_side_px: Chips are handed out with sides of at most this.
            start: Planned number to go on from; nothing before it is decoded.
            threads: One reads when rows are needed, and leaves the other cores to an encoder on
                the CPU. More decode blocks side by side, while chips are cut from earlier ones.
        """
        self._scene = scene
        self._resolved = resolved
        self._memory_bytes = memory_bytes
        self._max_side_px = max_side_px
        self._start = start
        self._threads = threads
        self._skipped = SkipCounts()
        self._notes: list[str] = []

    @property
    def chips_total(self) -> int:
        """Planned chips in all, before any is skipped."""
        return self._resolved.chip_count

    @property
    def skipped(self) -> SkipCounts:
        """What was left out so far, from `start` on."""
        return self._skipped

    @property
    def notes(self) -> tuple[str, ...]:
        """What was out of the ordinary while reading, in words."""
        return tuple(self._notes)

    def __iter__(self) -> Iterator[PlannedChip]:
        """Read chips in planned order, without those that are skipped.

        Raises:
            SceneError: The file cannot be read, or is not what it was when the scene was opened.
        """
        uri = self._scene.uri
        with open_raster(uri, threads=self._threads) as dataset, self._reading_ahead() as ahead:
            self._check_unchanged(dataset)
            reader = PixelReader(dataset, uri, self._scene.rendering)
            number = 0
            for run in reading_runs(self._scene, self._resolved):
                if number + run.chip_count > self._start:
                    yield from self._read_run(reader, run, number, ahead)
                number += run.chip_count

    def _check_unchanged(self, dataset: Dataset) -> None:
        scene = self._scene
        if (dataset.width, dataset.height, dataset.count) != (
            scene.width,
            scene.height,
            scene.band_count,
        ):
            raise SceneError(f"{scene.uri}: has changed since it was opened: index it again")
        block_height, block_width = dataset.block_shapes[0]
        if (
            block_height >= scene.height
            and block_width >= scene.width
            and scene.width * scene.height > _ONE_BLOCK_PX
        ):
            self._note(
                "the file is one single block, which is decoded whole for each window read: "
                "slow, and more memory than asked for; gdal_translate -co TILED=YES helps"
            )

    @contextmanager
    def _reading_ahead(self) -> Iterator[Executor | None]:
        """The thread that reads while chips are cut. It is waited for before the file is closed."""
        if self._threads < 2:
            yield None
        else:
            with ThreadPoolExecutor(1, thread_name_prefix="georclip-decoder") as ahead:
                yield ahead

    def _read_run(
        self, reader: PixelReader, run: Run, number: int, ahead: Executor | None
    ) -> Iterator[PlannedChip]:
        """Cut a run's chips; `number` is that of its first one."""
        strip, left = self._strip(reader, run, ahead)
        factor = run.factor
        for row in chip_rows(self._scene, run):
            first, number = number, number + len(row.columns)
            if number <= self._start:
                continue
            if strip is not None:
                end = min(row.row_off + row.level.height_px, self._scene.height)
                strip.hold(row.keep_from // factor, math.ceil(end / factor))
            places = range(max(0, self._start - first), len(row.columns))
            cuts: Iterator[Cut]
            if strip is None:
                cuts = (self._read_alone(reader, row.level, row.window(at)) for at in places)
            else:
                cuts = cut_row(strip, row, places, left, factor)
            for place, cut in zip(places, cuts, strict=True):
                image = self._finish(row, place, cut)
                if image is not None:
                    yield PlannedChip(number=first + place, image=image)

    def _strip(
        self, reader: PixelReader, run: Run, ahead: Executor | None
    ) -> tuple[Strip | None, int]:
        """Memory for a run and its first column; None where chips must be read one by one."""
        scene, factor = self._scene, run.factor
        offsets = [col for columns in run.columns for col in columns]
        left = min(offsets) // factor * factor
        right = max(
            min(col + level.width_px, scene.width)
            for level, columns in zip(run.levels, run.columns, strict=True)
            for col in columns
        )
        across = math.ceil((right - left) / factor)
        needed = math.ceil(rows_held(scene, run.levels, list(run.rows)) / factor) + 2
        longest = max(max(level.width_px, level.height_px) for level in run.levels) / factor
        if longest > self._max_side_px or held_bytes(needed, across) > self._memory_bytes:
            self._note("too little memory for whole rows: read window by window, which is slower")
            return None, left
        block = min(reader.dataset.block_shapes[0][0], scene.height) // factor
        room = min(self._memory_bytes, _READ_AHEAD_BYTES) // held_bytes(1, across)
        rows = max(needed, min(needed + block, self._memory_bytes // held_bytes(1, across)), room)
        strip = Strip(
            reader, col_off=left, width=right - left, factor=factor, rows=rows, ahead=ahead
        )
        return strip, left

    def _read_alone(self, reader: PixelReader, level: Level, window: Window) -> Cut:
        """Read one window, decimated so that the chip keeps to the longest side allowed."""
        longest = max(level.width_px, level.height_px)
        factor = max(float(level.factor), longest / self._max_side_px)
        shape = max(1, round(window.height / factor)), max(1, round(window.width / factor))
        area = (window.col_off, window.row_off, window.width, window.height)
        pixels, valid = reader.read_rendered(area, shape)
        return Cut(pixels, valid, sound=False)

    def _finish(self, row: ChipRow, place: int, cut: Cut) -> ChipImage | None:
        """Make a chip of cut pixels, or count why not."""
        pixels, valid = cut.pixels, cut.valid
        fraction = 1.0 if valid is None else np.count_nonzero(valid) / valid.size
        if fraction == 1.0:
            valid = None
        if fraction == 0.0 or fraction < self._resolved.min_valid_fraction:
            self._skip(low_valid=1)
            return None
        pixels = pixels.copy()  # the chip's own, and in the core's cache for what follows
        if not cut.sound and not self._shows_something(pixels, valid):
            return None
        chip = row.describe(place, fraction)
        if chip is None:
            self._note("some chips lie off the Earth: counted as without valid pixels")
            self._skip(low_valid=1)
            return None
        level, window = row.level, chip.window
        scale = max(pixels.shape[1] / window.height, pixels.shape[2] / window.width)
        shape = (
            max(pixels.shape[1], round(level.height_px * scale)),
            max(pixels.shape[2], round(level.width_px * scale)),
        )
        if valid is None and pixels.shape[1:] == shape:
            return ChipImage(chip=chip, pixels=pixels, valid=_all_valid(shape))
        filled, known = fill_invalid(pixels, valid, shape)
        return ChipImage(chip=chip, pixels=filled, valid=known)

    def _shows_something(self, pixels: Pixels, valid: Valid | None) -> bool:
        """Say that a chip is neither saturated nor blank, or count it."""
        stretched = self._scene.rendering.stretch_from != "none"
        if is_saturated(pixels, valid, stretched=stretched):
            self._skip(saturated=1)
            return False
        if is_blank(pixels, valid):
            self._skip(blank=1)
            return False
        return True

    def _skip(self, *, low_valid: int = 0, blank: int = 0, saturated: int = 0) -> None:
        counts = self._skipped
        self._skipped = replace(
            counts,
            low_valid=counts.low_valid + low_valid,
            blank=counts.blank + blank,
            saturated=counts.saturated + saturated,
        )

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)


def read_chips(
    scene: Scene, resolved: ResolvedPlan, *, memory_bytes: int, max_side_px: int, start: int = 0
) -> Iterator[ChipImage]:
    """Read a scene's chips where neither counts nor numbers are wanted; see `ChipReader`."""
    reader = ChipReader(
        scene, resolved, memory_bytes=memory_bytes, max_side_px=max_side_px, start=start
    )
    for planned in reader:
        yield planned.image


@lru_cache(maxsize=16)
def _all_valid(shape: tuple[int, int]) -> Valid:
    """What most chips share, so nobody may write to it."""
    valid = np.ones(shape, dtype=np.bool_)
    valid.flags.writeable = False
    return valid
