"""What an index says of itself: encoder, plan, scenes, and the vectors kept beside its rows."""

from __future__ import annotations

from pathlib import Path

from georclip.errors import EncoderMismatchError
from georclip.index.background import Background
from georclip.index.catalog import Catalog
from georclip.index.companions import Companions
from georclip.index.files import Layout
from georclip.index.manifest import Manifest
from georclip.index.records import IndexedScene, SceneStatus, as_utc, encoder_fingerprint
from georclip.index.references import Reference
from georclip.values import ChipPlan, EncoderSpec, Scene


class IndexContents:
    """An index as its manifest and catalog describe it; one thread at a time.

    What it says is always of the newest state.
    """

    def __init__(self, layout: Layout, manifest: Manifest, catalog: Catalog) -> None:
        """Not for callers: `IndexStore.create` and `IndexStore.open` make one."""
        self._layout = layout
        self._manifest = manifest
        self._catalog = catalog
        self._companions = Companions(layout, manifest.encoder.dim)

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

    def indexed_scene(self, uri: str) -> IndexedScene | None:
        """One scene with its counts, or None where the index has no such uri."""
        return self._catalog.scene_by(uri=uri)

    def chip_count(self, uri: str) -> int:
        """Chips of one scene; 0 where the index has no such uri."""
        indexed = self.indexed_scene(uri)
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
        return "redated" if _redated(alike.scene, scene) else "same"

    # Vectors beside the rows

    def background(self) -> Background | None:
        """A seeded sample of the index's chips, which tells what a score is worth here.

        It may be that of an earlier state where a writer was killed.

        Returns:
            None where the index has no chips, comes from an earlier version, or where the file is
            damaged, which is logged once.
        """
        return self._companions.background()

    def reference(self, name: str) -> Reference | None:
        """A named set of vectors that scores of this index are compared with.

        Args:
            name: Such as "neutral" (prompts that ask for nothing in particular) or "nothing"
                (pictures that show nothing).

        Returns:
            None where there is no such set, or its file is damaged, which is logged once.

        Raises:
            GeorclipError: No set may have this name.
        """
        return self._companions.reference(name)


def _redated(known: Scene, now: Scene) -> bool:
    """Whether a scene's time is given, and another than the one on record."""
    if now.acquired is None:
        return False
    return known.acquired is None or as_utc(known.acquired) != as_utc(now.acquired)


def _named(spec: EncoderSpec) -> str:
    return (
        f"{spec.name} ({spec.architecture}, {spec.activation}, weights {spec.weights_sha256[:12]})"
    )
