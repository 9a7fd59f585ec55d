"""Figures on held-out pictures while a model trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.captions.pictures import decode_images
from georclip.captions.records import CaptionedImage
from georclip.encoders.base import Encoder
from georclip.evaluation.embedding import embed_pictures, embed_sentences
from georclip.evaluation.metrics import class_precision, mean_recall

ANSWERS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a model reaches on one caption file's held-out pictures.

    Attributes:
        source: The caption file's name.
        images: Pictures.
        precision_at_10: Precision at min(10, n), class name as query, mean over classes, in
            [0, 1]; None where pictures have no class.
        mean_recall: Protocol A, percent.
        per_class: Precision of each class.
    """

    source: str
    images: int
    precision_at_10: float | None
    mean_recall: float
    per_class: dict[str, float]


class HeldOut:
    """Held-out pictures, decoded once; measured as often as wanted."""

    def __init__(self, images: Sequence[CaptionedImage], image_size_px: int) -> None:
        """Decode pictures.

        Args:
            images: Held-out images of any caption files.
            image_size_px: Larger pictures are reduced to twice this.

        Raises:
            CaptionError: Pictures are broken.
        """
        sources = dict.fromkeys(image.source for image in images)
        self._sets = [[image for image in images if image.source == name] for name in sources]
        self._pixels = [decode_images(one, max_side_px=2 * image_size_px) for one in self._sets]

    def measure(self, encoder: Encoder) -> tuple[Figures, ...]:
        """Measure an encoder, per caption file."""
        return tuple(
            _measure(encoder, images, pixels)
            for images, pixels in zip(self._sets, self._pixels, strict=True)
        )


def headline(figures: Sequence[Figures]) -> float:
    """One number to choose weights by: mean class precision, or recall where there are no classes.

    Caption files count by their number of classes.
    """
    per_class = [value for figure in figures for value in figure.per_class.values()]
    if per_class:
        return float(np.mean(per_class))
    return float(np.mean([figure.mean_recall for figure in figures])) / 100.0


def _measure(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    pixels: Sequence[npt.NDArray[np.uint8]],
) -> Figures:
    pictures = embed_pictures(encoder, pixels)
    sentences = [sentence for image in images for sentence in image.sentences]
    image_of_text = np.repeat(np.arange(len(images)), [len(image.sentences) for image in images])
    distinct = {sentence: number for number, sentence in enumerate(dict.fromkeys(sentences))}
    texts = embed_sentences(encoder, list(distinct))[[distinct[one] for one in sentences]]
    labels = [image.label for image in images]
    classes = sorted({label for label in labels if label})
    per_class: dict[str, float] = {}
    if classes:
        per_class = class_precision(
            pictures, encoder.encode_texts(classes), labels, classes, ANSWERS
        )
    return Figures(
        source=images[0].source,
        images=len(images),
        precision_at_10=float(np.mean(list(per_class.values()))) if per_class else None,
        mean_recall=mean_recall(pictures, texts, image_of_text),
        per_class=per_class,
    )
