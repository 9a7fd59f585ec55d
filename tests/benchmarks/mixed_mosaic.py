"""Captioned pictures laid into one scene at two sizes: half of them twice as wide as the others.

A grid of blocks without gaps, in a seeded order: a block holds one large picture, or four small
ones. Block columns and rows are trimmed as those of `georclip.evaluation.mosaic` are, so that no
stride of chips lines up with pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from PIL import Image, ImageOps

from georclip.captions.records import CaptionedImage
from georclip.evaluation.mosaic import TRIM, UTM, Cell, Mosaic, grid_shape
from georclip.values import Window

_CENTER_M = (500_000.0, 5_000_000.0)


def lay_mixed(
    images: Sequence[CaptionedImage], path: Path, *, small_px: int, pixel_size_m: float, seed: int
) -> Mosaic:
    """Lay pictures into a GeoTIFF, every second one of a seeded order twice as wide.

    Args:
        images: At least two.
        path: Where to write; replaced where it exists.
        small_px: Side of a small picture before trimming, px.
        pixel_size_m: Ground side of a pixel, m.
        seed: Of sizes, places and trimming.
    """
    rng = np.random.default_rng(seed)
    blocks = _blocks(images, rng)
    rows, columns = grid_shape(len(blocks))
    order = np.resize(rng.permutation(len(blocks)), rows * columns)
    large_px = 2 * small_px
    least = int(np.ceil((1 - TRIM) * large_px))
    edges_x = np.cumsum([0, *rng.integers(least, large_px, size=columns, endpoint=True)])
    edges_y = np.cumsum([0, *rng.integers(least, large_px, size=rows, endpoint=True)])
    pixels = np.empty((int(edges_y[-1]), int(edges_x[-1]), 3), dtype=np.uint8)
    cells: list[Cell] = []
    for place, number in enumerate(order.tolist()):
        row, column = divmod(place, columns)
        block = Window(
            col_off=int(edges_x[column]),
            row_off=int(edges_y[row]),
            width=int(edges_x[column + 1] - edges_x[column]),
            height=int(edges_y[row + 1] - edges_y[row]),
        )
        held = blocks[number]
        windows = [block] if len(held) == 1 else _quarters(block)
        for image, window in zip(held, windows, strict=True):
            cells.append(Cell(image=image, window=window))
            _paint(pixels, image, window)
    height, width = pixels.shape[:2]
    left = _CENTER_M[0] - pixel_size_m * width / 2
    top = _CENTER_M[1] + pixel_size_m * height / 2
    transform = (pixel_size_m, 0.0, left, 0.0, -pixel_size_m, top)
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=3, dtype="uint8", crs=UTM,
        transform=Affine(*transform), photometric="RGB", tiled=True, blockxsize=512,
        blockysize=512, compress="deflate", predictor=2,
    ) as target:  # fmt: skip
        target.write(pixels.transpose(2, 0, 1))
    return Mosaic(
        path=path.absolute(), crs=UTM, transform=transform, width=width, height=height,
        cells=tuple(cells),
    )  # fmt: skip


def _blocks(
    images: Sequence[CaptionedImage], rng: np.random.Generator
) -> list[tuple[CaptionedImage, ...]]:
    """One large picture, or four small ones; the first are laid again where four lack some."""
    dealt = [images[number] for number in rng.permutation(len(images)).tolist()]
    large, small = dealt[::2], dealt[1::2]
    small += small[: -len(small) % 4]
    small += small[: -len(small) % 4]  # where there were fewer than four
    fours = [tuple(small[start : start + 4]) for start in range(0, len(small), 4)]
    return [*((one,) for one in large), *(four for four in fours if len(four) == 4)]


def _quarters(block: Window) -> list[Window]:
    width, height = block.width // 2, block.height // 2
    return [
        Window(
            col_off=block.col_off + right * width,
            row_off=block.row_off + below * height,
            width=block.width - width if right else width,
            height=block.height - height if below else height,
        )
        for below in (0, 1)
        for right in (0, 1)
    ]


def _paint(pixels: np.ndarray, image: CaptionedImage, window: Window) -> None:
    """Put a picture's middle into a window."""
    with Image.open(image.path) as opened:
        picture = opened.convert("RGB")
    size = (window.width, window.height)
    fitted = ImageOps.fit(picture, size, method=Image.Resampling.BICUBIC)
    rows = slice(window.row_off, window.row_off + window.height)
    pixels[rows, window.col_off : window.col_off + window.width] = np.asarray(fitted)
