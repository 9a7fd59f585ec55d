"""Where people live and meet: dense housing, streets, a stadium."""

from __future__ import annotations

import math

import numpy as np

from georclip._drawing.airport import draw_car_park
from georclip._drawing.canvas import (
    ASPHALT,
    CONCRETE,
    WHITE,
    Canvas,
    Colour,
    Frame,
    Point,
    ellipse,
    shade,
)

_ROOFS: tuple[Colour, ...] = (
    (156, 98, 72), (168, 112, 84), (134, 88, 70), (120, 114, 108), (150, 142, 132), (96, 94, 96),
    (178, 168, 152),
)  # fmt: skip
_TREES: tuple[Colour, ...] = ((62, 82, 48), (74, 92, 54), (54, 72, 46))


def draw_housing(canvas: Canvas) -> None:
    """Draw a dense quarter: blocks of small houses between straight streets."""
    frame = Frame((1385.0, 1135.0), 9.0)
    canvas.polygon(frame.box(0, 0, 800, 600), (132, 126, 112))
    across, down = 76.0, 118.0
    for column in range(-5, 6):
        canvas.line(frame([(column * across, -300), (column * across, 300)]), 8.5, (124, 122, 118))
    for row in range(-2, 4):
        y = (row - 0.5) * down
        canvas.line(frame([(-400, y), (400, y)]), 10, (112, 111, 108))
        canvas.line(frame([(-400, y), (400, y)]), 0.6, (190, 188, 180), 0.6)
    for column in range(-5, 5):
        for row in range(-2, 3):
            corner = (column * across + 5.5, (row - 0.5) * down + 7)
            _draw_block(canvas, frame, corner, across - 11, down - 14)
    for _ in range(420):
        column = int(canvas.rng.integers(-5, 6))
        side = float(canvas.rng.choice([-2.6, 2.6]))
        car = frame.box(column * across + side, float(canvas.rng.uniform(-295, 295)), 1.9, 4.4)
        canvas.polygon(car, canvas.choose((WHITE, (56, 58, 62), (140, 44, 40), (110, 124, 138))))


def _draw_block(
    canvas: Canvas, frame: Frame, corner: Point, width_m: float, depth_m: float
) -> None:
    """Two rows of gabled houses back to back, gardens between them."""
    canvas.polygon(
        frame.box(corner[0] + width_m / 2, corner[1] + depth_m / 2, width_m, depth_m),
        canvas.vary((118, 116, 92), 0.06),
    )
    for side in (0, 1):
        y = 0.0
        while y < depth_m - 9:
            front = float(canvas.rng.uniform(9.5, 13.5))
            deep = float(canvas.rng.uniform(15, 23))
            x = 2 + deep / 2 if side == 0 else width_m - 2 - deep / 2
            draw_house(canvas, frame, (corner[0] + x, corner[1] + y + front / 2), deep, front - 1.6)
            y += front
    for _ in range(16):
        spot = frame.at(
            corner[0] + width_m / 2 + float(canvas.rng.normal(0, 5)),
            corner[1] + float(canvas.rng.uniform(3, depth_m - 3)),
        )
        canvas.tree(spot, float(canvas.rng.uniform(2.0, 4.4)), canvas.choose(_TREES))


def draw_house(
    canvas: Canvas, frame: Frame, centre: Point, length_m: float, width_m: float
) -> None:
    """Draw a gabled roof: shadow, a lit and a dark slope, the ridge, sometimes an annexe."""
    colour = canvas.choose(_ROOFS, 0.09)
    x, y = centre
    canvas.shadow(frame.box(x, y, length_m, width_m), 7.0, 0.55)
    canvas.polygon(frame.box(x, y - width_m / 4, length_m, width_m / 2), shade(colour, 0.74))
    canvas.polygon(frame.box(x, y + width_m / 4, length_m, width_m / 2), shade(colour, 1.16))
    canvas.line(frame([(x - length_m / 2, y), (x + length_m / 2, y)]), 0.5, shade(colour, 1.35))
    if canvas.rng.random() < 0.25:
        canvas.polygon(frame.box(x + length_m * 0.2, y, 2.2, 2.2), (196, 200, 204))


def draw_stadium(canvas: Canvas) -> None:
    """Draw a stadium: oval stand, running track, striped pitch, car parks and a ring of trees."""
    frame = Frame((2140.0, 1090.0), 18.0)
    canvas.polygon(ellipse(frame.origin, 205, 185, frame.heading_deg), (160, 156, 146))
    draw_car_park(canvas, frame, (-20, 262), rows=5, length_m=300)
    draw_car_park(canvas, frame, (295, 0), rows=5, length_m=130)
    _draw_stand(canvas, frame)
    _draw_pitch(canvas, frame)
    for angle in np.arange(0, 2 * math.pi, 0.075):
        reach = 1 + float(canvas.rng.normal(0, 0.012))
        spot = frame.at(196 * reach * math.cos(angle), 176 * reach * math.sin(angle))
        canvas.tree(spot, float(canvas.rng.uniform(3, 5.5)), canvas.choose(_TREES))


