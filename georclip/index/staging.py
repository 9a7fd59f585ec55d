"""Encoded parts of a scene under way, so that a killed run goes on where it was.

staging/<scene_id>/ holds scene.json (what the parts belong to) and numbered parts: NNNNNN.npy
(vectors as they will be stored), NNNNNN.chips.npz, and NNNNNN.json with their checksums,
written last. Parts count up to the first that is missing, damaged or of another plan, encoder
or uri; what lies behind that is discarded. A scene that is done before its first part is full
goes into the index from memory.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from georclip.index.chiptable import ChipTable, joined, table_of
from georclip.index.files import remove_folder, sha256_of, write_atomically, write_synced
from georclip.index.joined import JoinedVectors
from georclip.index.scores import unit_fp16
from georclip.values import Chip

PART_CHIPS = 4_096
PART_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedPart:
    """A part that is safely on disk.

    Attributes:
        last_number: Planned number of the last chip that it covers, skipped ones included.
        count: Chips in it.
        skipped: Planned chips left out since the scene's beginning, by reason.
        vectors: float16, (count, dim), mapped.
        chips_path: Where its chips are.
    """

    last_number: int
    count: int
    skipped: Mapping[str, int]
    vectors: npt.NDArray[np.float16]
    chips_path: Path


@dataclass(slots=True)
class PartBuffer:
    """Chips that are encoded and not yet on disk."""

    tables: list[ChipTable] = field(default_factory=list)
    vectors: list[npt.NDArray[np.float16]] = field(default_factory=list)
    count: int = 0
    last_number: int = -1
    since: float = 0.0


class StagingArea:
    """The parts of one scene on disk.

    Args:
        folder: staging/<scene_id>.
        identity: What the parts must belong to; parts of anything else are discarded.
        dim: Length of a vector.
        clock: Seconds; for tests.
    """

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, str],
        dim: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._dim = dim
        self._clock = clock
        self._identity = dict(identity)
        self._buffer = PartBuffer(since=clock())
        self.parts = self._resume()
        self._skipped: Mapping[str, int] = self.skipped_before

    @property
    def next_number(self) -> int:
        """Planned number of the first chip that is neither staged nor appended."""
        staged = self.parts[-1].last_number if self.parts else -1
        return max(staged, self._buffer.last_number) + 1

    @property
    def skipped_before(self) -> dict[str, int]:
        """Planned chips that earlier runs left out, by reason."""
        return dict(self.parts[-1].skipped) if self.parts else {}

    def append(
        self,
        last_number: int,
        chips: Sequence[Chip],
        vectors: npt.NDArray[np.float32],
        skipped: Mapping[str, int],
    ) -> None:
        """Take a batch; a part is written every `PART_CHIPS` chips or `PART_S` seconds.

        Args:
            last_number: Planned number of the batch's last chip.
            chips: n chips.
            vectors: float32, (n, dim).
            skipped: Planned chips left out since the scene's beginning, by reason.

        Raises:
            ValueError: Shapes or numbers do not fit, or a vector is zero or not finite.
        """
        if vectors.shape != (len(chips), self._dim):
            raise ValueError(f"{len(chips)} chips with vectors of shape {vectors.shape}")
        if last_number < self.next_number:
            raise ValueError(f"chip {last_number} again: the next is {self.next_number}")
        buffer = self._buffer
        if len(chips):
            buffer.tables.append(table_of(chips))
            buffer.vectors.append(unit_fp16(vectors))
        buffer.count += len(chips)
        buffer.last_number = last_number
        self._skipped = dict(skipped)
        if buffer.count >= PART_CHIPS or self._clock() - buffer.since >= PART_S:
            self.flush()

    def flush(self) -> None:
        """Write what is buffered as a part, synced."""
        buffer, self._buffer = self._buffer, PartBuffer(since=self._clock())
        if buffer.last_number < 0:
            return
        vectors = np.concatenate(buffer.vectors or [np.empty((0, self._dim), dtype=np.float16)])
        number = len(self.parts)
        if not self._described.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._described, json.dumps(self._identity).encode())
        write_synced(self._vectors(number), _npy(vectors))
        write_synced(self._chips(number), _npz(joined(buffer.tables)))
        entry = {
            "last_number": buffer.last_number,
            "count": buffer.count,
            "skipped": dict(self._skipped),
            "vectors_sha256": sha256_of(self._vectors(number)),
            "chips_sha256": sha256_of(self._chips(number)),
        }
        write_atomically(self._entry(number), _sealed(entry))
        self.parts.append(self._read_part(number))

    def vectors(self) -> JoinedVectors:
        """Vectors of all chips, staged and buffered."""
        staged = [part.vectors for part in self.parts]
        return JoinedVectors([*staged, *self._buffer.vectors], self._dim)

    def chips(self) -> ChipTable:
        """All chips, staged and buffered."""
        staged = [_chips_of(part.chips_path) for part in self.parts]
        return joined([*staged, *self._buffer.tables])

    def discard(self) -> None:
        """Forget the scene's chips, on disk and in memory."""
        self.parts = []
        self._buffer = PartBuffer(since=self._clock())
        remove_folder(self._folder)

    def _resume(self) -> list[StagedPart]:
        """The parts that can be used; everything else in the folder goes."""
        if _read_json(self._described) != self._identity:
            remove_folder(self._folder)
            return []
        parts: list[StagedPart] = []
        while True:
            try:
                parts.append(self._read_part(len(parts)))
            except (OSError, ValueError, KeyError, TypeError):
                break
        used = {self._described} | {
            path
            for number in range(len(parts))
            for path in (self._vectors(number), self._chips(number), self._entry(number))
        }
        for path in set(self._folder.iterdir()) - used:
            path.unlink()
        return parts

    def _read_part(self, number: int) -> StagedPart:
        """Read a part.

        Raises:
            OSError, ValueError, KeyError, TypeError: It is missing or damaged.
        """
        entry = _unsealed(self._entry(number).read_bytes())
        count = int(entry["count"])
        if sha256_of(self._vectors(number)) != entry["vectors_sha256"]:
            raise ValueError(f"damaged: {self._vectors(number)}")
        if sha256_of(self._chips(number)) != entry["chips_sha256"]:
            raise ValueError(f"damaged: {self._chips(number)}")
        mapped = np.load(self._vectors(number), mmap_mode="r" if count else None)
        if mapped.shape != (count, self._dim) or mapped.dtype != np.float16:
            raise ValueError(f"of another shape: {self._vectors(number)}")
        return StagedPart(
            last_number=int(entry["last_number"]),
            count=count,
            skipped={str(reason): int(n) for reason, n in entry["skipped"].items()},
            vectors=np.asarray(mapped),
            chips_path=self._chips(number),
        )

    @property
    def _described(self) -> Path:
        return self._folder / "scene.json"

    def _vectors(self, number: int) -> Path:
        return self._folder / f"{number:06d}.npy"

    def _chips(self, number: int) -> Path:
        return self._folder / f"{number:06d}.chips.npz"

    def _entry(self, number: int) -> Path:
        return self._folder / f"{number:06d}.json"


