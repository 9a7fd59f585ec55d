"""Sensor values to uint8 RGB: which bands, one stretch per scene, which pixels are valid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from georclip.errors import SceneError
from georclip.scenes.raster import Dataset
from georclip.values import Rendering

Stretch = Literal["auto", "none"] | tuple[float, float]
AUTO: Stretch = "auto"

Values = npt.NDArray[Any]
Bands = tuple[int, int, int]

PERCENTILES = (2.0, 98.0)
"""Shown as 0 and 255: robust against glint, fill and a few bright roofs."""
_WORK_VALUES = 256 * 1024
"""Values stretched at once: floats that stay in a core's cache."""

_NAMES = {
    "red": re.compile(r"^r$|\bred\b(?!\W*edge)", re.IGNORECASE),
    "green": re.compile(r"^g$|\bgreen\b", re.IGNORECASE),
    "blue": re.compile(r"^b$|\bblue\b", re.IGNORECASE),
}
_NUMBERED = re.compile(r"(?:^|[^A-Za-z0-9])(?:SR_|TOA_|sr_|toa_)?[Bb]0?(\d{1,2})(?![0-9A-Za-z])")
_NAMING_TAGS = ("NAME", "BANDNAME", "BAND_NAME", "COLOR", "COMMON_NAME", "STANDARD_NAME")
_WAVELENGTHS_UM = {"red": (0.62, 0.69), "green": (0.52, 0.6), "blue": (0.43, 0.52)}


def alpha_band(dataset: Dataset) -> int | None:
    """The 1-based alpha band, if there is one."""
    for band, meaning in enumerate(dataset.colorinterp, start=1):
        if meaning.name == "alpha":
            return band
    return None


def choose_bands(dataset: Dataset, asked: Sequence[int] | None = None) -> tuple[Bands, str]:
    """Choose the bands shown as red, green and blue.

    What is asked wins; then a palette, the colour interpretation, band names ("B04", "red", or a
    wavelength), and last the count: 1 or 2 bands are pan, 3 and 4 are taken as R,G,B(,NIR), 5 and
    more as a multispectral stack from short to long waves (B,G,R first).

    Returns:
        Three 1-based bands, and how they were found (`Rendering.bands_from`).

    Raises:
        SceneError: A band asked for does not exist.
    """
    if asked is not None:
        if len(asked) != 3 or not all(1 <= band <= dataset.count for band in asked):
            raise SceneError(
                f"bands {','.join(map(str, asked))} asked for, but the raster has "
                f"{dataset.count}: name three from 1 to {dataset.count}, such as 1,1,1"
            )
        return (asked[0], asked[1], asked[2]), "asked"
    meanings = [meaning.name for meaning in dataset.colorinterp]
    if meanings[0] == "palette":
        return (1, 1, 1), "palette"
    if {"red", "green", "blue"} <= set(meanings):
        red, green, blue = (meanings.index(name) + 1 for name in ("red", "green", "blue"))
        return (red, green, blue), "colour interpretation"
    named = _bands_by_name(dataset)
    if named is not None:
        return named, "description"
    count = len(meanings) - ("alpha" in meanings)
    if count <= 2:
        return (1, 1, 1), "count"
    return ((1, 2, 3) if count <= 4 else (3, 2, 1)), "count"


def palette_of(dataset: Dataset) -> npt.NDArray[np.uint8]:
    """A raster's colour table as (256 or more, 4) RGBA, by pixel value."""
    table = dataset.colormap(1)
    colours = np.zeros((max(256, max(table) + 1), 4), dtype=np.uint8)
    for value, colour in table.items():
        colours[value] = colour
    return colours


