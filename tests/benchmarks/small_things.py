"""A drawn coast on which ships, planes and storage tanks lie alone, far from their like.

The harbor, airport and tank farm of `georclip.testing` hold many of a kind side by side: a window
that shows one shows others. Here a chip rarely holds two.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from georclip._drawing.airport import draw_plane
from georclip._drawing.canvas import CONCRETE, SUPERSAMPLING, Canvas, Frame, Point, rectangle
from georclip._drawing.country import draw_farmland, draw_forest, scatter_trees
from georclip._drawing.harbor import draw_ship, draw_wake
from georclip._drawing.industry import draw_bund, draw_tank
from georclip._drawing.scene import HEIGHT_M, WIDTH_M, photograph
from georclip._drawing.terrain import coast_x_m, paint_terrain, river_y_m
from georclip.testing import DrawnScene, write_drawing

_APART_M = (370.0, 400.0)
_FROM_SHORE_M = (-130.0, 90.0)
_FROM_RIVER_M = 110.0


def draw_small_things(path: Path, *, seed: int, pixel_size_m: float = 1.0) -> DrawnScene:
    """Draw the coast: ships at sea, on land planes on a pad each and tanks in a bund each."""
    rng = np.random.default_rng(1000 + seed)
    width, height = round(WIDTH_M / pixel_size_m), round(HEIGHT_M / pixel_size_m)
    terrain = Image.fromarray(paint_terrain(width, height, pixel_size_m, rng))
    large = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    canvas = Canvas(terrain.resize(large, Image.Resampling.BICUBIC), pixel_size_m, rng)
    scatter_trees(canvas)
    draw_farmland(canvas)
    draw_forest(canvas)
    for number, spot in enumerate(_spots(rng)):
        _draw_one(canvas, spot, plane=bool(number % 2))
    pixels = photograph(canvas.image.reduce(SUPERSAMPLING), pixel_size_m, rng)
    return write_drawing(path, pixels, pixel_size_m, things=canvas.things)


def _spots(rng: np.random.Generator) -> list[Point]:
    """Points of a loose grid, away from shore, river and edges."""
    spots = []
    for row in range(int(HEIGHT_M // _APART_M[1])):
        for column in range(int(WIDTH_M // _APART_M[0])):
            x, y = (
                190 + step * number + rng.uniform(-60, 60)
                for number, step in zip((column, row), _APART_M, strict=True)
            )
            inland = x - float(coast_x_m(y))
            ashore = inland > _FROM_SHORE_M[1] and abs(y - float(river_y_m(x))) > _FROM_RIVER_M
            inside = 60 < x < WIDTH_M - 120 and 120 < y < HEIGHT_M - 120
            if inside and (ashore or inland < _FROM_SHORE_M[0]):
                spots.append((float(x), float(y)))
    return spots


def _draw_one(canvas: Canvas, spot: Point, *, plane: bool) -> None:
    rng = canvas.rng
    heading = float(rng.uniform(0, 360))
    if spot[0] < float(coast_x_m(spot[1])):
        length = float(rng.uniform(80, 190))
        if rng.random() < 0.3:
            draw_wake(canvas, spot, length, length * 0.15, heading)
        draw_ship(canvas, spot, length, length * 0.15, heading)
    elif plane:
        sides = rng.uniform(80, 130, 2).tolist()
        canvas.polygon(rectangle(spot, *sides, heading + 20), canvas.vary(CONCRETE, 0.05))
        draw_plane(canvas, spot, float(rng.uniform(32, 58)), heading)
    else:
        radius = float(rng.uniform(17, 34))
        draw_bund(canvas, Frame(spot, heading), (0, 0), radius * 1.5)
        draw_tank(canvas, spot, radius, float(rng.uniform(12, 19)))
