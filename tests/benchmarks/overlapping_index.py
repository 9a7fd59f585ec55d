"""A large index of made chips that overlap by half and come in two scales: objects have several.

The ground is patches that look alike, of a few kinds to a scene; a chip's vector is the mean of
the ground that it covers, and noise. So the best answers crowd around the same places, as they do
in an index of real scenes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from georclip.values import Chip, Scene, Window
from tests.benchmarks.made_index import CHIP_DEGREES, SCENE_CHIPS, scene_corner

STEPS = (100, 80)
"""Steps of half a small chip that a scene is wide and high: 8,000 small chips, 2,000 large."""

_SIDE_PX = 224
_PATCH = 4
"""Steps that a patch of ground is wide: two small chips, or one large one."""
_Vectors = npt.NDArray[np.float32]


def overlapping_chips(scene: Scene, number: int) -> list[Chip]:
    """A scene's chips: the small ones in rows, then the large ones."""
    west, south = scene_corner(number)
    columns, rows, scales = _grid()
    side = CHIP_DEGREES * scales
    step = CHIP_DEGREES / 2
    x, y = west + columns * step, south + rows * step
    ring = np.array([(0.02, 0), (1, 0.02), (0.98, 1), (0, 0.98), (0.02, 0)])
    corners = np.stack([x, y], axis=1)[:, None] + side[:, None, None] * ring
    shapes = shapely.polygons(corners)
    entries = zip(columns.tolist(), rows.tolist(), scales.tolist(), shapes.tolist(), strict=True)
    return [
        Chip(
            chip_id=f"{scene.scene_id}-{position:06d}",
            scene_id=scene.scene_id,
            window=Window(
                col_off=column * _SIDE_PX // 2,
                row_off=row * _SIDE_PX // 2,
                width=int(_SIDE_PX * scale),
                height=int(_SIDE_PX * scale),
            ),
            footprint=shape,
            gsd_m=1.0,
            scale=scale,
            valid_fraction=1.0,
        )
        for position, (column, row, scale, shape) in enumerate(entries)
    ]


class PatchyVectors:
    """Unit vectors of chips over patches of ground, each of one of 2,000 kinds.

    Args:
        dim: Length of a vector.
    """

    kinds, per_scene, noise = 2_000, 200, 0.3

    def __init__(self, dim: int) -> None:
        rng = np.random.default_rng(0)
        self._dim = dim
        self._kinds = _unit(rng.standard_normal((self.kinds, dim), dtype=np.float32))

    def __call__(self, number: int) -> _Vectors:
        """Vectors of a scene's chips, float32, (SCENE_CHIPS, dim)."""
        rng = np.random.default_rng([5, number])
        own = rng.choice(self.kinds, self.per_scene, replace=False)
        width, height = (-(-(steps + _PATCH) // _PATCH) for steps in STEPS)
        kinds = rng.choice(own, (height, width)).repeat(_PATCH, axis=0).repeat(_PATCH, axis=1)
        shift_x, shift_y = rng.integers(0, _PATCH, 2)
        ground = self._kinds[kinds[shift_y:, shift_x:]]
        columns, rows, scales = _grid()
        vectors = np.empty((SCENE_CHIPS, self._dim), dtype=np.float32)
        for scale in (1.0, 2.0):
            chosen = np.flatnonzero(scales == scale)
            reach = range(int(2 * scale))
            vectors[chosen] = sum(
                ground[
                    np.minimum(rows[chosen] + down, ground.shape[0] - 1),
                    np.minimum(columns[chosen] + right, ground.shape[1] - 1),
                ]
                for down in reach
                for right in reach
            ) / np.float32(len(reach) ** 2)
        drawn = rng.standard_normal(vectors.shape, dtype=np.float32)
        return _unit(vectors + drawn * np.float32(self.noise / np.sqrt(self._dim)))

    def questions(self, count: int) -> _Vectors:
        """Unit vectors near the kinds of ground, float32, (count, dim)."""
        rng = np.random.default_rng(6)
        chosen = self._kinds[rng.choice(self.kinds, count)]
        drawn = rng.standard_normal(chosen.shape, dtype=np.float32)
        return _unit(chosen + drawn * np.float32(1.0 / np.sqrt(self._dim)))


def _grid() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Columns and rows, in steps, and scales of a scene's chips, (SCENE_CHIPS,) each."""
    parts = []
    for scale in (1, 2):
        column, row = np.meshgrid(np.arange(0, STEPS[0], scale), np.arange(0, STEPS[1], scale))
        parts.append(
            np.stack([column.ravel(), row.ravel(), np.full(column.size, scale)]).astype(np.int64)
        )
    columns, rows, scales = np.concatenate(parts, axis=1)
    return columns, rows, scales.astype(np.float64)


def _unit(rows: npt.NDArray[np.float32]) -> _Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
