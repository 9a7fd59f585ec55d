"""The state of a run, so that a killed one goes on to the same weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from georclip.errors import EncoderError
from georclip.training.settings import TrainSettings
from georclip.training.validation import Figures
from georclip.values import EncoderSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """What one epoch did.

    Attributes:
        epoch: From 1.
        view_size_px: Side of its training views.
        loss: Mean over its steps.
        seconds: Wall time of its steps.
        images_per_s: Training pictures per second.
        figures: On the val split, with averaged weights; () where it was not measured.
    """

    epoch: int
    view_size_px: int
    loss: float
    seconds: float
    images_per_s: float
    figures: tuple[Figures, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Everything that the next epoch needs.

    Attributes:
        history: Epochs done.
        best: Highest headline figure so far.
        tensors: State dicts of "module", "average" and "optimizer".
    """

    history: tuple[EpochRecord, ...]
    best: float
    tensors: dict[str, Any]


def checkpoint_path(weights: Path) -> Path:
    """Where a run that writes `weights` keeps its state until it is done."""
    return weights.with_name(weights.stem + ".checkpoint.pt")


def save_state(path: Path, state: RunState, settings: TrainSettings, spec: EncoderSpec) -> None:
    """Write a run's state; a kill while writing leaves the one before."""
    partial = path.with_name(path.name + ".partial")
    content = {
        "settings": json.dumps(asdict(settings)),
        "spec": json.dumps(asdict(spec)),
        "history": json.dumps([asdict(record) for record in state.history]),
        "best": state.best,
        "tensors": state.tensors,
    }
    torch.save(content, partial)
    partial.replace(path)


def load_state(path: Path, settings: TrainSettings, spec: EncoderSpec) -> RunState:
    """Read a run's state.

    Raises:
        EncoderError: There is none, it is damaged, or it belongs to other settings or captions.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        history = tuple(_record(entry) for entry in json.loads(content["history"]))
        state = RunState(history=history, best=content["best"], tensors=content["tensors"])
        same = content["settings"] == json.dumps(asdict(settings))
        same = same and content["spec"] == json.dumps(asdict(spec))
    except FileNotFoundError as error:
        raise EncoderError(f"there is no run to resume: {path} is missing") from error
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, UnpicklingError) as error:
        raise EncoderError(f"cannot resume from {path}: {error}") from error
    if not same:
        raise EncoderError(
            f"{path} belongs to a run with other options or captions: "
            "give the same ones, or remove it to start again"
        )
    return state


def _record(entry: dict[str, Any]) -> EpochRecord:
    record = EpochRecord(**entry)
    return replace(record, figures=tuple(Figures(**figure) for figure in entry["figures"]))
