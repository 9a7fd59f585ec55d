"""Two losses' effect on the vectors, side by side, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from tests.benchmarks.collapse_probe import Point

COLOURS = ("tab:red", "tab:blue")
_DPI = 120


def draw(points: Sequence[Point], recalls: dict[str, float], path: Path) -> None:
    """Draw the losses, the cosines of different things, and matched against unmatched pairs.

    Args:
        points: Of all losses.
        recalls: Mean recall at the end by loss, %.
        path: PNG.
    """
    figure = Figure(figsize=(13, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    falling, alike, pairs = figure.subplots(1, 3)
    for (name, recall), colour in zip(recalls.items(), COLOURS, strict=True):
        own = [point for point in points if point.loss == name]
        steps = [point.step for point in own]
        start = own[0].value

        def line(axes: Any, values: list[float], label: str, **look: Any) -> None:
            axes.plot(steps, values, color=colour, label=label, **look)  # noqa: B023

        line(falling, [point.value / start for point in own], f"{name} (starts at {start:.2f})")
        line(alike, [point.between_images for point in own], f"{name}: pictures")
        line(alike, [point.between_captions for point in own], f"{name}: captions", ls="--")
        matched = f"{name}: matched (mean recall {recall:.1f} %)"
        line(pairs, [point.matched for point in own], matched, lw=5, alpha=0.3)
        line(pairs, [point.unmatched for point in own], f"{name}: unmatched", ls="--")
    falling.set(title="Loss on a batch, as a share of its start", ylim=(0, None))
    alike.set(title="Cosine of different pictures, captions", ylim=(-0.1, 1.05))
    pairs.set(title="Cosine of a picture and a caption", ylim=(-0.1, 1.05))
    for axes in (falling, alike, pairs):
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.14))
    figure.savefig(path, dpi=_DPI)
