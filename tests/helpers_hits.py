"""Hand-made scenes, chips and answers for the tests of search and export."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import shapely
from shapely import MultiPolygon, Polygon

from georclip.values import (
    Chip,
    EncoderSpec,
    Hit,
    Query,
    Rendering,
    Scene,
    SearchResult,
    Term,
    Window,
)

PLAIN = Rendering(
    bands=(1, 2, 3),
    low=(0.0, 0.0, 0.0),
    high=(255.0, 255.0, 255.0),
    bands_from="count",
    stretch_from="none",
)
SPEC = EncoderSpec(
    name="drawn",
    architecture="none",
    activation="relu",
    weights_sha256="0" * 64,
    dim=4,
    image_size_px=32,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    ground_size_m=None,
    licence="none",
)
FIJI = MultiPolygon([shapely.box(179.9, -17.1, 180, -17.0), shapely.box(-180, -17.1, -179.95, -17)])
HARBOR = shapely.box(-76.70, 34.70, -76.67, 34.73)
TOWN = Polygon([(-76.66, 34.70), (-76.63, 34.71), (-76.64, 34.74), (-76.67, 34.73)])
DAY = datetime(2018, 10, 13, tzinfo=UTC)


def make_scene(**changes: Any) -> Scene:
    values: dict[str, Any] = {
        "scene_id": "0123456789abcdef",
        "uri": "/scenes/beaufort.tif",
        "name": "beaufort.tif",
        "crs": "EPSG:4326",
        "transform": (0.0001, 0.0, -76.7, 0.0, -0.0001, 34.8),
        "width": 2000,
        "height": 2000,
        "band_count": 3,
        "dtype": "uint8",
        "nodata": None,
        "gsd_m": 10.0,
        "acquired": DAY,
        "rendering": PLAIN,
    }
    return Scene(**values | changes)


def make_hit(rank: int, footprint: Polygon | MultiPolygon = HARBOR, **changes: Any) -> Hit:
    """A hit whose score falls with its rank; `changes` are to the scene, or score, window."""
    score = changes.pop("score", 0.4 - 0.02 * rank)
    window = changes.pop("window", Window(col_off=64 * rank, row_off=0, width=256, height=256))
    chip_id = changes.pop("chip_id", f"chip{rank:04d}")
    scene = changes.pop("scene", None) or make_scene(**changes)
    chip = Chip(
        chip_id=chip_id,
        scene_id=scene.scene_id,
        window=window,
        footprint=footprint,
        gsd_m=scene.gsd_m,
        scale=1.0,
        valid_fraction=1.0,
    )
    return Hit(rank=rank, score=score, rank_score=score, confidence=None, chip=chip, scene=scene)


def make_result(hits: Sequence[Hit] = (), *, text: str = "harbor with ships") -> SearchResult:
    return SearchResult(
        query=Query(terms=(Term(kind="text", value=text),)),
        hits=tuple(hits),
        encoder=SPEC,
        rows_considered=1000,
        elapsed_s=0.01,
    )


def some_hits() -> SearchResult:
    """Three hits of two scenes: a box, a turned square, one over the date line without a time."""
    fiji = make_scene(
        uri="http://127.0.0.1:9/fiji islands.tif",
        name="fiji islands.tif",
        scene_id="f" * 16,
        acquired=None,
        crs="EPSG:32701",
    )
    return make_result([make_hit(1), make_hit(2, TOWN), make_hit(3, FIJI, scene=fiji)])
