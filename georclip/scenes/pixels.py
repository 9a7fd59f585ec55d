"""Reading rendered pixels, and which of them are valid, out of an open raster."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling
from rasterio.windows import Window as RasterWindow

from georclip.errors import SceneError
from georclip.scenes.raster import GDAL_ERRORS, Dataset, gdal_settings, reason
from georclip.scenes.rendering import (
    Values,
    alpha_band,
    is_untouched,
    palette_of,
    render,
    valid_by_value,
)
from georclip.values import Rendering

Area = tuple[int, int, int, int]
"""(col_off, row_off, width, height), px of the full-resolution raster."""


class BandReader:
    """Reads the shown bands of a raster, with the pixels that are valid.

    Valid follows GDAL's dataset mask, for the shown bands: an alpha band or an internal mask
    decides where there is one, else nodata values; values that are not finite never count.
    """

    def __init__(self, dataset: Dataset, uri: str, bands: tuple[int, int, int]) -> None:
        self.dataset = dataset
        self.uri = uri
        self.bands = bands
        self.dtype = np.dtype(dataset.dtypes[bands[0] - 1])
        flags = {flag.name for flag in dataset.mask_flag_enums[bands[0] - 1]}
        self._alpha = alpha_band(dataset)
        self._wanted = list(dict.fromkeys(bands))
        self._memory = np.empty(0, dtype=self.dtype)
        self._masked = self._alpha is None and "per_dataset" in flags
        by_value = self._alpha is None and not self._masked
        self._nodata = [dataset.nodatavals[band - 1] if by_value else None for band in bands]
        self.always_valid = (
            by_value and None in self._nodata and not np.issubdtype(self.dtype, np.floating)
        )

    @property
    def reads_as_shown(self) -> bool:
        """Three bands of one file, none twice, and no other to read with them."""
        return len(self._wanted) == 3 and self._alpha is None

    def read(
        self,
        area: Area,
        shape: tuple[int, int] | None = None,
        *,
        averaged: bool = True,
        out: Values | None = None,
    ) -> tuple[Values, npt.NDArray[np.bool_] | None]:
        """Read sensor values.

        Args:
            area: Inside the raster.
            shape: (height, width) to decimate to, through overviews where there are any.
            averaged: Average when decimating; else take the nearest pixel.
            out: Where to read to, `shape` of each band in the file that is needed: see `scratch`.

        Returns:
            (3, height, width), and bool (height, width) or None where all pixels are valid.

        Raises:
            SceneError: The data there cannot be read.
        """
        window = RasterWindow(*area)
        height, width = shape or (area[3], area[2])
        decimated = (height, width) != (area[3], area[2])
        how = Resampling.average if decimated and averaged else Resampling.nearest
        wanted = self._wanted
        bands = [*wanted, self._alpha] if self._alpha is not None else wanted
        place = {"out_shape": (len(bands), height, width)} if out is None else {"out": out}
        mask = None
        try:
            with gdal_settings(self.uri):
                read = self.dataset.read(bands, window=window, resampling=how, **place)
                if self._masked:
                    mask = self.dataset.read_masks(
                        self.bands[0], window=window, out_shape=(height, width)
                    )
        except GDAL_ERRORS as error:
            col, row, across, down = area
            raise SceneError(
                f"{self.uri}: cannot be read at columns {col} to {col + across - 1}, rows {row} "
                f"to {row + down - 1} ({reason(error)}): the file may be truncated or damaged; "
                "fetch or write it again"
            ) from None
        if self._alpha is not None:
            mask, read = read[-1], read[:-1]
        if len(wanted) == 3:
            values = read
        else:
            values = read[[wanted.index(band) for band in self.bands]]
        valid = valid_by_value(values, self._nodata)
        if mask is not None:
            valid = (mask > 0) if valid is None else valid & (mask > 0)
        return values, valid

    def scratch(self, shape: tuple[int, int]) -> Values:
        """Memory for one read, the same every time: (bands in the file, height, width)."""
        full = (len(self._wanted) + (self._alpha is not None), *shape)
        size = math.prod(full)
        if self._memory.size < size:
            self._memory = np.empty(size, dtype=self.dtype)
        return self._memory[:size].reshape(full)


class PixelReader(BandReader):
    """Reads pixels as an encoder sees them."""

    def __init__(self, dataset: Dataset, uri: str, rendering: Rendering) -> None:
        super().__init__(dataset, uri, rendering.bands)
        self.rendering = rendering
        self._palette = palette_of(dataset) if rendering.bands_from == "palette" else None

    def read_rendered(
        self,
        area: Area,
        shape: tuple[int, int] | None = None,
        out: npt.NDArray[np.uint8] | None = None,
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_] | None]:
        """Read uint8 RGB (3, height, width), into `out` if given, and valid pixels as `read` does.

        `out` may be part of a larger array. What is shown as it is in the file goes there at once.
        """
        memory = None
        if out is not None:
            height, width = shape or (area[3], area[2])
            straight = self.reads_as_shown and is_untouched(self.dtype, self.rendering)
            memory = out if straight else self.scratch((height, width))
        values, valid = self.read(area, shape, averaged=self._palette is None, out=memory)
        if self._palette is not None:
            opaque = self._palette[np.clip(values[0], 0, len(self._palette) - 1).astype(int), 3] > 0
            valid = opaque if valid is None else valid & opaque
        if values is out:
            return out, valid
        return render(values, self.rendering, self._palette, out), valid
