"""What follows a commit: manifest, background and folders are brought to what the catalog says.

A kill between the catalog's commit and the end of this leaves them behind; they are put right by
the same steps when the index is next opened for writing. Only the one writer calls these.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress

import numpy as np

from georclip.errors import GeorclipError
from georclip.index.background import empty_sample
from georclip.index.catalog import Catalog
from georclip.index.files import Layout, describe_file, remove_folder, temporary_of
from georclip.index.manifest import (
    Manifest,
    with_file,
    with_segment_files,
    without_file,
    write_manifest,
)
from georclip.index.references import is_reference_name, read_reference
from georclip.index.sampling import is_behind, keep_background
from georclip.index.segments import remove_unknown_segments
from georclip.index.view import View

log = logging.getLogger("georclip")


class Upkeep:
    """Keeps what lies beside a catalog as the catalog says.

    Args:
        layout: The index.
        catalog: Its catalog.
        dim: Length of a vector.
    """

    def __init__(self, layout: Layout, catalog: Catalog, dim: int) -> None:
        self._layout = layout
        self._catalog = catalog
        self._dim = dim
        self._sampled = empty_sample(dim).scenes
        self._can_sample = True

    def tidy(self, manifest: Manifest, view: View) -> Manifest:
        """Put right what a killed writer left: as `finish`, and parts of scenes that are long in.

        What is damaged among the files beside the rows is taken away, for whoever makes it to make
        it anew.

        Args:
            manifest: As it lies on disk.
            view: The newest state.

        Returns:
            The manifest as it lies on disk now (so do the others).
        """
        layout = self._layout
        layout.segments.mkdir(exist_ok=True)
        layout.staging.mkdir(exist_ok=True)
        temporary_of(layout.background).unlink(missing_ok=True)
        seen = without_file(manifest, layout.background.name)
        if layout.background.exists():
            seen = with_file(seen, describe_file(layout, layout.background))
        seen = _with_references(layout, seen)
        seen = self._listed(manifest, self._sampled_anew(seen, view), view)
        for folder in layout.staging.iterdir():
            done = self._catalog.scene_by(scene_id=folder.name)
            with suppress(OSError, ValueError, AttributeError):
                identity = json.loads((folder / "scene.json").read_bytes())
                if done and done.plan_fingerprint == identity.get("plan_fingerprint"):
                    remove_folder(folder)
        return seen

    def settle(self, manifest: Manifest, view: View) -> Manifest:
        """After a commit: a manifest that says so, no segments left over.

        The background follows once it is behind by more than a little: a thousand small scenes do
        not write it a thousand times.
        """
        seen = manifest
        if self._can_sample and is_behind(self._sampled, self._catalog):
            seen = self._sampled_anew(manifest, view)
        return self._listed(manifest, seen, view)

    def finish(self, manifest: Manifest, view: View) -> Manifest:
        """When the writer is done: `settle`, and a background of all that there is."""
        seen = manifest
        if self._can_sample and not np.array_equal(
            self._sampled[:, 0], self._catalog.scene_numbers()
        ):
            seen = self._sampled_anew(manifest, view)
        return self._listed(manifest, seen, view)

    def _sampled_anew(self, manifest: Manifest, view: View) -> Manifest:
        """With a background of the newest state; a damaged index can be written to without."""
        layout = self._layout
        try:
            self._sampled, file = keep_background(layout, self._catalog, view, self._dim)
        except GeorclipError as error:
            self._can_sample = False
            log.warning("%s is not up to date: %s", layout.background, error)
            return manifest
        return manifest if file is None else with_file(manifest, file)

    def _listed(self, written: Manifest, manifest: Manifest, view: View) -> Manifest:
        """With the segments' files, on disk where it is not what was written, and none other."""
        records = [segment.record for segment in view.segments]
        manifest = with_segment_files(manifest, (file for r in records for file in r.files))
        if manifest != written:
            write_manifest(self._layout, manifest)
        remove_unknown_segments(self._layout, records)
        return manifest


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
