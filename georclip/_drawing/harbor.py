"""A harbor: breakwater, quays with ships and containers, and a marina full of boats."""

from __future__ import annotations

import math
from itertools import pairwise

from georclip._drawing.canvas import (
    ASPHALT,
    CONCRETE,
    WHITE,
    Canvas,
    Colour,
    Frame,
    Point,
    rectangle,
    shade,
)

_CONTAINERS: tuple[Colour, ...] = (
    (150, 62, 48), (52, 86, 128), (176, 112, 52), (70, 110, 84), (170, 168, 160), (120, 56, 60),
)  # fmt: skip
_HULLS: tuple[Colour, ...] = ((70, 44, 40), (40, 48, 62), (52, 66, 60), (96, 50, 44))
_DECKS: tuple[Colour, ...] = ((128, 70, 58), (104, 112, 110), (96, 104, 92), (150, 140, 126))

_SHEDS: tuple[Colour, ...] = (
    (188, 186, 180), (118, 134, 148), (164, 128, 104), (204, 204, 200),
)  # fmt: skip
_CARS: tuple[Colour, ...] = (WHITE, (60, 62, 66), (150, 40, 36), (120, 130, 140))
_BREAKWATERS: tuple[list[Point], ...] = (
    [(700, 112), (560, 96), (400, 108), (300, 160), (232, 260), (206, 400)],
    [(690, 985), (520, 978), (380, 930), (282, 840), (240, 720)],
)


def draw_harbor(canvas: Canvas) -> None:
    """Draw the harbor on the north-west shore."""
    _draw_basin(canvas)
    for spine in _BREAKWATERS:
        _draw_breakwater(canvas, spine)
    _draw_quays(canvas)
    _draw_ships(canvas)
    for y in (648, 708, 768, 828, 888):
        _draw_pontoon(canvas, (630, y), length_m=240 + float(canvas.rng.integers(-30, 31)))
    _draw_yard(canvas)


def _draw_basin(canvas: Canvas) -> None:
    """Calm dark water inside the breakwaters, up to the quay wall."""
    for grow in (0, 14, 28, 42):
        north = [(700, 118 - grow), (420, 128 - grow), (312 - grow, 190), (238 - grow, 420)]
        south = [(262 - grow, 700), (320 - grow, 830), (420, 920 + grow), (720, 965 + grow)]
        canvas.polygon([*north, *south], (26, 46, 52), 0.22)


def _draw_breakwater(canvas: Canvas, spine: list[Point]) -> None:
    """A rubble mound: a dark wet foot, a pale crest of rocks and a service road on top."""
    canvas.line(spine, 36, (60, 70, 70), 0.7)
    canvas.line(spine, 27, (122, 118, 108))
    for (x0, y0), (x1, y1) in pairwise(spine):
        length = math.hypot(x1 - x0, y1 - y0)
        for _ in range(int(length * 2.2)):
            t, side = canvas.rng.random(), canvas.rng.normal(0, 6.5)
            x = x0 + t * (x1 - x0) - side * (y1 - y0) / length
            y = y0 + t * (y1 - y0) + side * (x1 - x0) / length
            rock = canvas.vary((158, 152, 140), 0.2)
            canvas.disc((x, y), float(canvas.rng.uniform(0.8, 2.0)), rock)
    canvas.line(spine, 6, (172, 168, 158))


def _draw_quays(canvas: Canvas) -> None:
    """The concrete shore and two wide piers that reach into the basin."""
    shore = [(632, 120), (1010, 120), (1010, 960), (632, 960)]
    canvas.polygon([(x - 4, y) for x, y in shore], (50, 52, 50))
    canvas.polygon(shore, CONCRETE)
    for _ in range(260):
        spot = (float(canvas.rng.uniform(640, 1004)), float(canvas.rng.uniform(124, 956)))
        stain = canvas.choose(((132, 128, 120), (184, 180, 170), (120, 118, 112)))
        canvas.disc(spot, float(canvas.rng.uniform(3, 15)), stain, 0.16)
    for y in range(140, 960, 20):
        canvas.line([(634, y), (1008, y)], 0.7, (146, 142, 134), 0.7)
    canvas.line([(634, 120), (634, 960)], 3, (200, 196, 186))
    for y, length in ((265, 300), (480, 270)):
        left = 632 - length
        pier = [(left, y - 26), (640, y - 26), (640, y + 26), (left, y + 26)]
        canvas.shadow(pier, 5)
        canvas.polygon(pier, canvas.vary((160, 157, 148), 0.03))
        canvas.line([pier[0], pier[1]], 1.5, (70, 68, 62))
        canvas.line([pier[3], pier[2]], 1.5, (70, 68, 62))
        shed = rectangle((left + length * 0.55, y), length * 0.62, 20, 0)
        canvas.building(shed, 8, canvas.vary((150, 146, 138), 0.06))
        canvas.line([(left + length * 0.24, y), (left + length * 0.86, y)], 1.2, (196, 194, 188))


