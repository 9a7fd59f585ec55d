"""`georclip changes`: where a sentence's score rose or fell between two times."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from georclip.cli.options import (
    area_options,
    device_option,
    index_option,
    overwrite_option,
    scene_option,
    weights_option,
)

if TYPE_CHECKING:
    from georclip.search.change_values import Direction

FORMATS = ("geojson", "geojsonseq", "gpkg", "geoparquet", "csv", "table")


@click.command()
@click.argument("text")
@click.option(
    "--from",
    "from_",
    required=True,
    metavar="A",
    help="Compare what was taken then: a date, or an interval 'A/B', open with '..'.",
)
@click.option("--to", required=True, metavar="B", help="With what was taken then; likewise.")
@index_option
@click.option(
    "--direction",
    type=click.Choice(["rose", "fell", "both"]),
    default="both",
    show_default=True,
    help="Places where the score rose, where it fell, or both.",
)
@area_options
@scene_option
@click.option("-k", type=int, default=10, show_default=True, help="Most places.")
@device_option
@weights_option
@click.option(
    "-f",
    "--format",
    "output_format",
    type=click.Choice(FORMATS),
    help="Format.  [default: the suffix of -o, or geojson]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write here ('-': stdout).",
)
@overwrite_option
def changes(
    text: str,
    from_: str,
    to: str,
    index_path: Path,
    direction: Direction,
    bbox: str | None,
    aoi: Path | None,
    scene: str | None,
    k: int,
    device: str,
    weights: Path | None,
    output_format: str | None,
    output: Path | None,
    overwrite: bool,
) -> None:
    """Find places where the score of TEXT rose or fell between two times, the most changed first.

    Both times are of scenes in the index, and places are ground that both show. What season,
    light or sensor adds to all scores of an acquisition is no change: the median is taken off.
    Several acquisitions of one time count by their mean.

    \b
    Examples:
      georclip changes "lake" --from 2010-06-29 --to 2020-08-31 > changes.geojson
      georclip changes "dense houses" --from ../2012-12-31 --to 2018-01-01/.. -o growth.gpkg
      georclip changes "forest" --from 2016-07-01 --to 2024-07-01 --direction fell -f table
    """
    from georclip.api import open_index
    from georclip.export.change_writing import (
        check_change_output,
        dumps_changes,
        write_changes,
    )

    output = None if output == Path("-") else output
    check_change_output(output, output_format, overwrite=overwrite)
    with open_index(index_path, weights=weights, device=device) as index:
        result = index.changes(
            text, from_=from_, to=to, direction=direction, bbox=bbox, aoi=aoi, scene=scene, k=k
        )
        nothing = index.why_no_changes(result)
        if not nothing:
            filters = {"bbox": bbox, "aoi": aoi, "scene": scene}
            shown = [index.search(text, dates=dates, **filters) for dates in (from_, to)]  # type: ignore[arg-type]
            if all(one.convincing is False for one in shown):
                nothing = (
                    "Neither time shows anything that convinces: these are changes of what comes "
                    f"nearest to {text!r}."
                )
    if output is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        sys.stdout.write(dumps_changes(result, output_format or "geojson", width=width))
    else:
        path = write_changes(result, output, output_format, overwrite=overwrite)
        click.echo(f"{path}: {len(result.changes)} changes", err=True)
    if nothing:
        click.echo(nothing, err=True)
