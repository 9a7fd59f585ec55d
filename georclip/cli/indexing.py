"""What `georclip index` does, scene by scene."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from georclip.api import Index, create_index, open_index
from georclip.cli.progress import ChipProgress, byte_count, counted, duration
from georclip.errors import EncoderMismatchError, SceneError
from georclip.index.making import is_index
from georclip.index.store import IndexStore, plan_fingerprint
from georclip.indexing import estimate
from georclip.scene_report import SceneReport
from georclip.scenes.access import Access
from georclip.scenes.chips import resolve_plan
from georclip.scenes.dates import parse_moment
from georclip.scenes.scene import open_scene
from georclip.scenes.sources import FoundScenes, find_scenes
from georclip.values import ChipPlan, Scene, SizeUnit

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Literal

    from georclip.encoders.base import Encoder
    from georclip.scenes.chips import ResolvedPlan

log = logging.getLogger("georclip")

_CHIP_SIZE = re.compile(r"(?P<size>\d+(?:\.\d+)?)\s*(?P<unit>px|m)")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRequest:
    """The command line of `georclip index`, as parsed; None where the person said nothing."""

    scenes: tuple[str, ...]
    index_path: Path
    model: str | None
    weights: Path | None
    activation: str | None
    chip_size: str | None
    overlap: float | None
    scales: tuple[float, ...] | None
    min_valid_fraction: float | None
    bands: tuple[int, int, int] | None
    stretch: str
    acquired: str | None
    device: str
    batch_size: int | None
    memory: int
    portable: bool
    dry_run: bool
    allow_remote: bool
    allow_outside: tuple[Path, ...]
    quiet: bool


def run(request: IndexRequest) -> None:
    """Index every scene of the request.

    Raises:
        SceneError: At the end, where a scene was refused; all others are indexed by then.
    """
    if request.quiet:
        logging.getLogger("georclip").setLevel(logging.WARNING)
    access = Access(allow_remote=request.allow_remote, allow_outside=request.allow_outside)
    found = find_scenes(request.scenes, access=access)
    refused = [
        problem if argument in problem else f"{argument}: {problem}"
        for argument, problem in found.problems
    ]
    for line in refused:
        click.echo(f"Error: {line}", err=True)
    if found.uris and request.dry_run:
        refused += _dry_run(request, found.uris, access)
    elif found.uris:
        refused += _index(request, found, access)
    if refused:
        total = len(found.uris) + len(found.problems)
        others = "; the others are done" if len(refused) < total else ""
        raise SceneError(f"{len(refused)} of {total} scenes refused, see above{others}")


def _index(request: IndexRequest, found: FoundScenes, access: Access) -> list[str]:
    """Add each scene; returns a line per scene refused."""
    refused = []
    stretch, acquired = parse_stretch(request.stretch), _acquired(request.acquired)
    with _open(request) as index:
        plan = _plan(request, index.plan)
        if request.portable:
            index.make_portable()
        for uri in found.uris:
            try:
                with ChipProgress(Path(uri).name, quiet=request.quiet) as progress:
                    report = index.add(
                        uri,
                        plan=plan,
                        bands=request.bands,
                        stretch=stretch,
                        acquired=acquired or found.acquired.get(uri),
                        access=access,
                        memory_bytes=request.memory,
                        batch_size=request.batch_size,
                        progress=progress,
                    )
            except SceneError as error:
                click.echo(f"Error: {error}", err=True)
                refused.append(str(error))
                continue
            log.info("%s", _line(report))
        info = index.info()
        log.info(
            "%s: %s, %s, %s",
            index.path,
            counted(info.scene_count, "scene"),
            counted(info.chip_count, "chip"),
            byte_count(info.bytes_on_disk),
        )
    return refused


def _dry_run(request: IndexRequest, uris: tuple[str, ...], access: Access) -> list[str]:
    """Print what each scene would take; returns a line per scene refused."""
    refused = []
    stretch = parse_stretch(request.stretch)
    _acquired(request.acquired)  # wrong usage is told before the wait for an encoder
    encoder, plan = _encoder_and_plan(request)
    spec = encoder.spec
    plans: list[ResolvedPlan] = []
    there = is_index(request.index_path)
    here = IndexStore.open(request.index_path, writable=False) if there else None
    for uri in uris:
        try:
            scene = open_scene(uri, bands=request.bands, stretch=stretch, access=access)
            resolved = resolve_plan(scene, plan, spec.ground_size_m, spec.image_size_px)
        except SceneError as error:
            click.echo(f"Error: {error}", err=True)
            refused.append(str(error))
            continue
        if here is not None and _is_there(here, scene, plan):
            click.echo(f"{scene.name}\tunchanged")
            continue
        for note in resolved.notes:
            log.info("%s: %s", scene.name, note)
        click.echo(f"{scene.name}\t{counted(resolved.chip_count, 'chip')}")
        plans.append(resolved)
    total = estimate(encoder, plans)
    click.echo(
        f"{counted(len(plans), 'scene')}\t{counted(total.chips, 'chip')}\t"
        f"{byte_count(total.index_bytes)}\t"
        f"about {duration(total.seconds)} with {spec.name} on {encoder.device}"
    )
    if here is not None:
        here.close()
    return refused


def _is_there(store: IndexStore, scene: Scene, plan: ChipPlan) -> bool:
    """Whether indexing a scene would encode nothing."""
    status = store.scene_status(scene, plan_fingerprint(plan, scene.rendering))
    return status not in ("new", "changed")


def _open(request: IndexRequest) -> Index:
    """The index that is there, or a new one."""
    if not is_index(request.index_path):
        return create_index(
            request.index_path,
            model=request.model or "auto",
            weights=request.weights,
            activation=request.activation,
            device=request.device,
            plan=_plan(request, ChipPlan()),
        )
    index = open_index(request.index_path, weights=request.weights, device=request.device)
    _check_model(request, index)
    log.info("encoder: %s on %s", index.encoder_spec.name, index.encoder.device)
    return index


def _check_model(request: IndexRequest, index: Index) -> None:
    """Refuse another encoder than the index's own."""
    spec = index.encoder_spec
    if request.model not in (None, "auto", spec.name):
        raise EncoderMismatchError(
            f"{index.path} was made with {spec.name}, not {request.model}: vectors of two encoders "
            "cannot be compared; leave --model out, or name another index with -i"
        )
    if request.activation not in (None, spec.activation):
        raise EncoderMismatchError(
            f"{index.path} was made with the activation {spec.activation}, not "
            f"{request.activation}: leave --activation out, or name another index with -i"
        )


