"""The curves of a run as a table and as a picture."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
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
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    loss, recall = figure.subplots(1, 2)
    loss.plot([record.epoch for record in history], [record.loss for record in history], ".-")
    loss.set(xlabel="epoch", ylabel="contrastive loss, mean of the epoch")
    measured = [record for record in history if record.figures]
    for number, name in enumerate(_sources(history)):
        found = [(r.epoch, f) for r in measured for f in r.figures if f.source == name]
        epochs = [epoch for epoch, _ in found]
        colour = f"C{number}"
        recalls = [one.mean_recall for _, one in found]
        recall.plot(epochs, recalls, ".-", color=colour, label=f"{name}: mean recall")
        if all(one.zero_shot is not None for _, one in found):
            shares = [100.0 * (one.zero_shot or 0.0) for _, one in found]
            recall.plot(epochs, shares, ".--", color=colour, label=f"{name}: zero-shot top-1")
    recall.set(xlabel="epoch", ylabel="%, val split", ylim=(0, 100))
    if measured:
        recall.legend(fontsize="small")
    figure.savefig(path, dpi=_DPI)


def _sources(history: Sequence[EpochRecord]) -> list[str]:
    return list(dict.fromkeys(figure.source for record in history for figure in record.figures))
