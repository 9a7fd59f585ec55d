"""The training run, top to bottom."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from georclip.captions.pictures import decode_images
from georclip.captions.records import CaptionedImage
from georclip.encoders.compact import (
    CompactTowers,
    TorchCompactEncoder,
    compact_shape,
    read_compact,
    write_compact,
)
from georclip.encoders.words import WordTokenizer
from georclip.errors import CaptionError, EncoderError
from georclip.training.augment import PROMPTS, SYNONYMS
from georclip.training.batches import Batch, BatchMaker
from georclip.training.checkpoint import (
    EpochRecord,
    RunState,
    checkpoint_path,
    load_state,
    save_state,
    write_record,
)
from georclip.training.losses import contrastive_loss
from georclip.training.settings import MEAN, STD, TrainSettings
from georclip.training.validation import HeldOut, headline
from georclip.training.vocabulary import build_vocabulary
from georclip.values import EncoderSpec

log = logging.getLogger("georclip")

_GRADIENT_LIMIT = 5.0
_SPARE_PIXELS = 1.25  # crops are cut from pictures this much larger than the tower's input


@dataclass(slots=True, kw_only=True)
class _Run:
    """What changes while a model trains."""

    towers: CompactTowers
    average: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    history: list[EpochRecord]
    best: float


def train(
    images: Sequence[CaptionedImage],
    output: Path,
    settings: TrainSettings,
    *,
    start: Path | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> tuple[EpochRecord, ...]:
    """Train both towers on the train split and write the best averaged weights.

    Args:
        images: Captioned images of all splits; "train" is learnt, "val" chooses. One that comes
            twice is learnt from twice an epoch, and measured once.
        output: .safetensors to write; its record goes beside it.
        settings: Everything that decides the weights.
        start: Weights to go on from, or None for random ones.
        resume: Go on with the run that was killed while writing `output`.
        quiet: No progress bar.

    Returns:
        What each epoch did.

    Raises:
        CaptionError: No training images, or broken ones.
        EncoderError: There is nothing to resume, or a run to resume and no word about it.
    """
    learnt = [image for image in images if image.split == "train"]
    held_out = list(dict.fromkeys(image for image in images if image.split == "val"))
    if len(learnt) < settings.batch_size:
        found = ", ".join(sorted({image.split for image in images})) or "none"
        raise CaptionError(
            f"{len(learnt)} images in the split 'train' (splits found: {found}); "
            f"a batch needs {settings.batch_size}"
        )
    saved_run = checkpoint_path(output)
    if saved_run.exists() and not resume:
        raise EncoderError(f"{saved_run} holds a run under way: --resume it, or remove the file")
    torch.manual_seed(settings.seed)
    towers, tokenizer = _towers(learnt, settings, start)
    run = _new_run(towers, settings)
    if resume:
        _restore(run, load_state(saved_run, settings, tokenizer.words))
    log.info("decoding %d images", len(learnt) + len(held_out))
    spare_px = round(settings.image_size_px * _SPARE_PIXELS)
    batches = BatchMaker(learnt, decode_images(learnt, max_side_px=spare_px), tokenizer, settings)
    measured = HeldOut(held_out, settings.image_size_px) if held_out else None
    spec = _spec(output, settings)
    for epoch in range(len(run.history), settings.epochs):
        record = _epoch(run, batches, settings, epoch, quiet=quiet)
        if (epoch + 1) % settings.validate_every == 0 or epoch + 1 == settings.epochs:
            kept = _averaged(run, tokenizer, settings)
            encoder = TorchCompactEncoder(kept, spec, tokenizer, "cpu")
            record = replace(record, figures=measured.measure(encoder) if measured else ())
            if not measured or headline(record.figures) >= run.best:
                run.best = headline(record.figures) if measured else run.best
                write_compact(output, kept, spec, tokenizer)
        run.history.append(record)
        _report(record)
        state = RunState(history=tuple(run.history), best=run.best, tensors=_tensors(run))
        save_state(saved_run, state, settings, tokenizer.words)
        write_record(output, run.history, settings, _notes(learnt, held_out, start))
    saved_run.unlink()
    return tuple(run.history)


def _towers(
    learnt: Sequence[CaptionedImage], settings: TrainSettings, start: Path | None
) -> tuple[CompactTowers, WordTokenizer]:
    if start is not None:
        towers, spec, tokenizer = read_compact(start)
        if spec.architecture != settings.architecture:
            raise EncoderError(
                f"{start} is a {spec.architecture}, not a {settings.architecture}: "
                "leave --architecture out to go on with it"
            )
        return towers.requires_grad_(requires_grad=True).train(), tokenizer
    phrases = [phrase for group in SYNONYMS for phrase in group]
    words = build_vocabulary(learnt, more=[*PROMPTS, *phrases])
    tokenizer = WordTokenizer(words, compact_shape(settings.architecture).context_length)
    return CompactTowers(settings.architecture, len(tokenizer)), tokenizer


def _new_run(towers: CompactTowers, settings: TrainSettings) -> _Run:
    towers.to(memory_format=torch.channels_last)
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, value in towers.named_parameters():
        embedding = name in ("text.words.weight", "text.places")
        (plain if value.ndim < 2 or embedding else decayed).append(value)
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)
    average = {name: value.detach().clone() for name, value in towers.state_dict().items()}
    return _Run(towers=towers, average=average, optimizer=optimizer, history=[], best=-math.inf)


def _restore(run: _Run, state: RunState) -> None:
    run.towers.load_state_dict(state.tensors["towers"])
    run.optimizer.load_state_dict(state.tensors["optimizer"])
    run.average = state.tensors["average"]
    run.history = list(state.history)
    run.best = state.best


def _tensors(run: _Run) -> dict[str, object]:
    return {
        "towers": run.towers.state_dict(),
        "average": run.average,
        "optimizer": run.optimizer.state_dict(),
    }


def learning_rate(settings: TrainSettings, step: int, steps_per_epoch: int) -> float:
    """Linear warm-up, then a cosine to zero; `step` is counted from 0 over the whole run."""
    warm = max(1.0, settings.warmup_epochs * steps_per_epoch)
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1.0, settings.epochs * steps_per_epoch - warm)
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


def _epoch(
    run: _Run, batches: BatchMaker, settings: TrainSettings, epoch: int, *, quiet: bool
) -> EpochRecord:
    run.towers.train()
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
        for number, batch in enumerate(batches.epoch(epoch)):
            step = epoch * batches.batches + number
            for group in run.optimizer.param_groups:
                group["lr"] = learning_rate(settings, step, batches.batches)
            loss = _step(run, batch)
            _average(run, min(settings.averaging, (1 + step) / (10 + step)))
            total += loss
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


def _step(run: _Run, batch: Batch) -> float:
    pictures = batch.pictures.to(memory_format=torch.channels_last)
    vectors = run.towers.image(pictures)  # (batch, dim)
    texts = run.towers.text(batch.ids)  # (batch, dim)
    loss = contrastive_loss(vectors, texts, run.towers.scale, batch.positives)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(run.towers.parameters(), _GRADIENT_LIMIT)
    run.optimizer.step()
    value = float(loss.detach())
    if not math.isfinite(value):
        raise EncoderError("the loss is no number any more: try a lower --learning-rate")
    return value


@torch.no_grad()
def _average(run: _Run, decay: float) -> None:
    """Move the running average a step; counters are copied."""
    for name, value in run.towers.state_dict().items():
        if value.is_floating_point():
            run.average[name].lerp_(value, 1.0 - decay)
        else:
            run.average[name].copy_(value)


def _averaged(run: _Run, tokenizer: WordTokenizer, settings: TrainSettings) -> CompactTowers:
    towers = CompactTowers(settings.architecture, len(tokenizer))
    towers.load_state_dict(run.average)
    return towers.eval()


def _spec(output: Path, settings: TrainSettings) -> EncoderSpec:
    return EncoderSpec(
        name=output.stem,
        architecture=settings.architecture,
        activation="relu",
        weights_sha256="",
        dim=compact_shape(settings.architecture).dim,
        image_size_px=settings.image_size_px,
        mean=MEAN,
        std=STD,
        ground_size_m=settings.ground_size_m,
        licence=settings.licence,
    )


def _report(record: EpochRecord) -> None:
    parts = [f"epoch {record.epoch}: loss {record.loss:.3f}, {record.images_per_s:.0f} images/s"]
    for figure in record.figures:
        precision = figure.precision_at_10
        shown = "" if precision is None else f"precision at 10 {precision:.3f}, "
        parts.append(f"{figure.source} {shown}mean recall {figure.mean_recall:.1f} %")
    log.info("; ".join(parts))


def _notes(
    learnt: Sequence[CaptionedImage], held_out: Sequence[CaptionedImage], start: Path | None
) -> dict[str, object]:
    counts = {
        split: dict(Counter(image.source for image in part))
        for split, part in (("train", learnt), ("val", held_out))
    }
    return {
        "images": counts,
        "started_from": start.name if start else "random weights",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
