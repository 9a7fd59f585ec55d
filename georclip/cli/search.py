"""`georclip search`: a sentence, or a file of them, in; places out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from georclip.cli.answers import answer_options, remark_on, show_hits
from georclip.cli.options import (
    access_of,
    area_options,
    device_option,
    index_option,
    scene_option,
    weights_option,
)
from georclip.cli.progress import ChipProgress
from georclip.cli.terms import Terms, any_of, term_options, wanted
from georclip.errors import QueryError

if TYPE_CHECKING:
    from georclip.api import Index, SearchResult
    from georclip.scenes.access import Access
    from georclip.search.sentences import Sentence
    from georclip.values import Grouping


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """A file of sentences, and what it is called in errors."""

    name: str
    sentences: tuple[Sentence, ...]


class Filters(TypedDict):
    """What questions are narrowed by, as `Index.search` takes it."""

    bbox: str | None
    aoi: Path | None
    dates: str | None
    scene: str | None
    k: int
    exact: bool
    min_confidence: float | None
    grouping: Grouping


@click.command()
@click.argument("words", nargs=-1, metavar="[TEXT]")
@index_option
@term_options
@area_options
@click.option(
    "--datetime",
    "dates",
    metavar="A/B",
    help="Only scenes taken then: a date, or an interval, open with '..'.",
)
@scene_option
@click.option("-k", type=int, default=10, show_default=True, help="Most hits.")
@click.option(
    "--exact",
    is_flag=True,
    help="Compare every chip; a large compacted index looks at the likely ones only.",
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="Only hits at least this sure, 0 to 1.",
)
@click.option("--keep-overlaps", is_flag=True, help="Each chip is a hit, overlapping ones too.")
@click.option(
    "--one-per-place",
    is_flag=True,
    help="One hit for a place, whatever the number of acquisitions.",
)
@click.option(
    "--zoom-in",
    is_flag=True,
    help="Shrink each hit to the part of its chip that answers; reads the scenes.",
)
@click.option(
    "--queries",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Answer each sentence of FILE, one a line ('-': stdin), instead of TEXT.",
)
@device_option
@weights_option
@answer_options
def search(
    words: tuple[str, ...],
    terms: Terms,
    index_path: Path,
    bbox: str | None,
    aoi: Path | None,
    dates: str | None,
    scene: str | None,
    k: int,
    exact: bool,
    min_confidence: float | None,
    keep_overlaps: bool,
    one_per_place: bool,
    zoom_in: bool,
    queries: Path | None,
    device: str,
    weights: Path | None,
    output_format: str | None,
    output: Path | None,
    overwrite: bool,
    allow_remote: bool,
    allow_outside: tuple[Path, ...],
) -> None:
    """Find the places that answer TEXT best, as GeoJSON on stdout unless told otherwise.

    A question may have several terms, wanted and not: words, pictures, places, and hits of an
    earlier answer. Each may end in a weight, such as "ships::0.5".

    Overlapping chips of one acquisition are one hit, which names them in `members`.

    A FILE of sentences is UTF-8; blank lines and lines that begin with # are passed over. Each hit
    then says in `query` which sentence it answers, and ranks count from 1 for each.

    \b
    Examples:
      georclip search "harbor with ships" --bbox -76.8,34.6,-76.5,34.8
      georclip search "dense houses" --aoi town.gpkg -k 50 -o hits.gpkg
      georclip search "farmland with lakes" --datetime 2015-01-01/2018-12-31 -f table
      georclip search "buildings" --not "parking lot" --like -76.67,34.72
      georclip search --image pier.png --and "boats::0.5"
      georclip search --queries sentences.txt -k 3 -o hits.csv
    """
    from georclip.api import open_index
    from georclip.export.records import as_batch, as_hits
    from georclip.export.writing import check_output

    text = _one_text(words, queries, terms)
    output = None if output == Path("-") else output
    check_output(output, output_format, overwrite=overwrite)
    grouping = _grouping(keep_overlaps=keep_overlaps, one_per_place=one_per_place)
    filters = Filters(
        bbox=bbox, aoi=aoi, dates=dates, scene=scene, k=k, exact=exact,
        min_confidence=min_confidence, grouping=grouping,
    )  # fmt: skip
    questions = None if queries is None else _read(queries)
    problem = ""
    with open_index(index_path, weights=weights, device=device) as index:
        results: Sequence[SearchResult]
        if questions is None:
            results = (index.search(text, **terms, **filters),)
        else:
            results, problem = _ask_all(index, questions, filters)
        remark = remark_on(index, results)
        access = access_of(allow_remote, allow_outside)
        if zoom_in:
            results = [_zoomed(index, one, access) for one in results]
    hits = as_hits(results[0]) if questions is None else as_batch(results)
    show_hits(hits, output, output_format, overwrite=overwrite, access=access)
    if remark:
        click.echo(remark + _date_line_hint(bbox, results), err=True)
    if problem:
        raise QueryError(problem)


def _zoomed(index: Index, result: SearchResult, access: Access | None) -> SearchResult:
    with ChipProgress("zooming in", unit="hit") as progress:
        return index.zoom_in(result, access=access, progress=progress)


def _one_text(words: tuple[str, ...], queries: Path | None, terms: Terms) -> str | None:
    """TEXT, where there is one and no more; None where other terms or a file ask."""
    if len(words) > 1:
        sentence = " ".join(words)
        raise click.UsageError(
            f"{len(words)} arguments are more than one question: put the question in quotes, "
            f'georclip search "{sentence}"'
        )
    if words and queries is not None:
        raise click.UsageError("give a question or --queries FILE, not both")
    if queries is not None and any_of(terms):
        raise click.UsageError("give --queries FILE, or a question of several terms, not both")
    if not words and queries is None and not wanted(terms):
        raise click.UsageError("Missing argument 'TEXT': ask a question, or name --queries FILE")
    return words[0] if words else None


def _grouping(*, keep_overlaps: bool, one_per_place: bool) -> Grouping:
    """What one hit stands for."""
    if keep_overlaps and one_per_place:
        raise click.UsageError("give --keep-overlaps or --one-per-place, not both")
    if keep_overlaps:
        return "none"
    return "place" if one_per_place else "object"


def _read(file: Path) -> Questions:
    from georclip.search.sentences import read_sentences

    piped = str(file) == "-"
    try:
        content = sys.stdin.buffer.read() if piped else file.read_bytes()
    except OSError as error:
        raise QueryError(f"{file} cannot be read: {error.strerror or error}") from error
    name = "stdin" if piped else str(file)
    return Questions(name=name, sentences=read_sentences(content, name))


def _ask_all(
    index: Index, questions: Questions, filters: Filters
) -> tuple[tuple[SearchResult, ...], str]:
    """Answers to the sentences of a file, and a line where some could not be asked."""

    def refuse(place: int, error: QueryError) -> None:
        line = questions.sentences[place].line
        click.echo(f"Error: {questions.name}:{line}: {error}", err=True)

    texts = [sentence.text for sentence in questions.sentences]
    results = index.search_many(texts, **filters, refused=refuse)
    refused = f"{len(texts) - len(results)} of {len(texts)} questions refused, see above"
    if not results:
        raise QueryError(refused)
    return results, "" if len(results) == len(texts) else f"{refused}; the others are answered"


def _date_line_hint(bbox: str | None, results: Sequence[SearchResult]) -> str:
    if any(one.rows_considered for one in results):
        return ""
    if bbox is not None and float(bbox.split(",")[0]) > float(bbox.split(",")[2]):
        return " West > east was read as a box over the date line."
    return ""
