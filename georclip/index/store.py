"""IndexStore: the index on disk as one object. Rows in, rows out; everything else is behind it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.errors import (
    EncoderMismatchError,
    GeorclipError,
    IndexFormatError,
    QueryError,
)
from georclip.index import changes
from georclip.index.catalog import Catalog
from georclip.index.files import Layout, remove_folder, saying_where
from georclip.index.info import describe
from georclip.index.locks import WriterLock
from georclip.index.manifest import Manifest, read_manifest, with_segment_files, write_manifest
from georclip.index.ranking import top_rows, unit_query
from georclip.index.records import (
    CommitReport,
    IndexedScene,
    IndexInfo,
    SceneStatus,
    Selection,
    encoder_fingerprint,
    plan_fingerprint,
    scene_matches,
)
from georclip.index.segments import remove_unknown_segments
from georclip.index.selecting import select_rows
from georclip.index.staging import StagingArea, sum_counts
from georclip.index.vectors import unit_fp32
from georclip.index.verification import Finding, check_catalog, check_files, check_rows
from georclip.index.view import View, open_view
from georclip.values import Chip, ChipPlan, DateRange, EncoderSpec, Scene

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from shapely.geometry.base import BaseGeometry

__all__ = ["Finding", "IndexInfo", "IndexStore", "SceneStaging", "Selection", "plan_fingerprint"]


class IndexStore:
    """An open index. Use it as a context manager, or close it; one thread at a time.

    A reader follows what a writer does: every question is answered from the newest state, and
    `snapshot` holds several to one state.
    """

    def __init__(
        self, layout: Layout, manifest: Manifest, catalog: Catalog, lock: WriterLock | None
    ) -> None:
        """Not for callers: use `create` or `open`."""
        self._layout = layout
        self._manifest = manifest
        self._catalog = catalog
        self._lock = lock
        self._view = open_view(layout, catalog, manifest.encoder.dim)

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
        _check_free(layout)
        with saying_where(layout.root, "make an index at"), ExitStack() as undo:
            layout.root.mkdir(exist_ok=True)
            lock = WriterLock(layout.lock)
            undo.callback(lock.release)
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
                store._tidy()
            undo.pop_all()
            return store

    @property
    def path(self) -> Path:
        """The folder."""
        return self._layout.root

    @property
    def encoder(self) -> EncoderSpec:
        """What made every vector."""
        return self._manifest.encoder

    @property
    def plan(self) -> ChipPlan:
        """How scenes are cut, as asked when the index was made."""
        return self._manifest.plan

    @property
    def writable(self) -> bool:
        """Whether this store holds the writer's lock."""
        return self._lock is not None

    def close(self) -> None:
        """Let go of files and lock. Safe to call twice."""
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

    def check_encoder(self, spec: EncoderSpec) -> None:
        """See that an encoder is the one that made the index.

        Raises:
            EncoderMismatchError: It is another.
        """
        own = self.encoder
        if encoder_fingerprint(spec) != encoder_fingerprint(own):
            raise EncoderMismatchError(
                f"{self.path} was made with {_named(own)}, not with {_named(spec)}; use that "
                "encoder, or index the scenes into another folder (-i) with this one"
            )

    # Scenes

    def scenes(self) -> tuple[Scene, ...]:
        """The scenes in the index, by uri."""
        return tuple(indexed.scene for indexed in self._catalog.scenes())

    def indexed_scenes(self) -> tuple[IndexedScene, ...]:
        """The scenes with their counts, fingerprints and digests, by uri."""
        return self._catalog.scenes()

    def chip_count(self, uri: str) -> int:
        """Chips of one scene; 0 where the index has no such uri."""
        indexed = self._catalog.scene_by(uri=uri)
        return 0 if indexed is None else indexed.chip_count

    def scene_status(self, scene: Scene, plan_fingerprint: str) -> SceneStatus:
        """What indexing a scene would change.

        Returns:
            "same": nothing. "moved": the same contents are there under another uri
            (`move_scene` records the new one). "redated": only its time is another
            (`move_scene` too). "changed": its contents, plan, bands or stretch are others.
            "new": neither its uri nor its contents are there.
        """
        with self._catalog.snapshot():
            there = self._catalog.scene_by(uri=scene.uri)
            alike = self._catalog.scene_by(scene_id=scene.scene_id)
        if alike is None:
            return "new" if there is None else "changed"
        if alike.plan_fingerprint != plan_fingerprint:
            return "changed"
        if alike.scene.uri != scene.uri:
            return "moved"
        redated = scene.acquired is not None and scene.acquired != alike.scene.acquired
        return "redated" if redated else "same"

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
        staging = SceneStaging(self, scene, plan_fingerprint, area)
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
            also = changes.absolute(pattern)
            found = tuple(
                indexed
                for indexed in self._catalog.scenes()
                if scene_matches(pattern, indexed.scene) or indexed.scene.uri == also
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
            return changes.relocate_scenes(
                self._catalog, changes.absolute(old), changes.absolute(new)
            )

    def compact(self) -> None:
        """Write all rows anew: without removed ones, in Hilbert order over all scenes."""
        with self._changing():
            changes.compact_rows(self._layout, self._catalog, self._view, self.encoder.dim)
        with suppress(GeorclipError):  # a reader may be at it; the space is given back next time
            self._catalog.vacuum()

    # Questions

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Hold several questions to one state of the index; a writer's commit waits meanwhile."""
        with self._catalog.snapshot():
            self._follow()
            yield

    def select(
        self,
        *,
        aoi: BaseGeometry | None = None,
        dates: DateRange | None = None,
        scenes: str | None = None,
    ) -> Selection:
        """Rows that pass every filter; without any, all rows.

        Args:
            aoi: EPSG:4326, split at the date line: footprints that share area with it pass,
                or touch it where it has none.
            dates: Closed interval; scenes without a time fail.
            scenes: Glob over uris and names.
        """
        with self.snapshot():
            needed = dates is not None or scenes is not None
            return select_rows(
                self._view,
                self._catalog.scenes() if needed else (),
                self._catalog.footprints,
                aoi=aoi,
                dates=dates,
                pattern=scenes,
            )

    def top(
        self, query: npt.NDArray[np.float32], rows: npt.NDArray[np.int64] | None, k: int
    ) -> list[tuple[int, float]]:
        """The k best rows, best first: exact; equal scores in order of chip_id.

        Args:
            query: float32, (dim,), any length but zero.
            rows: Rows to choose from; None is all.
            k: Most rows wanted; fewer come back where there are not as many.

        Returns:
            (row, score): cosine with the stored vector, in [-1, 1].

        Raises:
            QueryError: k is below 1, or the query is zero or not finite.
            EncoderMismatchError: The query has another length than the vectors.
        """
        if k < 1:
            raise QueryError(f"k must be at least 1, not {k}")
        unit = unit_query(np.asarray(query), self.encoder.dim)
        with self._catalog.snapshot():
            if rows is None:
                self._follow()
            return top_rows(self._view, unit, rows, k, self._catalog.chip_ids)

    def fetch(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> list[tuple[Chip, Scene]]:
        """Chips and scenes of rows, in their order.

        Raises:
            GeorclipError: A row is not in the index any more.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        with self._catalog.snapshot():
            table, numbers = self._catalog.chips(wanted)
            scenes = self._catalog.scenes_by_number(set(numbers))
        found: list[tuple[Chip, Scene]] = []
        for chip, number in zip(table.chips(""), numbers, strict=True):
            scene = scenes[number].scene
            found.append((dataclasses.replace(chip, scene_id=scene.scene_id), scene))
        return found

    def row_of(self, chip_id: str) -> int | None:
        """The row of a chip; None where the index does not hold it."""
        return self._catalog.row_of(chip_id)

    def vectors(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Embeddings of rows in their order, as scores see them: float32, (n, dim), unit length."""
        wanted = np.asarray(rows, dtype=np.int64)
        ascending, back = np.unique(wanted, return_inverse=True)
        parts = [
            unit_fp32(segment.vectors.codes[positions])
            for segment, positions in self._view.split(ascending)
        ]
        parts.append(np.empty((0, self.encoder.dim), dtype=np.float32))
        return np.concatenate(parts)[back]

    # State

    def info(self) -> IndexInfo:
        """Counts, sizes, dates and bounds."""
        with saying_where(self.path, "read"), self.snapshot():
            return describe(self._layout, self._manifest, self._catalog, self._view)

    def verify(self, *, full: bool = False) -> tuple[Finding, ...]:
        """What is wrong with the index; () when nothing is. `full` reads every byte."""
        with saying_where(self.path, "read"), self.snapshot():
            records = tuple(segment.record for segment in self._view.segments)
            manifest = read_manifest(self._layout)
            return (
                *check_files(self._layout, manifest, records, full=full),
                *check_catalog(self._layout, self._catalog, full=full),
                *check_rows(self._layout, self._catalog, self._view, full=full),
            )

    def _follow(self) -> None:
        """Open the newest state where it is not the one at hand."""
        if self._catalog.generation() != self._view.generation:
            self._view = open_view(self._layout, self._catalog, self.encoder.dim, self._view)

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
        """After a commit: the newest state, a manifest that says so, no files left over."""
        self._follow()
        records = [segment.record for segment in self._view.segments]
        files = (file for record in records for file in record.files)
        manifest = with_segment_files(self._manifest, files)
        if manifest != self._manifest:
            write_manifest(self._layout, manifest)
            self._manifest = manifest
        remove_unknown_segments(self._layout, records)

    def _tidy(self) -> None:
        """Put right what a killed writer left: manifest, segments, parts of scenes long in."""
        self._layout.segments.mkdir(exist_ok=True)
        self._layout.staging.mkdir(exist_ok=True)
        self._settle()
        for folder in self._layout.staging.iterdir():
            done = self._catalog.scene_by(scene_id=folder.name)
            with suppress(OSError, ValueError, AttributeError):
                identity = json.loads((folder / "scene.json").read_bytes())
                if done and done.plan_fingerprint == identity.get("plan_fingerprint"):
                    remove_folder(folder)

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


class SceneStaging:
    """A scene under way. From `IndexStore.stage`."""

    def __init__(
        self, store: IndexStore, scene: Scene, fingerprint: str, area: StagingArea
    ) -> None:
        self._store = store
        self._scene = scene
        self._fingerprint = fingerprint
        self._area = area
        self._skipped_before = self._area.skipped_before

    @property
    def next_number(self) -> int:
        """Planned number of the chip to go on from; 0 for a fresh start."""
        return self._area.next_number

    @property
    def skipped_before(self) -> Mapping[str, int]:
        """Planned chips that earlier runs left out, by reason."""
        return self._skipped_before

    def append(
        self,
        last_number: int,
        chips: Sequence[Chip],
        vectors: npt.NDArray[np.float32],
        *,
        skipped: Mapping[str, int] | DataclassInstance | None = None,
    ) -> None:
        """Take a batch; it is safe on disk within some thousand chips or a minute.

        Args:
            last_number: Planned number of the batch's last chip.
            chips: n chips, in planned order.
            vectors: float32, (n, dim).
            skipped: Planned chips that this run left out so far, by reason.
        """
        total = sum_counts(self._skipped_before, _counts(skipped))
        with saying_where(self._store.path, "stage chips in"):
            self._area.append(last_number, chips, vectors, total)

    def commit(self, skipped: Mapping[str, int] | DataclassInstance | None = None) -> CommitReport:
        """Make the scene visible, whole, in place of an older state of it.

        Args:
            skipped: Planned chips that this run left out, by reason.
        """
        self.flush()
        total = sum_counts(self._skipped_before, _counts(skipped))
        return self._store._commit(self._scene, self._fingerprint, self._area, total)

    def flush(self) -> None:
        """Bring what was appended to disk now."""
        with saying_where(self._store.path, "stage chips in"):
            self._area.flush()


def _counts(skipped: Mapping[str, int] | DataclassInstance | None) -> dict[str, int]:
    """Counts by reason, from a mapping or a dataclass of whole numbers."""
    if skipped is None:
        return {}
    entries = skipped if isinstance(skipped, Mapping) else dataclasses.asdict(skipped)
    return {str(reason): int(n) for reason, n in entries.items()}


def _named(spec: EncoderSpec) -> str:
    return (
        f"{spec.name} ({spec.architecture}, {spec.activation}, weights {spec.weights_sha256[:12]})"
    )


def _check_free(layout: Layout) -> None:
    """See that an index can be made here.

    Raises:
        IndexFormatError: An index or something else is in the way.
    """
    root = layout.root
    if layout.manifest.exists():
        raise IndexFormatError(f"{root} is an index already; open it, or name another folder")
    if root.exists() and not root.is_dir():
        raise IndexFormatError(f"{root} is a file; name a folder for the index")
    if not root.parent.is_dir():
        raise IndexFormatError(
            f"{root.parent} does not exist, so no index can be made at {root}; make it first"
        )
    if root.is_dir():
        strange = sorted({path.name for path in root.iterdir()} - layout.known_names())
        if strange:
            raise IndexFormatError(
                f"{root} is no index and holds other files ({strange[0]}, ...); "
                "name a new or empty folder for the index"
            )
