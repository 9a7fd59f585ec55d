"""Zero-shot classification: the class whose prompts a picture resembles most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.captions.naming import some
from georclip.encoders.base import Encoder
from georclip.encoders.prompts import SCENES, encode_with_templates
from georclip.errors import QueryError
from georclip.evaluation.embedding import embed_sentences
from georclip.evaluation.metrics import class_precision

ANSWERS = 10
"""The k of precision at k."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroShotFigures:
    """How well class names alone sort pictures.

    Attributes:
        classes: In alphabetical order.
        templates: Prompts whose embeddings were averaged.
        confusion: int64, (true classes, predicted classes): pictures.
        precision_at_10: Of each class, its plain name as a query: share of right pictures among
            the first min(10, pictures of the class), in [0, 1].
        unknown_classes: Classes of whose names the encoder knows no word: never predicted, and
            precision 0.
    """

    classes: tuple[str, ...]
    templates: tuple[str, ...]
    confusion: npt.NDArray[np.int64]
    precision_at_10: tuple[float, ...]
    unknown_classes: tuple[str, ...]

    @property
    def images(self) -> int:
        """Pictures that have a class."""
        return int(self.confusion.sum())

    @property
    def top_1(self) -> float:
        """Pictures given their own class, in percent."""
        return float(self.confusion.trace() / self.confusion.sum() * 100.0)

    @property
    def per_class(self) -> tuple[float, ...]:
        """The same for the pictures of each class, in percent."""
        right = self.confusion.diagonal() / self.confusion.sum(axis=1) * 100.0
        return tuple(float(value) for value in right)

    @property
    def mean_per_class(self) -> float:
        """Mean over classes, in percent: large classes count no more than small ones."""
        return float(np.mean(self.per_class))

    @property
    def mean_precision_at_10(self) -> float:
        """Mean over classes, in [0, 1]."""
        return float(np.mean(self.precision_at_10))


def measure_zero_shot(
    encoder: Encoder,
    image_vectors: npt.NDArray[np.floating],
    labels: Sequence[str],
    *,
    templates: Sequence[str] = SCENES,
) -> ZeroShotFigures:
    """Measure zero-shot classification over the classes that the pictures have.

    Args:
        encoder: Embeds the prompts.
        image_vectors: Unit vectors, (images, dim).
        labels: Class of each picture; none may be empty.
        templates: Prompts, each with one `{}` where the class goes; of equal scores the first
            class in the alphabet is taken.

    Raises:
        QueryError: A template is none.
    """
    classes = sorted(set(labels))
    prompts, unknown = class_prompts(encoder, classes, templates)
    scores = image_vectors @ prompts.T  # (images, classes)
    scores[:, [classes.index(name) for name in unknown]] = -np.inf
    number = {name: index for index, name in enumerate(classes)}
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, ([number[label] for label in labels], scores.argmax(axis=1)), 1)
    plain = embed_sentences(encoder, classes)
    precision = class_precision(image_vectors, plain, labels, classes, ANSWERS)
    return ZeroShotFigures(
        classes=tuple(classes),
        templates=tuple(templates),
        confusion=confusion,
        precision_at_10=tuple(
            0.0 if name in unknown else value for name, value in precision.items()
        ),
        unknown_classes=tuple(unknown),
    )


def class_prompts(
    encoder: Encoder, classes: Sequence[str], templates: Sequence[str]
) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Embed class names in all templates, averaged.

    Returns:
        Unit vectors, float32 (classes, dim), rows of zeros for classes without a known word; and
        those classes.

    Raises:
        QueryError: A template is none.
    """
    vectors = np.zeros((len(classes), encoder.spec.dim), dtype=np.float32)
    unknown = []
    for number, plain in enumerate(embed_sentences(encoder, classes)):
        if plain.any():
            vectors[number] = encode_with_templates(encoder, classes[number], templates)
        else:
            unknown.append(classes[number])
    if len(unknown) == len(classes):
        raise QueryError(f"the model knows no word of any class: {some(classes)}")
    return vectors, unknown
