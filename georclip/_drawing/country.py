"""Fields and woods: a parcel mosaic with a centre pivot, a forest, scattered trees."""

from __future__ import annotations

import math

import numpy as np

from georclip._drawing.canvas import Box, Canvas, Colour, Frame, Point, ellipse, rectangle, shade
from georclip._drawing.terrain import coast_x_m, river_y_m
from georclip._drawing.town import draw_house

_CROPS: tuple[Colour, ...] = (
    (80, 98, 58), (92, 108, 68), (72, 90, 54), (104, 114, 78), (118, 116, 86), (108, 98, 76),
    (96, 88, 70), (130, 124, 94), (84, 98, 72),
)  # fmt: skip
_CROWNS: tuple[Colour, ...] = ((44, 62, 36), (52, 72, 40), (60, 80, 46), (40, 58, 38), (70, 84, 48))


def draw_farmland(canvas: Canvas) -> None:
    """Draw farmland in the south-east: strips of crops, tracks, a watered circle, a farmstead."""
    frame = Frame((2440.0, 1990.0), -7.0)
    canvas.polygon(frame.box(0, 0, 1180, 680), (92, 98, 66))
    for holding in _split(canvas, (-590, -340, 590, 340)):
        _draw_holding(canvas, frame, holding)
    for track in ([(-590, -40), (590, -40)], [(-110, -340), (-110, 340)], [(280, -40), (280, 340)]):
        canvas.line(frame([(float(x), float(y)) for x, y in track]), 5, (164, 154, 128))
    _draw_pivot(canvas, frame.at(-450, 200), 110)
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
    """Cut a rectangle into holdings of a few hectares, across the longer side each time."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    if width * height < 18000 or (width * height < 36000 and canvas.rng.random() < 0.4):
        return [box]
    share = float(canvas.rng.uniform(0.36, 0.64))
    if width > height:
        cut = left + share * width
        return _split(canvas, (left, top, cut, bottom)) + _split(canvas, (cut, top, right, bottom))
    cut = top + share * height
    return _split(canvas, (left, top, right, cut)) + _split(canvas, (left, cut, right, bottom))


def _draw_holding(canvas: Canvas, frame: Frame, box: Box) -> None:
    """Parallel strips of different crops, parted by balks, with a hedge or track around."""
    left, top, right, bottom = box
    edge = canvas.choose(((58, 74, 44), (70, 82, 50), (150, 140, 114)), 0.05)
    centre = ((left + right) / 2, (top + bottom) / 2)
    canvas.polygon(frame.box(*centre, right - left, bottom - top), edge)
    left, top, right, bottom = left + 2, top + 2, right - 2, bottom - 2
    upright = bool(canvas.rng.random() < 0.5)
    start, end = (left, right) if upright else (top, bottom)
    usual_m = float(canvas.rng.uniform(16, 48))
    while start < end - 3:
        stop = min(end, start + usual_m * float(canvas.rng.uniform(0.6, 1.4)))
        strip = (start, top, stop - 1.2, bottom) if upright else (left, start, right, stop - 1.2)
        _draw_strip(canvas, frame, strip, upright=upright)
        start = stop


def _draw_strip(canvas: Canvas, frame: Frame, box: Box, *, upright: bool) -> None:
    """One crop: its colour, its rows along the strip, thin and thick patches."""
    left, top, right, bottom = box
    centre, width, height = ((left + right) / 2, (top + bottom) / 2), right - left, bottom - top
    colour = canvas.choose(_CROPS, 0.06)
    canvas.polygon(frame.box(*centre, width, height), colour)
    gain = float(canvas.rng.uniform(0.9, 0.97))
    for offset in np.arange(1.5, width if upright else height, 3.2).tolist():
        if upright:
            ends = [(left + offset, top), (left + offset, bottom)]
        else:
            ends = [(left, top + offset), (right, top + offset)]
        canvas.line(frame(ends), 1.3, shade(colour, gain + float(canvas.rng.normal(0, 0.02))), 0.8)
    for x, y in canvas.rng.uniform((left, top), (right, bottom), size=(3, 2)).tolist():
        patch = shade(colour, float(canvas.rng.uniform(0.86, 1.1)))
        canvas.disc(frame.at(x, y), float(canvas.rng.uniform(4, 9)), patch, 0.22)


def _draw_pivot(canvas: Canvas, centre: Point, radius_m: float) -> None:
    """A circle watered by a turning arm: rings of wheel tracks, one sector freshly sown."""
    canvas.polygon(rectangle(centre, 2 * radius_m + 10, 2 * radius_m + 10, -7), (128, 122, 94))
    canvas.disc(centre, radius_m, (82, 104, 60))
    sector = [centre] + [
        (centre[0] + radius_m * math.cos(a), centre[1] + radius_m * math.sin(a))
        for a in np.linspace(-0.5, 0.9, 30)
    ]
    canvas.polygon(sector, (108, 114, 76))
    for ring in np.arange(16, radius_m, 11):
        outline = ellipse(centre, float(ring), float(ring))
        canvas.line([*outline, outline[0]], 1.4, (70, 90, 50), 0.5)
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


def scatter_trees(canvas: Canvas, count: int = 7000) -> None:
    """Strew single trees and bushes over open land, before anything is built there."""
    spots = canvas.rng.uniform((0, 0), (3000, 2400), size=(count, 2))
    groups = spots[canvas.rng.integers(0, 160, size=count)]
    groups = groups + canvas.rng.normal(0, 42, size=(count, 2))
    for x, y in np.concatenate([spots[: count // 2], groups[: count // 2]]).tolist():
        on_land = x > float(coast_x_m(y)) + 95
        if on_land and abs(y - float(river_y_m(x))) > 62:
            canvas.tree((x, y), float(canvas.rng.uniform(1.8, 5.0)), canvas.choose(_CROWNS, 0.12))
