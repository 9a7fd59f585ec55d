"""What a run did, for people: what it started from, learnt from and reached, as JSON and curves."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from georclip import __version__
from georclip.encoders.file_records import file_sha256
from georclip.training.checkpoint import EpochRecord
from georclip.training.choosing import kept_epoch
from georclip.training.curves import draw_curves, write_table
from georclip.training.data.fingerprint import DataPrint
from georclip.training.settings import TrainSettings
from georclip.training.validation import Measured

_PACKAGES = ("torch", "open_clip_torch", "timm", "peft", "numpy", "pillow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a run starts from.

    Attributes:
        name: A model's or a file's name, or "random weights".
        sha256: Of the weights' file, "" for random ones.
        trained: Whether both towers come from a trained model.
    """

    name: str = "random weights"
    sha256: str = ""
    trained: bool = False


SCRATCH = Origin()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What does not change while a run goes on.

    Attributes:
        settings: Of the run.
        origin: What it started from.
        architecture: Of both towers.
        data: What it learnt from.
        device: Where it ran, for people.
        processes: How many shared each batch.
        before: Figures of the start, or None where it was not measured.
    """

    settings: TrainSettings
    origin: Origin
    architecture: str
    data: DataPrint
    device: str
    processes: int
    before: Measured | None


def write_record(
    weights: Path,
    facts: RunFacts,
    history: Sequence[EpochRecord],
    after: Measured | None = None,
) -> None:
    """Write beside the weights what happened: all as JSON, the curves as CSV.

    Args:
        weights: The file; the record gets its name.
        facts: Of the run.
        history: Epochs so far.
        after: Figures of the file as written; None while the run goes on. With them the digest of
            the file is recorded, and the curves are drawn as PNG. Where the file is a mix with
            the start, "tuned_alone" are the figures of the kept epoch's weights before mixing.
    """
    content: dict[str, object] = {
        "weights": weights.name,
        "architecture": facts.architecture,
        "started_from": asdict(facts.origin),
        "settings": asdict(facts.settings),
        "data": {
            "fingerprint": facts.data.fingerprint,
            "caption_files": [
                {"name": name, "sha256": digest} for name, digest in facts.data.caption_files
            ],
        },
        "images": facts.data.images,
        "computed_on": _computed_on(facts),
        "before": facts.before and asdict(facts.before),
    }
    if after is not None:
        kept = kept_epoch(history, facts.settings.choose_by)
        content["weights_sha256"] = file_sha256(weights)
        content["kept_epoch"] = kept.epoch
        content["after"] = asdict(after)
        if facts.settings.wise < 1:
            content["tuned_alone"] = [asdict(figures) for figures in kept.tuned_alone]
    content["epochs"] = [asdict(record) for record in history]
    text = json.dumps(content, indent=1) + "\n"
    weights.with_suffix(".training.json").write_text(text, encoding="utf-8")
    write_table(weights.with_suffix(".training.csv"), history)
    if after is not None:
        draw_curves(weights.with_suffix(".training.png"), history)


def _computed_on(facts: RunFacts) -> dict[str, object]:
    versions = {"georclip": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "device": facts.device,
        "processes": facts.processes,
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
        "versions": versions,
    }
