"""Fields and woods: a parcel mosaic with a centre pivot, a forest, scattered trees."""

from __future__ import annotations

import math

import numpy as np

from georclip._drawing.canvas import Box, Canvas, Colour, Frame, Point, ellipse, rectangle, shade
from georclip._drawing.terrain import coast_x_m, river_y_m
from georclip._drawing.town import draw_house

_CROPS: tuple[Colour, ...] = (
    (88, 110, 56), (106, 124, 66), (72, 96, 52), (132, 134, 82), (168, 152, 110), (184, 168, 124),
    (138, 112, 84), (122, 100, 76), (96, 118, 70), (152, 146, 96),
)  # fmt: skip
_CROWNS: tuple[Colour, ...] = ((44, 62, 36), (52, 72, 40), (60, 80, 46), (40, 58, 38), (70, 84, 48))


def draw_farmland(canvas: Canvas) -> None:
    """Draw farmland in the south-east: parcels, tracks, a watered circle, a farmstead."""
    frame = Frame((2440.0, 1990.0), -7.0)
    canvas.polygon(frame.box(0, 0, 1180, 680), (150, 140, 108))
    for left, top, right, bottom in _split(canvas, (-590, -340, 590, 340)):
        _draw_parcel(canvas, frame, (left + 2.5, top + 2.5, right - 2.5, bottom - 2.5))
    for track in ([(-590, -40), (590, -40)], [(-110, -340), (-110, 340)], [(280, -40), (280, 340)]):
        canvas.line(frame([(float(x), float(y)) for x, y in track]), 6, (188, 176, 146))
    _draw_pivot(canvas, frame.at(-395, 140), 155)
    for x in np.arange(-585, 590, 9):
        if canvas.rng.random() < 0.6:
            spot = frame.at(float(x), -345 + float(canvas.rng.normal(0, 3)))
            canvas.tree(spot, float(canvas.rng.uniform(3, 5.5)), canvas.choose(_CROWNS))
    for spot, length in (((-85, -70), 34), ((-60, -96), 26), ((-95, -100), 18)):
        draw_house(canvas, frame, spot, length, 14)
    for _ in range(14):
        x, y = canvas.rng.normal((-75, -90), (22, 22)).tolist()
        canvas.tree(frame.at(x, y), float(canvas.rng.uniform(3, 6)), canvas.choose(_CROWNS))


