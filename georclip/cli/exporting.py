"""What `georclip models export` does, once its options are parsed."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from georclip.encoders.bundle import is_exported, read_bundle
from georclip.encoders.loading import STARTER_FOLDER, load_encoder, require_torch
from georclip.encoders.registry import STARTER
from georclip.errors import EncoderError, ExportError
from georclip.scenes.picture_file import read_picture

if TYPE_CHECKING:
    import numpy.typing as npt

_READ = 512  # pictures for 8 bits: more change nothing
_NO_PICTURES = frozenset({".json", ".txt", ".csv", ".tsv", ".xml", ".md", ".zip", ".pt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """The command line of `georclip models export`, as parsed."""

    name: str
    output: Path
    weights: Path | None
    activation: str | None
    text_only: bool
    int8: Path | None
    overwrite: bool


def run(request: ExportRequest) -> None:
    """Make the folder.

    Raises:
        ExportError: It cannot be written, or something is in the way.
        EncoderError: The model cannot be loaded or exported.
    """
    _check_free(request.output, overwrite=request.overwrite)
    if request.int8 is None and request.name == STARTER and request.weights is None:
        raise ExportError(f"{STARTER} is exported already: copy {STARTER_FOLDER}")
    if request.int8 is not None and request.text_only:
        raise click.UsageError("--int8 is about the image tower: leave --text-only out")
    output = request.output.resolve()  # not a link to it
    made = output.with_name(f"{output.name}.partial")
    try:
        said = _export(request, made) if request.int8 is None else _round(request, made)
        _put(made, output)
    except OSError as error:
        raise ExportError(f"{output} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    click.echo(request.output)
    click.echo(said, err=True)


def _check_free(output: Path, *, overwrite: bool) -> None:
    """See that nothing stands where a folder is to be made, or only what may be replaced.

    Raises:
        ExportError: Something does.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not is_exported(output):
        raise ExportError(f"{output} is in the way, and is no earlier export: name a new folder")
    if not overwrite:
        raise ExportError(
            f"{output} holds an earlier export: name a new folder, or replace it with --overwrite"
        )


def _put(made: Path, output: Path) -> None:
    """Move a folder to its place; what was there goes when it is."""
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".georclip-") as aside:
        old = Path(aside) / output.name
        if output.exists():
            output.replace(old)
        try:
            made.replace(output)
        except OSError:
            if old.exists():
                old.replace(output)
            raise


def _export(request: ExportRequest, folder: Path) -> str:
    """Export from torch; returns what is to be said of it."""
    require_torch(request.name)
    encoder = load_encoder(
        request.name, weights=request.weights, activation=request.activation, device="cpu"
    )
    from georclip.encoders.exporting import export_text, export_towers, text_of
    from georclip.encoders.image_export import image_of

    if request.text_only:
        cosine = export_text(text_of(encoder), encoder.spec, folder)
        return f"cosine to torch's embeddings: at least {cosine:.5f}"
    done = export_towers(image_of(encoder), text_of(encoder), encoder.spec, folder)
    return (
        f"cosine to torch's embeddings: at least {done.cosine:.5f}; "
        f"pictures are embedded in {done.precision}"
    )


def _round(request: ExportRequest, folder: Path) -> str:
    """Export, or take what is exported, and round it to 8 bits; returns what that cost."""
    from georclip.encoders.quantising import quantise_bundle

    assert request.int8 is not None
    exported = STARTER_FOLDER if request.name == STARTER and request.weights is None else None
    if request.weights is not None and request.weights.is_dir():
        exported = request.weights
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".exporting-") as scratch:
        if exported is None:
            exported = Path(scratch) / "towers"
            _export(request, exported)
        side = read_bundle(exported).spec.image_size_px
        done = quantise_bundle(exported, _pictures(request.int8, side), folder)
    return (
        f"{done.layers} layers in 8 bits: on {done.pictures} pictures that it was not calibrated "
        f"on, cosine to the embeddings before {done.mean_cosine:.4f}, at least "
        f"{done.least_cosine:.4f}; {1 / done.before_s:.0f} pictures/s before, "
        f"{1 / done.after_s:.0f} now. Its vectors are others: an index of its own"
    )


def _pictures(folder: Path, side_px: int) -> npt.NDArray[np.uint8]:
    """Pictures of a folder as squares, uint8 RGB (n, 3, side, side), spread evenly by name."""
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix.lower() not in _NO_PICTURES
    )
    if not paths:
        raise EncoderError(f"there are no pictures in {folder}")
    step = max(1, len(paths) // _READ)
    found, broken = [], 0
    for path in paths[::step][:_READ]:
        try:
            found.append(_square(read_picture(path, max_side_px=side_px), side_px))
        except Exception:  # whatever a decoder raises over a broken file
            broken += 1
    if broken:
        click.echo(f"{broken} of {broken + len(found)} files are no pictures", err=True)
    if not found:
        raise EncoderError(f"there are no pictures in {folder}")
    return np.stack(found)


def _square(picture: npt.NDArray[np.uint8], side_px: int) -> npt.NDArray[np.uint8]:
    """(height, width, 3) to (3, side, side)."""
    from georclip.encoders.preprocessing import resize

    (square,) = resize(picture.transpose(2, 0, 1)[None], side_px)
    return np.asarray(square, dtype=np.uint8)
