"""How alike the vectors of different things are, on a few held-out pictures and captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from georclip.captions.pictures import decode_images
from georclip.captions.records import CaptionedImage
from georclip.encoders.base import Encoder
from georclip.evaluation.embedding import embed_pictures, embed_sentences
from georclip.training.settings import TrainSettings

MEASURED_IMAGES = 256
CAPTIONS_SCORED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What a step found, on the val split.

    Attributes:
        loss: The side, by its loss.
        step: Steps done.
        value: Of the loss, on the training batch; at step 0 on the first one, before it is learnt.
        between_images: Mean cosine between different pictures.
        between_captions: Mean cosine between different captions.
        matched: Mean cosine of a picture and its caption.
        unmatched: Mean cosine of a picture and another picture's caption.
    """

    loss: str
    step: int
    value: float
    between_images: float
    between_captions: float
    matched: float
    unmatched: float


class Probe:
    """A few held-out pictures, each with a caption that no other of them has."""

    def __init__(self, held_out: Sequence[CaptionedImage], settings: TrainSettings) -> None:
        rng = np.random.default_rng(settings.seed)
        chosen: dict[str, CaptionedImage] = {}
        for number in rng.permutation(len(held_out)).tolist():
            chosen.setdefault(held_out[number].sentences[0], held_out[number])
        self.captions = list(chosen)[:MEASURED_IMAGES]
        images = [chosen[caption] for caption in self.captions]
        self._pixels = decode_images(images, max_side_px=2 * settings.image_size_px)
        others = [rng.choice(len(images) - 1, CAPTIONS_SCORED - 1, replace=False) for _ in images]
        self._others = np.array(others)

    def measure(self, encoder: Encoder, *, loss: str, step: int, value: float) -> Point:
        pictures, captions = self._embed(encoder)
        return Point(
            loss=loss,
            step=step,
            value=value,
            between_images=mean_cosine_between(pictures),
            between_captions=mean_cosine_between(captions),
            matched=float((pictures * captions).sum(axis=1).mean()),
            unmatched=mean_cosine_across(pictures, captions),
        )

    def shares(self, encoder: Encoder) -> tuple[float, ...]:
        """Softmax over three captions' cosines with a picture, one of them its own."""
        pictures, captions = self._embed(encoder)
        own = np.arange(len(pictures))[:, None]
        others = self._others + (self._others >= own)  # never the picture's own
        three = captions[np.concatenate([own, others], axis=1)]  # (pictures, 3, dim)
        cosines = np.einsum("pd,pcd->pc", pictures, three)
        ranked = -np.sort(-softmax(cosines), axis=1)
        return tuple(ranked.mean(axis=0).tolist())

    def _embed(self, encoder: Encoder) -> tuple[np.ndarray, np.ndarray]:
        return embed_pictures(encoder, self._pixels), embed_sentences(encoder, self.captions)


def mean_cosine_between(vectors: np.ndarray) -> float:
    """Mean cosine of all pairs of different rows of unit vectors, (n, dim)."""
    rows = len(vectors)
    total = float(np.square(vectors.sum(axis=0, dtype=np.float64)).sum())
    own = float(np.square(vectors, dtype=np.float64).sum())
    return (total - own) / (rows * (rows - 1))


def mean_cosine_across(one: np.ndarray, other: np.ndarray) -> float:
    """Mean cosine of each row of one with every other row of the other, its own left out."""
    rows = len(one)
    total = float(one.sum(axis=0, dtype=np.float64) @ other.sum(axis=0, dtype=np.float64))
    return (total - float((one * other).sum(dtype=np.float64))) / (rows * (rows - 1))


def softmax(scores: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)
