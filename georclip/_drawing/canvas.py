"""A picture drawn in metres: shapes, shadows under one sun, and noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""left, top, right, bottom in metres from the scene's upper left corner."""

SUPERSAMPLING = 2
"""Canvas pixels per scene pixel, each way: what smooths edges when the canvas is reduced."""

SHADOW_PER_M = (-0.62, -0.52)
"""How far from a thing one metre high its shadow ends, m: the sun stands in the south-east."""

CONCRETE: Colour = (168, 165, 157)
ASPHALT: Colour = (92, 92, 92)
SOIL: Colour = (150, 132, 106)
GRASS: Colour = (104, 114, 74)
WHITE: Colour = (236, 236, 232)


@dataclass(frozen=True, slots=True)
class Thing:
    """One small thing that was drawn, without its shadow.

    Attributes:
        name: "ship", "plane" or "storage tank".
        box: Around it, m.
    """

    name: str
    box: Box


class Canvas:
    """Draws shapes given in metres on a supersampled picture.

    Attributes:
        image: RGB, `SUPERSAMPLING` times as wide and high as the scene.
        rng: The only source of chance: the same seed gives the same picture.
        things: Small things that were noted while they were drawn.
    """

    def __init__(self, image: Image.Image, pixel_size_m: float, rng: np.random.Generator) -> None:
        self.image = image
        self.rng = rng
        self.things: list[Thing] = []
        self._scale = SUPERSAMPLING / pixel_size_m
        self._pen = ImageDraw.Draw(image, "RGBA")

    def note(self, name: str, outline: Sequence[Point]) -> None:
        """Remember where a small thing lies."""
        xs, ys = zip(*outline, strict=True)
        self.things.append(Thing(name, (min(xs), min(ys), max(xs), max(ys))))

    def polygon(self, points: Sequence[Point], colour: Colour, opacity: float = 1.0) -> None:
        """Fill a polygon."""
        self._pen.polygon(self._to_px(points), fill=(*colour, round(255 * opacity)))

    def line(
        self, points: Sequence[Point], width_m: float, colour: Colour, opacity: float = 1.0
    ) -> None:
        """Stroke a line, at least one canvas pixel wide."""
        width = max(1, round(width_m * self._scale))
        fill = (*colour, round(255 * opacity))
        self._pen.line(self._to_px(points), fill=fill, width=width, joint="curve")

    def disc(self, centre: Point, radius_m: float, colour: Colour, opacity: float = 1.0) -> None:
        """Fill a circle."""
        x, y, r = (v * self._scale for v in (*centre, radius_m))
        self._pen.ellipse((x - r, y - r, x + r, y + r), fill=(*colour, round(255 * opacity)))

    def shadow(self, points: Sequence[Point], height_m: float, opacity: float = 0.5) -> None:
        """Darken the ground that a prism of this outline and height keeps from the sun."""
        dx, dy = SHADOW_PER_M[0] * height_m, SHADOW_PER_M[1] * height_m
        outline = convex_hull([*points, *((x + dx, y + dy) for x, y in points)])
        self.polygon(outline, (18, 22, 26), opacity)

    def building(self, points: Sequence[Point], height_m: float, colour: Colour) -> None:
        """Draw a flat roof with its shadow and a lit parapet."""
        self.shadow(points, height_m)
        self.polygon(points, colour)
        self.line([*points, points[0]], 0.8, shade(colour, 1.15))

    def vary(self, colour: Colour, amount: float = 0.08) -> Colour:
        """A colour near this one: a little lighter or darker, a little off in hue."""
        gain = 1.0 + self.rng.normal(0.0, amount) + self.rng.normal(0.0, amount / 4, size=3)
        red, green, blue = np.clip(np.asarray(colour) * gain, 0, 255).astype(int).tolist()
        return red, green, blue

    def choose(self, colours: Sequence[Colour], amount: float = 0.08) -> Colour:
        """One of these colours, varied."""
        return self.vary(colours[int(self.rng.integers(len(colours)))], amount)

    def tree(self, centre: Point, radius_m: float, colour: Colour) -> None:
        """Draw a crown: shadow, dark edge, lit side towards the sun."""
        x, y = centre
        r = radius_m
        self.disc((x - 0.55 * r, y - 0.5 * r), r, (16, 24, 18), 0.5)
        self.disc(centre, r, shade(colour, 0.78))
        self.disc((x + 0.18 * r, y + 0.16 * r), 0.72 * r, colour)
        self.disc((x + 0.34 * r, y + 0.30 * r), 0.34 * r, shade(colour, 1.25))

    def _to_px(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self._scale, y * self._scale) for x, y in points]


