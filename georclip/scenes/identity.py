"""What a raster holds, in 16 hex digits, wherever it lies."""

from __future__ import annotations

import hashlib
import math
import os
import random
from collections.abc import Iterator

import numpy as np
from rasterio.windows import Window as RasterWindow

from georclip.errors import SceneError
from georclip.scenes.access import is_remote
from georclip.scenes.raster import GDAL_ERRORS, Dataset, gdal_settings, reason

_SAMPLED_BLOCKS = 24
_LARGEST_SIDE_PX = 512


def scene_identity(dataset: Dataset, uri: str, *, full: bool = False) -> str:
    """Hash a raster: SHA-256 over size, header tags and a seeded sample of blocks.

    Args:
        dataset: The open raster.
        uri: Where it is; a local file's length counts, its name and times do not.
        full: Hash every block.

    Raises:
        SceneError: A block cannot be read.
    """
    digest = hashlib.sha256()
    length = 0 if is_remote(uri) or not os.path.isfile(uri) else os.path.getsize(uri)
    header = (
        (dataset.width, dataset.height, dataset.count, length),
        dataset.dtypes,
        tuple(dataset.transform)[:6],
        dataset.crs.to_wkt() if dataset.crs else "",
        [str(value) for value in dataset.nodatavals],
        [meaning.name for meaning in dataset.colorinterp],
        dataset.descriptions,
        sorted(dataset.tags().items()),
    )
    digest.update(repr(header).encode())
    areas = _all_areas(dataset) if full else _sampled_areas(dataset, digest.digest())
    try:
        with gdal_settings(uri):
            for window in areas:
                digest.update(np.ascontiguousarray(dataset.read(window=window)).data)
    except GDAL_ERRORS as error:
        raise SceneError(
            f"{uri}: its data cannot be read ({reason(error)}): the file may be truncated or "
            "damaged; fetch or write it again"
        ) from None
    return digest.hexdigest()[:16]


def _sampled_areas(dataset: Dataset, seed: bytes) -> Iterator[RasterWindow]:
    """A seeded sample of blocks, in file order; of a huge block, one piece."""
    block_height, block_width = dataset.block_shapes[0]
    across = math.ceil(dataset.width / block_width)
    count = across * math.ceil(dataset.height / block_height)
    chooser = random.Random(seed)
    chosen = sorted(chooser.sample(range(count), min(count, _SAMPLED_BLOCKS)))
    for number in chosen:
        row, col = divmod(number, across)
        col_off, row_off = col * block_width, row * block_height
        width = min(block_width, dataset.width - col_off)
        height = min(block_height, dataset.height - row_off)
        if width * height > 16 * _LARGEST_SIDE_PX**2:
            col_off += chooser.randrange(max(1, width - _LARGEST_SIDE_PX))
            row_off += chooser.randrange(max(1, height - _LARGEST_SIDE_PX))
            width, height = min(width, _LARGEST_SIDE_PX), min(height, _LARGEST_SIDE_PX)
        yield RasterWindow(col_off, row_off, width, height)


def _all_areas(dataset: Dataset) -> Iterator[RasterWindow]:
    """Every pixel, by rows of pieces that follow the blocks."""
    block_height, block_width = dataset.block_shapes[0]
    height = min(block_height, 4 * _LARGEST_SIDE_PX)
    width = min(max(block_width, 4 * _LARGEST_SIDE_PX // block_width * block_width), dataset.width)
    width = min(width, 16 * _LARGEST_SIDE_PX)
    for row in range(0, dataset.height, height):
        for col in range(0, dataset.width, width):
            yield RasterWindow(
                col, row, min(width, dataset.width - col), min(height, dataset.height - row)
            )
