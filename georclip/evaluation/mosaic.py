"""Captioned pictures laid side by side into one large georeferenced scene.

Pictures go in a seeded order, whatever their neighbours, onto a grid without gaps. Every column
and every row of the grid is trimmed by a seeded few percent: with equal cells, a stride that
divides them would cut each picture in the same way, and all chips would line up with pictures
or none would. Where the grid has more cells than there are pictures, the first ones are laid a
second time: a black rest would be an answer of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.warp
import shapely
from affine import Affine
from PIL import Image
from rasterio.enums import Resampling

from georclip.captions.pictures import decode_images
from georclip.captions.records import CaptionedImage
from georclip.errors import CaptionError, SceneError
from georclip.scenes.raster import GDAL_ERRORS, gdal_settings, reason
from georclip.values import Transform, Window

UTM = "EPSG:32631"
"""Where a scene lies unless told otherwise: UTM zone 31 north."""
TRIM = 0.1

_CENTER_M = (500_000.0, 5_000_000.0)
"""Easting and northing of a scene's middle: on a zone's central meridian, halfway to a pole."""
_MOST_ELONGATED = 2.0
_BLOCK_PX = 512
_WARP_MB = 64
_SAMPLED = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A picture's place in the scene.

    Attributes:
        image: What was laid there.
        window: Where, px of the scene as it was laid.
    """

    image: CaptionedImage
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosaic:
    """A laid scene: its cells cover it whole, and share no pixel.

    Attributes:
        path: The GeoTIFF: uint8 RGB.
        crs: As it was given.
        transform: Pixel to CRS units, m.
        width: Columns, px.
        height: Rows, px.
        cells: Row by row.
    """

    path: Path
    crs: str
    transform: Transform
    width: int
    height: int
    cells: tuple[Cell, ...]

    @property
    def pixel_size_m(self) -> float:
        """Side of a pixel in the CRS, m."""
        return self.transform[0]

    def boxes(self) -> npt.NDArray[np.object_]:
        """Outline of each cell in the scene's CRS, (cells,), m."""
        side, _, left, _, _, top = self.transform
        corners = np.array(
            [
                (w.col_off, w.row_off + w.height, w.col_off + w.width, w.row_off)
                for w in (cell.window for cell in self.cells)
            ],
            dtype=np.float64,
        )
        west, east = left + side * corners[:, 0], left + side * corners[:, 2]
        south, north = top - side * corners[:, 1], top - side * corners[:, 3]
        return np.asarray(shapely.box(west, south, east, north), dtype=np.object_)


def lay_mosaic(
    images: Sequence[CaptionedImage],
    path: Path,
    *,
    cell_px: int,
    pixel_size_m: float,
    seed: int = 0,
    trim: float = TRIM,
    crs: str = UTM,
) -> Mosaic:
    """Lay pictures into a tiled, compressed GeoTIFF, one row of the grid in memory at a time.

    Each picture's middle square is resampled to `cell_px`, and trimmed about its middle to its
    column's width and its row's height.

    Args:
        images: At least one.
        path: Where to write; replaced where it exists.
        cell_px: Side of an untrimmed cell, px.
        pixel_size_m: Ground side of a pixel, m.
        seed: Of the order and of the trimming.
        trim: Most of a cell's side that a column or row loses, in [0, 0.5].
        crs: A projected CRS in metres, UTM or like it.

    Raises:
        CaptionError: No pictures, or broken ones; those of one row of the grid are named.
        SceneError: The scene cannot be written.
    """
    _check_some(images)
    if cell_px < 1 or not 0 < pixel_size_m < float("inf") or not 0 <= trim <= 0.5:
        raise ValueError(f"no cells of {cell_px} px of {pixel_size_m} m, trimmed by {trim}")
    rng = np.random.default_rng(seed)
    rows, columns = grid_shape(len(images))
    order = np.resize(rng.permutation(len(images)), rows * columns)
    least = int(np.ceil((1 - trim) * cell_px))
    widths = rng.integers(least, cell_px, size=columns, endpoint=True)
    heights = rng.integers(least, cell_px, size=rows, endpoint=True)
    laid = [images[number] for number in order.tolist()]
    width, height = int(widths.sum()), int(heights.sum())
    left = _CENTER_M[0] - pixel_size_m * width / 2
    top = _CENTER_M[1] + pixel_size_m * height / 2
    mosaic = Mosaic(
        path=path.absolute(),
        crs=crs,
        transform=(pixel_size_m, 0.0, left, 0.0, -pixel_size_m, top),
        width=width,
        height=height,
        cells=tuple(
            Cell(image=image, window=window)
            for image, window in zip(laid, _windows(widths, heights), strict=True)
        ),
    )
    _write(mosaic, _grid_rows(laid, widths, heights, cell_px))
    return mosaic


