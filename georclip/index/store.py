"""IndexStore: the index on disk as one object. Rows in, rows out; everything else is behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from georclip.errors import GeorclipError
from georclip.index import changes
from georclip.index.catalog import Catalog
from georclip.index.files import Layout, record_of, saying_where, write_atomically
from georclip.index.locks import WriterLock
from georclip.index.making import check_free
from georclip.index.manifest import Manifest, read_manifest, with_file, write_manifest
from georclip.index.reading import IndexReader
from georclip.index.records import (
    CommitReport,
    IndexInfo,
    Selection,
    absolute,
    encoder_fingerprint,
    plan_fingerprint,
    scene_matches,
)
from georclip.index.references import check_reference_name, pack_reference
from georclip.index.staged_scene import SceneStaging
from georclip.index.staging import StagingArea
from georclip.index.upkeep import Upkeep
from georclip.index.verification import Finding, verify_index
from georclip.values import ChipPlan, EncoderSpec, Scene

__all__ = [
    "Finding",
    "IndexInfo",
    "IndexStore",
    "SceneStaging",
    "Selection",
    "plan_fingerprint",
    "verify_index",
]


class IndexStore(IndexReader):
    """An open index, for reading or writing. A context manager; one thread at a time."""

    def __init__(
        self, layout: Layout, manifest: Manifest, catalog: Catalog, lock: WriterLock | None
    ) -> None:
        """Not for callers: use `create` or `open`."""
        super().__init__(layout, manifest, catalog)
        self._lock = lock
        self._upkeep = Upkeep(layout, catalog, manifest.encoder.dim)

    @classmethod
    def create(cls, path: Path | str, *, encoder: EncoderSpec, plan: ChipPlan) -> IndexStore:
        """Make an empty index and open it for writing.

        Args:
            path: A folder that does not exist yet, or is empty; its parent must exist.
            encoder: What will make every vector.
            plan: How scenes are to be cut unless told otherwise.

        Raises:
            IndexFormatError: Something is in the way.
            GeorclipError: The folder cannot be written, or another process makes it.
        """
        layout = Layout(Path(path).absolute())
        check_free(layout)
        with saying_where(layout.root, "make an index at"), ExitStack() as undo:
            layout.root.mkdir(exist_ok=True)
            lock = WriterLock(layout.lock)
            undo.callback(lock.release)
            check_free(layout)  # again: another process may just have made one
            layout.catalog.unlink(missing_ok=True)
            layout.segments.mkdir(exist_ok=True)
            layout.staging.mkdir(exist_ok=True)
            manifest = Manifest(encoder=encoder, plan=plan)
            catalog = Catalog.create(layout.catalog)
            undo.callback(catalog.close)
            write_manifest(layout, manifest)  # last: with it the folder is an index
            store = cls(layout, manifest, catalog, lock)
            undo.pop_all()
            return store

    @classmethod
    def open(cls, path: Path | str, *, writable: bool) -> IndexStore:
        """Open an index.

        Args:
            path: The folder.
            writable: Take the writer's lock and put right what a killed writer left.

        Raises:
            IndexFormatError: There is no index, or one of a newer format.
            IndexCorruptError: Parts are missing or damaged.
            GeorclipError: The folder cannot be read or written, or another process writes.
        """
        layout = Layout(Path(path).absolute())
        with saying_where(layout.root, "write to" if writable else "read"), ExitStack() as undo:
            manifest = read_manifest(layout)
            lock = None
            if writable:
                lock = WriterLock(layout.lock)
                undo.callback(lock.release)
                manifest = read_manifest(layout)  # the last writer may have changed it
            catalog = Catalog(layout.catalog, writable=writable)
            undo.callback(catalog.close)
            store = cls(layout, manifest, catalog, lock)
            if writable:
                store._manifest = store._upkeep.tidy(manifest, store._view)
            undo.pop_all()
            return store

    @property
    def encoder_folder(self) -> Path:
        """Where the index keeps its model's text tower, when it is portable."""
        return self._layout.encoder

    @property
    def writable(self) -> bool:
        """Whether this store holds the writer's lock."""
        return self._lock is not None

    def close(self) -> None:
        """Let go of files and lock. Safe to call twice."""
        if self._lock is not None:
            with suppress(GeorclipError, OSError):  # it can wait for the next writer
                self._follow()
                self._manifest = self._upkeep.finish(self._manifest, self._view)
        self._let_go()
        self._catalog.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> IndexStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Scenes

    def move_scene(self, scene: Scene) -> str:
        """Record that a scene's contents lie at `scene.uri` now; a time given is taken over.

        Returns:
            The uri that it had.

        Raises:
            GeorclipError: The index does not hold these contents.
        """
        with self._changing():
            return changes.move_scene(self._catalog, self._view, scene).scene.uri

    @contextmanager
    def stage(self, scene: Scene, plan_fingerprint: str) -> Iterator[SceneStaging]:
        """Take in a scene's chips; what was staged by a killed run is there already.

        Leaving without `commit`, also by an error, keeps what was appended for the next time.
        """
        self._check_writable()
        identity = {
            "scene_id": scene.scene_id,
            "uri": scene.uri,
            "plan_fingerprint": plan_fingerprint,
            "encoder": encoder_fingerprint(self.encoder),
        }
        folder = self._layout.staging / scene.scene_id
        with saying_where(self.path, "stage chips in"):
            area = StagingArea(folder, identity, self.encoder.dim)

        def commit(area: StagingArea, skipped: Mapping[str, int]) -> CommitReport:
            return self._commit(scene, plan_fingerprint, area, skipped)

        staging = SceneStaging(area, self.path, commit)
        try:
            yield staging
        except BaseException:
            with suppress(GeorclipError):  # the error under way matters more
                staging.flush()
            raise
        staging.flush()

    def remove(self, pattern: str) -> tuple[Scene, ...]:
        """Take out every scene whose uri or name is, or matches, a glob; returns them."""
        with self._changing():
            found = tuple(
                indexed
                for indexed in self._catalog.scenes()
                if scene_matches(pattern, indexed.scene)
            )
            if found:
                changes.remove_scenes(self._catalog, self._view, found)
        return tuple(indexed.scene for indexed in found)

    def relocate(self, old: str, new: str) -> int:
        """Rewrite uris that are `old`, or lie below it, to `new`; returns how many.

        Raises:
            GeorclipError: None is concerned, or two scenes would have one uri.
        """
        with self._changing():
            return changes.relocate_scenes(self._catalog, absolute(old), absolute(new))

    def compact(self, progress: changes.Progress | None = None) -> None:
        """Write all rows anew: without removed ones, in Hilbert order over all scenes.

        Args:
            progress: Called with (rows written, rows in all).
        """
        with self._changing():
            changes.compact_rows(
                self._layout, self._catalog, self._view, self.encoder.dim, progress
            )
        with suppress(GeorclipError):  # a reader may be at it; the space is given back next time
            self._catalog.vacuum()

    # Vectors beside the rows; the background keeps itself

    def keep_reference(
        self,
        name: str,
        labels: Sequence[str],
        vectors: npt.NDArray[np.float32],
        *,
        made_from: str,
    ) -> None:
        """Keep a named set of vectors, instead of the one that had the name.

        Args:
            name: Up to 32 of a-z, 0-9, - and _, a letter first.
            labels: What each vector is of.
            vectors: float32, (n, dim), any length but zero; by the index's own encoder.
            made_from: A digest of what the vectors were made from, so that `reference` can be asked
                whether they are still the right ones.

        Raises:
            GeorclipError: The name, labels or vectors are no good, or the index cannot be written.
            EncoderMismatchError: The vectors have another length than the index's.
        """
        self._check_writable()
        check_reference_name(name)
        data = pack_reference(labels, vectors, made_from, self.encoder.dim)
        path = self._layout.reference(name)
        with saying_where(self.path, "write to"):
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, data)
            manifest = with_file(self._manifest, record_of(self._layout, path, data))
            write_manifest(self._layout, manifest)
            self._manifest = manifest

    def _check_writable(self) -> None:
        if self._lock is None:
            raise GeorclipError(f"{self.path} is open for reading only; open it for writing")

    @contextmanager
    def _changing(self) -> Iterator[None]:
        self._check_writable()
        with saying_where(self.path, "write to"):
            yield
            self._settle()

    def _settle(self) -> None:
        """After a commit: the newest state, and everything beside the catalog as it says."""
        self._follow()
        self._manifest = self._upkeep.settle(self._manifest, self._view)

    def _commit(
        self, scene: Scene, fingerprint: str, area: StagingArea, skipped: Mapping[str, int]
    ) -> CommitReport:
        with self._changing():
            report = changes.commit_scene(
                self._layout,
                self._catalog,
                self._view,
                area,
                scene=scene,
                fingerprint=fingerprint,
                skipped=skipped,
                dim=self.encoder.dim,
            )
        area.discard()
        return report
