"""What `georclip evaluate` does."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

from georclip.cli.caption_options import CaptionOptions, read_caption_files
from georclip.cli.progress import ChipProgress
from georclip.encoders.loading import AUTO, load_encoder
from georclip.encoders.prompts import SCENES
from georclip.errors import ExportError
from georclip.evaluation.evaluator import Bars, evaluate, select_split
from georclip.evaluation.in_scene import InSceneSettings
from georclip.evaluation.protocols import Protocol
from georclip.evaluation.published import (
    SPLIT,
    find_checkpoints,
    repeat_table,
    settle_activation,
)
from georclip.evaluation.published_report import repetition_json, repetition_table
from georclip.evaluation.records import Evaluation, EvaluationSettings, Task
from georclip.evaluation.reporting import as_json, as_table

if TYPE_CHECKING:
    from georclip.captions.records import CaptionedImage

log = logging.getLogger("georclip")

_LEAST_FACTOR, _LARGEST_FACTOR = 0.1, 10.0

_USUAL_TASKS = ("retrieval", "zero-shot", "neighbours")
_TASK_OF = {
    "--template": "zero-shot",
    "--gallery": "neighbours",
    "--pixel-sizes": "in-scene",
    "--scene-dir": "in-scene",
    "--seed": "in-scene",
}
"""Options, and the task that heeds them."""

Plotter = Callable[[Evaluation, Path], list[Path]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateRequest:
    """The command line of `georclip evaluate`, as parsed; None where the person said nothing."""

    captions: tuple[str, ...]
    caption_input: CaptionOptions
    model: str | None
    weights: Path | None
    activation: str | None
    split: str
    protocol: str
    prefix: str | None
    tasks: tuple[str, ...] | None
    templates: tuple[str, ...]
    gallery: str | None
    pixel_sizes: tuple[float, ...]
    scene_dir: Path | None
    seed: int
    published: str | None
    output_format: str
    plots: Path | None
    device: str
    batch_size: int | None
    quiet: bool
    idle: tuple[str, ...] = ()
    """Options given on the command line that only tasks other than retrieval heed."""


def run(request: EvaluateRequest) -> None:
    """Measure, and print what was found on stdout."""
    if request.quiet:
        logging.getLogger("georclip").setLevel(logging.WARNING)
    if request.published is not None:
        _repeat(request)
        return
    if request.activation == "both":
        raise click.UsageError("--activation both goes with --published")
    plotter = _plotter() if request.plots else None  # missing is said before the long part
    settings = _settings(request)
    _check_heeded(request)
    images = _read(request, request.split)
    select_split(images, request.split)  # before a model is loaded
    if request.gallery is not None:
        select_split(images, request.gallery, option="--gallery")
    encoder = load_encoder(
        request.model or AUTO,
        weights=request.weights,
        activation=request.activation,
        device=request.device,
        batch_size=request.batch_size,
    )
    with _scene_folder(request) as folder:
        found = evaluate(encoder, images, settings, bars=_bars(request), scene_folder=Path(folder))
    if request.output_format == "json":
        click.echo(json.dumps(as_json(found), indent=2))
    else:
        click.echo(as_table(found), nl=False)
    if plotter is not None and request.plots is not None:
        for path in plotter(found, request.plots):
            log.info("%s", path)


def _check_heeded(request: EvaluateRequest) -> None:
    """Refuse options that none of the tasks asked for would heed."""
    tasks = request.tasks or _USUAL_TASKS
    for option in request.idle:
        if _TASK_OF[option] not in tasks:
            raise click.UsageError(f"{option} goes with --tasks {_TASK_OF[option]}")
    if "retrieval" not in tasks and (request.prefix or request.protocol != "A"):
        raise click.UsageError("--protocol and --prefix go with --tasks retrieval")


def _repeat(request: EvaluateRequest) -> None:
    """Repeat a published table."""
    if request.protocol != "A" or request.tasks or request.plots or request.prefix:
        raise click.UsageError(
            "--published repeats retrieval by protocol A: leave --protocol, --prefix, --tasks and "
            "--plots out"
        )
    if request.split != SPLIT:
        raise click.UsageError(f"--published compares with figures on the split {SPLIT!r}")
    if request.idle:
        raise click.UsageError(
            f"--published measures retrieval alone: leave {', '.join(request.idle)} out"
        )
    checkpoints = find_checkpoints(request.model, request.weights)
    rows = repeat_table(
        _read(request, SPLIT),
        checkpoints,
        activation=request.activation,
        device=request.device,
        batch_size=request.batch_size,
        bars=_bars(request),
    )
    verdict = settle_activation(rows)
    if request.output_format == "json":
        click.echo(json.dumps(repetition_json(rows, verdict), indent=2))
    else:
        click.echo(repetition_table(rows, verdict), nl=False)


def _settings(request: EvaluateRequest) -> EvaluationSettings:
    if not all(_LEAST_FACTOR <= factor <= _LARGEST_FACTOR for factor in request.pixel_sizes):
        raise click.BadParameter(
            f"needs numbers from {_LEAST_FACTOR:g} to {_LARGEST_FACTOR:g}: a scene has the square "
            "of their reciprocal as many pixels",
            param_hint="--pixel-sizes",
        )
    for template in request.templates:
        if template.count("{}") != 1:
            raise click.BadParameter(
                f"{template!r} needs one {{}} where the class goes", param_hint="--template"
            )
    return EvaluationSettings(
        split=request.split,
        protocol=Protocol(request.protocol),
        prefix=request.prefix,
        tasks=frozenset(map(Task, request.tasks)) if request.tasks else None,
        gallery=request.gallery,
        templates=request.templates or SCENES,
        in_scene=InSceneSettings(seed=request.seed),
        pixel_size_factors=request.pixel_sizes,
        batch_size=request.batch_size,
    )


def _read(request: EvaluateRequest, split: str) -> tuple[CaptionedImage, ...]:
    """The images of all caption files; figures of files of one name are told apart by folders."""
    files = [Path(file) for file in request.captions]
    twice = [file for file, times in Counter(map(Path.resolve, files)).items() if times > 1]
    if twice:
        raise click.UsageError(f"{twice[0]} is given twice: its pictures would count twice")
    options = request.caption_input
    if len({file.stem for file in files}) == len(files):
        return read_caption_files(request.captions, options, split=split)
    if len(options.image_dirs) not in (1, len(files)):  # the error that says so
        return read_caption_files(request.captions, options, split=split)
    folders = options.image_dirs * (len(files) if len(options.image_dirs) == 1 else 1)
    return tuple(
        replace(image, source=name)
        for file, folder, name in zip(files, folders, name_sets(files), strict=True)
        for image in read_caption_files(
            [str(file)], replace(options, image_dirs=(folder,)), split=split
        )
    )


def name_sets(files: Sequence[Path]) -> list[str]:
    """A name for each caption file: its stem, or as much of its path as tells them apart.

    Links are not followed: the names are those that were given. Where whole paths joined by
    hyphens are still equal, later ones get a number.
    """
    names = [file.stem for file in files]
    parts = [Path(os.path.abspath(file)).parts[1:] for file in files]
    depth, deepest = 1, max(map(len, parts), default=0)
    while len(set(names)) < len(names) and depth <= deepest:
        names = ["-".join(one[-depth:]) for one in parts]
        depth += 1
    told_apart: list[str] = []
    for name in names:
        numbered = (f"{name}-{number}" for number in count(2))
        taken = {*told_apart, *names}
        told_apart.append(
            name if name not in told_apart else next(one for one in numbered if one not in taken)
        )
    return told_apart


def _plotter() -> Plotter:
    try:
        from georclip.evaluation.plots import write_plots
    except ImportError as error:
        raise ExportError(f'--plots: {error}: pip install "georclip[train]"') from error
    return write_plots


def _bars(request: EvaluateRequest) -> Bars:
    return lambda name, unit: ChipProgress(name, unit=unit, quiet=request.quiet)


def _scene_folder(request: EvaluateRequest) -> AbstractContextManager[Path | str]:
    if request.scene_dir is not None:
        return nullcontext(request.scene_dir)
    return tempfile.TemporaryDirectory(prefix="georclip-")
