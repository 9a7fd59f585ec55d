"""Hits with a person's marks -> the question to ask next, and what of a file may be used for it.

A file of hits may come from anybody. What it names, a picture or the index, is used where it lies
in the file's own folder and below; anything else a person names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from georclip.errors import QueryError
from georclip.export.reading import read_hits
from georclip.export.records import Hits
from georclip.printable import printable
from georclip.search.feedback import with_marks
from georclip.search.pictures import split_part
from georclip.values import Query


def marked_question(hits: Hits, *, good: Sequence[int], bad: Sequence[int]) -> Query:
    """The question that hits answer, with marks on them.

    Args:
        hits: Of one question.
        good: Ranks of hits that were wanted.
        bad: Ranks of hits that were not.

    Raises:
        QueryError: The hits do not say what was asked, answer several questions, or there is no
            hit of a rank.
    """
    if hits.answers_many:
        raise QueryError("these are the hits of several questions: mark those of one")
    question = hits.provenance.question
    if question is None:
        raise QueryError(
            "the hits do not say how they were asked: ask again with georclip search, and mark "
            "its answer (GeoJSON, GeoPackage or GeoParquet)"
        )
    ids = {record.rank: record.chip_id for record in hits.records}
    for rank in (*good, *bad):
        if rank not in ids:
            there = f"ranks are 1 to {max(ids)}" if ids else "there is no hit at all"
            raise QueryError(f"there is no hit of rank {rank}: {there}")
    return with_marks(question, good=[ids[rank] for rank in good], bad=[ids[rank] for rank in bad])


def read_own_hits(path: Path, *, images: Iterable[str] = ()) -> Hits:
    """Read hits to be marked.

    Args:
        path: The file.
        images: Picture files that a person named: the question may use these, wherever they lie.

    Raises:
        ExportError: It cannot be read, or holds no hits.
        QueryError: Its question names a picture that lies elsewhere.
    """
    hits = read_hits(path)
    question = hits.provenance.question
    named = {os.path.realpath(split_part(image)[0]) for image in images}
    for term in () if question is None else question.terms:
        if term.kind != "image":
            continue
        file = split_part(term.value)[0]
        if os.path.realpath(file) not in named and not _lies_below(file, path):
            raise QueryError(
                f"the question of {path} looks at the picture {printable(file)}, which lies "
                "outside the file's folder: if that is meant, say so with "
                f"--image {printable(file)}"
            )
    return hits


def index_of(hits: Hits, path: Path, default: Path) -> Path:
    """The index that a file's hits come from.

    Args:
        hits: As the file holds them.
        path: The file.
        default: Where the file names none.

    Raises:
        QueryError: It names one that lies elsewhere than the default, or below the file's folder.
    """
    named = hits.provenance.index
    if not named:
        return default
    if _lies_below(Path(named), path) or os.path.realpath(named) == os.path.realpath(default):
        return Path(named)
    raise QueryError(
        f"the hits of {path} come from the index {printable(named)}, which lies outside the "
        f"file's folder: if that is meant, say so with -i {printable(named)}"
    )


def _lies_below(named: Path, file: Path) -> bool:
    """Whether what a file names lies in the file's folder or below, links followed."""
    folder = Path(os.path.realpath(file)).parent
    return Path(os.path.realpath(named)).is_relative_to(folder)
