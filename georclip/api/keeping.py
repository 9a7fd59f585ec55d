"""An index that is kept: scenes in and out, and what there is to know of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from georclip import values
from georclip.api.result import PathLike
from georclip.api.towers import Towers
from georclip.index.files import Layout

if TYPE_CHECKING:
    from datetime import datetime

    from georclip.index.store import IndexInfo
    from georclip.index.verification import Finding
    from georclip.indexing import Progress
    from georclip.scene_report import SceneReport
    from georclip.scenes.access import Access

DEFAULT_MEMORY_BYTES = 1_000_000_000


class Keeping(Towers):
    """What is done with an index beside asking it."""

    @property
    def path(self) -> Path:
        """The folder."""
        return self._store.path

    @property
    def encoder_spec(self) -> values.EncoderSpec:
        """What made its vectors."""
        return self._store.encoder

    @property
    def plan(self) -> values.ChipPlan:
        """How its scenes are cut unless `add` is told otherwise."""
        return self._store.plan

    def add(
        self,
        scene: PathLike,
        *,
        plan: values.ChipPlan | None = None,
        bands: tuple[int, int, int] | None = None,
        stretch: Literal["auto", "none"] | tuple[float, float] = "auto",
        acquired: datetime | None = None,
        full_hash: bool = False,
        access: Access | None = None,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> SceneReport:
        """Index one scene, or bring it up to date; nothing is done where nothing changed.

        Args:
            scene: Path or URL of a raster.
            plan: How to cut it; None for the index's own plan.
            bands: 1-based bands shown as red, green and blue; None finds them.
            stretch: "auto" (percentiles; 8-bit is left alone), "none", or (low, high) in
                sensor values.
            acquired: When it was taken; None reads tags and the file name.
            full_hash: Identify the scene by every block, not by a sample of them.
            access: What the file may name elsewhere; None: only its own folder.
            memory_bytes: Bound on buffers, bytes.
            batch_size: Most chips encoded at once; None chooses.
            progress: Called with (planned chips done, planned chips in all).

        Raises:
            SceneError: The raster cannot be used; the index is as it was.
        """
        from georclip.indexing import index_scene
        from georclip.scenes.access import Access
        from georclip.scenes.scene import open_scene
        from georclip.search.judging import keep_references

        opened = open_scene(
            os.fspath(scene),
            bands=bands,
            stretch=stretch,
            acquired=acquired,
            full_hash=full_hash,
            access=access or Access(),
        )
        self._keep_text()
        report = index_scene(
            self._writer(),
            self.indexer,
            opened,
            plan or self.plan,
            memory_bytes=memory_bytes,
            batch_size=batch_size,
            progress=progress,
        )
        keep_references(self._writer(), self.indexer)
        return report

    def scenes(self) -> tuple[values.Scene, ...]:
        """The scenes in the index, by uri."""
        return tuple(self._store.scenes())

    def chip_count(self, uri: str) -> int:
        """Chips of one scene."""
        return self._store.chip_count(uri)

    def write_footprints(self) -> Path:
        """Write footprints.gpkg into the index: a view of scenes and chips for QGIS."""
        from georclip.export.footprints import write_footprints

        return write_footprints(self._store)

    def info(self) -> IndexInfo:
        """Counts, sizes, dates and bounds."""
        return self._store.info()

    def remove(self, scene: str) -> tuple[values.Scene, ...]:
        """Take out every scene whose uri or name matches the glob; returns them."""
        return tuple(self._writer().remove(scene))

    def relocate(self, old: str, new: str) -> int:
        """Rewrite uris that are `old` or lie below it, after files were moved; returns how many."""
        return self._writer().relocate(old, new)

    def compact(self, *, progress: Progress | None = None) -> None:
        """Drop removed rows from disk, order chips by place, and make a large index quick to ask.

        Args:
            progress: Called with (chips written, chips in all).
        """
        self._writer().compact(progress)

    def verify(self, *, full: bool = False) -> tuple[Finding, ...]:
        """What is wrong with the files; () when nothing is. `full` reads every byte."""
        return (*self._store.verify(full=full), *_check_text_tower(self.path, full=full))

    def close(self) -> None:
        """Release the lock and the files."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def verify_index(path: PathLike, *, full: bool = False) -> tuple[Finding, ...]:
    """What is wrong with an index, also with one that is too damaged to be opened.

    Args:
        path: The folder.
        full: Read every byte; else counts and sizes.

    Raises:
        IndexFormatError: There is no index here, or one of a newer format.
        IndexCorruptError: Manifest or catalog cannot be read at all.
    """
    from georclip.index import store

    folder = Path(path)
    return (*store.verify_index(folder, full=full), *_check_text_tower(folder, full=full))


def _check_text_tower(index: Path, *, full: bool) -> Iterator[Finding]:
    """Check the text tower that a portable index keeps."""
    from georclip.encoders.bundle import read_bundle
    from georclip.errors import EncoderError
    from georclip.index.verification import Finding

    folder = Layout(index).encoder
    if not folder.exists():
        return
    try:
        bundle = read_bundle(folder)
        bundle.check_whole() if full else bundle.check_sizes()
    except EncoderError as error:
        advice = "remove the folder, and say georclip index --portable again"
        yield Finding(file=folder.name, problem=str(error), advice=advice)
