"""Scenes and chips as the catalog's tables hold them."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import numpy as np

from georclip.errors import IndexCorruptError
from georclip.index.chiptable import ChipTable
from georclip.index.records import IndexedScene, scene_from_json, scene_to_json
from georclip.index.sqlite_errors import MEND

SceneRow = tuple[int, str, str, str, int, str, str, str, str]


def scene_row(indexed: IndexedScene) -> SceneRow:
    """A scene as a row of the table of scenes, its seal not included."""
    return (
        indexed.number,
        indexed.scene.scene_id,
        indexed.scene.uri,
        indexed.plan_fingerprint,
        indexed.chip_count,
        indexed.digest,
        json.dumps(dict(indexed.skipped)),
        indexed.indexed_at.isoformat(),
        scene_to_json(indexed.scene),
    )


def seal_of(row: tuple[Any, ...]) -> str:
    """A checksum over a scene's row: SQLite would not notice a flipped bit in a text."""
    return hashlib.sha256(repr(row).encode()).hexdigest()


def read_scene(row: tuple[Any, ...]) -> IndexedScene:
    """What `scene_row` wrote.

    Raises:
        ValueError, KeyError, TypeError: It is damaged.
    """
    number, _, _, fingerprint, chip_count, digest, skipped, indexed_at, record = row
    return IndexedScene(
        scene=scene_from_json(record),
        number=number,
        plan_fingerprint=fingerprint,
        chip_count=chip_count,
        skipped=json.loads(skipped),
        digest=digest,
        indexed_at=datetime.fromisoformat(indexed_at).astimezone(UTC),
    )


def read_chips(entries: list[tuple[Any, ...]]) -> ChipTable:
    """Chips from entries of id, window, measures and footprint.

    Raises:
        IndexCorruptError: One is damaged.
    """
    try:
        return ChipTable(
            chip_ids=tuple(entry[0] for entry in entries),
            windows=np.array([entry[1:5] for entry in entries], dtype=np.int64).reshape(-1, 4),
            measures=np.array([entry[5:8] for entry in entries], dtype=np.float64).reshape(-1, 3),
            footprints=tuple(entry[8] for entry in entries),
        )
    except (ValueError, TypeError) as error:
        raise IndexCorruptError(f"the catalog holds a damaged chip; {MEND}") from error
