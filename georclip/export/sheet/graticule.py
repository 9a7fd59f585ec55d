"""Lines of longitude and latitude with their degrees, and a scale bar."""

from __future__ import annotations

import math
from collections.abc import Iterator

from georclip.export.sheet.markup import Markup, join, number, tag
from georclip.export.sheet.projection import View

_WIDE_STEPS = (90.0, 60.0, 45.0, 30.0, 20.0, 10.0, 5.0, 2.0, 1.0)
_NICE = (5, 2, 1)
_UNITS_APART = 130.0
_SIGN_WIDTH = 7.0
_SCALE_SHARE = 0.22
"""Of the map's width, that a scale bar may take."""
_SCALE_UP_TO_DEG = 25.0
"""Wider maps have no one scale."""


def graticule(view: View) -> tuple[Markup, Markup]:
    """Draw lines across a map, and their degrees at its edge, which belong on top of all else."""
    west, south, east, north = view.bounds
    step = _step((east - west) / max(2.0, view.width / _UNITS_APART))
    lines: list[Markup] = []
    ticks: list[Markup] = []
    for lon in _multiples(west, east, step):
        x = (lon - west) * view.units
        lines.append(tag("path", d=f"M{number(x)} 0V{number(view.height)}", class_="grid"))
        said = degrees((lon + 180.0) % 360.0 - 180.0, "E", "W", step)
        half = _SIGN_WIDTH * len(said) / 2
        if half < x < view.width - half:
            ticks.append(tag("text", said, x=x, y=view.height - 5, class_="tick middle"))
    low, high = view.projection.latitude(south), view.projection.latitude(north)
    for lat in _multiples(max(low, -90.0), min(high, 90.0), step):
        y = float(view.place([[west, lat]])[0, 1])
        lines.append(tag("path", d=f"M0 {number(y)}H{number(view.width)}", class_="grid"))
        if 14 < y < view.height - 22:
            ticks.append(tag("text", degrees(lat, "N", "S", step), x=5, y=y - 4, class_="tick"))
    return tag("g", *lines), tag("g", *ticks, class_="ticks", aria_hidden="true")


def degrees(value: float, positive: str, negative: str, step: float = 1e-5) -> str:
    """A coordinate in words, with as many decimals as a step needs."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    text = f"{abs(value):.{decimals}f}°"
    if float(f"{abs(value):.{decimals}f}") == 0 or (abs(value) == 180.0):
        return text
    return f"{text} {positive if value > 0 else negative}"


def scale_bar(view: View) -> Markup:
    """A length on the ground in the middle of the map, which it is true for."""
    west, south, east, north = view.bounds
    if east - west > _SCALE_UP_TO_DEG:
        return join()
    metres_per_unit = view.projection.metres((south + north) / 2) / view.units
    if not metres_per_unit > 0:
        return join()
    metres = _step_below(_SCALE_SHARE * view.width * metres_per_unit)
    length = metres / metres_per_unit
    text = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    right, y = view.width - 12.0, 14.0
    bar = f"M{number(right - length)} {number(y)}v6h{number(length)}v-6"
    return tag(
        "g",
        tag("path", d=bar, class_="bar-casing"),
        tag("path", d=bar, class_="bar"),
        tag("text", text, x=right - length / 2, y=y + 2, class_="tick middle"),
        role="img",
        aria_label=f"scale: {text}",
        class_="scale",
    )


def _step(about: float) -> float:
    """The next round number of degrees from `about` on."""
    for wide in reversed(_WIDE_STEPS):
        if 1.0 <= about <= wide:
            return wide
    return _WIDE_STEPS[0] if about > 1.0 else _step_below(about * 1.6)


def _step_below(most: float) -> float:
    """The largest of 1, 2, 5, 10, ... (and their tenths) up to `most`."""
    power = 10.0 ** math.floor(math.log10(most))
    return next((nice * power for nice in _NICE if nice * power <= most * (1 + 1e-9)), power)


def _multiples(low: float, high: float, step: float) -> Iterator[float]:
    for count in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield count * step
