"""Picture questions for `confidence`: pictures that no scene holds, and chips of the scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from georclip.captions.records import CaptionedImage
from georclip.encoders.base import Encoder
from georclip.evaluation.embedding import embed_files
from georclip.search.calibration import CONVINCING
from tests.benchmarks.confidence_methods import Asked, calibrate, cosine
from tests.benchmarks.confidence_scenes import Ground, laid_of

HITS = 10
OWN = 100
"""Chips of each scene that are asked for themselves."""


def pictured(asked: Asked, count: int) -> np.ndarray:
    """`Calibration.image_confidence`, of as many chips as the engine hands it, as it ranks them."""
    ranked = asked.as_ranked()
    found = calibrate(asked).image_confidence(asked.question, ranked.vectors[: max(count, 100)])
    assert found is not None
    return np.where(ranked.empty[:count], 0.0, found[:count])


def questions_of(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    ground: Ground,
    split: str,
    *,
    laid: int,
    number: int,
) -> list[np.ndarray]:
    """One picture of each class that is not in the scene, for each scene: (classes, dim) each.

    A class with no picture left over is asked with one of its own.

    Args:
        encoder: What embeds.
        images: Of the split.
        ground: Of the split.
        split: Its name.
        laid: Pictures of a class in each scene.
        number: Of the picture among those left over.
    """
    found = []
    for seed in range(len(ground.laid)):
        orders = laid_of(images, ground.labels, split, seed)
        left_over = [order[laid:] or order[:1] for order in orders]
        chosen = [some[number % len(some)] for some in left_over]
        found.append(embed_files(encoder, chosen))
    return found


def own_confidences(ground: Ground) -> Iterator[float]:
    """Of a scene's chips, each asked for itself: that of the first hit."""
    for seed, laid in enumerate(ground.laid):
        vectors = laid.vectors
        for at in np.random.default_rng(seed).permutation(len(vectors))[:OWN]:
            scores = vectors @ vectors[at]
            best = np.argsort(-scores, kind="stable")
            asked = Asked(
                present=True, question=vectors[at], vectors=vectors[best], scores=scores[best],
                right=np.ones(len(best), dtype=np.bool_), background=vectors[:2_048],
                neutral=vectors[:0], empty=np.zeros(len(best), dtype=np.bool_),
            )  # fmt: skip
            yield float(pictured(asked, 1)[0])


def alone(ground: Ground) -> Iterator[Ground]:
    """Each laid scene by itself."""
    return (replace(ground, laid=(laid,)) for laid in ground.laid)


def print_pictures(
    name: str,
    answers: Callable[[], Iterator[Asked]],
    auroc: Callable[[np.ndarray, np.ndarray], tuple[float, float]],
) -> None:
    """A row: present against absent by cosine and by confidence, and how often something convinces.

    Args:
        name: Of the scenes.
        answers: Makes the answers to every question.
        auroc: Present against absent: by the first hit, by the best.
    """
    plain, sure, present = [], [], []
    for one in answers():
        present.append(one.present)
        plain.append(cosine(one, HITS))
        sure.append(pictured(one, HITS))
    truth = np.array(present)
    values = np.stack(sure)
    told = values.max(axis=1) >= CONVINCING
    print(
        f"| {name} | {auroc(np.stack(plain), truth)[1]:.3f} | {auroc(values, truth)[1]:.3f} "
        f"| {told[truth].mean():.3f} | {told[~truth].mean():.3f} |",
        flush=True,
    )
