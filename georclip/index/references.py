"""references/NAME.npy: small named sets of vectors that scores of the index are compared with.

Whoever has the encoder makes them once per index ("neutral": embeddings of prompts that ask for
nothing in particular, "nothing": of pictures that show nothing), so that a search needs no encoder
for them. Each says what it was made from: one made from something else is made anew.

A file holds two arrays (see arrayfile.py): vectors, float32 (n, dim), and JSON of the labels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from georclip.errors import EncoderMismatchError, GeorclipError
from georclip.index.arrayfile import pack, read_arrays
from georclip.printable import printable

MOST = 1_024
"""Vectors of a set: what compares them with each other takes memory as their square."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """A named set of vectors.

    Attributes:
        labels: What each vector is of; printable.
        vectors: float32, (n, dim), unit length; n from 1 to `MOST`.
        made_from: What tells the set from one made from other prompts or pictures; printable.
    """

    labels: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    made_from: str


def is_reference_name(name: str) -> bool:
    """Whether a set may have this name: it names a file, and is never a path."""
    return _NAME.fullmatch(name) is not None


def check_reference_name(name: str) -> None:
    """See that a set may have this name.

    Raises:
        GeorclipError: It may not.
    """
    if not is_reference_name(name):
        raise GeorclipError(
            f"{printable(name)!r} cannot name a set of vectors: use up to 32 of a-z, 0-9, - and _, "
            "a letter first"
        )


def pack_reference(
    labels: Sequence[str], vectors: npt.NDArray[np.float32], made_from: str, dim: int
) -> bytes:
    """The bytes of a set's file; vectors are brought to unit length.

    Raises:
        EncoderMismatchError: The vectors have another length than `dim`.
        GeorclipError: There are none or too many, a label is missing, or a vector is zero or not
            finite.
    """
    wide = np.asarray(vectors, dtype=np.float32)
    if wide.ndim != 2 or wide.shape[1] != dim:
        raise EncoderMismatchError(
            f"vectors of shape {wide.shape} do not fit an index of {dim} numbers a vector; "
            "make them with the index's own encoder"
        )
    if len(wide) == 0 or len(wide) != len(labels):
        raise GeorclipError(
            f"{len(labels)} labels cannot name {len(wide)} vectors; one each, please"
        )
    if len(wide) > MOST:
        raise GeorclipError(f"{len(wide):,} vectors are too many: a set holds at most {MOST:,}")
    norms = np.linalg.norm(wide.astype(np.float64), axis=1)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise GeorclipError("a vector is zero or not finite; look at what it was made from")
    entry = {"labels": [printable(label) for label in labels], "made_from": printable(made_from)}
    text = json.dumps(entry, ensure_ascii=False).encode()
    unit = (wide / norms[:, None]).astype("<f4")
    return pack((unit, np.frombuffer(text, dtype=np.uint8)))


def read_reference(path: Path, dim: int) -> Reference:
    """Read a set.

    Raises:
        OSError: It cannot be read; FileNotFoundError where it is missing.
        ValueError: It is damaged; the message says why.
    """
    arrays = read_arrays(path)
    if len(arrays) != 2 or (arrays[0].dtype.str, arrays[1].dtype.str) != ("<f4", "|u1"):
        raise ValueError("it holds other arrays")
    vectors, text = arrays
    try:
        entry = json.loads(text.tobytes())
        labels, made_from = entry["labels"], entry["made_from"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("its labels are damaged") from error
    if not isinstance(labels, list):
        raise ValueError("its labels are damaged")
    if vectors.shape != (len(labels), dim) or len(labels) == 0:
        raise ValueError(f"it does not hold vectors of {dim} numbers with a label each")
    if len(labels) > MOST:
        raise ValueError(f"it holds {len(labels):,} vectors, more than {MOST:,}")
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    if not (np.abs(norms - 1.0) < 1e-3).all():  # false for what is not a number, too
        raise ValueError("its vectors are not of unit length")
    return Reference(
        labels=tuple(printable(label) for label in labels),
        vectors=vectors,
        made_from=printable(made_from),
    )
