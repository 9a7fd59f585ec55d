"""The training run, top to bottom."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from georclip.captions.pictures import decode_images
from georclip.captions.records import CaptionedImage
from georclip.errors import CaptionError, EncoderError
from georclip.training.batches import BatchMaker
from georclip.training.checkpoint import (
    EpochRecord,
    RunState,
    checkpoint_path,
    load_state,
    save_state,
)
from georclip.training.distributed import ALONE, Processes
from georclip.training.optimisation import (
    WeightAverage,
    learning_rate,
    make_optimizer,
    set_rate,
)
from georclip.training.prefetching import prefetch
from georclip.training.record import notes, write_record
from georclip.training.settings import TrainSettings
from georclip.training.step import Learner, backward, check_parts
from georclip.training.trainable import Trainable
from georclip.training.validation import HeldOut, headline

log = logging.getLogger("georclip")

_GRADIENT_LIMIT = 5.0
_SPARE_PIXELS = 1.25  # crops are cut from pictures this much larger than the tower's input


@dataclass(slots=True, kw_only=True)
class _Run:
    """What changes while a model trains."""

    model: Trainable
    learner: Learner
    average: WeightAverage
    optimizer: torch.optim.Optimizer
    history: list[EpochRecord]
    best: float


def train(
    images: Sequence[CaptionedImage],
    output: Path,
    settings: TrainSettings,
    *,
    model: Trainable,
    resume: bool = False,
    quiet: bool = False,
    processes: Processes = ALONE,
) -> tuple[EpochRecord, ...]:
    """Train both towers on the train split and write the best averaged weights.

    Args:
        images: Captioned images of all splits; "train" is learnt, "val" chooses. One that comes
            twice is learnt from twice an epoch, and measured once.
        output: .safetensors to write; its record goes beside it.
        settings: Everything that decides the weights.
        model: What is trained, from its weights as they are.
        resume: Go on with the run that was killed while writing `output`.
        quiet: No progress bar.
        processes: Of the run; each calls this with the same arguments, and sees `output`.

    Returns:
        What each epoch did.

    Raises:
        CaptionError: No training images, or broken ones.
        EncoderError: There is nothing to resume, or a run to resume and no word about it.
    """
    learnt, held_out = split_images(images, settings)
    check_parts(settings, processes)
    saved_run = checkpoint_path(output)
    if saved_run.exists() and not resume:
        raise EncoderError(f"{saved_run} holds a run under way: --resume it, or remove the file")
    torch.manual_seed(settings.seed)
    run = _new_run(model, settings, processes)
    if resume:
        _restore(run, load_state(saved_run, settings, model.spec))
    log.info("decoding %d images", len(learnt) + len(held_out))
    spare_px = round(settings.image_size_px * _SPARE_PIXELS)
    batches = BatchMaker(learnt, decode_images(learnt, max_side_px=spare_px), model, settings)
    measured = None
    if held_out and processes.first:
        measured = HeldOut(held_out, settings.image_size_px)
    for epoch in range(len(run.history), settings.epochs):
        record = _epoch(run, batches, settings, epoch, quiet=quiet or not processes.first)
        if (epoch + 1) % settings.validate_every == 0 or epoch + 1 == settings.epochs:
            record, run.best = processes.from_first(
                partial(_measure, run, record, measured, output)
            )
        run.history.append(record)
        _report(record)
        if processes.first:
            state = RunState(history=tuple(run.history), best=run.best, tensors=_tensors(run))
            save_state(saved_run, state, settings, model.spec)
            write_record(output, run.history, settings, notes(learnt, held_out))
    if processes.first:
        saved_run.unlink()
    processes.wait()
    return tuple(run.history)


def split_images(
    images: Sequence[CaptionedImage], settings: TrainSettings
) -> tuple[list[CaptionedImage], list[CaptionedImage]]:
    """What is learnt, with repeats, and what is held out, without.

    Raises:
        CaptionError: Less than a batch to learn from.
    """
    learnt = [image for image in images if image.split == "train"]
    held_out = list(dict.fromkeys(image for image in images if image.split == "val"))
    if len(learnt) < settings.batch_size:
        found = ", ".join(sorted({image.split for image in images})) or "none"
        raise CaptionError(
            f"{len(learnt)} images in the split 'train' (splits found: {found}); "
            f"a batch needs {settings.batch_size}"
        )
    return learnt, held_out


def _new_run(model: Trainable, settings: TrainSettings, processes: Processes) -> _Run:
    freeze_blocks(model, settings.frozen_blocks)
    model.module.to(memory_format=torch.channels_last)
    return _Run(
        model=model,
        learner=Learner(model, parts=settings.micro_batches, processes=processes),
        average=WeightAverage(model.module),
        optimizer=make_optimizer(model, settings),
        history=[],
        best=-math.inf,
    )


def freeze_blocks(model: Trainable, count: int) -> None:
    """Keep the image tower's first blocks as they are."""
    for block in model.image_blocks()[:count]:
        block.requires_grad_(requires_grad=False)