def sum_counts(*counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by reason, added up."""
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total)


def _npy(vectors: npt.NDArray[np.float16]) -> bytes:
    file = io.BytesIO()
    np.save(file, vectors, allow_pickle=False)
    return file.getvalue()


def _npz(chips: ChipTable) -> bytes:
    file = io.BytesIO()
    lengths = np.array([len(wkb) for wkb in chips.footprints], dtype=np.int64)
    np.savez(
        file,
        chip_ids=np.array(chips.chip_ids, dtype=np.str_),
        windows=chips.windows,
        measures=chips.measures,
        footprints=np.frombuffer(b"".join(chips.footprints), dtype=np.uint8),
        ends=np.cumsum(lengths),
    )
    return file.getvalue()


def _chips_of(path: Path) -> ChipTable:
    with np.load(path, allow_pickle=False) as stored:
        ends = stored["ends"].tolist()
        blob = stored["footprints"].tobytes()
        return ChipTable(
            chip_ids=tuple(stored["chip_ids"].tolist()),
            windows=stored["windows"],
            measures=stored["measures"],
            footprints=tuple(blob[start:end] for start, end in zip([0, *ends], ends, strict=False)),
        )


def _sealed(entry: Mapping[str, Any]) -> bytes:
    """An entry with a checksum of its own in front."""
    text = json.dumps(entry).encode()
    return hashlib.sha256(text).hexdigest().encode() + b"\n" + text


def _unsealed(data: bytes) -> dict[str, Any]:
    seal, _, text = data.partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != seal:
        raise ValueError("damaged entry")
    entry: dict[str, Any] = json.loads(text)
    return entry


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
