"""Reading chips the plain way, one window at a time: what `ChipReader` must give to the pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window as RasterWindow

from georclip.georeference import Georeference
from georclip.scenes.chips import ResolvedPlan, chip_id, chip_windows
from georclip.scenes.quality import BLANK_SHARE, CLIPPED_SHARE, SATURATED_SHARE
from georclip.values import Chip, Rendering, Scene

Pixels = npt.NDArray[np.uint8]
Valid = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PlainChip:
    """A chip, or the reason why there is none: "low_valid", "saturated" or "blank"."""

    number: int
    reason: str
    chip: Chip | None
    pixels: Pixels
    valid: Valid


def plain_chips(scene: Scene, resolved: ResolvedPlan) -> Iterator[PlainChip]:
    """Every planned chip of a scene that is not decimated and not smaller than a chip."""
    ground = Georeference(crs=scene.crs, transform=scene.transform)
    with rasterio.open(scene.uri) as file:
        for number, (window, scale) in enumerate(chip_windows(scene, resolved)):
            area = RasterWindow(window.col_off, window.row_off, window.width, window.height)
            values = file.read(list(scene.rendering.bands), window=area)
            valid = file.dataset_mask(window=area) > 0
            pixels = plain_render(values, scene.rendering)
            fraction = float(valid.mean())
            stretched = scene.rendering.stretch_from != "none"
            reason = ""
            if fraction == 0.0 or fraction < resolved.min_valid_fraction:
                reason = "low_valid"
            elif plainly_saturated(pixels, valid, stretched=stretched):
                reason = "saturated"
            elif plainly_blank(pixels, valid):
                reason = "blank"
            chip = None
            if not reason:
                place = (window.col_off, window.row_off, window.width, window.height)
                middle = window.col_off + window.width / 2, window.row_off + window.height / 2
                chip = Chip(
                    chip_id=chip_id(scene.scene_id, window, scale),
                    scene_id=scene.scene_id,
                    window=window,
                    footprint=ground.footprint(place),
                    gsd_m=ground.gsd_m(*middle),
                    scale=scale,
                    valid_fraction=fraction,
                )
                mean = pixels[:, valid].mean(axis=1)
                pixels[:, ~valid] = np.rint(mean).astype(np.uint8)[:, None]
            yield PlainChip(number, reason, chip, pixels, valid)


def plain_render(values: npt.NDArray[np.generic], rendering: Rendering) -> Pixels:
    """Stretch all values at once, in float32 where it can hold them."""
    shown = np.empty(values.shape, dtype=np.uint8)
    for band, (low, high) in enumerate(zip(rendering.low, rendering.high, strict=True)):
        wide = abs(low) > 1e6 or values.dtype.itemsize > 4
        work = values[band].astype(np.float64 if wide else np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            work = (work - low) * (255.0 / (high - low))
        work = np.nan_to_num(work, nan=0.0, posinf=255.0, neginf=0.0)
        shown[band] = np.rint(np.clip(work, 0.0, 255.0))
    return shown


def plainly_saturated(pixels: Pixels, valid: Valid, *, stretched: bool) -> bool:
    """The share of pixels that are black or white in every band."""
    flat = (pixels.max(axis=0) <= 2) | (pixels.min(axis=0) >= 253)
    return bool(flat[valid].mean() >= (CLIPPED_SHARE if stretched else SATURATED_SHARE))


def plainly_blank(pixels: Pixels, valid: Valid) -> bool:
    """The share of pixels within one step of the median."""
    colours = pixels[:, valid].astype(np.int16)
    around = np.median(colours, axis=1).astype(np.int16)
    close = (np.abs(colours - around[:, None]) <= 1).all(axis=0)
    return bool(close.mean() >= BLANK_SHARE)
