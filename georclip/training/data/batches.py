"""Pictures and captions to seeded batches of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from georclip.captions.records import CaptionedImage
from georclip.training.data.colours import DRAWS, vary_colour, vary_sensor
from georclip.training.data.sentences import SentenceMaker
from georclip.training.data.views import random_view
from georclip.training.dealing import deal
from georclip.training.settings import TrainSettings
from georclip.training.trainable import Trainable


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One step's input: a process's share of it, and what the whole is.

    Attributes:
        pictures: float32, (own pictures, 3, side, side), normalised.
        ids: int64, (own sentences, words), as long as the longest sentence.
        owners: int64, (sentences,): the picture that each sentence was written for. The loss
            needs `positives` alone; this tells a sentence's own picture from others that it is
            true of as well, for losses that it is compared with.
        positives: bool, (pictures, sentences): which sentence is true of which picture.
    """

    pictures: Tensor
    ids: Tensor
    owners: Tensor
    positives: Tensor

    def pinned(self) -> Batch:
        """In memory from which a GPU can fetch by itself."""
        return self._each(Tensor.pin_memory)

    def to(self, device: torch.device) -> Batch:
        """On a device; from pinned memory without waiting."""
        return self._each(lambda value: value.to(device, non_blocking=True))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            pictures=change(self.pictures),
            ids=change(self.ids),
            owners=change(self.owners),
            positives=change(self.positives),
        )


class BatchMaker:
    """Makes the batches of an epoch; the same seed and epoch give the same batches.

    Every picture is varied by a generator of its own, so that it looks the same whatever part of
    a batch it is made in.
    """

    def __init__(
        self,
        images: Sequence[CaptionedImage],
        pixels: Sequence[npt.NDArray[np.uint8]],
        model: Trainable,
        settings: TrainSettings,
    ) -> None:
        """Prepare captions.

        Args:
            images: Training images.
            pixels: uint8, (height, width, 3), one per image.
            model: Says how sentences become ids, and how pictures are normalised.
            settings: Sizes, shares and seed.
        """
        self._pixels = pixels
        self._model = model
        self._settings = settings
        self._sentences = SentenceMaker(images, settings, model.split_words)
        self._mean = torch.tensor(model.spec.mean).reshape(1, 3, 1, 1)
        self._std = torch.tensor(model.spec.std).reshape(1, 3, 1, 1)
        self.batches = max(1, len(pixels) // settings.batch_size)

    def epoch(self, epoch: int, share: tuple[int, int] = (0, 1)) -> Iterator[Batch]:
        """Yield the batches of an epoch.

        Args:
            epoch: Counted from 0.
            share: (which, of how many): pictures and sentences are dealt out among processes.
        """
        which, processes = share
        rng = np.random.default_rng([self._settings.seed, epoch])
        order = rng.permutation(len(self._pixels))
        side_px = self._settings.view_size_px(epoch)
        size = self._settings.batch_size
        for start in range(0, self.batches * size, size):
            chosen = order[start : start + size].tolist()
            sentences = self._sentences.draw(chosen, rng)
            own = range(len(chosen))[deal(len(chosen), processes)[which]]
            yield Batch(
                pictures=self._views(chosen, own, side_px, (epoch, start)),
                ids=self._ids(sentences.texts)[deal(len(sentences.texts), processes)[which]],
                owners=torch.from_numpy(sentences.owners),
                positives=torch.from_numpy(sentences.positives),
            )

    def _views(
        self, chosen: Sequence[int], own: Sequence[int], side_px: int, at: tuple[int, int]
    ) -> Tensor:
        """Varied, normalised views of the own ones of a batch: float32 (own, 3, side, side)."""
        views: list[npt.NDArray[np.uint8]] = []
        draws = np.empty((len(own), DRAWS), dtype=np.float32)
        for row, place in enumerate(own):
            pixels = self._pixels[chosen[place]]
            rng = np.random.default_rng([self._settings.seed, *at, place])
            views.append(random_view(pixels, side_px, rng, self._settings))
            draws[row] = rng.random(DRAWS, dtype=np.float32)
        pictures = torch.from_numpy(np.stack(views)).float().div_(255.0)
        numbers = torch.from_numpy(draws)
        pictures = vary_colour(pictures, numbers)
        if self._settings.other_sensors:
            pictures = vary_sensor(pictures, numbers)
        return pictures.sub_(self._mean).div_(self._std)

    def _ids(self, texts: Sequence[str]) -> Tensor:
        """Ids of sentences, cut after the longest: int64 (sentences, words)."""
        ids = torch.from_numpy(np.stack([self._model.token_ids(text) for text in texts]))
        return ids[:, : int(self._model.lengths(ids).max())]
