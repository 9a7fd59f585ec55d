"""What the index hands out beside chips and scenes, and how scenes are written as JSON."""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from georclip.index.files import FileRecord
from georclip.index.runs import RowRuns
from georclip.values import ChipPlan, EncoderSpec, Rendering, Scene

SceneStatus = Literal["new", "same", "changed", "redated", "moved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Rows that pass the filters of a question.

    Attributes:
        runs: The rows.
        undated_scenes_left_out: Scenes without a time that passed everything but the dates.
    """

    runs: RowRuns
    undated_scenes_left_out: int

    def __len__(self) -> int:
        """How many rows."""
        return len(self.runs)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The rows one by one: int64, (n,), ascending."""
        return self.runs.rows()


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedScene:
    """A scene as it stands in the index.

    Attributes:
        scene: The scene.
        number: Its number in the index; never used twice.
        plan_fingerprint: Plan, bands and stretch that its chips were made with.
        chip_count: Chips in the index.
        skipped: Planned chips left out, by reason.
        digest: Over its chips and their vectors, hex.
        indexed_at: When it was committed, UTC.
    """

    scene: Scene
    number: int
    plan_fingerprint: str
    chip_count: int
    skipped: Mapping[str, int]
    digest: str
    indexed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRecord:
    """A segment as the catalog knows it.

    Attributes:
        number: Names its folder.
        first_row: First row of its range.
        row_count: Rows in its range, tombstones included.
        files: Its files.
    """

    number: int
    first_row: int
    row_count: int
    files: tuple[FileRecord, ...]

    @property
    def end_row(self) -> int:
        """One behind its last row."""
        return self.first_row + self.row_count


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitReport:
    """What a commit did.

    Attributes:
        scene: The scene that is now visible.
        chips: Its chips.
        replaced: Scenes that it took the place of: an older state, or what lay at its uri.
    """

    scene: IndexedScene
    chips: int
    replaced: tuple[IndexedScene, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexInfo:
    """An index at a glance.

    Attributes:
        path: The folder.
        encoder: What made its vectors.
        plan: How its scenes are cut, as asked when it was made.
        format: Version of the folder's layout.
        scene_count: Scenes in the index.
        chip_count: Chips in the index.
        removed_rows: Rows that wait for `compact`.
        segment_count: Folders of vectors.
        background_count: Vectors of the sample that confidence is judged by.
        bytes_on_disk: Size of the whole folder, bytes.
        staged: Scene ids under way, staged by a run that did not finish.
        bounds: (west, south, east, north) of all chips, degrees; west > east crosses the date
            line; None where there are none.
        first_acquired: Earliest known acquisition time.
        last_acquired: Latest known acquisition time.
        undated_scenes: Scenes without a time.
    """

    path: Path
    encoder: EncoderSpec
    plan: ChipPlan
    format: int
    scene_count: int
    chip_count: int
    removed_rows: int
    segment_count: int
    background_count: int
    bytes_on_disk: int
    staged: tuple[str, ...]
    bounds: tuple[float, float, float, float] | None
    first_acquired: datetime | None
    last_acquired: datetime | None
    undated_scenes: int


def plan_fingerprint(plan: ChipPlan, rendering: Rendering) -> str:
    """What decides a scene's chips beside its pixels: plan, bands and stretch, as 16 hex digits."""
    decides = (
        float(plan.size),
        plan.unit,
        float(plan.overlap),
        tuple(float(scale) for scale in plan.scales),
        float(plan.min_valid_fraction),
        rendering.bands,
        tuple(float(value) for value in rendering.low),
        tuple(float(value) for value in rendering.high),
    )
    return hashlib.sha256(repr(decides).encode()).hexdigest()[:16]


def encoder_fingerprint(spec: EncoderSpec) -> str:
    """What decides an embedding, as 16 hex digits; names and licences do not."""
    decides = (
        spec.architecture,
        spec.activation,
        spec.weights_sha256,
        spec.dim,
        spec.image_size_px,
        tuple(float(value) for value in spec.mean),
        tuple(float(value) for value in spec.std),
    )
    return hashlib.sha256(repr(decides).encode()).hexdigest()[:16]


def scene_matches(pattern: str, scene: Scene) -> bool:
    """Whether a glob, or the very text, names a scene by its uri or name.

    A relative path is seen from the current folder, too.
    """
    if pattern in (scene.uri, scene.name) or absolute(pattern) == scene.uri:
        return True
    here = glob.escape(os.getcwd())  # a folder's own brackets are no glob
    from_here = absolute(os.path.join(here, pattern)) if "://" not in pattern else pattern
    globs_of_uri = (pattern, from_here)
    return fnmatchcase(scene.name, pattern) or any(fnmatchcase(scene.uri, g) for g in globs_of_uri)


def absolute(text: str) -> str:
    """A path as scenes' uris hold them; urls stay as they are."""
    return text if "://" in text or text.startswith("/vsi") else os.path.abspath(text)


def as_utc(time: datetime) -> datetime:
    """A time in UTC; one without a zone is UTC already."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def scene_to_json(scene: Scene) -> str:
    """A scene as JSON. Not-a-number is written as text: JSON has none."""
    entry = dataclasses.asdict(scene)
    entry["nodata"] = None if scene.nodata is None else _number_to_json(scene.nodata)
    entry["acquired"] = None if scene.acquired is None else as_utc(scene.acquired).isoformat()
    for side in ("low", "high"):
        entry["rendering"][side] = [_number_to_json(v) for v in entry["rendering"][side]]
    return json.dumps(entry, allow_nan=False, ensure_ascii=False)


def scene_from_json(text: str) -> Scene:
    """What `scene_to_json` wrote.

    Raises:
        ValueError, KeyError, TypeError: It is damaged.
    """
    entry: dict[str, Any] = json.loads(text)
    shown = entry["rendering"]
    a, b, c, d, e, f = (float(value) for value in entry["transform"])
    red, green, blue = (int(band) for band in shown["bands"])
    acquired = entry["acquired"]
    return Scene(
        scene_id=entry["scene_id"],
        uri=entry["uri"],
        name=entry["name"],
        crs=entry["crs"],
        transform=(a, b, c, d, e, f),
        width=int(entry["width"]),
        height=int(entry["height"]),
        band_count=int(entry["band_count"]),
        dtype=entry["dtype"],
        nodata=None if entry["nodata"] is None else float(entry["nodata"]),
        gsd_m=float(entry["gsd_m"]),
        acquired=None if acquired is None else as_utc(datetime.fromisoformat(acquired)),
        rendering=Rendering(
            bands=(red, green, blue),
            low=_three(shown["low"]),
            high=_three(shown["high"]),
            bands_from=shown["bands_from"],
            stretch_from=shown["stretch_from"],
        ),
    )


def _number_to_json(value: float) -> float | str:
    return float(value) if math.isfinite(value) else repr(float(value))


def _three(values: list[float | str]) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third
