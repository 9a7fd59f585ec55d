"""Several arrays in one file, so that they can be replaced together: all of them or none.

One .npy after the other, as `numpy.save` writes them to an open file; the last one is a CRC-32 of
all bytes before it. `numpy.load` of the file gives the first array. Nothing is unpickled, and no
header makes more be read than the file holds.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_MOST_BYTES = 1 << 28
"""What such a file may have: it is read whole."""
_MOST_ARRAYS = 16
_MOST_HEADER = 1_024


def pack(arrays: Sequence[npt.NDArray[Any]]) -> bytes:
    """The contents of a file of these arrays."""
    buffer = io.BytesIO()
    for array in arrays:
        np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    checksum = zlib.crc32(buffer.getbuffer())
    np.save(buffer, np.array([checksum], dtype="<u4"), allow_pickle=False)
    return buffer.getvalue()


def read_arrays(path: Path) -> tuple[npt.NDArray[Any], ...]:
    """The arrays of a file, read-only.

    Raises:
        OSError: It cannot be read; FileNotFoundError where it is missing.
        ValueError: It is damaged; the message says why.
    """
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES >> 20} MiB")
    arrays: list[npt.NDArray[Any]] = []
    start = end = 0
    while end < len(data) and len(arrays) <= _MOST_ARRAYS:
        start = end
        array, end = _array_at(data, start)
        arrays.append(array)
    if not arrays or arrays[-1].dtype != np.dtype("<u4") or arrays[-1].shape != (1,):
        raise ValueError("it does not end in a checksum")
    if zlib.crc32(memoryview(data)[:start]) != int(arrays[-1][0]):
        raise ValueError("its contents are not what was written (CRC-32 differs)")
    return tuple(arrays[:-1])


def _array_at(data: bytes, start: int) -> tuple[npt.NDArray[Any], int]:
    """The array whose header begins at a byte, and where it ends."""
    header = io.BytesIO(data[start : start + _MOST_HEADER])
    try:
        if np.lib.format.read_magic(header) != (1, 0):
            raise ValueError("an array is of a newer kind")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(
            header, max_header_size=_MOST_HEADER
        )
    except Exception as error:  # a damaged header is parsed as Python: it may raise anything
        raise ValueError("a header is damaged") from error
    if fortran or dtype.hasobject or dtype.itemsize == 0 or min(shape, default=0) < 0:
        raise ValueError("an array is of a kind that does not belong here")
    count, first = math.prod(shape), start + header.tell()
    end = first + count * dtype.itemsize
    if end > len(data):
        raise ValueError("it is cut short")
    array: npt.NDArray[Any] = np.frombuffer(data, dtype=dtype, count=count, offset=first)
    array = array.reshape(shape)
    return (array if array.flags.aligned else array.copy()), end
