"""An evaluation as text for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from georclip.evaluation.in_scene import InSceneFigures
from georclip.evaluation.neighbours import NeighbourFigures
from georclip.evaluation.protocols import CUTOFFS, Protocol
from georclip.evaluation.records import Evaluation, SetFigures
from georclip.evaluation.retrieval import Recalls, RetrievalFigures
from georclip.evaluation.zero_shot import ZeroShotFigures

_WIDTH = 22
_ANSWERS = 10


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Everything measured, for `json.dumps`.

    Recalls and accuracies are percentages, precisions lie in [0, 1]. The figures of all pictures
    in one gallery stand at the top; where there are several caption files, "by_set" holds the
    same for each of them in a gallery of its own. "protocol" stands beside retrieval alone.
    "in_scene" is of one caption file's pictures: of several it is in "by_set" only.
    """
    spec = evaluation.encoder
    content: dict[str, Any] = {
        "split": evaluation.split,
        "model": {
            "name": spec.name,
            "architecture": spec.architecture,
            "activation": spec.activation,
            "weights_sha256": spec.weights_sha256,
            "device": evaluation.device,
        },
        **_set_json(evaluation.whole, evaluation.protocol),
    }
    if evaluation.by_set:
        content["by_set"] = {
            figures.name: _set_json(figures, evaluation.protocol) for figures in evaluation.by_set
        }
    return content


def as_table(evaluation: Evaluation) -> str:
    """Everything measured, for people; ends in a line break."""
    spec = evaluation.encoder
    lines = [
        f"model {spec.name} ({spec.architecture}, {spec.activation}) on {evaluation.device}, "
        f"split {evaluation.split}",
    ]
    if any(figures.retrieval is not None for figures in evaluation.sets):
        lines.append(f"retrieval by protocol {evaluation.protocol.description}")
    for figures in evaluation.sets:
        lines += ["", *_set_lines(figures)]
    return "\n".join(lines) + "\n"


def recalls_json(recalls: Recalls) -> dict[str, Any]:
    """Six recalls and their mean, percent."""
    return {
        "text_to_image": _by_cutoff(recalls.text_to_image),
        "image_to_text": _by_cutoff(recalls.image_to_text),
        "mean_recall": recalls.mean,
    }


def _by_cutoff(values: tuple[float, ...]) -> dict[str, float]:
    return {f"R@{k}": value for k, value in zip(CUTOFFS, values, strict=True)}


def _set_json(figures: SetFigures, protocol: Protocol) -> dict[str, Any]:
    content: dict[str, Any] = {
        "images": figures.images,
        "unlabelled_images": figures.unlabelled,
    }
    if figures.retrieval is not None:
        retrieval = figures.retrieval
        content["protocol"] = protocol.value
        content["prefix"] = retrieval.prefix
        content["texts"] = retrieval.texts
        content["unknown_texts"] = retrieval.unknown_texts
        content |= recalls_json(retrieval.recalls)
        content["ceiling"] = recalls_json(retrieval.ceiling)
    if figures.zero_shot is not None:
        content["zero_shot"] = _zero_shot_json(figures.zero_shot)
    if figures.neighbours is not None:
        content["neighbours"] = asdict(figures.neighbours)
    if figures.in_scene:
        content["in_scene"] = [asdict(one) for one in figures.in_scene]
    return content


def _zero_shot_json(figures: ZeroShotFigures) -> dict[str, Any]:
    per_class = zip(
        figures.classes,
        figures.confusion.sum(axis=1).tolist(),
        figures.per_class,
        figures.precision_at_10,
        strict=True,
    )
    return {
        "images": figures.images,
        "top_1": figures.top_1,
        "mean_per_class": figures.mean_per_class,
        "precision_at_10": figures.mean_precision_at_10,
        "templates": list(figures.templates),
        "unknown_classes": list(figures.unknown_classes),
        "per_class": {
            name: {"images": images, "top_1": top_1, "precision_at_10": precision}
            for name, images, top_1, precision in per_class
        },
    }


