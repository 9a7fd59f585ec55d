"""Trained weights to the model in the box: exported towers, fp16 weights, figures.

Run as ``python -m georclip.training.release WEIGHTS FOLDER CAPTIONS... --images DIR...``.
The figures are those of the exported towers: what people get is what was measured. Runs that
differ by their seed alone are measured in the same way, for the spread.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from georclip.captions.reading import read_captions
from georclip.captions.records import CaptionedImage
from georclip.encoders.compact import read_compact, write_compact
from georclip.encoders.exporting import export_towers
from georclip.encoders.runtime import RuntimeEncoder
from georclip.encoders.text_export import export_compact
from georclip.errors import CaptionError, GeorclipError
from georclip.training.validation import Figures, HeldOut

NAME = "starter"
FIGURES_FILE = "figures.json"
_CURVES = (".csv", ".png")
_HOW = {
    "precision_at_10": "precision at min(10, n), class name as query, mean over classes, 0 to 1",
    "mean_recall": "mean of R@1, R@5, R@10 in both directions, protocol A, percent",
    "zero_shot": "share of pictures that get their own class, names in templates, 0 to 1",
    "per_class": "precision at min(10, n) of each class",
    "seeds": "figures of runs that differ by their seed alone, the shipped one among them",
    "split": "val",
}


def release(
    weights: Path,
    folder: Path,
    images: Sequence[CaptionedImage],
    *,
    other_runs: Sequence[Path] = (),
) -> tuple[Figures, ...]:
    """Export trained towers, measure what was exported, and write both down.

    Args:
        weights: Written by `georclip train`.
        folder: Gets the exported towers, ``starter.safetensors`` (fp16, to train on from),
            ``figures.json``, and the training's curves and record.
        images: Captioned images; those of the split "val" are measured.
        other_runs: Weights of runs with other seeds.

    Returns:
        The figures, per caption file.

    Raises:
        CaptionError: There are no val images, or broken ones.
        EncoderError: The weights cannot be read, or the export differs from them.
    """
    held_out = [image for image in images if image.split == "val"]
    if not held_out:
        raise CaptionError("no images of the split 'val' to measure the model on")
    towers, spec, tokenizer = read_compact(weights)
    measured = HeldOut(held_out, spec.image_size_px)
    folder.mkdir(parents=True, exist_ok=True)
    cosine = _export(weights, folder)
    write_compact(
        folder / f"{NAME}.safetensors", towers, replace(spec, name=NAME), tokenizer, half=True
    )
    figures = measured.measure(RuntimeEncoder.load(folder))
    spread = {weights.stem: figures}
    for other in other_runs:
        with tempfile.TemporaryDirectory() as scratch:
            _export(other, Path(scratch))
            spread[other.stem] = measured.measure(RuntimeEncoder.load(scratch))
    content = {
        "how": _HOW,
        "lowest_cosine_exported_to_torch": round(cosine, 6),
        "figures": [asdict(figure) for figure in figures],
        "seeds": {run: [_short(figure) for figure in found] for run, found in spread.items()},
    }
    text = json.dumps(content, indent=1) + "\n"
    (folder / FIGURES_FILE).write_text(text, encoding="utf-8")
    for suffix in _CURVES:
        curve = weights.with_suffix(f".training{suffix}")
        if curve.is_file():
            (folder / f"training{suffix}").write_bytes(curve.read_bytes())
    return figures


def _export(weights: Path, folder: Path) -> float:
    """Export towers under the starter's name; returns the lowest cosine to torch's."""
    towers, spec, tokenizer = read_compact(weights)
    unset = replace(spec, name=NAME, weights_sha256="")  # filled in from what is exported
    text = export_compact(towers.text, tokenizer)
    return export_towers(towers.image, text, unset, folder).cosine


def _short(figure: Figures) -> dict[str, object]:
    return {key: value for key, value in asdict(figure).items() if key != "per_class"}


@click.command()
@click.argument("weights", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument("captions", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--images",
    "image_dirs",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the pictures; once for all caption files, or once for each, in their order.",
)
@click.option(
    "--also",
    "other_runs",
    multiple=True,
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Weights of a run with another seed, for the spread; may be repeated.",
)
def main(
    weights: Path,
    folder: Path,
    captions: tuple[Path, ...],
    image_dirs: tuple[Path, ...],
    other_runs: tuple[Path, ...],
) -> None:
    """Export WEIGHTS into FOLDER and measure them on the val split of CAPTIONS."""
    try:
        images = read_captions(captions, image_dirs)
        figures = release(weights, folder, images, other_runs=other_runs)
    except GeorclipError as error:
        raise click.ClickException(str(error)) from error
    for figure in figures:
        click.echo(
            f"{figure.source}: {figure.images} images, "
            f"precision at 10 {figure.precision_at_10}, mean recall {figure.mean_recall:.1f} %"
        )


if __name__ == "__main__":
    main()
