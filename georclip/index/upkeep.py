"""What follows a commit: manifest, background and folders are brought to what the catalog says.

A kill between the catalog's commit and the end of this leaves them behind; they are put right by
the same steps when the index is next opened for writing. Only the one writer calls these.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress

from georclip.errors import GeorclipError
from georclip.index.catalog import Catalog
from georclip.index.files import FileRecord, Layout, describe_file, remove_folder, temporary_of
from georclip.index.manifest import (
    Manifest,
    with_file,
    with_segment_files,
    without_file,
    write_manifest,
)
from georclip.index.references import is_reference_name, read_reference
from georclip.index.sampling import keep_background
from georclip.index.segments import remove_unknown_segments
from georclip.index.view import View

log = logging.getLogger("georclip")


def settle(layout: Layout, manifest: Manifest, catalog: Catalog, view: View) -> Manifest:
    """After a commit: a manifest and a background that say so, no segments left over.

    Args:
        layout: The index.
        manifest: As it was last written.
        catalog: The catalog.
        view: The newest state.

    Returns:
        The manifest as it is now.
    """
    return _listed(layout, manifest, manifest, catalog, view)


def tidy(layout: Layout, manifest: Manifest, catalog: Catalog, view: View) -> Manifest:
    """Put right what a killed writer left: as `settle`, and parts of scenes that are long in.

    What is damaged among the files beside the rows is taken away, for whoever makes it to make it
    anew.
    """
    layout.segments.mkdir(exist_ok=True)
    layout.staging.mkdir(exist_ok=True)
    temporary_of(layout.background).unlink(missing_ok=True)
    seen = without_file(manifest, layout.background.name)
    if layout.background.exists():
        seen = with_file(seen, describe_file(layout, layout.background))
    seen = _with_references(layout, seen)
    seen = _listed(layout, manifest, seen, catalog, view)
    for folder in layout.staging.iterdir():
        done = catalog.scene_by(scene_id=folder.name)
        with suppress(OSError, ValueError, AttributeError):
            identity = json.loads((folder / "scene.json").read_bytes())
            if done and done.plan_fingerprint == identity.get("plan_fingerprint"):
                remove_folder(folder)
    return seen


def _listed(
    layout: Layout, written: Manifest, manifest: Manifest, catalog: Catalog, view: View
) -> Manifest:
    """Bring background and manifest up to date; `written` is what lies on disk."""
    records = [segment.record for segment in view.segments]
    manifest = with_segment_files(manifest, (file for r in records for file in r.files))
    background = _background(layout, manifest, catalog, view)
    if background is not None:
        manifest = with_file(manifest, background)
    if manifest != written:
        write_manifest(layout, manifest)
    remove_unknown_segments(layout, records)
    return manifest


def _background(
    layout: Layout, manifest: Manifest, catalog: Catalog, view: View
) -> FileRecord | None:
    """The background where it was written; a damaged index can still be written to without."""
    try:
        return keep_background(layout, catalog, view, manifest.encoder.dim)
    except GeorclipError as error:
        log.warning("%s is not up to date: %s", layout.background, error)
        return None


def _with_references(layout: Layout, manifest: Manifest) -> Manifest:
    """List every named set of vectors that can be read, and none that cannot."""
    folder = layout.name_of(layout.references)
    there = sorted(layout.references.iterdir()) if layout.references.is_dir() else []
    for file in manifest.files:
        if file.name.startswith(f"{folder}/") and layout.root / file.name not in there:
            manifest = without_file(manifest, file.name)
    for path in there:
        if path.name.endswith(".npy.tmp"):
            path.unlink()
        if path.suffix != ".npy" or not is_reference_name(path.stem):
            continue
        try:
            read_reference(path, manifest.encoder.dim)
            manifest = with_file(manifest, describe_file(layout, path))
        except ValueError:
            path.unlink()
            manifest = without_file(manifest, layout.name_of(path))
    return manifest
