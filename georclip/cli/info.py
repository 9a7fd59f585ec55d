"""`georclip info`: what an index holds."""

from __future__ import annotations

from pathlib import Path

import click

from georclip.cli.options import index_option


@click.command()
@index_option
@click.option(
    "--footprints",
    is_flag=True,
    help="Write footprints.gpkg into the index, a view of scenes and chips for QGIS.",
)
def info(index_path: Path, footprints: bool) -> None:
    """Say what an index holds, and by which encoder.

    \b
    Examples:
      georclip info
      georclip info -i my-index --footprints
    """
    from georclip.api import open_index
    from georclip.cli.progress import byte_count

    with open_index(index_path) as index:
        facts = index.info()
        spec = index.encoder_spec
        lines = [
            ("index", str(index.path)),
            ("scenes", str(facts.scene_count)),
            ("chips", str(facts.chip_count)),
            ("removed rows", str(facts.removed_rows)),
            ("segments", str(facts.segment_count)),
            ("background", f"{facts.background_count} chips, by which confidence is judged"),
            ("size", byte_count(facts.bytes_on_disk)),
            ("bounds", _bounds(facts.bounds)),
            ("acquired", _dates(facts.first_acquired, facts.last_acquired)),
            (
                "encoder",
                f"{spec.name} ({spec.architecture}, {spec.activation}, {spec.dim} numbers)",
            ),
            ("weights", f"sha256 {spec.weights_sha256}"),
            ("licence of the weights", spec.licence),
            ("chip plan", _plan(index.plan.size, index.plan.unit, index.plan.overlap)),
        ]
        for name, value in lines:
            click.echo(f"{name + ':':<24}{value}")
        if footprints:
            target = index.write_footprints()
            click.echo(f"{target}: scenes and chips, as they are now", err=True)


def _bounds(bounds: tuple[float, float, float, float] | None) -> str:
    if bounds is None:
        return "-"
    text = ",".join(f"{value:.5f}" for value in bounds)
    return f"{text} (over the date line)" if bounds[0] > bounds[2] else text


def _dates(first: object, last: object) -> str:
    return "unknown" if first is None else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _plan(size: float, unit: str, overlap: float) -> str:
    side = "auto" if unit == "auto" else f"{size:g} {unit}"
    return f"side {side}, overlap {overlap:g}"
