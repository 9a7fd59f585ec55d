"""Pictures and sentences of any number to unit vectors, in parts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from georclip.encoders.base import Encoder
from georclip.errors import QueryError

_CHUNK = 128


def embed_pictures(
    encoder: Encoder, pixels: Sequence[npt.NDArray[np.uint8]]
) -> npt.NDArray[np.float32]:
    """Embed pictures of any sizes: uint8 (height, width, 3) each -> unit vectors (n, dim)."""
    vectors = np.empty((len(pixels), encoder.spec.dim), dtype=np.float32)
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for number, picture in enumerate(pixels):
        by_shape.setdefault(picture.shape, []).append(number)
    for numbers in by_shape.values():
        for start in range(0, len(numbers), _CHUNK):
            part = numbers[start : start + _CHUNK]
            batch = np.stack([pixels[number].transpose(2, 0, 1) for number in part])
            vectors[part] = encoder.encode_images(batch)
    return vectors


def embed_sentences(encoder: Encoder, sentences: Sequence[str]) -> npt.NDArray[np.float32]:
    """Embed captions; one without a known word finds nothing and gets a zero vector."""
    vectors = np.zeros((len(sentences), encoder.spec.dim), dtype=np.float32)
    for start in range(0, len(sentences), _CHUNK):
        part = sentences[start : start + _CHUNK]
        try:
            vectors[start : start + len(part)] = encoder.encode_texts(part)
        except QueryError:
            for number, sentence in enumerate(part, start=start):
                with suppress(QueryError):
                    vectors[number] = encoder.encode_texts([sentence])[0]
    return vectors
