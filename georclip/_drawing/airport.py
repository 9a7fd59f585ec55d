"""An airport: runway, taxiways, aprons, a terminal with piers, planes at their gates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from georclip._drawing.canvas import (
    ASPHALT,
    CONCRETE,
    WHITE,
    Canvas,
    Colour,
    Frame,
    Point,
    shade,
)

_PAINT: Colour = (216, 214, 206)
_YELLOW: Colour = (190, 164, 70)
_CARS: tuple[Colour, ...] = (WHITE, (58, 60, 64), (150, 44, 38), (118, 130, 142), (190, 190, 186))


def draw_airport(canvas: Canvas) -> None:
    """Draw the airport in the north-east; local metres start mid-runway."""
    frame = Frame((2215.0, 140.0), 2.0)
    _draw_meadow(canvas, frame)
    _draw_runway(canvas, frame)
    _draw_taxiways(canvas, frame)
    _draw_apron(canvas, frame)
    _draw_terminal(canvas, frame)
    _draw_hangars(canvas, frame)
    draw_car_park(canvas, frame, (-250, 555), rows=7, length_m=330)
    draw_car_park(canvas, frame, (180, 555), rows=7, length_m=300)
    for x, y, length, heading in ((-470, 140, 52, 0), (170, 140, 44, 180), (-240, 0, 58, 0)):
        draw_plane(canvas, frame.at(x, y), length, heading + frame.heading_deg)


def _draw_meadow(canvas: Canvas, frame: Frame) -> None:
    """Mown grass in long strips of two greens, worn along the pavements."""
    canvas.polygon(frame.box(0, 75, 1530, 300), (112, 118, 78))
    for strip in range(-70, 225, 12):
        tone = canvas.vary((118, 120, 82), 0.05)
        canvas.polygon(frame.box(0, strip, 1530, 12), tone, 0.8)
    for x in np.arange(-700, 720, 36):
        for y in (48, 100, 180):
            canvas.disc(frame.at(float(x + canvas.rng.normal(0, 12)), y), 13, (140, 128, 94), 0.25)


def _draw_runway(canvas: Canvas, frame: Frame) -> None:
    canvas.polygon(frame.box(0, 0, 1500, 62), (138, 134, 124))
    canvas.polygon(frame.box(0, 0, 1480, 46), (84, 84, 86))
    for end in (-1, 1):
        for lane in range(-5, 6):
            canvas.polygon(frame.box(end * 712, lane * 3.8, 30, 1.9), _PAINT)
        for pair in (-1, 1):
            canvas.polygon(frame.box(end * 590, pair * 11, 46, 7), _PAINT)
            canvas.polygon(frame.box(end * 500, pair * 11, 24, 3), _PAINT)
        canvas.polygon(frame.box(end * 575, 0, 260, 13), (44, 44, 46), 0.45)
    for x in range(-640, 660, 50):
        canvas.polygon(frame.box(x, 0, 30, 1.2), _PAINT)
    for side in (-1, 1):
        canvas.polygon(frame.box(0, side * 22, 1480, 1.2), _PAINT)


def _draw_taxiways(canvas: Canvas, frame: Frame) -> None:
    routes = [[(-715.0, 140.0), (715.0, 140.0)]]
    for x in (-700.0, -360.0, 20.0, 360.0, 700.0):
        lean = 0.0 if abs(x) == 700 else 40.0
        routes.append([(x, 0), (x + lean, 92), (x + lean, 215)])
    for width, colour, opacity in ((34, (140, 134, 118), 1.0), (25, (118, 117, 114), 1.0),
                                   (0.9, _YELLOW, 0.9)):  # fmt: skip
        for route in routes:
            canvas.line(frame(route), width, colour, opacity)


def _draw_apron(canvas: Canvas, frame: Frame) -> None:
    """Concrete slabs before the terminal, stained where planes stand."""
    canvas.polygon(frame.box(-40, 330, 1180, 250), CONCRETE)
    for x in range(-630, 550, 15):
        canvas.polygon(frame.box(x + 7, 330, 14.4, 250), canvas.vary(CONCRETE, 0.025), 0.7)
        canvas.polygon(frame.box(x, 330, 0.7, 250), (132, 130, 124), 0.6)
    for y in range(206, 456, 15):
        canvas.polygon(frame.box(-40, y, 1180, 0.7), (132, 130, 124), 0.6)
    for _ in range(70):
        spot = frame.at(float(canvas.rng.uniform(-610, 530)), float(canvas.rng.uniform(230, 400)))
        canvas.disc(spot, float(canvas.rng.uniform(3, 12)), (110, 106, 100), 0.18)
    canvas.line(frame([(-620, 232), (540, 232)]), 0.9, _YELLOW, 0.9)


def _draw_terminal(canvas: Canvas, frame: Frame) -> None:
    """A long hall with three piers; planes stand nose-in along every side."""
    roof = (206, 206, 204)
    canvas.building(frame.box(-100, 448, 760, 56), 18, roof)
    piers = (-390.0, -100.0, 190.0)
    for x in piers:
        canvas.building(frame.box(x, 365, 30, 130), 14, roof)
        canvas.building(frame.box(x, 296, 62, 30), 15, shade(roof, 0.96))
        canvas.line(frame([(x, 300), (x, 425)]), 3, (150, 160, 168))
    for window_x in np.arange(-460, 280, 24).tolist():
        canvas.polygon(frame.box(window_x, 448, 3, 50), (164, 172, 178))
    canvas.polygon(frame.box(-100, 448, 740, 7), (128, 142, 152))
    canvas.line(frame([(-640, 496), (560, 496)]), 15, ASPHALT)
    canvas.line(frame([(-640, 496), (560, 496)]), 0.8, _PAINT, 0.7)
    for x in piers:
        for side in (-1, 1):
            for y in (318, 372):
                span = float(canvas.rng.choice([38, 45, 52]))
                spot = frame.at(x + side * (22 + span / 2), y + float(canvas.rng.normal(0, 1)))
                jetway = frame([(x + side * 15, y + 14), (x + side * 23, y + 3)])
                canvas.line(jetway, 4.2, (150, 152, 154))
                draw_plane(canvas, spot, span, frame.heading_deg + (180 if side > 0 else 0))
    for x in (-560.0, 330.0, 400.0, 470.0):
        draw_plane(canvas, frame.at(x, 405), float(canvas.rng.choice([36, 44])), 88)


def _draw_hangars(canvas: Canvas, frame: Frame) -> None:
    """Vaulted sheds at the far end, with small planes before them."""
    for x in (590.0, 670.0):
        for y in (270.0, 350.0, 430.0):
            canvas.polygon(frame.box(x, y, 78, 78), canvas.vary(CONCRETE, 0.03))
    for y in (262.0, 350.0, 438.0):
        colour = canvas.choose(((196, 198, 200), (150, 166, 180), (182, 176, 160)))
        canvas.building(frame.box(672, y, 66, 58), 16, colour)
        for step in range(-3, 4):
            lit = 1.1 - 0.07 * abs(step - 1)
            canvas.polygon(frame.box(672, y + step * 8, 64, 8), shade(colour, lit))
        draw_plane(canvas, frame.at(596, y), 30, 2)


def draw_plane(canvas: Canvas, centre: Point, length_m: float, heading_deg: float) -> None:
    """Draw an airliner: swept wings, engines, tailplane, fin, and its shadow on the ground."""
    frame, n = Frame(centre, heading_deg), length_m
    wing = [
        (0.10 * n, 0.05 * n),
        (-0.14 * n, 0.48 * n),
        (-0.20 * n, 0.48 * n),
        (-0.10 * n, 0.05 * n),
    ]
    tail = [(-0.38 * n, 0.03 * n), (-0.47 * n, 0.18 * n), (-0.51 * n, 0.18 * n), (-0.48 * n, 0.0)]
    nose = [
        (0.46 * n, 0.035 * n),
        (0.38 * n, 0.052 * n),
        (-0.28 * n, 0.052 * n),
        (-0.5 * n, 0.014 * n),
    ]
    body = _mirrored([(0.5 * n, 0.0), *nose])
    canvas.note("plane", frame([*_mirrored(wing), *_mirrored(tail), *body]))
    lifted = Frame((centre[0] - 4.5, centre[1] - 3.8), heading_deg)
    for part in (_mirrored(wing), _mirrored(tail), body):
        canvas.polygon(lifted(part), (34, 36, 40), 0.55)
    canvas.polygon(frame(_mirrored(wing)), (206, 208, 210))
    canvas.polygon(frame(_mirrored(tail)), (206, 208, 210))
    for side in (-1, 1):
        canvas.polygon(frame.box(0.04 * n, side * 0.15 * n, 0.1 * n, 0.036 * n), (150, 152, 158))
    canvas.polygon(frame(body), (242, 243, 244))
    livery = canvas.choose(((40, 72, 130), (160, 40, 44), (30, 110, 110), (196, 120, 40)))
    canvas.polygon(frame.box(-0.42 * n, 0, 0.16 * n, 0.022 * n), livery)


def _mirrored(half: Sequence[Point]) -> list[Point]:
    """An outline from its right half."""
    return [*half, *((x, -y) for x, y in reversed(half))]


def draw_car_park(
    canvas: Canvas, frame: Frame, centre: Point, *, rows: int, length_m: float
) -> None:
    """Draw an asphalt field with double rows of parked cars."""
    depth = rows * 17.0
    canvas.polygon(frame.box(*centre, length_m + 14, depth + 10), (106, 106, 104))
    for row in range(rows):
        y = centre[1] - depth / 2 + (row + 0.5) * 17
        canvas.polygon(frame.box(centre[0], y, length_m, 0.6), _PAINT, 0.5)
        for side in (-1, 1):
            for x in np.arange(-length_m / 2 + 2, length_m / 2, 2.9):
                if canvas.rng.random() < 0.7:
                    car = frame.box(float(centre[0] + x), y + side * 2.7, 1.9, 4.5)
                    canvas.polygon(car, canvas.choose(_CARS))
