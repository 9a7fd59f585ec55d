"""A hit as a map shows it."""

from __future__ import annotations

from dataclasses import dataclass

from shapely.geometry.base import BaseGeometry


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One hit, or one place with several, on a map.

    Attributes:
        target: Id of what a click leads to.
        label: Written beside it.
        title: Said of it.
        footprint: EPSG:4326.
        colour: "#rrggbb".
        convincing: False is drawn fainter.
        radius: Of its dot, units, where the footprint is too small to be seen.
    """

    target: str
    label: str
    title: str
    footprint: BaseGeometry
    colour: str
    convincing: bool
    radius: float = 4.5
