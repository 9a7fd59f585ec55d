"""Scenes, chips and vectors for tests of the index: small, drawn from a seed."""

from __future__ import annotations

import os
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pytest
import shapely

from georclip.geometry import bbox_polygon
from georclip.index import database
from georclip.index.records import CommitReport
from georclip.index.store import IndexStore
from georclip.values import Chip, ChipPlan, EncoderSpec, Rendering, Scene, Window

DIM = 8
PLAN = ChipPlan()
FINGERPRINT = "plan-a"


def encoder_spec(dim: int = DIM, name: str = "fake") -> EncoderSpec:
    """An encoder that is never run."""
    return EncoderSpec(
        name=name,
        architecture="fake-tower",
        activation="relu",
        weights_sha256=(name.encode().hex() + "0" * 64)[:64],
        dim=dim,
        image_size_px=32,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        ground_size_m=None,
        licence="none",
    )


def make_scene(
    scene_id: str,
    uri: str | None = None,
    *,
    acquired: datetime | None = None,
    nodata: float | None = None,
) -> Scene:
    """A scene; its id is padded to 16 digits."""
    uri = uri or f"/data/{scene_id}.tif"
    return Scene(
        scene_id=scene_id.rjust(16, "0"),
        uri=uri,
        name=uri.rsplit("/", 1)[-1],
        crs="EPSG:32650",
        transform=(10.0, 0.0, 500_000.0, 0.0, -10.0, 4_000_000.0),
        width=1000,
        height=800,
        band_count=4,
        dtype="uint16",
        nodata=nodata,
        gsd_m=10.0,
        acquired=acquired,
        rendering=Rendering(
            bands=(4, 3, 2),
            low=(1.5, 2.5, 3.5),
            high=(1000.0, 2000.0, 3000.0),
            bands_from="description",
            stretch_from="percentiles",
        ),
    )


def make_chips(scene: Scene, boxes: npt.NDArray[np.float64], first: int = 0) -> list[Chip]:
    """Chips with these boxes, (n, 4), as footprints; west > east crosses the date line."""
    return [
        Chip(
            chip_id=f"{scene.scene_id}-{first + number:06d}",
            scene_id=scene.scene_id,
            window=Window(col_off=first + number, row_off=0, width=32, height=32),
            footprint=bbox_polygon((west, south, east, north)),
            gsd_m=10.0,
            scale=1.0,
            valid_fraction=0.75,
        )
        for number, (west, south, east, north) in enumerate(boxes.tolist())
    ]


def draw_boxes(
    rng: np.random.Generator, count: int, around: tuple[float, float] = (10.0, 50.0)
) -> npt.NDArray[np.float64]:
    """Small boxes around a place, (count, 4)."""
    west = around[0] + rng.uniform(-1, 1, count)
    south = around[1] + rng.uniform(-1, 1, count)
    boxes = np.stack([west, south, west + 0.02, south + 0.02], axis=1)
    boxes[:, [0, 2]] = (boxes[:, [0, 2]] + 180.0) % 360.0 - 180.0
    return boxes


def draw_vectors(rng: np.random.Generator, count: int, dim: int = DIM) -> npt.NDArray[np.float32]:
    """Unit vectors, float32, (count, dim)."""
    vectors = rng.standard_normal((count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def add(
    store: IndexStore,
    scene: Scene,
    boxes: npt.NDArray[np.float64],
    vectors: npt.NDArray[np.float32],
    *,
    fingerprint: str = FINGERPRINT,
    batch: int = 64,
) -> CommitReport:
    """Put a scene into an index, going on from what is staged."""
    chips = make_chips(scene, boxes)
    with store.stage(scene, fingerprint) as staging:
        for start in range(staging.next_number, len(chips), batch):
            end = min(start + batch, len(chips))
            staging.append(end - 1, chips[start:end], vectors[start:end])
        return staging.commit({"blank": 3})


def add_random(
    store: IndexStore, scene: Scene, count: int, seed: int = 0, batch: int = 64
) -> CommitReport:
    """Put a scene of random chips into an index."""
    rng = np.random.default_rng(seed)
    dim = store.encoder.dim
    boxes, vectors = draw_boxes(rng, count), draw_vectors(rng, count, dim)
    return add(store, scene, boxes, vectors, batch=batch)


def by_chip(store: IndexStore) -> dict[str, tuple[Chip, Scene, bytes]]:
    """Everything in an index: chip, scene and vector per chip_id."""
    rows = store.select().rows
    found = store.fetch(rows)
    vectors = store.vectors(rows)
    return {
        chip.chip_id: (chip, scene, vector.tobytes())
        for (chip, scene), vector in zip(found, vectors, strict=True)
    }


def brute_force(
    stored: npt.NDArray[np.float32], ids: list[str], query: npt.NDArray[np.float32], k: int
) -> list[str]:
    """Ids of the k best by cosine in float64, ties by id; scores equal to 7 digits are tied."""
    wide = stored.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    scores = wide @ (query.astype(np.float64) / np.linalg.norm(query.astype(np.float64)))
    ranked = sorted(zip((-scores).round(6).tolist(), ids, strict=True))
    return [chip_id for _, chip_id in ranked[:k]]


def without_syncing(patch: pytest.MonkeyPatch) -> None:
    """Let the system write when it likes: a process that dies loses nothing by that."""
    patch.setattr(os, "fsync", lambda descriptor: None)
    patch.setattr(database, "_SYNCHRONOUS", "OFF")


def square(lon: float, lat: float, side: float) -> shapely.Polygon:
    """A square area, degrees."""
    return shapely.box(lon, lat, lon + side, lat + side)