def _split(canvas: Canvas, box: Box) -> list[Box]:
    """Cut a rectangle into parcels of about a hectare, across the longer side each time."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    if width * height < 9500 or (width * height < 21000 and canvas.rng.random() < 0.45):
        return [box]
    share = float(canvas.rng.uniform(0.34, 0.66))
    if width > height:
        cut = left + share * width
        return _split(canvas, (left, top, cut, bottom)) + _split(canvas, (cut, top, right, bottom))
    cut = top + share * height
    return _split(canvas, (left, top, right, cut)) + _split(canvas, (left, cut, right, bottom))


def _draw_parcel(canvas: Canvas, frame: Frame, box: Box) -> None:
    """One crop: its colour, its rows along the longer side, thin and thick patches."""
    left, top, right, bottom = box
    centre, width, height = ((left + right) / 2, (top + bottom) / 2), right - left, bottom - top
    colour = canvas.choose(_CROPS, 0.07)
    canvas.polygon(frame.box(*centre, width, height), colour)
    spacing, gain = float(canvas.rng.choice([3.5, 6.0, 9.0])), float(canvas.rng.uniform(0.85, 0.95))
    count = int(min(width, height) / spacing)
    for row in range(1, count):
        tone = shade(colour, gain + float(canvas.rng.normal(0, 0.03)))
        offset = row * spacing
        if width > height:
            ends = [(left + 1, top + offset), (right - 1, top + offset)]
        else:
            ends = [(left + offset, top + 1), (left + offset, bottom - 1)]
        canvas.line(frame(ends), spacing * 0.42, tone, 0.8)
    for _ in range(5):
        x, y = canvas.rng.uniform((left + 14, top + 14), (right - 14, bottom - 14)).tolist()
        patch = shade(colour, float(canvas.rng.uniform(0.85, 1.12)))
        canvas.disc(frame.at(x, y), float(canvas.rng.uniform(6, 13)), patch, 0.25)


def _draw_pivot(canvas: Canvas, centre: Point, radius_m: float) -> None:
    """A circle watered by a turning arm: rings of wheel tracks, one sector freshly sown."""
    canvas.polygon(rectangle(centre, 2 * radius_m + 10, 2 * radius_m + 10, -7), (166, 150, 116))
    canvas.disc(centre, radius_m, (84, 112, 54))
    sector = [centre] + [
        (centre[0] + radius_m * math.cos(a), centre[1] + radius_m * math.sin(a))
        for a in np.linspace(-0.5, 0.9, 30)
    ]
    canvas.polygon(sector, (126, 132, 74))
    for ring in np.arange(16, radius_m, 11):
        outline = ellipse(centre, float(ring), float(ring))
        canvas.line([*outline, outline[0]], 1.4, (70, 94, 46), 0.5)
    tip = (centre[0] + radius_m * 0.97, centre[1] - radius_m * 0.2)
    canvas.line([centre, tip], 1.6, (206, 206, 198))


def draw_forest(canvas: Canvas) -> None:
    """Draw a closed forest in the south, crown beside crown, with a clearing and a track."""
    left, top, right, bottom = 860.0, 1720.0, 1730.0, 2400.0
    canvas.polygon([(left, top + 40), (left + 80, top), (right - 60, top + 14), (right, top + 90),
                    (right - 10, bottom), (left + 20, bottom)], (40, 52, 34))  # fmt: skip
    canvas.polygon(ellipse((1560, 1850), 60, 36), (112, 112, 72))
    canvas.line(
        [(x, _track_y_m(x)) for x in np.arange(850, 1760, 12.0).tolist()], 9, (150, 130, 98)
    )
    spacing = 8.2
    for y in np.arange(top - 6, bottom + 8, spacing * 0.86):
        for x in np.arange(left - 10, right + 12, spacing):
            spot = (float(x + canvas.rng.normal(0, 2.6)), float(y + canvas.rng.normal(0, 2.6)))
            if _in_forest(spot, (left, top, right, bottom)):
                stand = 1 + 0.1 * math.sin(spot[0] / 97) * math.sin(spot[1] / 71)
                crown = shade(canvas.choose(_CROWNS, 0.1), stand)
                canvas.tree(spot, float(canvas.rng.uniform(3.4, 6.4)), crown)


def _in_forest(spot: Point, box: Box) -> bool:
    x, y = spot
    edge = 18 * math.sin(x / 53) + 14 * math.sin(y / 41)
    inside = box[0] + edge < x < box[2] + edge and y > box[1] + edge
    clearing = math.hypot((x - 1560) / 58, (y - 1850) / 34) < 1
    return inside and not clearing and abs(y - _track_y_m(x)) > 6


def _track_y_m(x: float) -> float:
    """Where the forest track runs."""
    return 2225 + 0.16 * (x - 1000) + 18 * math.sin(x / 90)


def scatter_trees(canvas: Canvas, count: int = 2600) -> None:
    """Strew single trees and bushes over open land, before anything is built there."""
    spots = canvas.rng.uniform((0, 0), (3000, 2400), size=(count, 2))
    groups = spots[canvas.rng.integers(0, 90, size=count)]
    groups = groups + canvas.rng.normal(0, 34, size=(count, 2))
    for x, y in np.concatenate([spots[: count // 2], groups[: count // 2]]).tolist():
        on_land = x > float(coast_x_m(y)) + 95
        if on_land and abs(y - float(river_y_m(x))) > 48:
            canvas.tree((x, y), float(canvas.rng.uniform(1.8, 5.0)), canvas.choose(_CROWNS, 0.12))
