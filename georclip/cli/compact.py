"""`georclip compact`: removed rows off the disk."""

from __future__ import annotations

from pathlib import Path

import click

from georclip.cli.options import index_option


@click.command()
@index_option
def compact(index_path: Path) -> None:
    """Drop removed chips from disk and order the others by place.

    An index of 250,000 chips and more also gets inverted files: questions over most of it are
    answered several times as fast, and a hit may be missed unless --exact is said.

    \b
    Example:
      georclip compact -i my-index
    """
    from georclip.api import open_index
    from georclip.cli.progress import ChipProgress, byte_count

    with open_index(index_path) as index:
        before = index.info().bytes_on_disk
        with ChipProgress("compact") as progress:
            index.compact(progress=progress)
        after = index.info().bytes_on_disk
    click.echo(f"{index_path}: {byte_count(before)} before, {byte_count(after)} now", err=True)
