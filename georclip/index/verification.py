"""What is wrong with an index: quick by counts and sizes, full by every byte."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from georclip.index.catalog import Catalog
from georclip.index.chiptable import digest_text, table_digest
from georclip.index.files import FileRecord, Layout, sha256_of
from georclip.index.manifest import Manifest
from georclip.index.records import SegmentRecord
from georclip.index.segments import folders_on_disk
from georclip.index.view import View

_RESTORE = "restore it from a copy, or index its scenes again into a new folder"
_ROWS_AT_ONCE = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong with an index.

    Attributes:
        file: Path inside the index, with forward slashes.
        problem: What is wrong.
        advice: What to do about it.
    """

    file: str
    problem: str
    advice: str


def check_files(
    layout: Layout, manifest: Manifest, segments: tuple[SegmentRecord, ...], *, full: bool
) -> Iterator[Finding]:
    """Missing, resized, foreign and, where `full`, changed files; a manifest that lags."""
    known = {file.name: file for segment in segments for file in segment.files}
    others = {f.name: f for f in manifest.files if not f.name.startswith("segments/")}
    for file in {**others, **known}.values():
        yield from _check_file(layout, file, full=full)
    listed = {f.name: f for f in manifest.files if f.name.startswith("segments/")}
    if listed != known:
        yield Finding(
            file=layout.manifest.name,
            problem="its list of segments' files is not the catalog's",
            advice="any command that writes to the index puts it right",
        )
    names = {f"{segment.number:06d}" for segment in segments}
    for folder in folders_on_disk(layout):
        if folder.name not in names:
            yield _foreign(layout.name_of(folder))
        elif folder.is_dir():
            for path in sorted(folder.iterdir()):
                if layout.name_of(path) not in known:
                    yield _foreign(layout.name_of(path))
    for path in sorted(layout.root.iterdir()):
        if path.name not in layout.known_names():
            yield _foreign(path.name)


def _check_file(layout: Layout, file: FileRecord, *, full: bool) -> Iterator[Finding]:
    path = layout.root / file.name
    if not path.is_file():
        yield Finding(file=file.name, problem="it is missing", advice=_RESTORE)
        return
    size = path.stat().st_size
    if size != file.bytes:
        problem = f"it has {size} bytes instead of {file.bytes}"
        yield Finding(file=file.name, problem=problem, advice=_RESTORE)
    elif full and sha256_of(path) != file.sha256:
        problem = "its contents are not what was written (SHA-256 differs)"
        yield Finding(file=file.name, problem=problem, advice=_RESTORE)


def _foreign(name: str) -> Finding:
    return Finding(
        file=name,
        problem="it does not belong to the index",
        advice="move it elsewhere, if it is yours; leftovers of a killed run go "
        "when the index is next written to",
    )


def check_catalog(layout: Layout, catalog: Catalog, *, full: bool) -> Iterator[Finding]:
    """What SQLite finds in its own file, and counts that do not agree."""
    for problem in catalog.integrity_problems(full=full):
        yield Finding(file=layout.catalog.name, problem=problem, advice=_RESTORE)


def check_rows(layout: Layout, catalog: Catalog, view: View, *, full: bool) -> Iterator[Finding]:
    """Whether segments, tombstones and chips speak of the same rows."""
    rows = sum(segment.record.row_count for segment in view.segments)
    chips, dead = catalog.chip_count(), len(view.dead)
    if chips + dead != rows:
        yield Finding(
            file=layout.catalog.name,
            problem=f"{chips} chips and {dead} removed ones do not make the segments' {rows} rows",
            advice=_RESTORE,
        )
    if full:
        yield from _check_contents(layout, catalog, view)


def _check_contents(layout: Layout, catalog: Catalog, view: View) -> Iterator[Finding]:
    """Every chip against its vector, its bounds and its scene's digest."""
    digests: defaultdict[int, int] = defaultdict(int)
    for segment in view.segments:
        record = segment.record
        wrong = 0
        for start in range(0, record.row_count, _ROWS_AT_ONCE):
            end = min(start + _ROWS_AT_ONCE, record.row_count)
            rows, scenes, chips = catalog.chips_between(
                record.first_row + start, record.first_row + end
            )
            live = view.only_live(segment, np.arange(start, end, dtype=np.int64))
            positions = rows - record.first_row
            if not np.array_equal(positions, live):
                wrong += len(np.setxor1d(positions, live))
                continue
            owners = np.array(scenes, dtype=np.int64)
            wrong += int((segment.columns.scenes[positions] != owners).sum())
            same_bounds = segment.columns.bounds[positions] == chips.bounds()
            wrong += int((~same_bounds.all(axis=1)).sum())
            vectors = segment.vectors.codes[positions]
            for owner in np.unique(owners).tolist():
                mine = np.flatnonzero(owners == owner).astype(np.int64)
                digests[owner] += table_digest(chips.take(mine), vectors[mine])
        if wrong:
            yield Finding(
                file=layout.name_of(layout.segment(record.number)),
                problem=f"{wrong} rows are not those of the catalog",
                advice=_RESTORE,
            )
    for indexed in catalog.scenes():
        if digest_text(digests[indexed.number]) != indexed.digest:
            yield Finding(
                file=layout.catalog.name,
                problem=f"chips or vectors of {indexed.scene.uri} are not what was written",
                advice=f"remove the scene and index it again: georclip remove {indexed.scene.uri}",
            )
