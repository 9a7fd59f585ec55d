"""The gradient of one batch: in one go, in parts, or shared among processes."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

import torch

from georclip.errors import EncoderError
from georclip.training.data.batches import Batch
from georclip.training.distributed import ALONE, BothTowers, Processes
from georclip.training.gradient_cache import Embedded, chain, cut, embed_ahead
from georclip.training.losses import contrastive_loss
from georclip.training.settings import Precision, TrainSettings
from georclip.training.trainable import Trainable

_LEAST = 2  # pictures in a part: batch statistics of one are none


class Learner:
    """A model, and how a batch goes through it."""

    def __init__(self, model: Trainable, *, parts: int = 1, processes: Processes = ALONE) -> None:
        """Connect a model with those of the other processes.

        Args:
            model: On its device, with what is frozen frozen.
            parts: One after the other go through the towers in each process.
            processes: Of the run.
        """
        self.model = model
        self.parts = parts
        self.processes = processes
        self.towers = BothTowers(model)
        self.connected = processes.connect(self.towers)


def check_parts(settings: TrainSettings, processes: Processes) -> None:
    """Check that every process's every part of a batch holds pictures.

    Raises:
        EncoderError: It would not.
    """
    parts = settings.micro_batches * processes.world
    if settings.batch_size < _LEAST * parts:
        raise EncoderError(
            f"a batch of {settings.batch_size} pictures is too small for {parts} parts "
            f"({processes.world} processes, {settings.micro_batches} in each): "
            f"it needs {_LEAST * parts}"
        )


def backward(learner: Learner, batch: Batch, precision: Precision) -> float:
    """Add the gradient of the contrastive loss of a batch to the weights' own.

    Args:
        learner: Its model is in training mode.
        batch: This process's share, on the model's device.
        precision: Of the towers; the loss is float32.

    Returns:
        The loss of the whole batch.
    """
    device = batch.pictures.device.type
    cast = partial(torch.autocast, device, dtype=torch.bfloat16, enabled=precision == "bf16")
    if learner.parts > 1:
        return _backward_in_parts(learner, batch, cast)
    with cast():
        images, texts, scale = learner.connected(batch.pictures, batch.ids)
    if learner.processes.world == 1:
        loss = contrastive_loss(images, texts, scale, batch.positives)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())
    own = Embedded(pictures=images.detach(), sentences=texts.detach(), scale=scale.detach())
    gradient = learner.processes.loss_gradient(own, batch.positives)
    (whole,) = cut(len(batch.pictures), len(batch.ids), 1)
    chain((images, texts, scale), gradient, whole, last=True)
    learner.processes.average_statistics(learner.model.module)
    return gradient.loss


def _backward_in_parts(learner: Learner, batch: Batch, cast: partial[torch.autocast]) -> float:
    pictures, ids = batch.pictures, batch.ids
    processes, module = learner.processes, learner.model.module
    parts = cut(len(pictures), len(ids), learner.parts)
    with cast():
        own, states = embed_ahead(learner.towers, module, pictures, ids, parts)
    gradient = processes.loss_gradient(own, batch.positives)
    for number, (part, state) in enumerate(zip(parts, states, strict=True), start=1):
        last = number == len(parts)
        held = nullcontext() if last else processes.hold_back(learner.connected)
        with held, state.replay(pictures.device):
            with cast():
                outputs = learner.connected(pictures[part.pictures], ids[part.sentences])
            chain(outputs, gradient, part, last=last)
    processes.average_statistics(module)
    return gradient.loss
