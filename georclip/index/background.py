"""background.npy: what the index's chips look like at large, so that a score can be judged.

A seeded sample of at most `SAMPLE` of the index's vectors: the chips whose ids have the smallest
seeded hashes (bottom-k sampling: Cohen and Kaplan, Summarizing data using bottom-k sketches, 2007).
It depends on which chips are in the index and on nothing else, neither on their order nor on what
was there before, and a scene can join without a look at the others.

The catalog's transaction is the commit point of the index; this file follows behind, as soon as one
in a hundred chips has come or gone, and when the writer is done. A kill in between leaves a sample
of what the index held before, which is as good for judging scores; it is put right when the index
is next opened for writing, and so is a file that is damaged or missing, as in an index of an
earlier version. The file is replaced as a whole, never in parts.

It holds these arrays, one after the other (see arrayfile.py; `numpy.load` gives the first):
vectors, float16 (n, dim), as stored; scales, float32 (n,); and for the next writer ids, scenes and
hashes of the `RESERVE` chips that come first, of which the sample is the first n: they move up
when others are removed; at last every scene with its number of chips, which tells what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from georclip.index.arrayfile import pack, read_arrays
from georclip.index.scores import unit_fp32

SAMPLE = 4_096
"""Vectors of a background, at most."""
RESERVE = 2 * SAMPLE
"""Chips on record, at most: half of an index can be removed before the catalog is read again."""

_INFINITE = np.uint16(0x7C00)
"""The exponent of fp16 that means infinite or not a number (IEEE 754)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Background:
    """A sample of an index's chips.

    Attributes:
        vectors: float32, (n, dim), unit length, as scores see them; n from 1 to 4,096.
        scales: float32, (n,): the scale that each chip was cut at.
    """

    vectors: npt.NDArray[np.float32]
    scales: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """How many chips."""
        return len(self.vectors)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Chips that are in the sample or would be next, by ascending hash, then id.

    Attributes:
        keys: uint64, (m,): seeded hashes of the ids.
        chip_ids: bytes, (m,), UTF-8.
        scenes: int64, (m,): numbers of their scenes.
    """

    keys: npt.NDArray[np.uint64]
    chip_ids: npt.NDArray[np.bytes_]
    scenes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, positions: npt.NDArray[Any] | slice) -> Candidates:
        """Those at some positions, or where a mask is true."""
        return Candidates(
            keys=self.keys[positions],
            chip_ids=self.chip_ids[positions],
            scenes=self.scenes[positions],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """The contents of background.npy.

    Attributes:
        vectors: float16, (n, dim), as stored, of the first n candidates.
        scales: float32, (n,).
        candidates: The m chips with the smallest hashes; n is min(m, `SAMPLE`).
        scenes: int64, (s, 2): numbers of all scenes, ascending, and their chips.
    """

    vectors: npt.NDArray[np.float16]
    scales: npt.NDArray[np.float32]
    candidates: Candidates
    scenes: npt.NDArray[np.int64]

    @property
    def chip_count(self) -> int:
        """Chips that the sample was taken from."""
        return int(self.scenes[:, 1].sum())


def empty_sample(dim: int) -> Sample:
    """The sample of an index without scenes."""
    return Sample(
        vectors=np.empty((0, dim), dtype=np.float16),
        scales=np.empty(0, dtype=np.float32),
        candidates=Candidates(
            keys=np.empty(0, dtype=np.uint64),
            chip_ids=np.empty(0, dtype="S1"),
            scenes=np.empty(0, dtype=np.int64),
        ),
        scenes=np.empty((0, 2), dtype=np.int64),
    )


def pack_sample(sample: Sample) -> bytes:
    """The bytes of background.npy."""
    return pack(
        (
            sample.vectors.astype("<f2"),
            sample.scales.astype("<f4"),
            sample.candidates.chip_ids,
            sample.candidates.scenes.astype("<i8"),
            sample.candidates.keys.astype("<u8"),
            sample.scenes.astype("<i8"),
        )
    )


def read_sample(path: Path, dim: int) -> Sample:
    """All of background.npy, for whoever keeps it.

    Raises:
        OSError: It cannot be read; FileNotFoundError where it is missing.
        ValueError: It is damaged, or was made by other rules; the message says why.
    """
    arrays = read_arrays(path)
    vectors, scales = _judged_by(arrays, dim)
    if len(arrays) != 6:
        raise ValueError("it holds other arrays")
    chip_ids, owners, keys, scenes = arrays[2:]
    if chip_ids.dtype.kind != "S" or {a.dtype.str for a in (owners, scenes)} != {"<i8"}:
        raise ValueError("its arrays are of other types")
    if keys.dtype.str != "<u8" or {a.ndim for a in (chip_ids, owners, keys)} != {1}:
        raise ValueError("its arrays are of other types")
    if not len(chip_ids) == len(owners) == len(keys) or scenes.shape[1:] != (2,):
        raise ValueError("its arrays do not belong together")
    sample = Sample(
        vectors=vectors,
        scales=scales,
        candidates=Candidates(keys=keys, chip_ids=chip_ids, scenes=owners),
        scenes=scenes,
    )
    least, most = min(SAMPLE, sample.chip_count), min(RESERVE, sample.chip_count)
    in_order = (keys[1:] >= keys[:-1]).all() and (scenes[1:, 0] > scenes[:-1, 0]).all()
    if not (len(vectors) == least <= len(keys) <= most and in_order and (scenes >= 0).all()):
        raise ValueError("it is not the sample that it should be")
    return sample


def read_background(path: Path, dim: int) -> Background | None:
    """What judges scores; None where the index has no chips.

    Raises:
        OSError: It cannot be read; FileNotFoundError where it is missing.
        ValueError: It is damaged; the message says why.
    """
    vectors, scales = _judged_by(read_arrays(path), dim)
    if len(vectors) == 0:
        return None
    return Background(vectors=unit_fp32(vectors), scales=scales)


def _judged_by(
    arrays: tuple[npt.NDArray[Any], ...], dim: int
) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float32]]:
    """The first two arrays: vectors and scales."""
    if len(arrays) < 2 or (arrays[0].dtype.str, arrays[1].dtype.str) != ("<f2", "<f4"):
        raise ValueError("it holds other arrays")
    vectors, scales = arrays[:2]
    if vectors.shape != (len(scales), dim) or scales.shape != (len(vectors),):
        raise ValueError(f"it does not hold vectors of {dim} numbers with a scale each")
    if len(vectors) > SAMPLE:
        raise ValueError(f"it holds more than {SAMPLE} vectors")
    strange = (vectors.view("<u2") & _INFINITE) == _INFINITE
    if strange.any() or not (np.isfinite(scales).all() and (scales > 0).all()):
        raise ValueError("it holds numbers that are not finite")
    return vectors, scales
