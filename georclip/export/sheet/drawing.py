"""Maps as inline SVG: footprints over their scenes, a graticule, a scale bar. No scripts needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources

import numpy as np
from shapely.geometry.base import BaseGeometry

from georclip.export.sheet.backdrop import Backdrop
from georclip.export.sheet.graticule import graticule, scale_bar
from georclip.export.sheet.labels import place_labels
from georclip.export.sheet.marks import Mark
from georclip.export.sheet.markup import Markup, join, number, tag
from georclip.export.sheet.places import LEAST_MARK
from georclip.export.sheet.projection import Points, View

_LAND_FROM_DEG = 12.0
"""Views at least this wide show the outlines of land, which are true to half a degree."""


def draw_map(
    view: View,
    marks: Sequence[Mark],
    *,
    title: str,
    backdrops: Sequence[Backdrop] = (),
    outlines: Sequence[BaseGeometry] = (),
) -> Markup:
    """Draw hits on a map.

    Args:
        view: What is shown.
        marks: The hits, best first.
        title: What it shows, for those who do not see it.
        backdrops: Pictures of scenes.
        outlines: Of scenes, EPSG:4326.
    """
    box = f"0 0 {number(view.width)} {number(view.height)}"
    land = _land(view) if view.bounds[2] - view.bounds[0] >= _LAND_FROM_DEG else ""
    lines, ticks = graticule(view)
    return tag(
        "svg",
        tag("title", title),
        tag("rect", width=view.width, height=view.height, class_="ground"),
        tag("path", d=land, class_="land") if land else "",
        *(_picture(backdrop) for backdrop in backdrops),
        *(tag("path", d=_path(view.rings(one)), class_="scene") for one in outlines),
        lines,
        *(_mark(view, mark) for mark in reversed(marks)),
        ticks,
        tag("g", *place_labels(view, marks), class_="labels", aria_hidden="true"),
        scale_bar(view),
        viewBox=box,
        role="group",
        aria_label=title,
    )


def _picture(backdrop: Backdrop) -> Markup:
    matrix = " ".join(f"{value:.6g}" for value in backdrop.matrix)
    return tag(
        "image",
        href=backdrop.source,
        width=backdrop.width,
        height=backdrop.height,
        preserveAspectRatio="none",
        transform=f"matrix({matrix})",
        class_="backdrop",
    )


def _mark(view: View, mark: Mark) -> Markup:
    """One hit: its outline, or a dot where that would be too small to see."""
    rings = view.rings(mark.footprint)
    points = np.concatenate(rings)
    if np.ptp(points, axis=0).max() < LEAST_MARK:
        x, y = (points.min(axis=0) + points.max(axis=0)) / 2
        shapes = [
            tag("circle", cx=float(x), cy=float(y), r=mark.radius, class_=name, stroke=colour,
                fill=fill)
            for name, colour, fill in (("casing", None, None), ("dot", "none", mark.colour))
        ]  # fmt: skip
    else:
        path = _path(rings)
        shapes = [
            tag("path", d=path, class_="casing"),
            tag("path", d=path, class_="outline", stroke=mark.colour),
        ]
    return tag(
        "a",
        tag("title", mark.title),
        *shapes,
        href=f"#{mark.target}",
        class_="mark" if mark.convincing else "mark weak",
        data_hit=mark.target,
        aria_label=mark.title,
    )


def _path(rings: Sequence[Points]) -> str:
    lines = []
    for ring in rings:
        points = "L".join(f"{number(float(x))} {number(float(y))}" for x, y in ring)
        lines.append(f"M{points}Z")
    return "".join(lines)


def _land(view: View) -> str:
    """The land on a wide map, as a path; "" where there is none."""
    west, south, east, north = view.bounds
    margin = 0.05 * (east - west)
    lines: list[str] = []
    for ring in _coasts():
        for turn in range(-1, 3):
            moved = ring + np.array([360.0 * turn, 0.0])
            low, high = view.projection.project([moved.min(axis=0), moved.max(axis=0)])
            if (
                high[0] >= west - margin
                and low[0] <= east + margin
                and high[1] >= south - margin
                and low[1] <= north + margin
            ):
                points = np.clip(view.place(moved), -2000.0, 4000.0).round().astype(int)
                kept = np.append(True, (np.diff(points, axis=0) != 0).any(axis=1))
                if kept.sum() >= 3:
                    lines.append("M" + "L".join(f"{x} {y}" for x, y in points[kept]) + "Z")
    return "".join(lines)


@lru_cache(maxsize=1)
def _coasts() -> tuple[Points, ...]:
    """Outlines of land, (n, 2) lon, lat each: Natural Earth 1:110 million, public domain."""
    text = resources.files("georclip.export.sheet").joinpath("land.txt").read_text("ascii")
    return tuple(
        np.array([point.split(",") for point in line.split()], dtype=np.float64)
        for line in text.splitlines()
    )


def legend(scores: Sequence[float], ramp: Sequence[str]) -> Markup:
    """The colours of a map, and the scores that they stand for."""
    steps = [
        tag("rect", x=12.0 * at, width=12, height=8, fill=colour) for at, colour in enumerate(ramp)
    ]
    swatch = tag(
        "svg",
        *steps,
        width=12 * len(ramp),
        height=8,
        viewBox=f"0 0 {12 * len(ramp)} 8",
        aria_hidden="true",
    )
    low, high = min(scores), max(scores)
    if math.isclose(low, high, abs_tol=1e-6):
        return tag("p", f"score {high:.3f}", class_="legend")
    return tag("p", join(f"score {low:.3f} ", swatch, f" {high:.3f}"), class_="legend")
