"""`georclip index`: scenes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from georclip.cli.options import (
    Numbers,
    device_option,
    index_option,
    memory_option,
    source_options,
    weights_option,
)

if TYPE_CHECKING:
    from georclip.cli.indexing import IndexRequest


@click.command()
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE...")
@index_option
@click.option(
    "--model",
    help="Encoder of a new index: auto (the default), starter, or a name from `georclip models`.",
)
@weights_option
@click.option(
    "--activation",
    type=click.Choice(["gelu", "quickgelu"]),
    help="Activation of a checkpoint that does not say.",
)
@click.option(
    "--chip-size",
    metavar="auto|224px|250m",
    help="Side of a chip; auto: ground that the encoder knows.  [default: auto]",
)
@click.option(
    "--overlap", type=float, help="Share of a side that neighbours share.  [default: 0.25]"
)
@click.option("--scales", type=Numbers(), metavar="1,2", help="Factors on the side, all searched.")
@click.option(
    "--min-valid-fraction", type=float, help="Skip chips with fewer valid pixels.  [default: 0.5]"
)
@click.option(
    "--bands",
    type=Numbers(whole=True, count=3),
    metavar="3,2,1",
    help="Bands shown as red, green, blue.  [default: what the file says]",
)
@click.option(
    "--stretch",
    default="auto",
    show_default=True,
    metavar="auto|none|LOW,HIGH",
    help="Sensor values shown as black and white, one choice per scene.",
)
@click.option(
    "--datetime", "acquired", metavar="T", help="When the scenes were taken, for files not saying."
)
@device_option
@click.option("--batch-size", type=click.IntRange(min=1), help="Most chips encoded at once.")
@memory_option
@click.option(
    "--portable",
    is_flag=True,
    help="Keep the model's text tower inside the index, so that it is searched without torch.",
)
@click.option("--dry-run", is_flag=True, help="Say chips, bytes and minutes; write nothing.")
@source_options
@click.option("--quiet", is_flag=True, help="No progress; only warnings and errors.")
def index(**options: object) -> None:
    """Cut scenes into chips, embed them and add them to an index.

    SCENE is a raster that GDAL opens (GeoTIFF, COG, JP2, VRT, ...), a folder, a glob, an
    http(s):// or s3:// URL, or a STAC item. A scene that is already there and has not changed
    costs nothing; one that has changed is replaced. A run that was stopped goes on from where
    it was.

    \b
    Examples:
      georclip index scene.tif
      georclip index scenes/ -i my-index --model remoteclip-vit-b-32
      georclip index "2023/*.tif" --chip-size 250m --overlap 0.5 --dry-run
    """
    from georclip.cli.indexing import run

    run(_request(options))


def _request(options: dict[str, object]) -> IndexRequest:
    from georclip.cli.indexing import IndexRequest

    return IndexRequest(**options)  # type: ignore[arg-type]
