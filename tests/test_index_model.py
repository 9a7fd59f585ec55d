from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from georclip.geometry import passes_aoi
from georclip.index.store import IndexStore
from georclip.values import Chip, Scene
from tests.helpers_background import check_background, smaller
from tests.helpers_index import (
    PLAN,
    add,
    brute_force,
    draw_boxes,
    encoder_spec,
    make_chips,
    make_scene,
    square,
    without_syncing,
)

DIM = 4
DIRECTIONS = np.array(
    [[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0], [1, 2, 3, 4], [-1, 0, 2, 0]], dtype=np.float32
)
"""Few vectors, so that ties are everywhere."""


@dataclass
class Known:
    """A scene as the model remembers it."""

    scene: Scene
    fingerprint: str
    chips: list[Chip]
    vectors: npt.NDArray[np.float32]


class IndexAgainstModel(RuleBasedStateMachine):
    """The index must answer as a plain list of scenes would, whatever was done to it."""

    @initialize()
    def make(self) -> None:
        self.patch = pytest.MonkeyPatch()
        without_syncing(self.patch)
        smaller(self.patch, 12, 24)
        self.folder = Path(tempfile.mkdtemp(prefix="georclip-model-"))
        self.store = IndexStore.create(self.folder / "index", encoder=encoder_spec(DIM), plan=PLAN)
        self.known: list[Known] = []

    @rule(
        contents=st.sampled_from("abcde"),
        place=st.sampled_from("uvwx"),
        fingerprint=st.sampled_from(["p", "q"]),
        count=st.integers(0, 30),
        seed=st.integers(0, 99),
    )
    def index_scene(
        self, contents: str, place: str, fingerprint: str, count: int, seed: int
    ) -> None:
        scene = make_scene(contents, f"/data/{place}.tif")
        there = [k for k in self.known if k.scene.uri == scene.uri]
        alike = [k for k in self.known if k.scene.scene_id == scene.scene_id]
        status = self.store.scene_status(scene, fingerprint)
        if not alike:
            assert status == ("changed" if there else "new")
        elif alike[0].fingerprint != fingerprint:
            assert status == "changed"
        else:
            assert status == ("same" if alike == there else "moved")
        if status == "same":
            return
        rest = [k for k in self.known if k not in there and k not in alike]
        if status == "moved":
            self.store.move_scene(scene)
            moved = Known(scene, fingerprint, alike[0].chips, alike[0].vectors)
            self.known = [*rest, moved]
            return
        rng = np.random.default_rng(seed)
        boxes = draw_boxes(rng, count, around=(180.0, 0.0))
        vectors = DIRECTIONS[rng.integers(0, len(DIRECTIONS), count)]
        add(self.store, scene, boxes, vectors, fingerprint=fingerprint, batch=7)
        self.known = [*rest, Known(scene, fingerprint, make_chips(scene, boxes), vectors)]

    @rule(place=st.sampled_from("uvwx"))
    def remove(self, place: str) -> None:
        gone = self.store.remove(f"*{place}.tif")
        assert len(gone) == sum(k.scene.name == f"{place}.tif" for k in self.known)
        self.known = [k for k in self.known if k.scene.name != f"{place}.tif"]

    @rule()
    def compact(self) -> None:
        self.store.compact()
        assert self.store.info().removed_rows == 0

    @rule(writable=st.booleans())
    def reopen(self, writable: bool) -> None:
        self.store.close()
        with IndexStore.open(self.folder / "index", writable=writable) as store:
            self.look_at(store)
        self.store = IndexStore.open(self.folder / "index", writable=True)

    @rule(query=st.integers(0, len(DIRECTIONS) - 1), k=st.integers(1, 40))
    def search(self, query: int, k: int) -> None:
        chips = [chip.chip_id for known in self.known for chip in known.chips]
        vectors = np.concatenate([np.empty((0, DIM)), *(known.vectors for known in self.known)])
        ranked = self.store.top(DIRECTIONS[query], None, k)
        found = [chip.chip_id for chip, _ in self.store.fetch([row for row, _ in ranked])]
        if chips:
            stored = vectors.astype(np.float64)
            stored /= np.linalg.norm(stored, axis=1, keepdims=True)
            stored = stored.astype(np.float16).astype(np.float32)
            assert found == brute_force(stored, chips, DIRECTIONS[query], k)
        else:
            assert found == []

    @rule(lon=st.floats(178.9, 179.9), lat=st.floats(-1, 1), side=st.floats(0.01, 2))
    def select(self, lon: float, lat: float, side: float) -> None:
        aoi = square(lon, lat, min(side, 180.0 - lon))
        rows = self.store.select(aoi=aoi).rows
        found = {chip.chip_id for chip, _ in self.store.fetch(rows)}
        assert found == {
            chip.chip_id
            for known in self.known
            for chip in known.chips
            if passes_aoi(chip.footprint, aoi)
        }

    @rule()
    def verify(self) -> None:
        assert self.store.verify(full=True) == ()

    @invariant()
    def same_scenes(self) -> None:
        if hasattr(self, "store"):
            self.look_at(self.store)

    def look_at(self, store: IndexStore) -> None:
        assert {s.uri: s.scene_id for s in store.scenes()} == {
            k.scene.uri: k.scene.scene_id for k in self.known
        }
        rows = store.select().rows
        assert {chip.chip_id: chip for chip, _ in store.fetch(rows)} == {
            chip.chip_id: chip for known in self.known for chip in known.chips
        }
        assert store.info().chip_count == len(rows)
        check_background(store)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder)
            self.patch.undo()


TestIndexAgainstModel = IndexAgainstModel.TestCase
TestIndexAgainstModel.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
