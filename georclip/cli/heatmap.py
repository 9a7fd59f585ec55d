"""`georclip heatmap`: a sentence and a scene in, a raster of scores out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from georclip.cli.options import (
    Numbers,
    device_option,
    index_option,
    memory_option,
    overwrite_option,
    source_options,
    weights_option,
)

if TYPE_CHECKING:
    from georclip.cli.heating import HeatRequest


@click.command()
@click.argument("text")
@click.argument("scene")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE.tif",
    help="Write here, and a style for QGIS (.qml) beside it.",
)
@index_option
@click.option(
    "--model",
    help="Encoder, without an index: auto, starter, or a name from `georclip models`.  "
    "[default: that of the index if there is one, else auto]",
)
@weights_option
@click.option(
    "--stride",
    default="auto",
    show_default=True,
    metavar="auto|64px|50m",
    help="Pixel of the map: how far a window lies from the next; auto: a quarter of their side.",
)
@click.option(
    "--chip-size",
    default="auto",
    show_default=True,
    metavar="auto|224px|250m",
    help="Side of the windows; auto: the least ground that chips of an index would cover.",
)
@click.option(
    "--bands",
    type=Numbers(whole=True, count=3),
    metavar="3,2,1",
    help="Bands shown as red, green, blue.  [default: as in the index, or what the file says]",
)
@click.option(
    "--stretch",
    metavar="auto|none|LOW,HIGH",
    help="Sensor values shown as black and white.  [default: as in the index, or auto]",
)
@device_option
@memory_option
@source_options
@overwrite_option
@click.option("--quiet", is_flag=True, help="No progress; only warnings and errors.")
@click.pass_context
def heatmap(context: click.Context, /, **options: object) -> None:
    """Show where in SCENE the ground answers TEXT: a raster of scores that lies over it.

    SCENE is a raster or URL, as for `georclip index`, or a scene of the index: its name, or a glob
    that fits one alone. It need not be in an index.

    \b
    Examples:
      georclip heatmap "harbor with ships" scene.tif -o harbor.tif
      georclip heatmap "storage tanks" scene.tif -o tanks.tif --chip-size 150m --stride 20m
      georclip heatmap "dense houses" "*_2018*.tif" -i my-index -o houses.tif
    """
    from georclip.cli.heating import run

    source = context.get_parameter_source("index_path")
    run(_request(options, index_named=source is not click.core.ParameterSource.DEFAULT))


def _request(options: dict[str, object], *, index_named: bool) -> HeatRequest:
    from georclip.cli.heating import HeatRequest

    return HeatRequest(index_named=index_named, **options)  # type: ignore[arg-type]
