"""Stored vectors and what a score is: cosine with the stored vector, normalised, in fp32."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def unit_fp16(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Vectors as they are stored: normalised in fp32, then rounded to fp16.

    Raises:
        ValueError: A vector is zero or not finite.
    """
    wide = np.ascontiguousarray(vectors, dtype=np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", wide, wide, dtype=np.float64))
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise ValueError("a vector is zero or not finite")
    return np.asarray((wide / norms[:, None].astype(np.float32)).astype(np.float16))


def widened(stored: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    """Finite fp16 as fp32, the same values; a third of the time that numpy's own way takes.

    Exponent and fraction are moved to where fp32 has them, which is 2**112 too small: that far
    apart are the two biases, 15 and 127 (IEEE 754). Subnormal values come out right, too.
    """
    bits = np.ascontiguousarray(stored).view("<u2").astype("<u4")
    signs = bits & np.uint32(0x8000)
    signs <<= np.uint32(16)
    bits &= np.uint32(0x7FFF)
    bits <<= np.uint32(13)
    values = bits.view("<f4")
    values *= np.float32(2.0**112)
    bits |= signs
    return np.asarray(values)


def unit_fp32(stored: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    """Stored vectors, (n, dim), normalised in fp32."""
    wide = widened(stored)
    norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    return np.asarray(wide / np.maximum(norms, np.float32(1e-30))[:, None])


def exact_scores(
    query: npt.NDArray[np.float32], stored: npt.NDArray[np.float16]
) -> npt.NDArray[np.float32]:
    """Cosine of a unit query with stored vectors, normalised, in fp32, within [-1, 1].

    einsum sums every row by itself and in one order, so that equal vectors score equally
    wherever they lie; a BLAS product does not promise that.

    Args:
        query: float32, (dim,).
        stored: float16, (n, dim).
    """
    wide = widened(stored)
    norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    products = np.einsum("ij,j->i", wide, query)
    return np.asarray(np.clip(products / np.maximum(norms, np.float32(1e-30)), -1.0, 1.0))


def coarse_error(dim: int) -> np.float32:
    """How far an inner product with a stored vector can lie from the score.

    Rounding a unit vector to fp16 changes its length by at most 2**-11 of itself, and by
    2**-25 in each component too small for that; a sum of `dim` products in fp32 is off by at
    most dim * 2**-24, here and in FAISS (Higham, Accuracy and Stability, 3.1).
    """
    return np.float32(1.01 * 2**-11 + math.sqrt(dim) * 2**-25 + 2 * dim * 2**-24)
