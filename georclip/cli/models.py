"""`georclip models`: which there are, and fetching their weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from georclip.cli.options import weights_option

if TYPE_CHECKING:
    from georclip.encoders.listing import ModelRow

_HEADINGS = ("name", "architecture", "dim", "image px", "ground m", "weights", "licence")


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the models there are, fetch the weights of one, or export its towers.

    \b
    Examples:
      georclip models
      georclip models fetch remoteclip-vit-b-32
    """
    if context.invoked_subcommand is None:
        context.invoke(list_)


@models.command("list")
def list_() -> None:
    """List the models: size, ground that they know, licence, and where their weights are.

    "ground m" is the ground side of the training images: low, typical, high.

    \b
    Example:
      georclip models list
    """
    from georclip.encoders.listing import list_models

    rows = list_models()
    for line in _table([_HEADINGS, *(_cells(row) for row in rows)]):
        click.echo(line)
    notes: dict[str, list[str]] = {}
    for row in rows:
        if row.note:
            notes.setdefault(row.note, []).append(row.name)
    for note, names in notes.items():
        click.echo(f"{', '.join(names)}: {note}", err=True)


@models.command("fetch")
@click.argument("name")
def fetch(name: str) -> None:
    """Fetch the weights of model NAME, and print where they are.

    What broke off is resumed. HF_ENDPOINT names a mirror of the hub, GEORCLIP_CACHE where
    weights are kept.

    \b
    Example:
      georclip models fetch remoteclip-vit-b-32
    """
    from georclip.encoders.loading import STARTER_FOLDER, torch_is_here
    from georclip.encoders.registry import get
    from georclip.encoders.weights import fetch_weights

    entry = get(name)
    if entry.weights is None:
        click.echo(f"{entry.name} lies in the box: there is nothing to fetch", err=True)
        click.echo(STARTER_FOLDER)
        return
    click.echo(fetch_weights(entry))
    if not torch_is_here():
        click.echo(f'{entry.name} needs torch: pip install "georclip[torch]"', err=True)


@models.command("export")
@click.argument("name")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to make.",
)
@weights_option
@click.option(
    "--activation",
    type=click.Choice(["gelu", "quickgelu"]),
    help="Activation of a checkpoint that does not say.",
)
@click.option("--text-only", is_flag=True, help="For questions alone: no image tower.")
@click.option("--overwrite", is_flag=True, help="Replace a folder that holds an earlier export.")
@click.option(
    "--int8",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="PICTURES",
    help="Round the image tower to 8 bits, calibrated on the pictures of this folder.",
)
def export(
    name: str,
    output: Path,
    weights: Path | None,
    activation: str | None,
    text_only: bool,
    overwrite: bool,
    int8: Path | None,
) -> None:
    """Export the towers of model NAME into a folder that needs no torch.

    The folder can be carried to other machines, and named there with --weights: to search an
    index made with the model, or to index on a CPU. NAME is one of `georclip models`, or, with
    --weights, an open_clip architecture or auto.

    With --int8 pictures are embedded in 8 bits, about twice as fast; the command prints what that
    costs on pictures of yours that it was not calibrated on. Some hundred will do.

    \b
    Examples:
      georclip models export remoteclip-vit-b-32 -o remoteclip
      georclip search "harbor with ships" -i their-index --weights remoteclip
      georclip models export starter --int8 pictures -o quick
    """
    from georclip.cli.exporting import ExportRequest, run

    run(
        ExportRequest(
            name=name,
            output=output,
            weights=weights,
            activation=activation,
            text_only=text_only,
            int8=int8,
            overwrite=overwrite,
        )
    )


def _cells(row: ModelRow) -> tuple[str, ...]:
    ground = "-"
    if row.ground_size_m is not None:
        ground = "/".join(f"{side:g}" for side in row.ground_size_m)
    return (
        row.name,
        row.architecture,
        str(row.dim),
        str(row.image_size_px),
        ground,
        row.place,
        row.licence,
    )


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Lines with columns of even width, two spaces between."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
