"""Pictures and sentences of any number to unit vectors, in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from georclip.captions.pictures import check_images, decode_images
from georclip.captions.records import CaptionedImage
from georclip.encoders.base import Encoder
from georclip.errors import CaptionError, EncoderError, QueryError

_CHUNK = 128

Progress = Callable[[int, int], None]
"""Told what is done, of how much."""


def embed_files(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    *,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """Decode and embed pictures, a part at a time, so that memory does not grow with them.

    Args:
        encoder: Either kind.
        images: What to embed; a picture much larger than the tower takes is reduced to twice its
            side first.
        batch_size: Pictures of one size handed to the encoder at once; None chooses.
        progress: Told pictures done and pictures in all.

    Returns:
        Unit vectors, float32 (images, dim).

    Raises:
        CaptionError: Pictures are missing or broken; all of them are named.
        EncoderError: The encoder gives no numbers, or cannot run.
    """
    side = 2 * encoder.spec.image_size_px
    step = max(_CHUNK, batch_size or 0)
    vectors = np.empty((len(images), encoder.spec.dim), dtype=np.float32)
    for start in range(0, len(images), step):
        part = images[start : start + step]
        try:
            pixels = decode_images(part, max_side_px=side, quiet=True)
        except CaptionError:
            check_images(images, quiet=True)  # names the broken ones of all
            raise
        vectors[start : start + len(part)] = embed_pictures(encoder, pixels, batch_size=batch_size)
        if progress is not None:
            progress(start + len(part), len(images))
    _check_numbers(vectors, encoder)
    return vectors


def embed_pictures(
    encoder: Encoder,
    pixels: Sequence[npt.NDArray[np.uint8]],
    *,
    batch_size: int | None = None,
) -> npt.NDArray[np.float32]:
    """Embed pictures of any sizes: uint8 (height, width, 3) each -> unit vectors (n, dim).

    At most `batch_size` of one size are handed to the encoder at once.
    """
    step = batch_size or _CHUNK
    vectors = np.empty((len(pixels), encoder.spec.dim), dtype=np.float32)
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for number, picture in enumerate(pixels):
        by_shape.setdefault(picture.shape, []).append(number)
    for numbers in by_shape.values():
        for start in range(0, len(numbers), step):
            part = numbers[start : start + step]
            batch = np.stack([pixels[number].transpose(2, 0, 1) for number in part])
            vectors[part] = encoder.encode_images(batch)
    return vectors


def embed_sentences(
    encoder: Encoder, sentences: Sequence[str], *, progress: Progress | None = None
) -> npt.NDArray[np.float32]:
    """Embed captions; one without a known word finds nothing and gets a zero vector.

    Raises:
        EncoderError: The encoder gives no numbers, or cannot run.
    """
    vectors = np.zeros((len(sentences), encoder.spec.dim), dtype=np.float32)
    for start in range(0, len(sentences), _CHUNK):
        part = sentences[start : start + _CHUNK]
        try:
            vectors[start : start + len(part)] = encoder.encode_texts(part)
        except QueryError:
            for number, sentence in enumerate(part, start=start):
                with suppress(QueryError):
                    vectors[number] = encoder.encode_texts([sentence])[0]
        if progress is not None:
            progress(start + len(part), len(sentences))
    _check_numbers(vectors, encoder)
    return vectors


def embed_captions(
    encoder: Encoder,
    captions: Sequence[str],
    *,
    prefix: str,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """Embed captions that stand behind a prefix; one without a known word gets a zero vector.

    The prefix's own words do not count: they would answer for a caption that says nothing.

    Args:
        encoder: Either kind.
        captions: Each with the prefix.
        prefix: "" where there is none.
        progress: Told captions done and captions in all.

    Raises:
        EncoderError: The encoder gives no numbers, or cannot run.
    """
    vectors = embed_sentences(encoder, captions, progress=progress)
    if prefix.strip():
        vectors[~known_sentences(encoder, [one.removeprefix(prefix) for one in captions])] = 0.0
    return vectors


def known_sentences(encoder: Encoder, sentences: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which sentences hold a word that the encoder knows: bool, (sentences,).

    Raises:
        EncoderError: The encoder gives no numbers, or cannot run.
    """
    return np.asarray(embed_sentences(encoder, sentences).any(axis=1), dtype=np.bool_)


def _check_numbers(vectors: npt.NDArray[np.float32], encoder: Encoder) -> None:
    """Refuse weights that give NaN: whatever was measured of them would mean nothing."""
    if not np.isfinite(vectors).all():
        raise EncoderError(
            f"{encoder.spec.name} gives embeddings that are not numbers: its weights are damaged, "
            "or its training diverged"
        )