@dataclass(frozen=True, slots=True)
class Frame:
    """Local metres of one place.

    Attributes:
        origin: Where local (0, 0) lies in the scene, m.
        heading_deg: Where local +x points, clockwise from the scene's x axis.
    """

    origin: Point
    heading_deg: float = 0.0

    def __call__(self, points: Sequence[Point]) -> list[Point]:
        """Turn local points into scene points."""
        return place(points, self.origin, self.heading_deg)

    def at(self, x: float, y: float) -> Point:
        """Turn one local point into a scene point."""
        return self([(x, y)])[0]

    def box(self, x: float, y: float, length_m: float, width_m: float) -> list[Point]:
        """Corners of a rectangle about a local point, along the local axes."""
        return rectangle(self.at(x, y), length_m, width_m, self.heading_deg)


def shade(colour: Colour, gain: float) -> Colour:
    """The colour, lighter (gain over 1) or darker."""
    red, green, blue = (min(255, max(0, round(value * gain))) for value in colour)
    return red, green, blue


def rectangle(centre: Point, length_m: float, width_m: float, heading_deg: float) -> list[Point]:
    """Corners of a rectangle whose length points along the heading, clockwise from the x axis."""
    half_l, half_w = length_m / 2, width_m / 2
    corners = [(-half_l, -half_w), (half_l, -half_w), (half_l, half_w), (-half_l, half_w)]
    return place(corners, centre, heading_deg)


def place(shape: Sequence[Point], centre: Point, heading_deg: float) -> list[Point]:
    """A shape drawn about (0, 0) with its nose along +x, turned and moved."""
    cos, sin = math.cos(math.radians(heading_deg)), math.sin(math.radians(heading_deg))
    return [(centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos) for x, y in shape]


def ellipse(
    centre: Point, radius_x_m: float, radius_y_m: float, heading_deg: float = 0.0, corners: int = 72
) -> list[Point]:
    """Outline of an ellipse."""
    angles = np.linspace(0.0, 2 * math.pi, corners, endpoint=False)
    shape = [(radius_x_m * math.cos(a), radius_y_m * math.sin(a)) for a in angles]
    return place(shape, centre, heading_deg)


def convex_hull(points: Sequence[Point]) -> list[Point]:
    """Convex hull by Andrew's monotone chain."""
    ordered = sorted(set(points))

    def chain(sequence: Sequence[Point]) -> list[Point]:
        hull: list[Point] = []
        for x, y in sequence:
            while len(hull) >= 2:
                (ax, ay), (bx, by) = hull[-2], hull[-1]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                hull.pop()
            hull.append((x, y))
        return hull[:-1]

    return chain(ordered) + chain(ordered[::-1])


def noise(
    shape: tuple[int, int],
    cells_px: Sequence[float],
    rng: np.random.Generator,
    *,
    stretch: float = 1.0,
) -> npt.NDArray[np.float32]:
    """Smooth noise of several octaves, mean about 0, standard deviation about 1.

    Args:
        shape: (height, width) of the result.
        cells_px: Size of each octave's cells, px; larger cells weigh more.
        rng: Source of chance.
        stretch: How many times longer cells are across than down.

    Returns:
        float32, (height, width).
    """
    height, width = shape
    total = np.zeros(shape, np.float32)
    weights = np.sqrt(np.asarray(cells_px, np.float64))
    for cell, weight in zip(cells_px, weights / np.linalg.norm(weights), strict=True):
        rows = max(2, math.ceil(height / max(cell, 1.0)) + 1)
        cols = max(2, math.ceil(width / max(cell * stretch, 1.0)) + 1)
        coarse = Image.fromarray(rng.standard_normal((rows, cols), dtype=np.float32))
        octave = coarse.resize((width, height), Image.Resampling.BICUBIC)
        total += np.float32(weight * 1.4) * np.asarray(octave)
    return total