def find_stretch(
    values: Values,
    valid: npt.NDArray[np.bool_],
    bands: Bands,
    bands_from: str,
    asked: Stretch = AUTO,
) -> Rendering:
    """Find which sensor values become 0 and 255, once for a whole scene.

    Args:
        values: (3, height, width), sensor values of `bands` from all over the scene.
        valid: bool, (height, width).
        bands: Shown bands.
        bands_from: How they were found.
        asked: "auto" takes percentiles of the valid pixels and leaves 8-bit alone; "none" takes
            the range of an integer type and 0 to 1 of floats; or (low, high).

    Raises:
        SceneError: (low, high) is no interval.
    """
    if isinstance(asked, tuple):
        low, high = float(asked[0]), float(asked[1])
        if not (np.isfinite([low, high]).all() and low < high):
            raise SceneError(f"stretch {low:g},{high:g} is no interval: give LOW,HIGH, LOW < HIGH")
        return _rendering(bands, bands_from, [low] * 3, [high] * 3, "asked")
    kind = values.dtype
    if bands_from == "palette" or kind == np.uint8 or asked == "none":
        top = float(np.iinfo(kind).max) if np.issubdtype(kind, np.integer) else 1.0
        top = 255.0 if bands_from == "palette" else top
        return _rendering(bands, bands_from, [0.0] * 3, [top] * 3, "none")
    pixels = values[:, valid & ~_empty(values, valid)].astype(np.float64)
    lows, highs = np.percentile(pixels, PERCENTILES, axis=1)
    highs = np.where(highs > lows, highs, lows + np.maximum(1e-6 * np.abs(lows), 1e-12))
    return _rendering(bands, bands_from, lows.tolist(), highs.tolist(), "percentiles")


def is_untouched(dtype: npt.DTypeLike, rendering: Rendering) -> bool:
    """Say whether sensor values are shown as they are: 8 bits, no stretch, no palette."""
    plain = rendering.low == (0.0, 0.0, 0.0) and rendering.high == (255.0, 255.0, 255.0)
    return np.dtype(dtype) == np.uint8 and plain and rendering.bands_from != "palette"


def render(
    values: Values,
    rendering: Rendering,
    palette: npt.NDArray[np.uint8] | None = None,
    out: npt.NDArray[np.uint8] | None = None,
) -> npt.NDArray[np.uint8]:
    """Turn sensor values into what an encoder sees.

    Args:
        values: (3, height, width), sensor values of `rendering.bands`; not finite becomes 0.
        rendering: The scene's.
        palette: (n, 4), where `rendering.bands_from` is "palette".
        out: uint8, (3, height, width), to write to; any strides.

    Returns:
        uint8 RGB, (3, height, width): `out`, where that was given.
    """
    if palette is None and out is None and is_untouched(values.dtype, rendering):
        return values
    rendered = np.empty(values.shape, dtype=np.uint8) if out is None else out
    if palette is not None:
        inside = np.clip(values[0], 0, len(palette) - 1).astype(np.intp)
        rendered[:] = np.moveaxis(palette[inside, :3], -1, 0)
    elif is_untouched(values.dtype, rendering):
        rendered[:] = values
    else:
        for band, (low, high) in enumerate(zip(rendering.low, rendering.high, strict=True)):
            _stretch(values[band], low, high, rendered[band])
    return rendered


