"""How changes look in QGIS: outlines from orange (fell) to blue (rose), wider where more changed.

Orange and blue are told apart by colour-blind people; both are light enough to stand out from
their casing over a scene. A label's triangle says the direction, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from georclip.export.style import document, graduated, labeling

_COLOURS = ("#ff7f0e", "#fdc58a", "#f2f2f2", "#a6d3f5", "#38a1ff")
"""Fell much, fell, hardly changed, rose, rose much."""

_WIDTHS_MM = (0.9, 0.6, 0.5, 0.6, 0.9)
_EDGES = (-1.0, -0.6, -0.2, 0.2, 0.6, 1.0)
"""Of the largest change."""

CHANGE_LABEL = "\"rank\" || if(\"change\" > 0, ' ▲', ' ▼')"
"""QGIS's expression for what is written on each place."""


def changes_qml(changes: Sequence[float]) -> str:
    """Write the style of a layer of changes.

    Args:
        changes: Of all places; the largest, whatever its sign, is where the colours end.

    Returns:
        A QML document.
    """
    most = max((abs(change) for change in changes), default=0.0) or 1.0
    edges = [most * edge for edge in _EDGES]
    labels = [f"{low:+.3f} – {high:+.3f}" for low, high in pairwise(edges)]
    edges[0], edges[-1] = -most - 1e-6, most + 1e-6  # rounding must not lose the ends
    bounds = zip(pairwise(edges), labels, strict=True)
    classes = [(low, high, label) for (low, high), label in bounds]
    return document(
        graduated("change", classes, _COLOURS, _WIDTHS_MM),
        labeling(CHANGE_LABEL),
    )
