"""`georclip list`: the scenes of an index."""

from __future__ import annotations

from pathlib import Path

import click

from georclip.cli.options import index_option


@click.command(name="list")
@index_option
def list_scenes(index_path: Path) -> None:
    """List the scenes of an index: id, time, pixel size, chips, uri, parted by tabs.

    \b
    Example:
      georclip list -i my-index
    """
    from georclip.api import open_index

    with open_index(index_path) as index:
        scenes = index.scenes()
        if not scenes:
            click.echo(f"{index_path} holds no scenes yet", err=True)
        for scene in scenes:
            acquired = scene.acquired.strftime("%Y-%m-%dT%H:%M:%SZ") if scene.acquired else "-"
            click.echo(
                f"{scene.scene_id}\t{acquired}\t{scene.gsd_m:.3g} m\t"
                f"{index.chip_count(scene.uri)}\t{scene.uri}"
            )
