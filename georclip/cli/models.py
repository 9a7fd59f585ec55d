"""`georclip models`: which there are, and fetching their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from georclip.encoders.listing import ModelRow

_HEADINGS = ("name", "architecture", "dim", "image px", "ground m", "weights", "licence")


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the models there are, or fetch the weights of one.

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
