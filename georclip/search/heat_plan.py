"""Which windows a heat map looks at: their side, and how far one lies from the next."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from georclip.errors import QueryError
from georclip.scenes.chips import Level, ResolvedPlan, resolve_plan
from georclip.values import ChipPlan, EncoderSpec, Scene, SizeUnit

STRIDES_A_SIDE = 4
"""Windows of a stride left alone lie a quarter of their side apart."""

_LENGTH = re.compile(r"(?P<size>\d+(?:\.\d+)?)\s*(?P<unit>px|m)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """A length as a person gives it.

    Attributes:
        size: In `unit`; 0 where that is "auto".
        unit: "auto", "px" (native pixels) or "m" (metres).
    """

    size: float = 0.0
    unit: SizeUnit = "auto"

    @classmethod
    def parse(cls, text: str) -> Length:
        """Read "auto", "64px" or "50m".

        Raises:
            QueryError: It is none of these.
        """
        if text.strip() == "auto":
            return cls()
        match = _LENGTH.fullmatch(text.strip())
        if match is None or float(match["size"]) <= 0:
            raise QueryError(f"{text!r} is no length: write auto, pixels as 64px, or metres as 50m")
        return cls(size=float(match["size"]), unit="px" if match["unit"] == "px" else "m")

    def in_m(self, scene: Scene) -> float:
        """Metres on the ground of a scene."""
        return self.size * scene.gsd_m if self.unit == "px" else self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatPlan:
    """Windows of one scene, worked out.

    Attributes:
        resolved: One level, whose strides are the cells of the map.
        side_m: Of a window, m.
        stride_m: From one window to the next, m.
        notes: What to beware of, in words.
    """

    resolved: ResolvedPlan
    side_m: float
    stride_m: float
    notes: tuple[str, ...]

    @property
    def level(self) -> Level:
        """The windows."""
        return self.resolved.levels[0]


def plan_heat(
    scene: Scene,
    spec: EncoderSpec,
    *,
    side: Length | None = None,
    stride: Length | None = None,
    min_valid_fraction: float = 0.5,
) -> HeatPlan:
    """Work out the windows of a heat map.

    Args:
        scene: To look at.
        spec: Of the encoder; the ground that it knows decides an "auto" side.
        side: Of a window. "auto" takes the smallest chips that indexing would cut of the scene.
        stride: From one window to the next, and the map's pixel; "auto": a quarter of the side.
            Whole pixels of the scene, of the decimated scene where windows are large.
        min_valid_fraction: Windows with fewer valid pixels are passed over.

    Raises:
        QueryError: Windows a stride apart would leave gaps between them.
        SceneError: A window would be smaller than 8 px.
    """
    side, stride = side or Length(), stride or Length()
    plan = ChipPlan(size=side.size, unit=side.unit, min_valid_fraction=min_valid_fraction)
    if side.unit == "auto":
        smallest = resolve_plan(scene, plan, spec.ground_size_m, spec.image_size_px).levels[0]
        plan = replace(plan, size=_side_m(scene, smallest), unit="m")
    resolved = resolve_plan(scene, plan, spec.ground_size_m, spec.image_size_px)
    level = resolved.levels[0]
    side_m = _side_m(scene, level)
    asked_m = side_m / STRIDES_A_SIDE if stride.unit == "auto" else stride.in_m(scene)
    if asked_m > side_m * 1.001:
        raise QueryError(
            f"a stride of {asked_m:.4g} m leaves gaps between windows of {side_m:.4g} m: "
            "give a smaller stride, or larger windows with --chip-size"
        )
    level = replace(
        level,
        stride_x_px=_stride_px(level.width_px, asked_m / side_m, level.factor),
        stride_y_px=_stride_px(level.height_px, asked_m / side_m, level.factor),
    )
    count = len(level.columns(scene.width)) * len(level.rows(scene.height))
    return HeatPlan(
        resolved=replace(resolved, levels=(level,), chip_count=count),
        side_m=side_m,
        stride_m=math.sqrt(level.stride_x_px * level.stride_y_px) * scene.gsd_m,
        notes=resolved.notes,
    )


def _side_m(scene: Scene, level: Level) -> float:
    return math.sqrt(level.width_px * level.height_px) * scene.gsd_m


def _stride_px(side_px: int, share: float, factor: int) -> int:
    return min(side_px, factor * max(1, round(share * side_px / factor)))
