"""What is wrong with the vectors beside the rows: the background and the references."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from georclip.errors import GeorclipError
from georclip.index.background import Sample, empty_sample, read_sample
from georclip.index.catalog import Catalog
from georclip.index.files import FileRecord, Layout, sha256_of
from georclip.index.findings import Finding, foreign_file, missing_file
from georclip.index.manifest import Manifest
from georclip.index.references import is_reference_name, read_reference
from georclip.index.sampling import is_behind, updated
from georclip.index.view import View

LAGS = "any command that writes to the index puts it right"
_SAMPLED_ANEW = "any command that writes to the index makes it anew"
_KEPT_ANEW = (
    "any command that writes to the index takes it away, and `georclip index` makes it anew"
)


def is_companion(layout: Layout, name: str) -> bool:
    """Whether a file's name is looked at here."""
    return name == layout.background.name or name.startswith(f"{layout.references.name}/")


def check_background(
    layout: Layout, manifest: Manifest, catalog: Catalog, *, full: bool
) -> Iterator[Finding]:
    """A background that is missing, damaged, or behind the manifest or the catalog."""
    name = layout.background.name
    listed = _listed(manifest).get(name)
    try:
        sample = read_sample(layout.background, manifest.encoder.dim)
    except FileNotFoundError:
        if listed is not None:  # an index of an earlier version has none, and lists none
            yield missing_file(name, _SAMPLED_ANEW)
        return
    except ValueError as error:
        yield Finding(file=name, problem=f"it is damaged: {error}", advice=_SAMPLED_ANEW)
        return
    yield from _check_listed(layout.background, name, listed, full=full)
    if is_behind(sample.scenes, catalog):
        yield Finding(
            file=name, problem="it is a sample of what the index held before", advice=LAGS
        )


def compare_background(
    layout: Layout, manifest: Manifest, catalog: Catalog, view: View
) -> Iterator[Finding]:
    """A background that is not the sample that the index's chips and vectors make.

    One that a writer has still to bring up to date is passed by.
    """
    dim = manifest.encoder.dim
    try:
        found = read_sample(layout.background, dim)
    except (FileNotFoundError, ValueError):
        return
    if not np.array_equal(found.scenes[:, 0], catalog.scene_numbers()):
        return
    name, advice = layout.background.name, f"delete it; {_SAMPLED_ANEW}"
    try:
        same = _same(found, updated(empty_sample(dim), catalog, view))
    except GeorclipError as error:
        problem = f"it cannot be compared with the index ({error})"
        yield Finding(file=name, problem=problem, advice="see what else is wrong first")
        return
    if not same:
        yield Finding(file=name, problem="it is no sample of the index's chips", advice=advice)


def check_references(layout: Layout, manifest: Manifest, *, full: bool) -> Iterator[Finding]:
    """Named sets of vectors that are missing, damaged, foreign, or behind the manifest."""
    listed = _listed(manifest)
    folder = layout.references
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    names = {layout.name_of(path) for path in there}
    for name in listed:
        if name.startswith(f"{folder.name}/") and name not in names:
            yield missing_file(name, _KEPT_ANEW)
    for path in there:
        name = layout.name_of(path)
        if path.suffix != ".npy" or not is_reference_name(path.stem) or not path.is_file():
            yield foreign_file(name)
            continue
        try:
            read_reference(path, manifest.encoder.dim)
        except ValueError as error:
            yield Finding(file=name, problem=f"it is damaged: {error}", advice=_KEPT_ANEW)
            continue
        yield from _check_listed(path, name, listed.get(name), full=full)


def _listed(manifest: Manifest) -> dict[str, FileRecord]:
    return {file.name: file for file in manifest.files}


def _check_listed(
    path: Path, name: str, listed: FileRecord | None, *, full: bool
) -> Iterator[Finding]:
    """A whole file that is not the one of the manifest: a writer was killed in between."""
    same = listed is not None and path.stat().st_size == listed.bytes
    if listed is not None and same and full:
        same = sha256_of(path) == listed.sha256
    if not same:
        yield Finding(file=name, problem="it is not the one that index.json lists", advice=LAGS)


def _same(found: Sample, expected: Sample) -> bool:
    """Whether two samples are the same, as far as both know candidates."""
    shared = slice(0, min(len(found.candidates), len(expected.candidates)))
    one, other = found.candidates.take(shared), expected.candidates.take(shared)
    pairs = (
        (one.keys, other.keys),
        (one.chip_ids, other.chip_ids),
        (one.scenes, other.scenes),
        (found.scenes, expected.scenes),
        (found.scales, expected.scales),
        (found.vectors.view("<u2"), expected.vectors.view("<u2")),
    )
    return all(np.array_equal(a, b) for a, b in pairs)
