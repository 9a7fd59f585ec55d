"""The training run, top to bottom."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file

from georclip.captions.pictures import check_images, decode_images
from georclip.captions.records import CaptionedImage
from georclip.encoders.base import Encoder
from georclip.encoders.checkpoints import State
from georclip.errors import EncoderError
from georclip.training.checkpoint import (
    EpochRecord,
    RunKey,
    check_saved,
    checkpoint_path,
    load_state,
    save_state,
)
from georclip.training.choosing import is_best, is_time_to_stop
from georclip.training.data.batches import BatchMaker
from georclip.training.data.fingerprint import ordered_digest, print_data
from georclip.training.data.prefetching import prefetch
from georclip.training.distributed import ALONE, Processes
from georclip.training.models.freezing import set_training
from georclip.training.models.mixing import mix
from georclip.training.progress import RunProgress
from georclip.training.record import SCRATCH, Origin, RunFacts, write_record
from georclip.training.run import (
    Run,
    check_settings,
    new_run,
    restore,
    split_images,
    state_of,
    take_step,
)
from georclip.training.settings import TrainSettings
from georclip.training.trainable import Trainable
from georclip.training.validation import Examiner, Figures

log = logging.getLogger("georclip")

_SPARE_PIXELS = 1.25  # crops are cut from pictures this much larger than the tower's input
_CPU = torch.device("cpu")


def train(
    images: Sequence[CaptionedImage],
    output: Path,
    settings: TrainSettings,
    *,
    model: Trainable,
    origin: Origin = SCRATCH,
    device: torch.device = _CPU,
    forgetting: Sequence[CaptionedImage] = (),
    caption_files: Sequence[Path] = (),
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
        model: What is trained, from its weights as they are; it is changed in place.
        origin: Where those come from.
        device: Where to train.
        forgetting: Labelled pictures of another kind, measured before and after.
        caption_files: Whose digests the record keeps.
        resume: Go on with the run that was killed while writing `output`.
        quiet: No progress bar.
        processes: Of the run; each calls this with the same arguments, and sees `output`.

    Returns:
        What each epoch did.

    Raises:
        CaptionError: No training images, or missing or broken ones; or some that are learnt and
            held out. Of pictures everything wrong is named before the first is learnt from, and
            they are looked at when all else is in order.
        EncoderError: There is nothing to resume, or a run to resume and no word about it; or
            settings that do not go with the model; or the loss is no number any more.
    """
    learnt, held_out = split_images(images, settings)
    check_settings(settings, model, trained=origin.trained, processes=processes)
    saved_run = checkpoint_path(output)
    check_saved(saved_run, resume=resume)
    data = print_data(learnt, held_out, caption_files)
    key = RunKey(
        settings=settings,
        spec=model.spec,
        start=origin.sha256,
        data=data.in_order,
        forgetting=ordered_digest(forgetting),
        processes=processes.world,
    )
    run = new_run(model, settings, processes, device)
    if resume:
        restore(run, load_state(saved_run, key))
        if any(record.figures for record in run.history) and not output.exists():
            raise EncoderError(
                f"{output}, the best weights of the run so far, is missing: put it back, or remove "
                f"{saved_run} to start again"
            )
    every = [*learnt, *held_out, *forgetting]
    processes.from_first(partial(check_images, every, quiet=quiet))
    spare_px = round(settings.image_size_px * _SPARE_PIXELS)
    log.info(
        "decoding %d images; what is learnt stays in memory, about %.1f GB",
        len(every), len({image.path for image in learnt}) * 3 * spare_px**2 / 1e9,
    )  # fmt: skip
    pixels = decode_images(learnt, max_side_px=spare_px, quiet=quiet)
    batches = BatchMaker(learnt, pixels, model, settings)
    examiner = Examiner(
        held_out if processes.first else (),
        forgetting if processes.first else (),
        settings.image_size_px,
        quiet=quiet,
    )
    if processes.first and origin.trained and not resume:
        run.before = examiner.examine(partial(_encoder, run))
        log.info("before: %s", _in_words(run.before.val))
    facts = RunFacts(
        settings=settings,
        origin=origin,
        architecture=model.spec.architecture,
        data=data,
        device=str(device),
        processes=processes.world,
        before=run.before,
    )
    _go_through_epochs(run, batches, examiner, facts, key, output, quiet=quiet)
    if processes.first:
        after = examiner.examine(lambda: model.encoder(load_file(output)))
        write_record(output, facts, run.history, after)
        saved_run.unlink(missing_ok=True)
    processes.wait()
    return tuple(run.history)


