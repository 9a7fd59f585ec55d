"""Large indexes of made chips: the real store, the real commits, vectors from a seed.

Scenes of 10,000 chips lie side by side on a map, each a grid of chips that lean a little, as chips
of a projected scene do in lon/lat. A scene's vectors belong to a few of all clusters: what lies
together looks alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely

from georclip.index.store import IndexStore
from georclip.values import Chip, ChipPlan, EncoderSpec, Scene, Window
from tests.helpers_index import encoder_spec, make_scene

SIDE = 100
SCENE_CHIPS = SIDE * SIDE
CHIP_DEGREES = 0.002
STEP_DEGREES = 0.0015  # chips overlap by a quarter
SCENES_ACROSS = 40
ORIGIN = (5.0, 40.0)

Vectors = Callable[[int], npt.NDArray[np.float32]]
"""Unit vectors of a scene by its number: float32, (SCENE_CHIPS, dim)."""
ChipsOf = Callable[[Scene, int], list[Chip]]
"""Chips of a scene and its number: SCENE_CHIPS of them."""


def grow(
    store: IndexStore, scenes: range, vectors: Vectors, chips_of: ChipsOf | None = None
) -> list[float]:
    """Add scenes; the seconds that each commit took, staging included, making it up not."""
    walls = []
    for number in scenes:
        scene, rows = made_scene(number), vectors(number)
        chips = (chips_of or made_chips)(scene, number)
        started = time.perf_counter()
        with store.stage(scene, "made") as staging:
            for start in range(0, len(chips), 1000):
                end = start + 1000
                staging.append(end - 1, chips[start:end], rows[start:end])
            staging.commit()
        walls.append(time.perf_counter() - started)
    return walls


def create(folder: Path, dim: int) -> IndexStore:
    """An empty index for vectors of a length."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return IndexStore.create(folder, encoder=spec(dim), plan=ChipPlan())


def spec(dim: int) -> EncoderSpec:
    """An encoder that is never run."""
    return encoder_spec(dim, "made")


def made_scene(number: int) -> Scene:
    """A scene by its number."""
    return make_scene(f"{number:x}")


def scene_corner(number: int) -> tuple[float, float]:
    """West and south of a scene, degrees; scenes are numbered along a snake over the map."""
    row, column = divmod(number, SCENES_ACROSS)
    column = SCENES_ACROSS - 1 - column if row % 2 else column
    return ORIGIN[0] + column * SIDE * STEP_DEGREES, ORIGIN[1] + row * SIDE * STEP_DEGREES


def made_chips(scene: Scene, number: int) -> list[Chip]:
    """A scene's chips, in rows."""
    west, south = scene_corner(number)
    column, row = (part.ravel() for part in np.meshgrid(np.arange(SIDE), np.arange(SIDE)))
    x, y = west + column * STEP_DEGREES, south + row * STEP_DEGREES
    lean, side = 0.02 * CHIP_DEGREES, CHIP_DEGREES
    ring = np.array([(lean, 0), (side, lean), (side - lean, side), (0, side - lean), (lean, 0)])
    shapes = shapely.polygons(np.stack([x, y], axis=1)[:, None] + ring)
    return [
        Chip(
            chip_id=f"{scene.scene_id}-{position:06d}",
            scene_id=scene.scene_id,
            window=Window(col_off=c * 168, row_off=r * 168, width=224, height=224),
            footprint=shape,
            gsd_m=1.0,
            scale=1.0,
            valid_fraction=1.0,
        )
        for position, (c, r, shape) in enumerate(
            zip(column.tolist(), row.tolist(), shapes.tolist(), strict=True)
        )
    ]


class ClusteredVectors:
    """Unit vectors around 2,000 seeded centres, 100 of them in any one scene."""

    clusters, per_scene = 2_000, 100

    def __init__(self, dim: int) -> None:
        self._dim = dim
        rng = np.random.default_rng(0)
        self._centres = _unit(rng.standard_normal((self.clusters, dim), dtype=np.float32))

    def __call__(self, number: int) -> npt.NDArray[np.float32]:
        """Vectors of a scene."""
        rng = np.random.default_rng([1, number])
        own = rng.choice(self.clusters, self.per_scene, replace=False)
        chosen = self._centres[rng.choice(own, SCENE_CHIPS)]
        return _unit(chosen + self._noise(rng, SCENE_CHIPS, 0.9))

    def questions(self, count: int) -> npt.NDArray[np.float32]:
        """Unit vectors that lie further from the centres than rows do: float32, (count, dim)."""
        rng = np.random.default_rng(2)
        chosen = self._centres[rng.choice(self.clusters, count)]
        return _unit(chosen + self._noise(rng, count, 1.5))

    def _noise(self, rng: np.random.Generator, count: int, size: float) -> npt.NDArray[np.float32]:
        drawn = rng.standard_normal((count, self._dim), dtype=np.float32)
        return drawn * np.float32(size / np.sqrt(self._dim))


class JitteredVectors:
    """Rows drawn from embedded pictures, each moved a little: more rows than pictures were cut.

    Args:
        embedded: Unit vectors, float32, (n, dim).
        asked: Embedded sentences, float32, (m, dim).
    """

    moved = 0.25  # cosine of about 0.97 with the picture

    def __init__(self, embedded: npt.NDArray[np.float32], asked: npt.NDArray[np.float32]) -> None:
        self._embedded, self._asked = embedded, asked

    def __call__(self, number: int) -> npt.NDArray[np.float32]:
        """Vectors of a scene: a stretch of the pictures, of one kind of place mostly."""
        rng = np.random.default_rng([3, number])
        first = int(rng.integers(len(self._embedded)))
        near = (first + rng.integers(0, 4 * SCENE_CHIPS, SCENE_CHIPS)) % len(self._embedded)
        dim = self._embedded.shape[1]
        noise = rng.standard_normal((SCENE_CHIPS, dim), dtype=np.float32)
        return _unit(self._embedded[near] + noise * np.float32(self.moved / np.sqrt(dim)))

    def questions(self, count: int) -> npt.NDArray[np.float32]:
        """The first of the sentences."""
        return self._asked[:count]


def _unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
