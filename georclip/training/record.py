"""What a run did, for people: settings and epochs as JSON, the curve as CSV."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from georclip.captions.records import CaptionedImage
from georclip.training.checkpoint import EpochRecord
from georclip.training.settings import TrainSettings


def write_record(
    weights: Path, history: Sequence[EpochRecord], settings: TrainSettings, notes: dict[str, object]
) -> None:
    """Write what happened beside the weights: settings and epochs as JSON, the curve as CSV."""
    content = {
        "weights": weights.name,
        "settings": asdict(settings),
        **notes,
        "epochs": [asdict(record) for record in history],
    }
    text = json.dumps(content, indent=1) + "\n"
    weights.with_suffix(".training.json").write_text(text, encoding="utf-8")
    sources = list(dict.fromkeys(f.source for record in history for f in record.figures))
    with weights.with_suffix(".training.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        columns = [f"{name} {what}" for name in sources for what in ("p@10", "mean recall")]
        writer.writerow(["epoch", "view_size_px", "loss", "seconds", "images_per_s", *columns])
        for record in history:
            by_source = {figure.source: figure for figure in record.figures}
            values: list[object] = []
            for name in sources:
                figure = by_source.get(name)
                values += (
                    ["", ""] if figure is None else [figure.precision_at_10, figure.mean_recall]
                )
            start = [record.epoch, record.view_size_px, record.loss, record.seconds]
            writer.writerow([*start, record.images_per_s, *values])


def notes(
    learnt: Sequence[CaptionedImage], held_out: Sequence[CaptionedImage]
) -> dict[str, object]:
    """Counts of images per caption file, and what computed."""
    counts = {
        split: dict(Counter(image.source for image in part))
        for split, part in (("train", learnt), ("val", held_out))
    }
    return {"images": counts, "torch": torch.__version__, "threads": torch.get_num_threads()}
