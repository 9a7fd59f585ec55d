"""`georclip relocate`: rasters have moved."""

from __future__ import annotations

from pathlib import Path

import click

from georclip.cli.options import index_option


@click.command()
@click.argument("old")
@click.argument("new")
@index_option
def relocate(old: str, new: str, index_path: Path) -> None:
    """Tell the index that rasters at or below OLD now lie at or below NEW.

    \b
    Example:
      georclip relocate /old/disk/scenes /new/disk/scenes
    """
    from georclip.api import open_index
    from georclip.cli.progress import counted

    with open_index(index_path) as index:
        count = index.relocate(old, new)
    click.echo(f"{counted(count, 'scene')} now at {new}", err=True)
    if "://" not in new and not Path(new).exists():
        click.echo(f"Nothing lies at {new} yet: answers name it all the same", err=True)
