"""One chip as a picture: its window with some ground around it, square on the ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from georclip.errors import SceneError
from georclip.export.records import HitRecord
from georclip.export.sheet.encoding import data_uri
from georclip.georeference import Georeference
from georclip.scenes.pixels import PixelReader
from georclip.scenes.raster import GDAL_ERRORS, reason

SIDE_PX = 320
"""Longest side of a picture."""
AROUND = 0.2
"""Share of the chip's side that is shown around it on every side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipPicture:
    """What is shown of a chip.

    Attributes:
        source: A data URI; "" where there is no picture.
        problem: Why there is none, in words.
        window: Left, top, width and height of the chip in its picture, as shares of its sides.
        north_deg: Where north is in the picture, degrees clockwise from up; None: unknown.
        across_m: Ground side of the chip, m.
    """

    source: str
    problem: str
    window: tuple[float, float, float, float]
    north_deg: float | None
    across_m: float


def no_picture(problem: str) -> ChipPicture:
    """A placeholder that says why."""
    return ChipPicture(source="", problem=problem, window=(0, 0, 1, 1), north_deg=None, across_m=0)


def read_chip(
    reader: PixelReader, record: HitRecord, place: Georeference, *, most_bytes: int
) -> ChipPicture:
    """Read a hit's window and what is around it; a placeholder where that cannot be read.

    Args:
        reader: Of the hit's scene.
        record: The hit.
        place: Ties the scene to the ground.
        most_bytes: Of the data URI.
    """
    try:
        return _read(reader, record, place, most_bytes)
    except SceneError as error:
        return no_picture(str(error).removeprefix(f"{reader.uri}: "))
    except GDAL_ERRORS as error:
        return no_picture(reason(error))


def _read(
    reader: PixelReader, record: HitRecord, place: Georeference, most_bytes: int
) -> ChipPicture:
    middle_col = record.col_off + record.width / 2
    middle_row = record.row_off + record.height / 2
    gsd_x, gsd_y = place.axis_gsd_m(middle_col, middle_row)
    if not (math.isfinite(gsd_x) and math.isfinite(gsd_y) and gsd_x > 0 and gsd_y > 0):
        gsd_x = gsd_y = record.gsd_m or 1.0
    across_m = max(record.width * gsd_x, record.height * gsd_y)
    side_m = across_m * (1 + 2 * AROUND)
    if not math.isfinite(side_m / gsd_x + side_m / gsd_y + abs(middle_col) + abs(middle_row)):
        raise SceneError("the chip has no size that can be shown")
    cols, rows = side_m / gsd_x, side_m / gsd_y  # the picture's own sides, px of the scene
    left = _held(middle_col - cols / 2, cols, reader.dataset.width)
    top = _held(middle_row - rows / 2, rows, reader.dataset.height)
    side = min(SIDE_PX, max(1, round(max(cols, rows))))
    first = max(0, math.floor(left)), max(0, math.floor(top))
    last = (
        min(reader.dataset.width, math.ceil(left + cols)),
        min(reader.dataset.height, math.ceil(top + rows)),
    )
    if last[0] <= first[0] or last[1] <= first[1]:
        raise SceneError("the chip lies outside of the file, which has changed since")
    area = (first[0], first[1], last[0] - first[0], last[1] - first[1])
    # where the part inside the scene lies on the square picture
    x0, x1 = (round((edge - left) / cols * side) for edge in (first[0], last[0]))
    y0, y1 = (round((edge - top) / rows * side) for edge in (first[1], last[1]))
    x0, y0, x1, y1 = max(0, x0), max(0, y0), min(side, x1), min(side, y1)
    shape = max(1, y1 - y0), max(1, x1 - x0)
    pixels, known = reader.read_rendered(area, shape)
    canvas = np.zeros((3, side, side), dtype=np.uint8)
    valid = np.zeros((side, side), dtype=np.bool_)
    inside = slice(y0, y0 + shape[0]), slice(x0, x0 + shape[1])
    canvas[:, inside[0], inside[1]] = pixels
    valid[inside] = True if known is None else known
    return ChipPicture(
        source=data_uri(canvas, valid, most_bytes=most_bytes),
        problem="",
        window=(
            (record.col_off - left) / cols,
            (record.row_off - top) / rows,
            record.width / cols,
            record.height / rows,
        ),
        north_deg=_north(place, middle_col, middle_row, rows / 2),
        across_m=across_m,
    )


def _held(start: float, length: float, whole: float) -> float:
    """Move a stretch into a whole that has room for it: at an edge, the ground is to one side."""
    return min(max(start, 0.0), whole - length) if -length < start < whole >= length else start


def _north(place: Georeference, col: float, row: float, step_px: float) -> float | None:
    """Where north lies seen from a pixel: degrees clockwise from up, px square on the ground."""
    lon, lat = place.lonlat([col, col, col], [row, row - step_px, row + step_px])
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):  # far off the projection
        return None
    east = ((lon[1] - lon[2] + 180.0) % 360.0 - 180.0) * math.cos(math.radians(float(lat[0])))
    bearing = math.degrees(math.atan2(east, lat[1] - lat[2]))  # of what is up
    return -bearing if math.isfinite(bearing) else None
