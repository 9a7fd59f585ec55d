"""Where a command's hits go: stdout as text, or a file."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from georclip.cli.options import access_options, overwrite_option

if TYPE_CHECKING:
    from georclip.api import Index, SearchResult
    from georclip.export.records import Hits
    from georclip.scenes.access import Access

_NAMED = 10
"""Most questions named in a remark."""

FORMATS = ("geojson", "geojsonseq", "gpkg", "qgz", "geoparquet", "csv", "html", "table")


def answer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`-f`, `-o`, `--overwrite`, and what an HTML page may read."""
    command = overwrite_option(access_options(command))
    command = click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write here ('-': stdout).",
    )(command)
    return click.option(
        "-f",
        "--format",
        "output_format",
        type=click.Choice(FORMATS),
        help="Format.  [default: the suffix of -o, or geojson]",
    )(command)


def show_hits(
    hits: Hits,
    output: Path | None,
    output_format: str | None,
    *,
    overwrite: bool,
    access: Access | None,
) -> None:
    """Print hits, or write them and say how many.

    Raises:
        ExportError: They cannot be written.
    """
    from georclip.export.writing import dumps_hits, write_hits

    if output is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        sys.stdout.write(dumps_hits(hits, output_format or "geojson", width=width, access=access))
        return
    for path in write_hits(hits, output, output_format, overwrite=overwrite, access=access):
        click.echo(f"{path}: {len(hits.records)} hits", err=True)


def remark_on(index: Index, results: Sequence[SearchResult]) -> str:
    """Say what a person should know of answers without a hit, or without one to rely on.

    Args:
        index: What was asked.
        results: Answers to questions with the same filters.

    Returns:
        A sentence or two, or "".
    """
    if not any(one.rows_considered for one in results):
        return index.why_nothing(results[0].query)
    least = results[0].query.min_confidence
    if not any(one.hits for one in results):
        return f"No chip answers with a confidence of {least:g} or more{_surest(index, results)}."
    from georclip.export.records import describe
    from georclip.search.calibration import CONVINCING

    weak = [one for one in results if one.convincing is False]
    if not weak:
        return ""
    if len(results) == 1:
        surest = max(hit.confidence or 0.0 for hit in weak[0].hits)
        return (
            f"Nothing convincing was found: the surest hit has a confidence of {surest:.2f}, and "
            f"{CONVINCING:g} is convincing. The hits are what comes nearest."
        )
    named = "; ".join(describe(one.query) for one in weak[:_NAMED])
    more = f"; and {len(weak) - _NAMED} more" if len(weak) > _NAMED else ""
    return (
        f"Nothing convincing was found for {len(weak)} of {len(results)} questions: {named}{more}"
    )


def _surest(index: Index, results: Sequence[SearchResult]) -> str:
    """What the surest of the first hits has, where none was sure enough."""
    if len(results) > 1:
        return ""
    asked = index.search(replace(results[0].query, min_confidence=None))
    surest = max((hit.confidence or 0.0 for hit in asked.hits), default=0.0)
    return f"; the surest of the first {len(asked.hits)} has {surest:.2f}"
