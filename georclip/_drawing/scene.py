"""The whole demo scene: what lies where, painted in order, then seen through a camera."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from georclip._drawing.airport import draw_airport
from georclip._drawing.canvas import SUPERSAMPLING, Box, Canvas, Thing, noise
from georclip._drawing.country import draw_farmland, draw_forest, scatter_trees
from georclip._drawing.harbor import draw_harbor
from georclip._drawing.industry import draw_tanks
from georclip._drawing.terrain import paint_terrain, river_y_m
from georclip._drawing.town import draw_housing, draw_roads, draw_stadium

WIDTH_M, HEIGHT_M = 3000.0, 2400.0

_BRIDGE_X_M = 1845.0

PLACES: dict[str, Box] = {
    "harbor": (220, 100, 1010, 970),
    "storage tanks": (1030, 90, 1450, 720),
    "airport": (1470, 80, 2980, 720),
    "dense houses": (1015, 830, 1760, 1440),
    "stadium": (1930, 890, 2460, 1400),
    "bridge": (1745, 1450, 1945, 1638),
    "farmland": (1870, 1640, 3000, 2340),
    "forest": (860, 1720, 1730, 2400),
    "beach": (380, 1720, 760, 2400),
}
"""Where each place lies, metres from the upper left corner."""


def paint_scene(pixel_size_m: float, seed: int) -> tuple[npt.NDArray[np.uint8], list[Thing]]:
    """Paint the scene.

    Args:
        pixel_size_m: Ground side of a pixel, m.
        seed: The same seed and pixel size give the same picture.

    Returns:
        uint8 RGB (height, width, 3), and the small things that were drawn.
    """
    rng = np.random.default_rng(seed)
    width, height = round(WIDTH_M / pixel_size_m), round(HEIGHT_M / pixel_size_m)
    terrain = Image.fromarray(paint_terrain(width, height, pixel_size_m, rng))
    large = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    canvas = Canvas(terrain.resize(large, Image.Resampling.BICUBIC), pixel_size_m, rng)
    scatter_trees(canvas)
    draw_farmland(canvas)
    draw_forest(canvas)
    draw_roads(canvas, _BRIDGE_X_M, float(river_y_m(_BRIDGE_X_M)))
    draw_housing(canvas)
    draw_stadium(canvas)
    draw_tanks(canvas)
    draw_airport(canvas)
    draw_harbor(canvas)
    return photograph(canvas.image.reduce(SUPERSAMPLING), pixel_size_m, rng), canvas.things


def photograph(
    drawing: Image.Image, pixel_size_m: float, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Give flat colours the grain of ground, then the blur, haze and noise of a camera."""
    values = np.asarray(drawing).astype(np.float32)
    shape = values.shape[:2]
    grain = noise(shape, [24 / pixel_size_m, 7 / pixel_size_m, 2.2 / pixel_size_m], rng)
    values *= (1 + 0.045 * grain)[..., None]
    values = values * np.float32(0.94) + np.array([9, 11, 13], np.float32)  # haze
    blurred = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(0.55)
    )
    noisy = np.asarray(blurred) + rng.normal(0, 2.2, size=(*shape, 1)).astype(np.float32)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)
