"""Two losses' effect on the vectors, side by side, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from tests.benchmarks.collapse import Point

COLOURS = ("tab:red", "tab:blue")
_DPI = 120


def draw(points: Sequence[Point], recalls: dict[str, float], path: Path) -> None:
    """Draw the losses, the cosines of different things, and matched against unmatched pairs.

    Args:
        points: Of all losses.
        recalls: Mean recall at the end by loss, %.
        path: PNG.
    """
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    falling, alike, pairs = figure.subplots(1, 3)
    for (name, recall), colour in zip(recalls.items(), COLOURS, strict=True):
        own = [point for point in points if point.loss == name]
        steps = [point.step for point in own]
        start = own[0].value

        def line(axes: Any, values: list[float], label: str, style: str = "-") -> None:
            axes.plot(steps, values, style, color=colour, label=label)  # noqa: B023

        line(falling, [point.value / start for point in own], f"{name} (starts at {start:.2f})")
        line(alike, [point.between_images for point in own], f"{name}: pictures")
        line(alike, [point.between_captions for point in own], f"{name}: captions", "--")
        title = f"{name}: matched (mean recall {recall:.1f} %)"
        line(pairs, [point.matched for point in own], title)
        line(pairs, [point.unmatched for point in own], f"{name}: unmatched", "--")
    falling.set(title="Loss, as a share of its start", ylim=(0, None))
    alike.set(title="Cosine between different pictures, different captions", ylim=(-0.1, 1.05))
    pairs.set(title="Cosine of a picture and a caption", ylim=(-0.1, 1.05))
    for axes in (falling, alike, pairs):
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=_DPI)
