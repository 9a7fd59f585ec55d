"""The state of a run, so that a killed one goes on to the same weights."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from georclip.errors import EncoderError
from georclip.training.settings import TrainSettings
from georclip.training.validation import Figures, Measured
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
        figures: On the val split, of the averaged weights as they would be written, mixed with
            the start where `wise` says so; () where it was not measured.
        tuned_alone: Of the averaged weights that were mixed; () where they are not, or where
            the mix was not the best so far.
    """

    epoch: int
    view_size_px: int
    loss: float
    seconds: float
    images_per_s: float
    figures: tuple[Figures, ...] = ()
    tuned_alone: tuple[Figures, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunKey:
    """What must be the same for a run to go on.

    Attributes:
        settings: Of the run.
        spec: Of the weights that it writes.
        start: Digest of the weights that it started from, "" for random ones.
        data: Digest of what it learns and measures, in order: batches are drawn by position.
        forgetting: The same, of the pictures that forgetting is measured on.
        processes: How many share each batch: each seeds and normalises its share by itself.
    """

    settings: TrainSettings
    spec: EncoderSpec
    start: str
    data: str
    forgetting: str
    processes: int

    def text(self) -> str:
        """All of it as JSON."""
        return json.dumps(asdict(self))


_PARTS = {
    "start": "another start",
    "data": "other captions or pictures, or another order of them",
    "forgetting": "other pictures of --forgetting",
    "processes": "another number of processes",
}
"""Parts of a key that say nothing to people, in words."""
_OPTIONS = {
    "frozen": "freeze",
    "ground_size_m": "ground_size",
    "image_size_px": "image_size",
    "lora_rank": "lora",
    "micro_batches": "accum",
    "view_sizes_px": "view_sizes",
    "warmup_epochs": "warmup",
}
"""Settings whose option has another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Everything that the next epoch needs.

    Torch's random state is none of it: each epoch seeds it anew.

    Attributes:
        history: Epochs done.
        before: Figures of the start, or None where it was not measured.
        tensors: State dicts of "module", "average" and "optimizer".
    """

    history: tuple[EpochRecord, ...]
    before: Measured | None
    tensors: dict[str, Any]


def checkpoint_path(weights: Path) -> Path:
    """Where a run that writes `weights` keeps its state until it is done."""
    return weights.with_name(weights.stem + ".checkpoint.pt")


def save_state(path: Path, state: RunState, key: RunKey) -> None:
    """Write a run's state; a kill while writing leaves the one before.

    Raises:
        EncoderError: It cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    content = {
        "key": key.text(),
        "history": json.dumps([asdict(record) for record in state.history]),
        "before": json.dumps(state.before and asdict(state.before)),
        "tensors": state.tensors,
    }
    try:
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch's writer raises the latter on a full disk
        partial.unlink(missing_ok=True)
        raise EncoderError(f"cannot write the run's state {path}: {error}") from error


def load_state(path: Path, key: RunKey) -> RunState:
    """Read a run's state, onto the CPU.

    Raises:
        EncoderError: There is none, it is damaged, or it belongs to other settings or captions.
    """
    check_saved(path, resume=True)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        differing = _differences(content["key"], key)
        before = json.loads(content["before"])
        state = RunState(
            history=tuple(_record(entry) for entry in json.loads(content["history"])),
            before=before and Measured(**{k: _figures(v) for k, v in before.items()}),
            tensors=content["tensors"],
        )
    except Exception as error:  # torch's reader raises anything over a damaged file
        why = str(error) or type(error).__name__
        raise EncoderError(
            f"cannot resume from {path}: it is damaged ({why}); remove it to start again"
        ) from error
    if differing:
        raise EncoderError(
            f"{path} belongs to another run ({'; '.join(differing)}): give the same as then, or "
            "remove it to start again"
        )
    return state


def check_saved(path: Path, *, resume: bool) -> None:
    """Check that a state is there exactly where a run is to go on.

    Raises:
        EncoderError: There is nothing to resume, or a run to resume and no word about it.
    """
    if resume and not path.exists():
        raise EncoderError(
            f"there is no run to resume: {path} is missing; leave --resume out to start one"
        )
    if path.exists() and not resume:
        raise EncoderError(
            f"{path} holds a run under way: --resume it, or remove the file (--overwrite leaves it)"
        )


def _differences(saved: str, key: RunKey) -> list[str]:
    """What a run was started with that is not so now, in words."""
    if saved == key.text():
        return []
    then, now = json.loads(saved), json.loads(key.text())
    options = [
        f"{_option(name)} {then['settings'].get(name)} then, {value} now"
        for name, value in now["settings"].items()
        if then["settings"].get(name) != value
    ]
    model = [
        f"the model's {name} {then['spec'].get(name)} then, {value} now"
        for name, value in now["spec"].items()
        if then["spec"].get(name) != value and name not in now["settings"]
    ]
    parts = [words for name, words in _PARTS.items() if then.get(name) != now[name]]
    return [*options, *model, *parts] or ["of another version of georclip"]


def _option(setting: str) -> str:
    """A setting as it is said on the command line."""
    return "--" + _OPTIONS.get(setting, setting).replace("_", "-")


def _record(entry: dict[str, Any]) -> EpochRecord:
    return replace(
        EpochRecord(**entry),
        figures=_figures(entry["figures"]),
        tuned_alone=_figures(entry["tuned_alone"]),
    )


def _figures(entries: Sequence[dict[str, Any]]) -> tuple[Figures, ...]:
    return tuple(Figures(**figure) for figure in entries)
