"""Figures on held-out pictures before, while and after a model trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.captions.pictures import decode_images
from georclip.captions.records import CaptionedImage
from georclip.encoders.base import Encoder
from georclip.errors import QueryError
from georclip.evaluation.embedding import embed_pictures, embed_sentences
from georclip.evaluation.metrics import class_precision
from georclip.evaluation.protocols import mean_recall
from georclip.evaluation.zero_shot import measure_zero_shot
from georclip.training.settings import Choice

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
        zero_shot: Share of the pictures with a class that zero-shot classification gives their
            own, class names in `georclip.encoders.prompts.SCENES`, in [0, 1]; None where no
            picture has a class.
        per_class: Precision of each class.
    """

    source: str
    images: int
    precision_at_10: float | None
    mean_recall: float
    zero_shot: float | None = None
    per_class: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Figures of one set of weights.

    Attributes:
        val: On the val split, per caption file.
        forgetting: On labelled pictures of another kind, that nothing is learnt from.
    """

    val: tuple[Figures, ...] = ()
    forgetting: tuple[Figures, ...] = ()


class HeldOut:
    """Held-out pictures, decoded once; measured as often as wanted."""

    def __init__(
        self, images: Sequence[CaptionedImage], image_size_px: int, *, quiet: bool = False
    ) -> None:
        """Decode pictures.

        Args:
            images: Held-out images of any caption files.
            image_size_px: Larger pictures are reduced to twice this.
            quiet: No progress bar.

        Raises:
            CaptionError: Pictures are broken.
        """
        sources = dict.fromkeys(image.source for image in images)
        self._sets = [[image for image in images if image.source == name] for name in sources]
        side_px = 2 * image_size_px
        self._pixels = [decode_images(one, max_side_px=side_px, quiet=quiet) for one in self._sets]

    @property
    def sources(self) -> tuple[str, ...]:
        """The caption files that pictures come from."""
        return tuple(one[0].source for one in self._sets)

    def measure(self, encoder: Encoder) -> tuple[Figures, ...]:
        """Measure an encoder, per caption file."""
        return tuple(
            _measure(encoder, images, pixels)
            for images, pixels in zip(self._sets, self._pixels, strict=True)
        )


class Examiner:
    """All that a run measures: its val split, and pictures of another kind."""

    def __init__(
        self,
        held_out: Sequence[CaptionedImage],
        forgetting: Sequence[CaptionedImage],
        image_size_px: int,
        *,
        quiet: bool = False,
    ) -> None:
        """Decode pictures; either set may be empty.

        Raises:
            CaptionError: Pictures are broken.
        """
        self._val = HeldOut(held_out, image_size_px, quiet=quiet)
        self._forgetting = HeldOut(forgetting, image_size_px, quiet=quiet)

    def validate(self, make: Callable[[], Encoder]) -> tuple[Figures, ...]:
        """Measure on the val split alone; the encoder is made where there is one."""
        return self._val.measure(make()) if self._val.sources else ()

    def examine(self, make: Callable[[], Encoder]) -> Measured:
        """Measure on all there is; the encoder is made where there is anything."""
        if not self._val.sources and not self._forgetting.sources:
            return Measured()
        encoder = make()
        return Measured(
            val=self._val.measure(encoder), forgetting=self._forgetting.measure(encoder)
        )


def headline(figures: Sequence[Figures], choose_by: Choice = "recall") -> float:
    """One number in [0, 1] to choose weights by.

    Args:
        figures: Of all caption files, at least one.
        choose_by: "recall": mean recall, each caption file counting once. "precision": of class
            names, each class counting once; recall where there are no classes.
    """
    per_class = [value for figure in figures for value in figure.per_class.values()]
    if choose_by == "precision" and per_class:
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
        queries = embed_sentences(encoder, classes)
        per_class = class_precision(pictures, queries, labels, classes, ANSWERS)
        for name, query in zip(classes, queries, strict=True):
            if not query.any():  # not a word of it is known: what it finds first is no answer
                per_class[name] = 0.0
    return Figures(
        source=images[0].source,
        images=len(images),
        precision_at_10=float(np.mean(list(per_class.values()))) if per_class else None,
        mean_recall=mean_recall(pictures, texts, image_of_text),
        zero_shot=_zero_shot(encoder, pictures, labels),
        per_class=per_class,
    )


def _zero_shot(
    encoder: Encoder, pictures: npt.NDArray[np.float32], labels: Sequence[str]
) -> float | None:
    named = [number for number, label in enumerate(labels) if label]
    if not named:
        return None
    try:
        figures = measure_zero_shot(encoder, pictures[named], [labels[one] for one in named])
    except QueryError:  # a vocabulary without a word of any class
        return 0.0
    return figures.top_1 / 100.0