def _draw_ships(canvas: Canvas) -> None:
    """Ships alongside the piers and the quay, two under way, small craft at anchor."""
    berths: tuple[tuple[float, float, float, float, float], ...] = (
        (480, 225, 180, 26, 0), (420, 305, 130, 20, 0), (555, 304, 105, 17, 180),
        (455, 440, 150, 22, 0), (575, 441, 78, 13, 180), (500, 519, 165, 24, 180),
        (618, 374, 120, 18, 90),
    )  # fmt: skip
    for x, y, length, beam, heading in berths:
        draw_ship(canvas, (x, y), length, beam, heading)
    for spot, length, beam, heading in (((306, 580), 110, 17, -20), ((110, 560), 190, 29, 12)):
        draw_wake(canvas, spot, length, beam, heading)
        draw_ship(canvas, spot, length, beam, heading)
    for x in range(400, 600, 34):
        anchored = (x + float(canvas.rng.normal(0, 6)), float(canvas.rng.uniform(562, 600)))
        heading = float(canvas.rng.normal(200, 14))  # all swing with the wind
        draw_boat(canvas, anchored, float(canvas.rng.uniform(12, 26)), heading)


def draw_ship(
    canvas: Canvas, centre: Point, length_m: float, beam_m: float, heading_deg: float
) -> None:
    """Draw a freighter: hull, deck with hatches or containers, white bridge at the stern."""
    frame = Frame(centre, heading_deg)
    half_l, half_b = length_m / 2, beam_m / 2
    side = [(half_l * 0.86, half_b * 0.72), (half_l * 0.68, half_b), (-half_l * 0.94, half_b),
            (-half_l, half_b * 0.7)]  # fmt: skip
    hull = [(half_l, 0.0), *side, *((x, -y) for x, y in side[::-1])]
    canvas.note("ship", frame(hull))
    canvas.shadow(frame(hull), 9, 0.55)
    canvas.polygon(frame(hull), canvas.choose(_HULLS))
    deck = canvas.choose(_DECKS)
    canvas.polygon(frame([(x * 0.97, y * 0.84) for x, y in hull]), deck)
    boxes = bool(canvas.rng.random() < 0.55)
    bays = max(3, int(length_m * 0.62 / 14))
    bay_m = length_m * 0.66 / bays
    for bay in range(bays):
        x = -half_l * 0.55 + (bay + 0.5) * bay_m
        if boxes:
            _draw_bay(canvas, frame, x, beam_m * 0.78)
        else:
            hatch = shade(deck, 0.72 + 0.5 * (bay % 2))
            canvas.polygon(frame.box(x, 0, bay_m * 0.8, beam_m * 0.62), hatch)
    bridge = frame.box(-half_l * 0.78, 0, length_m * 0.11, beam_m * 0.82)
    canvas.shadow(bridge, 14, 0.45)
    canvas.polygon(bridge, WHITE)
    canvas.polygon(frame.box(-half_l * 0.9, 0, length_m * 0.045, beam_m * 0.3), (150, 60, 44))


def draw_wake(
    canvas: Canvas, centre: Point, length_m: float, beam_m: float, heading_deg: float
) -> None:
    """Churned water astern that widens and fades, and the two arms of the bow wave."""
    frame = Frame(centre, heading_deg)
    stern = -length_m / 2
    for _ in range(int(length_m * 9)):
        back = float(canvas.rng.exponential(length_m * 0.55))
        spread = beam_m * (0.28 + 0.22 * back / length_m)
        spot = frame.at(stern - back, float(canvas.rng.normal(0, spread)))
        canvas.disc(spot, float(canvas.rng.uniform(0.8, 2.6)), (206, 216, 214), 0.22)
    for side in (-1, 1):
        for _ in range(int(length_m * 4)):
            back = float(canvas.rng.uniform(0, length_m * 1.5))
            away = beam_m * 0.5 + 0.19 * back + float(canvas.rng.normal(0, 1 + 0.02 * back))
            spot = frame.at(-stern * 0.9 - back, side * away)
            canvas.disc(spot, float(canvas.rng.uniform(0.6, 1.8)), (190, 204, 204), 0.2)