def resample_scene(source: Path, target: Path, *, factor: float) -> None:
    """Write a scene again with pixels of another size, over the same ground.

    GDAL's cubic kernel is widened where pixels grow, so that nothing aliases. The new pixels
    fill the old outline exactly: their sides differ from `factor` times the old ones by at most
    half a new pixel over the whole scene.

    Args:
        source: From `lay_mosaic`.
        target: Where to write; replaced where it exists.
        factor: New pixel size over old; above 1 is coarser.

    Raises:
        SceneError: The scene cannot be read or written.
    """
    if not 0 < factor < float("inf"):
        raise ValueError(f"a factor of {factor} on the pixel size means nothing")
    try:
        with gdal_settings(str(source)), rasterio.open(source) as old:
            width, height = (max(1, round(side / factor)) for side in (old.width, old.height))
            fitted = old.transform @ Affine.scale(old.width / width, old.height / height)
            profile = _profile(width, height, old.crs, fitted)
            with rasterio.open(target, "w", **profile) as new:
                rasterio.warp.reproject(
                    source=rasterio.band(old, old.indexes),
                    destination=rasterio.band(new, old.indexes),
                    resampling=Resampling.cubic,
                    warp_mem_limit=_WARP_MB,
                )
    except GDAL_ERRORS as error:
        raise SceneError(f"{target}: cannot be written from {source} ({reason(error)})") from None


def grid_shape(count: int) -> tuple[int, int]:
    """Rows and columns of the grid for `count` pictures, at least 1.

    Of the grids at most twice as wide as they are high, the one with the fewest cells too many;
    of those, the squarest.
    """
    squarest = int(np.ceil(np.sqrt(count)))
    candidates = []
    for rows in range(1, squarest + 1):
        columns = -(-count // rows)
        if columns <= _MOST_ELONGATED * rows or rows == squarest:
            candidates.append((rows * columns - count, abs(columns - rows), rows, columns))
    _, _, rows, columns = min(candidates)
    return rows, columns


def usual_side_px(images: Sequence[CaptionedImage], *, most_px: int) -> int:
    """Median short side of a few dozen of the pictures, px, at most `most_px`.

    Raises:
        CaptionError: No pictures, or some of those are broken.
    """
    _check_some(images)
    sample = images[:: max(1, len(images) // _SAMPLED)]
    pictures = decode_images(sample, max_side_px=most_px, quiet=True)
    return int(np.median([min(picture.shape[:2]) for picture in pictures]))


def _check_some(images: Sequence[CaptionedImage]) -> None:
    if not images:
        raise CaptionError("there are no pictures to lay into a scene: name a split that has some")


def _windows(widths: npt.NDArray[np.integer], heights: npt.NDArray[np.integer]) -> Iterator[Window]:
    """Windows of the grid's cells, row by row."""
    lefts, tops = np.cumsum(widths) - widths, np.cumsum(heights) - heights
    for top, height in zip(tops.tolist(), heights.tolist(), strict=True):
        for left, width in zip(lefts.tolist(), widths.tolist(), strict=True):
            yield Window(col_off=left, row_off=top, width=width, height=height)


def _grid_rows(
    laid: Sequence[CaptionedImage],
    widths: npt.NDArray[np.integer],
    heights: npt.NDArray[np.integer],
    cell_px: int,
) -> Iterator[npt.NDArray[np.uint8]]:
    """Pixels of each row of the grid: uint8 (3, height, width of the scene)."""
    columns = len(widths)
    for number, height in enumerate(heights.tolist()):
        row = laid[number * columns : (number + 1) * columns]
        pictures = decode_images(row, max_side_px=4 * cell_px, quiet=True)
        cells = [
            _middle(_square(picture, cell_px), height, width)
            for picture, width in zip(pictures, widths.tolist(), strict=True)
        ]
        yield np.concatenate(cells, axis=1).transpose(2, 0, 1)


def _square(picture: npt.NDArray[np.uint8], side_px: int) -> npt.NDArray[np.uint8]:
    """A picture's middle square, resampled: uint8 (side_px, side_px, 3)."""
    short = min(picture.shape[:2])
    square = _middle(picture, short, short)
    if short == side_px:
        return square
    resized = Image.fromarray(square).resize((side_px, side_px), Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.uint8)


def _middle(picture: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """The middle of a picture: (height, width, 3)."""
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def _write(mosaic: Mosaic, rows: Iterator[npt.NDArray[np.uint8]]) -> None:
    """Write rows of pixels, whole rows of blocks at a time: a block written twice wastes space."""
    profile = _profile(mosaic.width, mosaic.height, mosaic.crs, Affine(*mosaic.transform))
    try:
        with gdal_settings(str(mosaic.path)), rasterio.open(mosaic.path, "w", **profile) as target:
            held = np.empty((3, 0, mosaic.width), dtype=np.uint8)
            written = 0
            for pixels in rows:
                held = np.concatenate([held, pixels], axis=1)
                whole = held.shape[1] // _BLOCK_PX * _BLOCK_PX
                last = written + held.shape[1] == mosaic.height
                ready = held.shape[1] if last else whole
                if ready:
                    area = rasterio.windows.Window(0, written, mosaic.width, ready)
                    target.write(held[:, :ready], window=area)
                    held, written = held[:, ready:], written + ready
    except GDAL_ERRORS as error:
        raise SceneError(f"{mosaic.path}: cannot be written ({reason(error)})") from None


def _profile(width: int, height: int, crs: Any, transform: Affine) -> dict[str, Any]:  # noqa: ANN401
    return {
        "driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8",
        "crs": crs, "transform": transform, "photometric": "RGB", "tiled": True,
        "blockxsize": _BLOCK_PX, "blockysize": _BLOCK_PX, "compress": "deflate", "predictor": 2,
        "bigtiff": "if_safer",
    }  # fmt: skip