def _encoder_and_plan(request: IndexRequest) -> tuple[Encoder, ChipPlan]:
    """What a dry run needs, without making an index."""
    if is_index(request.index_path):
        with _open(request) as index:
            return index.indexer, _plan(request, index.plan)
    from georclip.encoders.for_indexing import for_indexing
    from georclip.encoders.loading import load_encoder

    encoder = load_encoder(
        request.model or "auto",
        weights=str(request.weights) if request.weights else None,
        activation=request.activation,
        device=request.device,
    )
    return for_indexing(encoder), _plan(request, ChipPlan())


def _plan(request: IndexRequest, base: ChipPlan) -> ChipPlan:
    """The plan asked for, over `base`."""
    try:
        plan = base
        if request.chip_size is not None:
            size, unit = _chip_size(request.chip_size)
            plan = replace(plan, size=size, unit=unit)
        if request.overlap is not None:
            plan = replace(plan, overlap=request.overlap)
        if request.scales is not None:
            plan = replace(plan, scales=request.scales)
        if request.min_valid_fraction is not None:
            plan = replace(plan, min_valid_fraction=request.min_valid_fraction)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return plan


def _chip_size(text: str) -> tuple[float, SizeUnit]:
    if text == "auto":
        return 0.0, "auto"
    match = _CHIP_SIZE.fullmatch(text.strip())
    if match is None or float(match["size"]) <= 0:
        raise click.UsageError(f"--chip-size {text}: write auto, a size such as 224px, or 250m")
    return float(match["size"]), "px" if match["unit"] == "px" else "m"


def parse_stretch(text: str) -> Literal["auto", "none"] | tuple[float, float]:
    """What `--stretch` says."""
    if text == "auto":
        return "auto"
    if text == "none":
        return "none"
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise click.UsageError(f"--stretch {text}: write auto, none, or LOW,HIGH such as 0,3000")
    return low, high


def _acquired(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = parse_moment(text)
    if moment is None:
        raise click.UsageError(f"--datetime {text}: write a time such as 2018-10-13T15:52:00Z")
    return moment


def _line(report: SceneReport) -> str:
    """One line on a scene, for people."""
    name = report.scene.name
    if report.outcome == "unchanged":
        return f"{name}: unchanged, {report.chips} chips"
    if report.outcome == "moved":
        return f"{name}: moved: the same pixels, now at {report.scene.uri}"
    if report.outcome == "redated":
        return f"{name}: taken {report.scene.acquired:%Y-%m-%d} now, {report.chips} chips"
    skipped = report.skipped
    parts = [
        f"{count} {reason}"
        for count, reason in (
            (skipped.low_valid, "with too few valid pixels"),
            (skipped.blank, "blank"),
            (skipped.saturated, "largely pure white or black"),
        )
        if count
    ]
    left_out = f"; left out {', '.join(parts)}" if parts else ""
    done: str = "replaced by" if report.outcome == "replaced" else report.outcome
    if report.recut:
        done = "the same pixels, cut or shown otherwise: replaced by"
    took = f"{name}: {done} {report.chips} chips in {duration(report.elapsed_s)}"
    return f"{took}{_speed(report)}{left_out}"


def _speed(report: SceneReport) -> str:
    """Chips per second in all and of each part, and which part the others waited for."""
    if report.limit is None:
        return ""
    rate = report.encoded / max(report.elapsed_s, 1e-6)
    parts = ", ".join(f"{part} {speed:,.0f}" for part, speed in report.rates.items())
    return f", {rate:,.0f} chips/s; the limit was {report.limit} (chips/s of each part: {parts})"