def _draw_bay(canvas: Canvas, frame: Frame, x: float, width_m: float) -> None:
    """One row of containers across a deck."""
    rows = max(3, int(width_m / 2.6))
    for row in range(rows):
        y = -width_m / 2 + (row + 0.5) * width_m / rows
        box = frame.box(x, y, 11.6, width_m / rows * 0.94)
        canvas.polygon(box, canvas.choose(_CONTAINERS, 0.12))


def draw_boat(canvas: Canvas, centre: Point, length_m: float, heading_deg: float) -> None:
    """Draw a small white boat with its cabin."""
    frame = Frame(centre, heading_deg)
    half_l, half_b = length_m / 2, length_m * 0.15
    side = [(half_l * 0.4, half_b), (-half_l, half_b * 0.9)]
    hull = [(half_l, 0.0), *side, *((x, -y) for x, y in side[::-1])]
    canvas.shadow(frame(hull), 2.5, 0.5)
    canvas.polygon(frame(hull), canvas.vary(WHITE, 0.07))
    colour = (96, 116, 140) if canvas.rng.random() < 0.4 else (176, 172, 164)
    canvas.polygon(frame.box(-half_l * 0.15, 0, half_l * 0.8, half_b), colour)


def _draw_pontoon(canvas: Canvas, root: Point, length_m: float) -> None:
    """A floating jetty with boats on both sides, bow out."""
    x0, y0 = root
    canvas.line([(x0 + 4, y0), (x0 - length_m, y0)], 4.2, (170, 164, 150))
    for side in (-1, 1):
        x = x0 - 12.0
        while x > x0 - length_m + 4:
            length = float(canvas.rng.uniform(11, 19))
            if canvas.rng.random() < 0.9:
                spot = (x, y0 + side * (length / 2 + 3.2))
                draw_boat(canvas, spot, length, 90 * side + float(canvas.rng.normal(0, 2)))
            x -= length * 0.3 + float(canvas.rng.uniform(1.6, 2.6))


def _draw_yard(canvas: Canvas) -> None:
    """Container stacks, gantry cranes, warehouses, roads and a car park behind the quay."""
    for y in (190, 550, 610, 905):
        canvas.line([(660, y), (1008, y)], 11, ASPHALT)
    canvas.line([(845, 120), (845, 960)], 12, ASPHALT)
    for block_y in range(210, 540, 44):
        for block_x in (698, 752, 806):
            _draw_stack(canvas, (float(block_x), float(block_y)))
    for y in (240, 330, 420, 500):
        _draw_crane(canvas, y)
    for y in (150, 232, 292, 352, 412, 472, 650, 710, 770, 830):
        length = float(canvas.rng.uniform(96, 128))
        colour = canvas.choose(_SHEDS)
        canvas.building(rectangle((928, y), length, 36, 0), 9, colour)
        canvas.line([(928 - length / 2, y), (928 + length / 2, y)], 1.5, shade(colour, 0.8))
    for y in range(630, 900, 18):
        for x in range(676, 832, 4):
            if canvas.rng.random() < 0.62:
                canvas.polygon(rectangle((x, y), 4.4, 2.0, 90), canvas.choose(_CARS))


def _draw_crane(canvas: Canvas, y: float) -> None:
    """A gantry crane whose boom reaches over the water."""
    canvas.shadow(rectangle((650, y), 40, 3, 0), 26, 0.4)
    for offset in (-3, 3):
        canvas.line([(612, y + offset), (672, y + offset)], 2.2, (190, 120, 60))
    canvas.line([(650, y - 9), (650, y + 9)], 3, (150, 92, 50))


def _draw_stack(canvas: Canvas, centre: Point) -> None:
    outline = rectangle(centre, 46, 32, 0)
    canvas.shadow(outline, 9, 0.5)
    for column in range(12):
        for row in range(3):
            if canvas.rng.random() < 0.88:
                spot = (centre[0] - 21.5 + column * 3.8, centre[1] - 11 + row * 11.0)
                canvas.polygon(rectangle(spot, 10.4, 3.3, 90), canvas.choose(_CONTAINERS, 0.15))
