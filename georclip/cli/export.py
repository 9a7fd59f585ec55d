"""`georclip export`: hits to another format."""

from __future__ import annotations

from pathlib import Path

import click

from georclip.cli.options import overwrite_option


@click.command()
@click.argument("hits", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="FILE.gpkg, .qgz, .parquet, .csv, .geojson or .geojsonseq.",
)
@overwrite_option
def export(hits: Path, output: Path, overwrite: bool) -> None:
    """Write a file of HITS in another format, named by the suffix of -o.

    \b
    Examples:
      georclip export hits.geojson -o hits.gpkg
      georclip export hits.geojson -o hits.qgz
    """
    from georclip.export.reading import read_hits
    from georclip.export.writing import write_hits

    found = read_hits(hits)
    for path in write_hits(found, output, overwrite=overwrite):
        click.echo(f"{path}: {len(found.records)} hits", err=True)
