"""Where a command's hits go: stdout as text, or a file."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from georclip.cli.options import access_options, overwrite_option

if TYPE_CHECKING:
    from georclip.export.records import Hits
    from georclip.scenes.access import Access

FORMATS = ("geojson", "geojsonseq", "gpkg", "qgz", "geoparquet", "csv", "html", "table")


def answer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`-f`, `-o`, `--overwrite`, and what an HTML page may read."""
    command = overwrite_option(access_options(command))
    command = click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write here ('-': stdout).",
    )(command)
    return click.option(
        "-f",
        "--format",
        "output_format",
        type=click.Choice(FORMATS),
        help="Format.  [default: the suffix of -o, or geojson]",
    )(command)


def show_hits(
    hits: Hits,
    output: Path | None,
    output_format: str | None,
    *,
    overwrite: bool,
    access: Access | None,
) -> None:
    """Print hits, or write them and say how many.

    Raises:
        ExportError: They cannot be written.
    """
    from georclip.export.writing import dumps_hits, write_hits

    if output is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        sys.stdout.write(dumps_hits(hits, output_format or "geojson", width=width, access=access))
        return
    for path in write_hits(hits, output, output_format, overwrite=overwrite, access=access):
        click.echo(f"{path}: {len(hits.records)} hits", err=True)
