"""Recall curves, confusion matrices and in-scene precision as pictures and tables."""

from __future__ import annotations

import csv
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from georclip.errors import ExportError

if TYPE_CHECKING:
    from georclip.evaluation.in_scene import InSceneFigures
    from georclip.evaluation.records import Evaluation
    from georclip.evaluation.retrieval import RetrievalFigures
    from georclip.evaluation.zero_shot import ZeroShotFigures

log = logging.getLogger("georclip")

_LAST_K = 100
_INCHES_PER_CLASS = 0.32
_DARK_FROM = 0.6


def write_plots(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write pictures of what was measured, and confusion matrices as CSV too.

    Recall curves of retrieval, confusion matrices of zero-shot, and of scenes the precision by
    pixel size and by class.

    Args:
        evaluation: What was measured.
        folder: Made where it does not exist; files of earlier runs are replaced.

    Returns:
        The files written; none, and a warning, where nothing that was measured has a picture.

    Raises:
        ExportError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for figures in evaluation.sets:
            name = figures.name.replace(" + ", "+")
            if figures.retrieval is not None:
                written.append(
                    _plot_recall(
                        evaluation,
                        figures.name,
                        figures.retrieval,
                        folder / f"recall-{name}.png",
                    )
                )
            if figures.zero_shot is not None:
                path = folder / f"confusion-{name}.png"
                written.append(_plot_confusion(evaluation, figures.name, figures.zero_shot, path))
                written.append(write_confusion(figures.zero_shot, path.with_suffix(".csv")))
            if figures.in_scene:
                path = folder / f"in-scene-{name}.png"
                written.append(_plot_in_scene(evaluation, figures.name, figures.in_scene, path))
    except OSError as error:
        raise ExportError(f"cannot write plots to {folder}: {error.strerror}") from error
    if not written:
        log.warning(
            "no plots: they show retrieval, zero-shot and in-scene, which were not measured"
        )
    return written


def write_confusion(figures: ZeroShotFigures, path: Path) -> Path:
    """Write a confusion matrix as CSV: a row for each true class, a column for each predicted."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["true \\ predicted", *figures.classes])
        for name, counts in zip(figures.classes, figures.confusion.tolist(), strict=True):
            writer.writerow([name, *counts])
    return path


def recall_curve(ranks: npt.NDArray[np.int64], last_k: int) -> npt.NDArray[np.float64]:
    """R@1, R@2, ... in percent: float64 (last_k,)."""
    counts = np.bincount(np.minimum(ranks, last_k), minlength=last_k + 1)
    return np.asarray(counts[:last_k].cumsum() / len(ranks) * 100.0, dtype=np.float64)


def _plot_recall(
    evaluation: Evaluation, name: str, retrieval: RetrievalFigures, path: Path
) -> Path:
    figure = Figure(figsize=(7.0, 4.6), layout="constrained")
    axes = figure.add_subplot()
    k = np.arange(1, _LAST_K + 1)
    for direction, colour, found, best in (
        ("text to image", "tab:blue", retrieval.ranks.text_to_image,
         retrieval.best_ranks.text_to_image),
        ("image to text", "tab:orange", retrieval.ranks.image_to_text,
         retrieval.best_ranks.image_to_text),
    ):  # fmt: skip
        axes.plot(k, recall_curve(found, _LAST_K), color=colour, label=direction)
        axes.plot(
            k,
            recall_curve(best, _LAST_K),
            color=colour,
            linestyle=":",
            label=f"{direction}, at most",
        )
    axes.set(
        xscale="log", xlim=(1, _LAST_K), ylim=(0, 102), xlabel="k", ylabel="R@k, %",
        title=f"{evaluation.encoder.name} on {name} ({evaluation.split}, "
        f"{retrieval.images} images)\nprotocol {evaluation.protocol.value}, "
        f"mean recall {retrieval.recalls.mean:.2f} of at most {retrieval.ceiling.mean:.2f}",
    )  # fmt: skip
    ticks = [1, 2, 5, 10, 20, 50, 100]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=130)
    return path


def _plot_confusion(
    evaluation: Evaluation, name: str, figures: ZeroShotFigures, path: Path
) -> Path:
    shares = figures.confusion / figures.confusion.sum(axis=1, keepdims=True)
    side = 3.0 + _INCHES_PER_CLASS * len(figures.classes)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    shown = axes.imshow(shares * 100.0, cmap="Blues", vmin=0, vmax=100)
    places = range(len(figures.classes))
    axes.set_xticks(places, figures.classes, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, figures.classes)
    axes.set(
        xlabel="predicted", ylabel="true",
        title=f"{evaluation.encoder.name} on {name} ({evaluation.split}): zero-shot top-1 "
        f"{figures.top_1:.1f} %",
    )  # fmt: skip
    _write_counts(axes, figures.confusion, shares)
    bar = figure.colorbar(shown, ax=axes, shrink=0.6)
    bar.set_label("% of the true class")
    figure.savefig(path, dpi=110)
    return path


def _plot_in_scene(
    evaluation: Evaluation, name: str, scales: tuple[InSceneFigures, ...], path: Path
) -> Path:
    """By pixel size on the left; by class, at the size nearest the scene's own, on the right."""
    own = min(scales, key=lambda one: abs(np.log(one.pixel_size_factor)))
    height = max(4.6, 1.5 + _INCHES_PER_CLASS * len(own.by_class))
    figure = Figure(figsize=(11.0, height), layout="constrained")
    left, right = figure.subplots(1, 2) if own.by_class else (figure.add_subplot(), None)
    _draw_sizes(left, sorted(scales, key=lambda one: one.pixel_size_factor))
    if right is not None:
        classes = sorted(own.by_class, key=lambda one: (one.precision, one.label))
        places = range(len(classes))
        right.barh(places, [one.precision for one in classes], color="tab:blue")
        right.plot([one.by_chance for one in classes], places, "k|", label="by chance")
        right.set_yticks(places, [f"{one.label} ({one.cells})" for one in classes])
        right.set(
            xlim=(0, 1), xlabel=f"precision at min({own.k}, places)",
            title=f"class (places), pixel size x {own.pixel_size_factor:g}",
        )  # fmt: skip
        right.grid(alpha=0.3, axis="x")
        right.legend(loc="lower right")
    figure.suptitle(
        f"{evaluation.encoder.name} in a scene of {name} ({evaluation.split}), {own.cells} places"
    )
    figure.savefig(path, dpi=110)
    return path


def _draw_sizes(axes: Any, scales: list[InSceneFigures]) -> None:  # noqa: ANN401
    """What is found at each pixel size, in [0, 1]."""
    factors = [one.pixel_size_factor for one in scales]
    captions = [one.by_caption.recall_at_10 / 100.0 for one in scales]
    axes.plot(factors, captions, "o-", color="tab:orange", label="caption: R@10")
    if scales[0].by_class:
        precision = [one.precision_at_k for one in scales]
        axes.plot(
            factors, precision, "o-", color="tab:blue", label=f"class: precision at {scales[0].k}"
        )
        axes.plot(factors, [one.by_chance for one in scales], "k:", label="class: by chance")
    axes.set(xscale="log", ylim=(0, 1.02), xlabel="pixel size over the scene's own")
    axes.set_xticks(factors, [f"{factor:g}" for factor in factors])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(loc="best")


def _write_counts(
    axes: Any,  # noqa: ANN401 - matplotlib's are not typed here
    confusion: npt.NDArray[np.int64],
    shares: npt.NDArray[np.float64],
) -> None:
    """Write the pictures of each cell into it, where there are some."""
    for row, column in np.argwhere(confusion):
        axes.text(
            column, row, str(confusion[row, column]), ha="center", va="center", fontsize=7,
            color="white" if shares[row, column] > _DARK_FROM else "black",
        )  # fmt: skip