def _restore(run: _Run, state: RunState) -> None:
    run.model.module.load_state_dict(state.tensors["module"])
    run.optimizer.load_state_dict(state.tensors["optimizer"])
    run.average.values = state.tensors["average"]
    run.history = list(state.history)
    run.best = state.best


def _tensors(run: _Run) -> dict[str, object]:
    return {
        "module": run.model.module.state_dict(),
        "average": run.average.values,
        "optimizer": run.optimizer.state_dict(),
    }


def _epoch(
    run: _Run, batches: BatchMaker, settings: TrainSettings, epoch: int, *, quiet: bool
) -> EpochRecord:
    run.model.module.train()
    for block in run.model.image_blocks()[: settings.frozen_blocks]:
        block.eval()  # statistics of frozen layers stay, too
    processes = run.learner.processes
    processes.seed(settings.seed, epoch)
    side_px = settings.view_size_px(epoch)
    began = time.perf_counter()
    total = 0.0
    bar = tqdm(
        total=batches.batches * settings.batch_size,
        desc=f"epoch {epoch + 1}/{settings.epochs}, {side_px} px",
        unit="img",
        disable=quiet,
    )
    with bar:
        for number, batch in enumerate(prefetch(batches.epoch(epoch, processes.share))):
            step = epoch * batches.batches + number
            set_rate(run.optimizer, learning_rate(settings, step, batches.batches))
            run.optimizer.zero_grad(set_to_none=True)
            total += _checked(backward(run.learner, batch, settings.precision))
            nn.utils.clip_grad_norm_(run.model.module.parameters(), _GRADIENT_LIMIT)
            run.optimizer.step()
            run.average.update(run.model.module, min(settings.averaging, (1 + step) / (10 + step)))
            bar.set_postfix(loss=f"{total / (number + 1):.3f}", refresh=False)
            bar.update(settings.batch_size)
    seconds = time.perf_counter() - began
    return EpochRecord(
        epoch=epoch + 1,
        view_size_px=side_px,
        loss=total / batches.batches,
        seconds=seconds,
        images_per_s=batches.batches * settings.batch_size / seconds,
    )


def _checked(loss: float) -> float:
    if not math.isfinite(loss):
        raise EncoderError("the loss is no number any more: try a lower --learning-rate")
    return loss


def _measure(
    run: _Run, record: EpochRecord, measured: HeldOut | None, output: Path
) -> tuple[EpochRecord, float]:
    """Measure the averaged weights, and write them where they are the best so far.

    Returns:
        The record with figures, and the highest headline figure so far.
    """
    learning = copy.deepcopy(run.model.module.state_dict())
    run.model.module.load_state_dict(run.average.values)
    best = run.best
    try:
        figures = measured.measure(run.model.encoder()) if measured else ()
        if not measured or headline(figures) >= best:
            best = headline(figures) if measured else best
            run.model.write(output)
    finally:
        run.model.module.load_state_dict(learning)
    return replace(record, figures=figures), best


def _report(record: EpochRecord) -> None:
    parts = [f"epoch {record.epoch}: loss {record.loss:.3f}, {record.images_per_s:.0f} images/s"]
    for figure in record.figures:
        precision = figure.precision_at_10
        shown = "" if precision is None else f"precision at 10 {precision:.3f}, "
        parts.append(f"{figure.source} {shown}mean recall {figure.mean_recall:.1f} %")
    log.info("; ".join(parts))
