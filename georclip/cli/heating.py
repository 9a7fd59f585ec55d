"""What `georclip heatmap` does."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from georclip.api import open_index
from georclip.cli.indexing import parse_stretch
from georclip.cli.progress import ChipProgress
from georclip.encoders.for_indexing import for_indexing
from georclip.encoders.loading import load_encoder
from georclip.errors import QueryError
from georclip.export.heat import check_heat_target, write_heat
from georclip.index.making import is_index
from georclip.scenes.access import Access
from georclip.search.heat_asking import ask_scene, find_scene
from georclip.search.heat_plan import Length

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder
    from georclip.values import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatRequest:
    """The command line of `georclip heatmap`, as parsed; None where the person said nothing.

    `index_named` says whether the index was named, or is the default that may not be there.
    """

    text: str
    scene: str
    output: Path
    index_path: Path
    index_named: bool
    model: str | None
    weights: Path | None
    stride: str
    chip_size: str
    bands: tuple[int, int, int] | None
    stretch: str | None
    device: str
    memory: int
    allow_remote: bool
    allow_outside: tuple[Path, ...]
    overwrite: bool
    quiet: bool


def run(request: HeatRequest) -> None:
    """Make the heat map of the request, and say where it is.

    Raises:
        GeorclipError: The scene, the encoder, the question or the files are not as they should be.
    """
    if request.quiet:
        logging.getLogger("georclip").setLevel(logging.WARNING)
    check_heat_target(request.output, overwrite=request.overwrite)
    side, stride = _length("--chip-size", request.chip_size), _length("--stride", request.stride)
    stretch = None if request.stretch is None else parse_stretch(request.stretch)
    access = Access(allow_remote=request.allow_remote, allow_outside=request.allow_outside)
    with _encoder_and_scenes(request) as (encoder, indexed):
        scene = find_scene(
            request.scene, indexed, bands=request.bands, stretch=stretch, access=access
        )
        with ChipProgress(scene.name, unit="window", quiet=request.quiet) as progress:
            heat = ask_scene(
                scene,
                encoder,
                request.text,
                side=side,
                stride=stride,
                memory_bytes=request.memory,
                progress=progress,
            )
    for path in write_heat(
        heat,
        request.output,
        question=request.text,
        encoder=encoder.spec,
        overwrite=request.overwrite,
    ):
        if not request.quiet:
            click.echo(f"{path}: written", err=True)


@contextmanager
def _encoder_and_scenes(request: HeatRequest) -> Iterator[tuple[Encoder, tuple[Scene, ...]]]:
    """The index's encoder and scenes, where there is one and no model is named."""
    if request.model is None and (request.index_named or is_index(request.index_path)):
        with open_index(
            request.index_path, weights=request.weights, device=request.device
        ) as index:
            yield index.indexer, index.scenes()
    else:
        encoder = load_encoder(
            request.model or "auto",
            weights=None if request.weights is None else str(request.weights),
            device=request.device,
        )
        yield for_indexing(encoder), ()


def _length(option: str, text: str) -> Length:
    try:
        return Length.parse(text)
    except QueryError as error:
        raise click.UsageError(f"{option}: {error}") from error
