"""A run in memory: what changes while a model trains, step by step, set up and restored."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from georclip.captions.naming import some
from georclip.captions.records import CaptionedImage
from georclip.encoders.checkpoints import State
from georclip.errors import CaptionError, EncoderError
from georclip.training.checkpoint import EpochRecord, RunState
from georclip.training.data.batches import Batch
from georclip.training.distributed import Processes
from georclip.training.models.freezing import (
    check_learning,
    choose_learning,
    moves_statistics,
)
from georclip.training.optimisation import (
    WeightAverage,
    learning_rate,
    make_optimizer,
    set_rate,
)
from georclip.training.settings import TrainSettings
from georclip.training.step import Learner, backward, check_parts
from georclip.training.trainable import Trainable
from georclip.training.validation import Measured

log = logging.getLogger("georclip")

_GRADIENT_LIMIT = 5.0


@dataclass(slots=True, kw_only=True)
class Run:
    """A model that trains.

    Attributes:
        model: On its device.
        settings: Of the run.
        learner: How batches go through the model.
        held: Modules that stay in evaluation mode.
        average: Of the model's weights; what is kept.
        optimizer: Over the weights that learn.
        start: Weights that the tuned ones are mixed with, as files have them; None where they are
            not mixed.
        before: Figures of the start; None where it was not measured.
        history: Epochs done.
    """

    model: Trainable
    settings: TrainSettings
    learner: Learner
    held: tuple[nn.Module, ...]
    average: WeightAverage
    optimizer: torch.optim.Optimizer
    start: State | None
    before: Measured | None = None
    history: list[EpochRecord] = field(default_factory=list)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.module.parameters()).device


def new_run(
    model: Trainable, settings: TrainSettings, processes: Processes, device: torch.device
) -> Run:
    """Set a model up for training, from its weights as they are and the settings' seed.

    Args:
        model: Changed in place, and moved to the device.
        settings: Of the run.
        processes: Of the run.
        device: Where to train.

    Raises:
        EncoderError: Settings that the model's towers cannot follow.
    """
    torch.manual_seed(settings.seed)
    start = None
    if settings.wise < 1:
        weights = model.file_weights(model.module.state_dict())
        start = {name: value.clone().to(device) for name, value in weights.items()}
    model.module.to(device).to(memory_format=torch.channels_last)
    held = choose_learning(model, settings.frozen, settings.lora_rank)
    if settings.wise < 1 and moves_statistics(model, held):
        log.warning(
            "--wise mixes running statistics of batch normalisation like weights, and those of a "
            "mix are others: its figures tell what that costs; --lora leaves them as they are"
        )
    if settings.checkpointing:
        model.save_memory()
    return Run(
        model=model,
        settings=settings,
        learner=Learner(model, parts=settings.micro_batches, processes=processes),
        held=held,
        average=WeightAverage(model.module),
        optimizer=make_optimizer(model, settings),
        start=start,
    )


def take_step(run: Run, batch: Batch, step: int, steps_per_epoch: int) -> float:
    """Learn from one batch.

    Args:
        run: Its model is in training mode.
        batch: This process's share.
        step: Counted from 0 over the whole run.
        steps_per_epoch: What the schedule is laid out by.

    Returns:
        The loss of the whole batch.

    Raises:
        EncoderError: It is no number any more.
    """
    settings = run.settings
    set_rate(run.optimizer, learning_rate(settings, step, steps_per_epoch))
    run.optimizer.zero_grad(set_to_none=True)
    loss = backward(run.learner, batch.to(run.device), settings.precision)
    if not math.isfinite(loss):
        raise EncoderError("the loss is no number any more: try a lower --learning-rate")
    nn.utils.clip_grad_norm_(run.model.module.parameters(), _GRADIENT_LIMIT)
    run.optimizer.step()
    run.model.hold_temperature()
    run.average.update(run.model.module, min(settings.averaging, (1 + step) / (10 + step)))
    return loss


def restore(run: Run, state: RunState) -> None:
    """Set a new run to where another was."""
    run.model.module.load_state_dict(state.tensors["module"])
    run.optimizer.load_state_dict(state.tensors["optimizer"])
    run.average.values = {
        name: value.to(run.device) for name, value in state.tensors["average"].items()
    }
    run.before = state.before
    run.history = list(state.history)


def state_of(run: Run) -> RunState:
    """What is needed to restore a run; tensors are shared with it."""
    return RunState(
        history=tuple(run.history),
        before=run.before,
        tensors={
            "module": run.model.module.state_dict(),
            "average": run.average.values,
            "optimizer": run.optimizer.state_dict(),
        },
    )


def split_images(
    images: Sequence[CaptionedImage], settings: TrainSettings
) -> tuple[list[CaptionedImage], list[CaptionedImage]]:
    """What is learnt, with repeats, and what is held out, without.

    Raises:
        CaptionError: Less than a batch to learn from, nothing to tell when to stop by, or
            pictures that are both learnt and held out.
    """
    _check_apart(images)
    learnt = [image for image in images if image.split == "train"]
    held_out = list(dict.fromkeys(image for image in images if image.split == "val"))
    if len(learnt) < settings.batch_size:
        found = ", ".join(sorted({image.split for image in images})) or "none"
        raise CaptionError(
            f"{len(learnt)} images in the split 'train' (splits found: {found}); "
            f"a batch needs {settings.batch_size}: give more, or a smaller --batch-size"
        )
    if settings.patience and not held_out:
        raise CaptionError("--patience needs images of the split 'val': nothing else tells")
    return learnt, held_out


def check_settings(
    settings: TrainSettings, model: Trainable, *, trained: bool, processes: Processes
) -> None:
    """Refuse settings that a model or a start cannot follow, before work is put into them.

    Args:
        settings: Of the run.
        model: What will be trained.
        trained: Whether both its towers come from a trained model.
        processes: Of the run.

    Raises:
        EncoderError: There are such settings.
    """
    check_parts(settings, processes)
    check_learning(model, settings.frozen, settings.lora_rank)
    side_px = model.spec.image_size_px
    if not model.any_view_size and set(settings.view_sizes_px) != {side_px}:
        raise EncoderError(
            f"{model.spec.architecture} takes pictures of {side_px} px and no others: "
            "leave --view-sizes out"
        )
    if settings.wise < 1 and not trained:
        raise EncoderError("--wise mixes with the start, and random weights are none to mix with")
    if settings.lora_rank and not trained:
        raise EncoderError("--lora adapts trained weights: random ones have to learn themselves")


def _check_apart(images: Sequence[CaptionedImage]) -> None:
    """Refuse pictures that are learnt and held out, as by two caption files over one folder.

    Raises:
        CaptionError: There are some.
    """
    learnt, held_out = (
        {os.path.realpath(image.path): image.path for image in images if image.split in splits}
        for splits in (("train",), ("val", "test"))
    )
    both = [str(path) for place, path in learnt.items() if place in held_out]
    if both:
        raise CaptionError(
            f"{len(both)} images are in the split 'train' and in 'val' or 'test' at once: "
            f"{some(both)}: figures on them would tell nothing; give the caption files the same "
            "splits (one that names none is divided by --val-share)"
        )
