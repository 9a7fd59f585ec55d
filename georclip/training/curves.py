"""The curves of a run as a table and as a picture."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from georclip.training.checkpoint import EpochRecord

log = logging.getLogger("georclip")

_DPI = 120


def write_table(path: Path, history: Sequence[EpochRecord]) -> None:
    """Write a row for each epoch as CSV; figures are empty where none were measured."""
    sources = _sources(history)
    kinds = ("p@10", "mean recall", "zero-shot")
    columns = [f"{name} {kind}" for name in sources for kind in kinds]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "view_size_px", "loss", "seconds", "images_per_s", *columns])
        for record in history:
            by_source = {figure.source: figure for figure in record.figures}
            values: list[object] = []
            for name in sources:
                found = by_source.get(name)
                values += (
                    ["", "", ""]
                    if found is None
                    else [found.precision_at_10, found.mean_recall, found.zero_shot]
                )
            start = [record.epoch, record.view_size_px, record.loss, record.seconds]
            writer.writerow([*start, record.images_per_s, *values])


def draw_curves(path: Path, history: Sequence[EpochRecord]) -> None:
    """Draw the loss, and the figures on held-out pictures, over the epochs as PNG.

    Left out, with a line in the log, where matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        log.info('no curves are drawn without matplotlib: pip install "georclip[train]"')
        return
    measured = [record for record in history if record.figures]
    panels = 2 if measured else 1
    figure = Figure(figsize=(4.5 * panels, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    axes[0].plot([record.epoch for record in history], [record.loss for record in history], ".-")
    axes[0].set(xlabel="epoch", ylabel="contrastive loss, mean of the epoch")
    if measured:
        for name, kind, points in _lines(measured):
            style = ".-" if kind == "mean recall" else ".--"
            colour = f"C{_sources(history).index(name)}"
            axes[1].plot(*zip(*points, strict=True), style, color=colour, label=f"{name}: {kind}")
        axes[1].set(xlabel="epoch", ylabel="%, val split", ylim=(0, 102))
        figure.legend(loc="outside lower center", ncols=2, fontsize="small")  # off the curves
    for panel in axes:
        panel.xaxis.get_major_locator().set_params(integer=True)  # no epoch and a quarter
    figure.savefig(path, dpi=_DPI)


def _lines(
    measured: Sequence[EpochRecord],
) -> Iterator[tuple[str, str, list[tuple[int, float]]]]:
    """What is drawn of each caption file: (file, kind, points of epoch and percent)."""
    for name in _sources(measured):
        found = [(one.epoch, f) for one in measured for f in one.figures if f.source == name]
        yield name, "mean recall", [(epoch, figures.mean_recall) for epoch, figures in found]
        shares = [(e, 100.0 * f.zero_shot) for e, f in found if f.zero_shot is not None]
        if shares:
            yield name, "zero-shot top-1", shares


def _sources(history: Sequence[EpochRecord]) -> list[str]:
    return list(dict.fromkeys(figure.source for record in history for figure in record.figures))