def _oval(frame: Frame, radius_x: float, radius_y: float) -> list[Point]:
    """A rounded rectangle: the shape of stands and tracks (a superellipse of power 2.6)."""
    points = []
    for angle in np.linspace(0, 2 * math.pi, 120, endpoint=False):
        cos, sin = math.cos(angle), math.sin(angle)
        reach = (abs(cos) ** 2.6 + abs(sin) ** 2.6) ** (-1 / 2.6)
        points.append((radius_x * reach * cos, radius_y * reach * sin))
    return frame(points)


def _draw_stand(canvas: Canvas, frame: Frame) -> None:
    canvas.shadow(_oval(frame, 150, 118), 26, 0.6)
    canvas.polygon(_oval(frame, 150, 118), (214, 214, 212))
    canvas.polygon(_oval(frame, 146, 114), (232, 232, 230))
    for step in range(96):
        angle = 2 * math.pi * step / 96
        outer = _oval(frame, 147, 115)[round(step * 120 / 96) % 120]
        inner = frame.at(120 * math.cos(angle), 86 * math.sin(angle))
        canvas.line([outer, inner], 0.9, (176, 178, 180))
    canvas.polygon(_oval(frame, 124, 93), (60, 62, 68))
    tiers = ((121, 90, (104, 112, 132)), (115, 84, (78, 92, 128)), (109, 79, (122, 126, 136)),
             (104, 74, (74, 88, 122)))  # fmt: skip
    for radius_x, radius_y, colour in tiers:
        canvas.polygon(_oval(frame, radius_x, radius_y), colour)
    for step in range(0, 120, 5):
        start, end = _oval(frame, 121, 90)[step], _oval(frame, 100, 70)[step]
        canvas.line([start, end], 1.1, (176, 176, 172), 0.8)


def _draw_pitch(canvas: Canvas, frame: Frame) -> None:
    canvas.polygon(_oval(frame, 99, 69), (150, 146, 136))
    canvas.polygon(_oval(frame, 95, 65), (158, 86, 66))
    for lane in range(1, 6):
        ring = _oval(frame, 95 - lane * 1.7, 65 - lane * 1.7)
        canvas.line([*ring, ring[0]], 0.5, (206, 178, 164), 0.7)
    canvas.polygon(_oval(frame, 84, 54), (92, 118, 60))
    for stripe in range(-5, 6):
        tone = (74, 106, 54) if stripe % 2 else (88, 120, 62)
        canvas.polygon(frame.box(stripe * 9.6, 0, 9.6, 68), tone)
    lines: Colour = (222, 228, 216)
    areas = [(0.0, 105.0, 68.0)]
    for side in (-1, 1):
        areas += [(side * 44.3, 16.5, 40.3), (side * 49.8, 5.5, 18.3)]
    for x, length, width in areas:
        outline = frame.box(x, 0, length, width)
        canvas.line([*outline, outline[0]], 0.8, lines)
    canvas.line(frame([(0, -34), (0, 34)]), 0.8, lines)
    circle = ellipse(frame.at(0, 0), 9.15, 9.15)
    canvas.line([*circle, circle[0]], 0.8, lines)


def draw_roads(canvas: Canvas, bridge_x_m: float, river_y_m: float) -> None:
    """Draw the roads between the places, and the bridge where one crosses the river."""
    routes: list[list[Point]] = [
        [(1010, 1000), (1200, 830), (1480, 790), (1880, 800), (2420, 820), (3000, 850)],
        [(bridge_x_m - 25, 800), (bridge_x_m, 1100), (bridge_x_m, 1750), (bridge_x_m + 30, 2400)],
        [(1010, 960), (1010, 500), (1030, 90), (1040, 0)],
        [(860, 960), (880, 1150), (944, 1362)],
    ]
    for route in routes:
        canvas.line(route, 26, (134, 126, 104))
    for route in routes:
        canvas.line(route, 16, ASPHALT)
        canvas.line(route, 0.8, (206, 202, 186), 0.8)
    _draw_bridge(canvas, bridge_x_m, river_y_m)


def _draw_bridge(canvas: Canvas, x: float, y: float) -> None:
    """A girder bridge on piers, with four lanes and pavements; its shadow lies on the water."""
    frame = Frame((x, y), 90.0)
    for pier in range(-60, 90, 30):
        canvas.polygon(frame.box(pier, 0, 5, 36), (120, 118, 110))
    canvas.shadow(frame.box(0, 0, 230, 28), 16, 0.55)
    canvas.polygon(frame.box(0, 0, 230, 28), CONCRETE)
    canvas.polygon(frame.box(0, 0, 230, 20), (104, 104, 102))
    for side in (-13.2, 13.2):
        canvas.line(frame([(-115, side), (115, side)]), 1.4, (212, 210, 204))
    for lane in (-5.0, 0.0, 5.0):
        canvas.line(frame([(-115, lane), (115, lane)]), 0.8, (216, 212, 196), 0.8)
    for _ in range(14):
        lane = float(canvas.rng.choice([-7.5, -2.5, 2.5, 7.5]))
        car = frame.box(float(canvas.rng.uniform(-112, 112)), lane, 4.6, 2.0)
        canvas.polygon(car, canvas.choose((WHITE, (56, 58, 62), (140, 44, 40))))