def _go_through_epochs(
    run: Run,
    batches: BatchMaker,
    examiner: Examiner,
    facts: RunFacts,
    key: RunKey,
    output: Path,
    *,
    quiet: bool,
) -> None:
    """Train to the last epoch, or until nothing gets better; what is best lies at `output`."""
    settings, processes = run.settings, run.learner.processes
    progress = RunProgress(
        epochs=settings.epochs,
        done_epochs=len(run.history),
        batches=batches.batches,
        batch_size=settings.batch_size,
        quiet=quiet or not processes.first,
    )
    for epoch in range(len(run.history), settings.epochs):
        record = _epoch(run, batches, epoch, progress)
        last = epoch + 1 == settings.epochs
        if last or (epoch + 1) % settings.validate_every == 0:
            record = processes.from_first(partial(_measure, run, record, examiner, output))
        run.history.append(record)
        _report(record)
        if last:
            return
        if is_time_to_stop(run.history, settings):
            log.info("nothing better in %d figures: the run ends here", settings.patience)
            return
        if processes.first:
            save_state(checkpoint_path(output), state_of(run), key)
            write_record(output, facts, run.history)


def _epoch(run: Run, batches: BatchMaker, epoch: int, progress: RunProgress) -> EpochRecord:
    settings, processes = run.settings, run.learner.processes
    set_training(run.model, run.held)
    processes.seed(settings.seed, epoch)
    side_px = settings.view_size_px(epoch)
    made = batches.epoch(epoch, processes.share)
    if run.device.type == "cuda":
        made = (batch.pinned() for batch in made)
    began = time.perf_counter()
    total = 0.0
    with progress.epoch(epoch, side_px):
        for number, batch in enumerate(prefetch(made)):
            step = epoch * batches.batches + number
            total += take_step(run, batch, step, batches.batches)
            progress.step(total / (number + 1))
    seconds = time.perf_counter() - began
    return EpochRecord(
        epoch=epoch + 1,
        view_size_px=side_px,
        loss=total / batches.batches,
        seconds=seconds,
        images_per_s=batches.batches * settings.batch_size / seconds,
    )


def _measure(run: Run, record: EpochRecord, examiner: Examiner, output: Path) -> EpochRecord:
    """Measure what would be written, and write it where it is the best so far."""
    figures = examiner.validate(partial(_encoder, run))
    record = replace(record, figures=figures)
    if not is_best(figures, run.history, run.settings.choose_by):
        return record
    run.model.write(output, _weights(run), half=run.settings.half)
    if run.start is None:
        return record
    tuned = run.model.file_weights(run.average.values)
    return replace(record, tuned_alone=examiner.validate(partial(run.model.encoder, tuned)))


def _encoder(run: Run) -> Encoder:
    """An encoder over what would be written."""
    return run.model.encoder(_weights(run))


def _weights(run: Run) -> State:
    """The averaged weights as files have them, mixed with the start where that is asked for."""
    weights = run.model.file_weights(run.average.values)
    return weights if run.start is None else mix(run.start, weights, run.settings.wise)


def _report(record: EpochRecord) -> None:
    done = f"epoch {record.epoch}: loss {record.loss:.3f}, {record.images_per_s:.0f} images/s"
    log.info("; ".join([done, *filter(None, [_in_words(record.figures)])]))


def _in_words(figures: Sequence[Figures]) -> str:
    parts = []
    for figure in figures:
        shown = f"{figure.source} "
        if figure.precision_at_10 is not None:
            shown += f"precision at 10 {figure.precision_at_10:.3f}, "
        if figure.zero_shot is not None:
            shown += f"zero-shot {100 * figure.zero_shot:.1f} %, "
        parts.append(f"{shown}mean recall {figure.mean_recall:.1f} %")
    return "; ".join(parts)
