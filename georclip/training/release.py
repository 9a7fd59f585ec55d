"""Trained weights to the model in the box: exported towers, fp16 weights, figures.

Run as ``python -m georclip.training.release WEIGHTS FOLDER CAPTIONS... --images DIR...``.
The figures are those of the exported towers: what people get is what was measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from georclip.captions.reading import read_captions
from georclip.captions.records import CaptionedImage
from georclip.encoders.compact import read_compact, write_compact
from georclip.encoders.exporting import export_towers
from georclip.encoders.runtime import RuntimeEncoder
from georclip.errors import CaptionError, GeorclipError
from georclip.training.validation import Figures, HeldOut

NAME = "starter"
FIGURES_FILE = "figures.json"
_HOW = {
    "precision_at_10": "precision at min(10, n), class name as query, mean over classes, 0 to 1",
    "mean_recall": "mean of R@1, R@5, R@10 in both directions, protocol A, percent",
    "per_class": "precision at min(10, n) of each class",
    "split": "val",
}


def release(weights: Path, folder: Path, images: Sequence[CaptionedImage]) -> tuple[Figures, ...]:
    """Export trained towers, measure what was exported, and write both down.

    Args:
        weights: Written by `georclip train`.
        folder: Gets the exported towers, ``starter.safetensors`` (fp16, to train on from),
            ``figures.json`` and the training curve.
        images: Captioned images; those of the split "val" are measured.

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
    spec = replace(spec, name=NAME)
    folder.mkdir(parents=True, exist_ok=True)
    unset = replace(spec, weights_sha256="")  # filled in from what is exported
    cosine = export_towers(towers.image, towers.text, unset, tokenizer, folder)
    write_compact(folder / f"{NAME}.safetensors", towers, spec, tokenizer, half=True)
    figures = HeldOut(held_out, spec.image_size_px).measure(RuntimeEncoder.load(folder))
    content = {
        "how": _HOW,
        "lowest_cosine_exported_to_torch": round(cosine, 6),
        "figures": [asdict(figure) for figure in figures],
    }
    text = json.dumps(content, indent=1) + "\n"
    (folder / FIGURES_FILE).write_text(text, encoding="utf-8")
    curve = weights.with_suffix(".training.csv")
    if curve.is_file():
        (folder / "training.csv").write_text(curve.read_text(encoding="utf-8"), encoding="utf-8")
    return figures


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
def main(
    weights: Path, folder: Path, captions: tuple[Path, ...], image_dirs: tuple[Path, ...]
) -> None:
    """Export WEIGHTS into FOLDER and measure them on the val split of CAPTIONS."""
    try:
        figures = release(weights, folder, read_captions(captions, image_dirs))
    except GeorclipError as error:
        raise click.ClickException(str(error)) from error
    for figure in figures:
        click.echo(
            f"{figure.source}: {figure.images} images, "
            f"precision at 10 {figure.precision_at_10}, mean recall {figure.mean_recall:.1f} %"
        )


if __name__ == "__main__":
    main()
