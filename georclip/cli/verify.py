"""`georclip verify`: is the index what it says it is."""

from __future__ import annotations

from pathlib import Path

import click

from georclip.cli.options import index_option


@click.command()
@index_option
@click.option("--full", is_flag=True, help="Read every byte: checksums, rows and vectors.")
@click.pass_context
def verify(context: click.Context, index_path: Path, full: bool) -> None:
    """Check an index. Prints a line per finding and exits with 1 where there is one.

    Quick by default: counts, sizes and the manifest.

    \b
    Examples:
      georclip verify
      georclip verify --full -i my-index
    """
    from georclip.api import verify_index

    findings = verify_index(index_path, full=full)
    for finding in findings:
        click.echo(f"{finding.file}\t{finding.problem}\t{finding.advice}")
    if findings:
        context.exit(1)
    click.echo(f"{index_path}: nothing wrong found", err=True)
