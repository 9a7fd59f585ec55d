"""`georclip search`: a sentence in, places out."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from georclip.cli.options import (
    BboxOption,
    device_option,
    index_option,
    overwrite_option,
    weights_option,
)

FORMATS = ("geojson", "geojsonseq", "gpkg", "qgz", "geoparquet", "csv", "table")


@click.command()
@click.argument("text")
@index_option
@click.option(
    "--bbox",
    cls=BboxOption,
    metavar="W,S,E,N",
    help="Only here: lon/lat; west > east crosses the date line. Also as four numbers.",
)
@click.option(
    "--aoi",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Only here: a vector file, any format and CRS.",
)
@click.option(
    "--datetime",
    "dates",
    metavar="A/B",
    help="Only scenes taken then: a date, or an interval, open with '..'.",
)
@click.option("--scene", metavar="GLOB", help="Only scenes whose path or name matches.")
@click.option("-k", type=int, default=10, show_default=True, help="Most hits.")
@device_option
@weights_option
@click.option(
    "-f",
    "--format",
    "output_format",
    type=click.Choice(FORMATS),
    help="Format.  [default: the suffix of -o, or geojson]",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write here.")
@overwrite_option
def search(
    text: str,
    index_path: Path,
    bbox: str | None,
    aoi: Path | None,
    dates: str | None,
    scene: str | None,
    k: int,
    device: str,
    weights: Path | None,
    output_format: str | None,
    output: Path | None,
    overwrite: bool,
) -> None:
    """Find the chips that answer TEXT best, as GeoJSON on stdout unless told otherwise.

    \b
    Examples:
      georclip search "harbor with ships" --bbox -76.8,34.6,-76.5,34.8
      georclip search "dense houses" --aoi town.gpkg -k 50 -o hits.gpkg
      georclip search "farmland with lakes" --datetime 2015-01-01/2018-12-31 -f table
    """
    from georclip.api import open_index
    from georclip.export.writing import check_output, dumps_hits, write_hits

    check_output(output, output_format, overwrite=overwrite)
    with open_index(index_path, weights=weights, device=device) as index:
        result = index.search(text, bbox=bbox, aoi=aoi, dates=dates, scene=scene, k=k)
        held = None if result.hits else index.info()
    if output is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        sys.stdout.write(dumps_hits(result, output_format or "geojson", width=width))
    else:
        for path in write_hits(result, output, output_format, overwrite=overwrite):
            click.echo(f"{path}: {len(result.hits)} hits", err=True)
    if held is not None:
        click.echo(_why_no_hits(held.chip_count, held.bounds, bbox, scene), err=True)


def _why_no_hits(
    chip_count: int,
    bounds: tuple[float, float, float, float] | None,
    bbox: str | None,
    scene: str | None,
) -> str:
    """A line for a person who gets no answer."""
    if bounds is None or not chip_count:
        return "The index holds no chips: add scenes with `georclip index`."
    hints = [f"No chip passes the filters; the index covers {','.join(f'{x:.4f}' for x in bounds)}"]
    if bbox is not None and float(bbox.split(",")[0]) > float(bbox.split(",")[2]):
        hints.append("west > east was read as a box over the date line")
    if scene is not None:
        hints.append("`georclip list` names the scenes, and --scene takes globs such as '*part*'")
    return "; ".join(hints) + "."
