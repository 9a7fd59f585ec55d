"""What is wrong with an index: quick by counts and sizes, full by every byte."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from georclip.errors import IndexCorruptError
from georclip.index.catalog import Catalog
from georclip.index.chiptable import digest_text, table_digest
from georclip.index.companion_checks import (
    LAGS,
    check_background,
    check_references,
    compare_background,
    is_companion,
)
from georclip.index.files import FileRecord, Layout, saying_where, sha256_of
from georclip.index.findings import RESTORE, Finding, foreign_file, missing_file
from georclip.index.manifest import Manifest, read_manifest
from georclip.index.records import SegmentRecord
from georclip.index.segments import Segment, folders_on_disk
from georclip.index.view import View, open_view

__all__ = ["Finding", "verify_index"]

_ROWS_AT_ONCE = 8_192


def verify_index(path: Path, *, full: bool) -> tuple[Finding, ...]:
    """What is wrong with an index, also with one that is too damaged to be opened.

    Args:
        path: The folder.
        full: Read every byte; else counts and sizes.

    Returns:
        () when nothing is.

    Raises:
        IndexFormatError: There is no index here, or one of a newer format.
        IndexCorruptError: Manifest or catalog cannot be read at all.
    """
    layout = Layout(path.absolute())
    with saying_where(layout.root, "read"), ExitStack() as stack:
        manifest = read_manifest(layout)
        catalog = Catalog(layout.catalog, writable=False)
        stack.callback(catalog.close)
        stack.enter_context(catalog.snapshot())
        findings = [
            *check_files(layout, manifest, catalog.segments(), full=full),
            *check_catalog(layout, catalog, full=full),
            *check_background(layout, manifest, catalog, full=full),
            *check_references(layout, manifest, full=full),
        ]
        try:
            view = open_view(layout, catalog, manifest.encoder.dim)
            for segment in view.segments:
                segment.check()
        except IndexCorruptError as error:
            if not findings:
                problem, _, advice = str(error).partition("; ")
                findings.append(Finding(file=layout.root.name, problem=problem, advice=advice))
            return tuple(findings)
        findings += check_rows(layout, catalog, view, full=full)
        if full:
            findings += compare_background(layout, manifest, catalog, view)
        return tuple(findings)


def check_files(
    layout: Layout, manifest: Manifest, segments: tuple[SegmentRecord, ...], *, full: bool
) -> Iterator[Finding]:
    """Missing, resized, foreign and, where `full`, changed files; a manifest that lags."""
    known = {file.name: file for segment in segments for file in segment.files}
    others = {
        f.name: f
        for f in manifest.files
        if not f.name.startswith("segments/") and not is_companion(layout, f.name)
    }
    for file in {**others, **known}.values():
        yield from _check_file(layout, file, full=full)
    listed = {f.name: f for f in manifest.files if f.name.startswith("segments/")}
    if listed != known:
        yield Finding(
            file=layout.manifest.name,
            problem="its list of segments' files is not the catalog's",
            advice=LAGS,
        )
    names = {f"{segment.number:06d}" for segment in segments}
    for folder in folders_on_disk(layout):
        if folder.name not in names:
            yield foreign_file(layout.name_of(folder))
        elif folder.is_dir():
            for path in sorted(folder.iterdir()):
                if layout.name_of(path) not in known:
                    yield foreign_file(layout.name_of(path))
    for path in sorted(layout.root.iterdir()):
        if path.name not in layout.known_names():
            yield foreign_file(path.name)


def _check_file(layout: Layout, file: FileRecord, *, full: bool) -> Iterator[Finding]:
    path = layout.root / file.name
    if not path.is_file():
        yield missing_file(file.name)
        return
    size = path.stat().st_size
    if size != file.bytes:
        problem = f"it has {size} bytes instead of {file.bytes}"
        yield Finding(file=file.name, problem=problem, advice=RESTORE)
    elif full and sha256_of(path) != file.sha256:
        problem = "its contents are not what was written (SHA-256 differs)"
        yield Finding(file=file.name, problem=problem, advice=RESTORE)


def check_catalog(layout: Layout, catalog: Catalog, *, full: bool) -> Iterator[Finding]:
    """What SQLite finds in its own file, and counts that do not agree."""
    for problem in catalog.integrity_problems(full=full):
        yield Finding(file=layout.catalog.name, problem=problem, advice=RESTORE)


def check_rows(layout: Layout, catalog: Catalog, view: View, *, full: bool) -> Iterator[Finding]:
    """Whether segments, tombstones and chips speak of the same rows."""
    rows = sum(segment.record.row_count for segment in view.segments)
    chips, dead = catalog.chip_count(), len(view.dead)
    if chips + dead != rows:
        yield Finding(
            file=layout.catalog.name,
            problem=f"{chips} chips and {dead} removed ones do not make the segments' {rows} rows",
            advice=RESTORE,
        )
    if full:
        yield from _check_contents(layout, catalog, view)


def _check_contents(layout: Layout, catalog: Catalog, view: View) -> Iterator[Finding]:
    """Every chip against its vector, its bounds and its scene's digest."""
    digests: defaultdict[int, int] = defaultdict(int)
    for segment in view.segments:
        wrong = 0
        for start in range(0, segment.record.row_count, _ROWS_AT_ONCE):
            end = min(start + _ROWS_AT_ONCE, segment.record.row_count)
            try:
                wrong += _compare_rows(catalog, view, segment, start, end, digests)
            except IndexCorruptError:
                wrong += 1
        if wrong:
            yield Finding(
                file=layout.name_of(layout.segment(segment.record.number)),
                problem=f"rows are not those of the catalog ({wrong} at least)",
                advice=RESTORE,
            )
    for indexed in catalog.scenes():
        if digest_text(digests[indexed.number]) != indexed.digest:
            uri = indexed.scene.uri
            yield Finding(
                file=layout.catalog.name,
                problem=f"chips or vectors of {uri} are not what was written",
                advice=f"georclip remove {uri}, then index it again",
            )


def _compare_rows(
    catalog: Catalog,
    view: View,
    segment: Segment,
    start: int,
    end: int,
    digests: defaultdict[int, int],
) -> int:
    """Compare positions [start, end) of a segment with the catalog; adds to their digests.

    Returns:
        How many rows differ.
    """
    first = segment.first_row
    rows, scenes, chips = catalog.chips_between(first + start, first + end)
    live = view.only_live(segment, np.arange(start, end, dtype=np.int64))
    positions = rows - first
    if not np.array_equal(positions, live):
        return len(np.setxor1d(positions, live))
    owners = np.array(scenes, dtype=np.int64)
    wrong = segment.columns.scenes[positions] != owners
    wrong |= (segment.columns.bounds[positions] != chips.bounds()).any(axis=1)
    vectors = segment.vectors.codes[positions]
    for owner in np.unique(owners).tolist():
        mine = np.flatnonzero(owners == owner).astype(np.int64)
        digests[owner] += table_digest(chips.take(mine), vectors[mine])
    return int(wrong.sum())
