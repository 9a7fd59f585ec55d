"""Pictures and captions to seeded batches of tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from georclip.captions.records import CaptionedImage
from georclip.encoders.words import WordTokenizer, is_function_word, normalise
from georclip.training.augment import (
    PROMPTS,
    drop_words,
    random_view,
    replace_phrases,
    synonym_groups,
    vary_colour,
    vary_sensor,
)
from georclip.training.losses import positive_pairs
from georclip.training.settings import MEAN, STD, TrainSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One step's input.

    Attributes:
        pictures: float32, (batch, 3, side, side), normalised.
        ids: int64, (batch, words), as long as the longest caption.
        positives: bool, (batch, batch): which caption is true of which picture.
    """

    pictures: Tensor
    ids: Tensor
    positives: Tensor


@dataclass(frozen=True, slots=True)
class _Sentence:
    words: tuple[str, ...]
    meaning: str  # equal for captions that say the same


def normalise_pictures(pictures: Tensor) -> Tensor:
    """Centre and scale pictures, float in [0, 1], (batch, 3, side, side), for the tower."""
    mean = torch.tensor(MEAN).reshape(1, 3, 1, 1)
    std = torch.tensor(STD).reshape(1, 3, 1, 1)
    return (pictures - mean) / std


class BatchMaker:
    """Makes the batches of an epoch; the same seed and epoch give the same batches."""

    def __init__(
        self,
        images: Sequence[CaptionedImage],
        pixels: Sequence[npt.NDArray[np.uint8]],
        tokenizer: WordTokenizer,
        settings: TrainSettings,
    ) -> None:
        """Prepare captions.

        Args:
            images: Training images.
            pixels: uint8, (height, width, 3), one per image.
            tokenizer: Holds the captions' words.
            settings: Sizes, shares and seed.
        """
        self._pixels = pixels
        self._tokenizer = tokenizer
        self._settings = settings
        self._groups = synonym_groups()
        self._sentences = [[self._sentence(raw) for raw in image.sentences] for image in images]
        self._labels = [tuple(image.label.split()) for image in images]
        self._classes = [
            " ".join(replace_phrases(label, self._groups, rng=None)) for label in self._labels
        ]
        self.batches = max(1, len(pixels) // settings.batch_size)

    def _sentence(self, raw: str) -> _Sentence:
        words = normalise(raw)
        same = replace_phrases(words, self._groups, rng=None)
        meaning = " ".join(word for word in same if not is_function_word(word))
        return _Sentence(words, meaning)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, counted from 0."""
        rng = np.random.default_rng([self._settings.seed, epoch])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        order = rng.permutation(len(self._pixels))
        side_px = self._settings.view_size_px(epoch)
        for start in range(0, self.batches * self._settings.batch_size, self._settings.batch_size):
            chosen = order[start : start + self._settings.batch_size].tolist()
            pictures = self._views(chosen, side_px, rng, generator)
            ids, positives = self._captions(chosen, rng)
            yield Batch(pictures=normalise_pictures(pictures), ids=ids, positives=positives)

    def _views(
        self,
        chosen: Sequence[int],
        side_px: int,
        rng: np.random.Generator,
        generator: torch.Generator,
    ) -> Tensor:
        smallest = self._settings.smallest_crop
        views = np.stack(
            [random_view(self._pixels[i], side_px, rng, smallest_crop=smallest) for i in chosen]
        )
        pictures = vary_colour(torch.from_numpy(views).float() / 255.0, generator)
        return vary_sensor(pictures, generator) if self._settings.other_sensors else pictures

    def _captions(self, chosen: Sequence[int], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        rows: list[npt.NDArray[np.int64]] = []
        meanings: list[str] = []
        prompts: list[bool] = []
        for image in chosen:
            prompt = bool(self._labels[image]) and rng.random() < self._settings.prompt_share
            if prompt:
                words, meaning = self._prompt(image, rng), self._classes[image]
            else:
                sentence = self._sentences[image][int(rng.integers(len(self._sentences[image])))]
                words, meaning = self._varied(sentence.words, rng), sentence.meaning
            rows.append(self._tokenizer.encode(" ".join(words)).ids)
            meanings.append(meaning)
            prompts.append(prompt)
        ids = torch.from_numpy(np.stack(rows))
        longest = max(1, int((ids != 0).sum(dim=1).max()))
        classes = [self._classes[image] for image in chosen]
        return ids[:, :longest], positive_pairs(meanings, classes, prompts=prompts)

    def _prompt(self, image: int, rng: np.random.Generator) -> tuple[str, ...]:
        name = replace_phrases(self._labels[image], self._groups, rng=rng, probability=0.4)
        template = PROMPTS[int(rng.integers(len(PROMPTS)))]
        return normalise(template.format(" ".join(name)))

    def _varied(self, words: tuple[str, ...], rng: np.random.Generator) -> tuple[str, ...]:
        swapped = replace_phrases(
            words, self._groups, rng=rng, probability=self._settings.synonym_share
        )
        return drop_words(swapped, rng, probability=self._settings.dropped_share)
