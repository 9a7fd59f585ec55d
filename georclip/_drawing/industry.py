"""A tank farm: white cylinders in bunds, pipes, a pump house."""

from __future__ import annotations

import numpy as np

from georclip._drawing.canvas import (
    ASPHALT,
    SHADOW_PER_M,
    Canvas,
    Colour,
    Frame,
    Point,
    ellipse,
    shade,
)

_TANK_COLOURS: tuple[Colour, ...] = ((230, 230, 226), (222, 222, 216), (214, 216, 214))


def draw_tanks(canvas: Canvas) -> None:
    """Draw the tank farm between the harbor and the airport."""
    frame = Frame((1240.0, 400.0), -4.0)
    canvas.polygon(frame.box(0, 0, 400, 620), (140, 132, 116))
    for _ in range(260):
        spot = frame.at(*canvas.rng.uniform((-195, -305), (195, 305)).tolist())
        radius = float(canvas.rng.uniform(4, 16))
        canvas.disc(spot, radius, canvas.choose(((120, 116, 96), (156, 146, 128))), 0.25)
    columns = ((-128.0, 44.0), (-38.0, 50.0), (56.0, 44.0), (140.0, 34.0))
    rows = (-245.0, -152.0, -58.0, 62.0, 156.0, 248.0)
    for x, cell in columns:
        for y in rows:
            draw_bund(canvas, frame, (x, y), cell * 0.92)
    for y in (-2.0, -198.0, 204.0):
        canvas.line(frame([(-198, y), (198, y)]), 7, ASPHALT)
    for x in (-83.0, 98.0):
        canvas.line(frame([(x, -305), (x, 305)]), 6, (126, 122, 114))
    for x, cell in columns:
        for y in rows:
            radius = cell * float(canvas.rng.uniform(0.52, 0.7))
            draw_tank(canvas, frame.at(x, y), radius, float(canvas.rng.uniform(12, 19)))
    for x in (-86.0, -80.0, 101.0):
        canvas.line(frame([(x, -300), (x, 300)]), 1.0, (188, 186, 178))
    for y in (-5.0, 1.5):
        canvas.line(frame([(-190, y - 6), (190, y - 6)]), 1.0, (192, 190, 182))


def draw_bund(canvas: Canvas, frame: Frame, centre: Point, half_m: float) -> None:
    """A low earth wall around one tank: lit on one flank, dark on the other."""
    for half, colour in ((half_m, (168, 158, 138)), (half_m - 2.5, (104, 98, 84)),
                         (half_m - 4, (146, 138, 122))):  # fmt: skip
        canvas.polygon(frame.box(*centre, 2 * half, 2 * half), canvas.vary(colour, 0.02))


def draw_tank(canvas: Canvas, centre: Point, radius_m: float, height_m: float) -> None:
    """A cylinder seen from above: long shadow, rim, cone or sunken floating roof."""
    colour = canvas.choose(_TANK_COLOURS, 0.02)
    outline = ellipse(centre, radius_m, radius_m)
    canvas.note("storage tank", outline)
    canvas.shadow(outline, height_m * 0.9, 0.62)
    canvas.disc(centre, radius_m, shade(colour, 0.82))
    canvas.disc(centre, radius_m * 0.965, colour)
    if canvas.rng.random() < 0.22:
        canvas.disc(centre, radius_m * 0.88, (150, 150, 146))
        canvas.disc((centre[0] + 1.6, centre[1] + 1.4), radius_m * 0.82, (186, 186, 182))
    else:
        for step in np.linspace(0.9, 0.15, 6):
            shift = radius_m * 0.16 * (1 - step)
            spot = (centre[0] + shift, centre[1] + shift)
            canvas.disc(spot, radius_m * float(step), shade(colour, 1.0 + 0.05 * (1 - float(step))))
        canvas.disc(centre, 1.6, (150, 150, 148))
    towards_sun = tuple(-1.1 * radius_m * step for step in SHADOW_PER_M)
    stair = (centre[0] + towards_sun[0], centre[1] + towards_sun[1])
    canvas.line([centre, stair], 0.9, (176, 176, 172))
