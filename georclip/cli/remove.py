"""`georclip remove`: scenes out of an index."""

from __future__ import annotations

from pathlib import Path

import click

from georclip.cli.options import index_option


@click.command()
@click.argument("scene")
@index_option
def remove(scene: str, index_path: Path) -> None:
    """Remove every scene whose path or name matches SCENE, a glob. The rasters are not touched.

    \b
    Examples:
      georclip remove scene.tif
      georclip remove "2019/*.tif"
    """
    from georclip.api import open_index
    from georclip.errors import SceneError

    with open_index(index_path) as index:
        removed = index.remove(scene)
    if not removed:
        raise SceneError(f"no scene in {index_path} matches {scene}; `georclip list` names them")
    for gone in removed:
        click.echo(f"removed {gone.uri}", err=True)