def _set_lines(figures: SetFigures) -> list[str]:
    title = f"{figures.name}: {figures.images} images"
    if figures.retrieval is not None:
        title += f", {figures.retrieval.texts} texts"
    lines = [title]
    if figures.retrieval is not None:
        lines += _retrieval_lines(figures.retrieval)
    if figures.zero_shot is not None:
        lines += _zero_shot_lines(figures.zero_shot)
    if figures.neighbours is not None:
        lines += _neighbour_lines(figures.neighbours)
    for one in figures.in_scene:
        lines += _in_scene_lines(one)
    if figures.unlabelled and (figures.zero_shot or figures.neighbours):
        lines.append(f"  {figures.unlabelled} images without a class are left out of these")
    return lines


def _retrieval_lines(figures: RetrievalFigures) -> list[str]:
    found, best = figures.recalls, figures.ceiling
    rows = [
        _row("", [f"R@{k}" for k in CUTOFFS]) + "    (at most, since equal texts score equal)",
        _recall_row("text to image", found.text_to_image, best.text_to_image),
        _recall_row("image to text", found.image_to_text, best.image_to_text),
        f"  {'mean recall':<{_WIDTH}}{found.mean:>7.2f}    (at most {best.mean:.2f})",
    ]
    if figures.prefix:
        rows.append(f"  prefix of every text: {figures.prefix!r}")
    if figures.unknown_texts:
        rows.append(f"  {figures.unknown_texts} texts without a known word score 0")
    return rows


def _recall_row(name: str, values: tuple[float, ...], best: tuple[float, ...]) -> str:
    shown = _row(name, [f"{value:.2f}" for value in values])
    return f"{shown}    ({', '.join(f'{value:.2f}' for value in best)})"


def _row(name: str, cells: list[str]) -> str:
    return f"  {name:<{_WIDTH}}" + "".join(f"{cell:>7}" for cell in cells)


def _zero_shot_lines(figures: ZeroShotFigures) -> list[str]:
    lines = [
        f"  zero-shot, {len(figures.classes)} classes, {len(figures.templates)} prompts each: "
        f"top-1 {figures.top_1:.2f} %, mean over classes {figures.mean_per_class:.2f} %",
        f"  class name as query: precision at 10 {figures.mean_precision_at_10:.3f}",
    ]
    small = int((figures.confusion.sum(axis=1) < _ANSWERS).sum())
    if small:
        lines[-1] += f" ({small} classes have fewer pictures: precision at their number)"
    by_accuracy = sorted(zip(figures.per_class, figures.classes, strict=True))
    worst = ", ".join(f"{name} {value:.0f} %" for value, name in by_accuracy[:5])
    lines.append(f"    hardest: {worst}")
    if figures.unknown_classes:
        lines.append(f"    without a known word: {', '.join(figures.unknown_classes)}")
    return lines


def _neighbour_lines(figures: NeighbourFigures) -> list[str]:
    where = f"{figures.gallery_images} images of {figures.gallery}"
    lines = [
        f"  {figures.voters} nearest of {where}: top-1 {figures.top_1:.2f} %, "
        f"precision at 10 {figures.precision_at_10:.3f}"
    ]
    if figures.lonely:
        lines.append(f"    {figures.lonely} images have no other of their class")
    return lines


def _in_scene_lines(figures: InSceneFigures) -> list[str]:
    lines = [
        f"  in a scene of {figures.cells} places at {figures.pixel_size_factor:g} x its pixel "
        f"size ({figures.pixel_size_m:.2f} m), {figures.chips} chips"
    ]
    if figures.precision_at_k is not None:
        lines.append(
            f"    by class: precision at {figures.k} {figures.precision_at_k:.3f} "
            f"(by chance {figures.by_chance:.3f}), average precision "
            f"{figures.mean_average_precision:.3f}"
        )
    asked = figures.by_caption
    lines.append(
        f"    by caption: R@1 {asked.recall_at_1:.2f}, R@5 {asked.recall_at_5:.2f}, "
        f"R@10 {asked.recall_at_10:.2f}, average precision {asked.mean_average_precision:.3f}"
    )
    return lines