def _stretch(band: Values, low: float, high: float, shown: npt.NDArray[np.uint8]) -> None:
    """Show `low` as 0 and `high` as 255, some rows at a time; (height, width) both."""
    height, width = band.shape
    wide = abs(low) > 1e6 or band.dtype.itemsize > 4
    rows = min(height, max(1, _WORK_VALUES // max(1, width)))
    memory = np.empty((rows, width), dtype=np.float64 if wide else np.float32)
    for row in range(0, height, rows):
        work = memory[: min(rows, height - row)]
        np.copyto(work, band[row : row + rows])
        with np.errstate(invalid="ignore", over="ignore"):
            work -= low
            work *= 255.0 / (high - low)
            if not np.issubdtype(band.dtype, np.integer):
                np.nan_to_num(work, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
            np.clip(work, 0.0, 255.0, out=work)
            np.rint(work, out=work)
        np.copyto(shown[row : row + rows], work, casting="unsafe")


def valid_by_value(values: Values, nodata: Sequence[float | None]) -> npt.NDArray[np.bool_] | None:
    """Tell usable pixels by their values, as GDAL's dataset mask does.

    A pixel is nodata where every shown band is; a value that is not finite is never usable.

    Args:
        values: (bands, height, width).
        nodata: Nodata value per band, or None.

    Returns:
        bool, (height, width), or None where all are usable.
    """
    valid: npt.NDArray[np.bool_] | None = None
    if np.issubdtype(values.dtype, np.floating):
        valid = np.asarray(np.isfinite(values).all(axis=0))
    if any(value is None for value in nodata):
        return valid
    empty = np.ones(values.shape[1:], dtype=np.bool_)
    for band, value in zip(values, nodata, strict=True):
        empty &= _equals(band, float(value or 0.0))
    return ~empty if valid is None else valid & ~empty


def _equals(band: Values, value: float) -> npt.NDArray[np.bool_]:
    if np.isnan(value):
        return np.isnan(band) if np.issubdtype(band.dtype, np.floating) else np.zeros(1, np.bool_)
    if np.issubdtype(band.dtype, np.integer):
        info = np.iinfo(band.dtype)
        if value != int(value) or not info.min <= value <= info.max:
            return np.zeros(1, dtype=np.bool_)
        return np.asarray(band == band.dtype.type(int(value)))
    with np.errstate(invalid="ignore", over="ignore"):
        # Nodata such as -1.7e38 is often written with other roundings than it is declared with.
        return np.asarray(np.abs(band - value) <= 1e-6 * abs(value))


def _empty(values: Values, valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Pixels that are 0 in every band: fill that nobody declared, unless little else is there."""
    empty = np.asarray((values == 0).all(axis=0))
    return empty if (valid & ~empty).sum() > 0.01 * valid.sum() else np.zeros_like(empty)


def _rendering(
    bands: Bands, bands_from: str, low: list[float], high: list[float], stretch_from: str
) -> Rendering:
    return Rendering(
        bands=bands,
        low=(low[0], low[1], low[2]),
        high=(high[0], high[1], high[2]),
        bands_from=bands_from,
        stretch_from=stretch_from,
    )


def _bands_by_name(dataset: Dataset) -> Bands | None:
    found: dict[str, int] = {}
    numbers: dict[int, int] = {}
    for band in range(1, dataset.count + 1):
        tags = dataset.tags(band)
        names = [dataset.descriptions[band - 1] or ""]
        names += [text for key, text in tags.items() if key.upper() in _NAMING_TAGS]
        wave = _wavelength_um(dataset, band)
        for colour, pattern in _NAMES.items():
            lowest, highest = _WAVELENGTHS_UM[colour]
            if any(pattern.search(name.strip()) for name in names) or lowest <= wave < highest:
                found.setdefault(colour, band)
        for name in names:
            if numbered := _NUMBERED.search(name.strip()):
                numbers.setdefault(int(numbered[1]), band)
    if len(found) == 3:
        return found["red"], found["green"], found["blue"]
    # Landsat 4 to 7 have no band 6 beside the others and count from blue = 1; Landsat 8, 9 and
    # Sentinel-2 put coastal aerosol first.
    wanted = (3, 2, 1) if set(numbers) == {1, 2, 3, 4, 5, 7} else (4, 3, 2)
    if all(number in numbers for number in wanted):
        return numbers[wanted[0]], numbers[wanted[1]], numbers[wanted[2]]
    return None


def _wavelength_um(dataset: Dataset, band: int) -> float:
    """Central wavelength that a band's tags give, µm; 0 where they do not."""
    text = dataset.tags(band, ns="IMAGERY").get("CENTRAL_WAVELENGTH_UM")
    try:
        return float(text) if text is not None else 0.0
    except ValueError:
        return 0.0
