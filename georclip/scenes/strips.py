"""A sliding strip of rendered rows: each block is decoded once, however chips overlap."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor, Future

import numpy as np
import numpy.typing as npt

from georclip.scenes.pixels import Area, PixelReader

_PIECE_BYTES = 16 * 1024 * 1024
"""Sensor values read at once, as they come off the disk."""
_DECIMATED_PIECE_PX = 16_000_000
"""Pixels of the scene that one decimated read may go over."""

Pixels = npt.NDArray[np.uint8]
Valid = npt.NDArray[np.bool_]


def held_bytes(rows: int, width: int) -> int:
    """Memory that rendered rows take: three bytes of colour and one of validity a pixel."""
    return 4 * rows * width


class Strip:
    """Rows of one column range of a scene, decimated by a factor, sliding downwards.

    Attributes:
        first_row: The first row held, in decimated px of the scene.
        end_row: The row after the last one held.
    """

    def __init__(
        self,
        reader: PixelReader,
        *,
        col_off: int,
        width: int,
        factor: int,
        rows: int,
        ahead: Executor | None = None,
    ) -> None:
        """Set memory aside.

        Args:
            reader: Where pixels come from.
            col_off: First column, px of the scene, a multiple of `factor`.
            width: Columns, px of the scene.
            factor: Decimation.
            rows: Rows to hold, decimated px.
            ahead: Reads rows while others are cut, where there is room for them; nothing else may
                use `reader` then. None: rows are read when they are needed, as many as there is
                room for.
        """
        self._reader = reader
        self._col_off = col_off
        self._width = width
        self._factor = factor
        self._block_height, self._block_width = map(int, reader.dataset.block_shapes[0])
        self._scene_height = int(reader.dataset.height)
        self._last_row = math.ceil(self._scene_height / factor)
        self._rows = min(rows, self._last_row)
        across = math.ceil(width / factor)
        self._pixels: Pixels = np.empty((3, self._rows, across), dtype=np.uint8)
        self._valid: Valid | None = None
        if not reader.always_valid:
            self._valid = np.empty((self._rows, across), dtype=np.bool_)
        self._row_step, self._col_step = self._piece_shape()
        self._ahead = ahead
        self._coming: Future[int] | None = None
        self.first_row = 0
        self.end_row = 0

    @property
    def width(self) -> int:
        """Columns held, decimated px."""
        return int(self._pixels.shape[2])

    def hold(self, first: int, end: int) -> None:
        """Make rows available; those before may be forgotten.

        Args:
            first: First row still needed, decimated px; never moves up.
            end: The row after the last one needed now.

        Raises:
            SceneError: The file cannot be read there.
        """
        if end > self.end_row:
            self._receive()
        if end > self.end_row:
            self._forget(first)
            self.end_row = self._read(self.end_row, self._worth_reading(end))
        if self._ahead is not None and (self._coming is None or self._coming.done()):
            self._receive()
            self._read_ahead(self._ahead, first)

    def _receive(self) -> None:
        """Wait for what is being read."""
        if self._coming is not None:
            self.end_row, self._coming = self._coming.result(), None

    def _forget(self, first: int) -> None:
        """Move what is held from `first` on to the front. Nothing may be under way."""
        if first >= self.end_row:  # nothing held is needed, and what lies between is not read
            self.first_row = self.end_row = first
            return
        kept = slice(first - self.first_row, self.end_row - self.first_row)
        self._pixels[:, : kept.stop - kept.start] = self._pixels[:, kept]
        if self._valid is not None:
            self._valid[: kept.stop - kept.start] = self._valid[kept]
        self.first_row = first

    def _worth_reading(self, end: int) -> int:
        """How far to read at once: as far as there is room, or no farther than must be waited for.

        Stops between two blocks, where the need allows it.
        """
        full = min(self.first_row + self._rows, self._last_row)
        if self._ahead is not None:
            return min(max(end, self._step_after(end - 1)), full)
        if full == self._last_row:
            return full
        whole = full * self._factor // self._block_height * self._block_height
        return max(end, whole // self._factor)

    def _read_ahead(self, ahead: Executor, first: int) -> None:
        """Begin to read the next pieces, if they find room beside what is needed from `first`."""
        until = self._step_after(self.end_row)
        if until == self.end_row or until - first > self._rows:
            return
        if until - self.first_row > self._rows:
            self._forget(first)
        self._coming = ahead.submit(self._read, self.end_row, until)

    def _step_after(self, row: int) -> int:
        """The end of the piece that a row lies in, decimated px."""
        step = self._row_step // self._factor
        return min((row // step + 1) * step, self._last_row)

    def _read(self, first: int, end: int) -> int:
        for area in self._pieces(first, end):
            self._fill(area)
        return end

    def rows(self, row: int, height: int) -> tuple[Pixels, Valid | None]:
        """Views of held rows, (3, height, width), and of their validity.

        Args:
            row: First row, decimated px of the scene.
            height: Rows, decimated px.
        """
        rows = slice(row - self.first_row, row - self.first_row + height)
        return self._pixels[:, rows], None if self._valid is None else self._valid[rows]

    def _fill(self, area: Area) -> None:
        col, row, width, height = area
        shape = math.ceil(height / self._factor), math.ceil(width / self._factor)
        top = row // self._factor - self.first_row
        left = (col - self._col_off) // self._factor
        place = slice(top, top + shape[0]), slice(left, left + shape[1])
        _, valid = self._reader.read_rendered(area, shape, self._pixels[:, place[0], place[1]])
        if self._valid is not None:
            self._valid[place] = True if valid is None else valid

    def _pieces(self, first: int, end: int) -> Iterator[Area]:
        """Cut rows (decimated px) into reads along the file's blocks, px of the scene."""
        row_step, col_step = self._row_step, self._col_step
        row, stop = first * self._factor, min(end * self._factor, self._scene_height)
        right = self._col_off + self._width
        while row < stop:
            next_row = min((row // row_step + 1) * row_step, stop)
            col = self._col_off
            while col < right:
                next_col = min((col // col_step + 1) * col_step, right)
                yield col, row, next_col - col, next_row - row
                col = next_col
            row = next_row

    def _piece_shape(self) -> tuple[int, int]:
        """(rows, columns) of a read: whole blocks, multiples of the factor, of bounded size."""
        value_bytes = 4 * self._reader.dtype.itemsize
        most_px = _PIECE_BYTES // value_bytes if self._factor == 1 else _DECIMATED_PIECE_PX
        rows = math.lcm(min(self._block_height, self._scene_height), self._factor)
        cols = math.lcm(self._block_width, self._factor)
        if rows * cols > max(most_px, _DECIMATED_PIECE_PX):
            # One huge block (GDAL decodes it whole for every read): as few reads as there is room.
            return self._rows * self._factor, math.lcm(self._width, self._factor)
        if rows * self._width <= most_px:
            return rows * max(1, most_px // (rows * self._width)), self._last_column()
        return rows, cols * max(1, most_px // (rows * cols))

    def _last_column(self) -> int:
        return (self._col_off + self._width) * self._factor
