"""`georclip export`: hits to another format."""

from __future__ import annotations

from pathlib import Path

import click

from georclip.cli.options import access_of, access_options, overwrite_option


@click.command()
@click.argument("hits", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="FILE.gpkg, .qgz, .parquet, .csv, .html, .geojson or .geojsonseq.",
)
@overwrite_option
@access_options
def export(
    hits: Path,
    output: Path,
    overwrite: bool,
    allow_remote: bool,
    allow_outside: tuple[Path, ...],
) -> None:
    """Write a file of HITS in another format, named by the suffix of -o.

    An HTML page holds pictures of the scenes that HITS names, and a QGIS project shows them, as
    far as they lie in the folder of HITS or below it; --allow-outside and --allow-remote let it
    read others.

    \b
    Examples:
      georclip export hits.geojson -o hits.gpkg
      georclip export hits.geojson -o hits.qgz
      georclip export hits.geojson -o hits.html --allow-outside scenes/
    """
    from georclip.export.reading import read_hits
    from georclip.export.writing import write_hits

    access = access_of(allow_remote, allow_outside)
    found = read_hits(hits)
    for path in write_hits(found, output, overwrite=overwrite, access=access):
        click.echo(f"{path}: {len(found.records)} hits", err=True)
