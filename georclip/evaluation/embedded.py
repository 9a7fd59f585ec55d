"""Pictures beside their vectors, and the parts of them that figures are taken over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pathlib import Path

    from georclip.captions.records import CaptionedImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """Pictures with their vectors.

    Attributes:
        images: The pictures.
        vectors: float32, (pictures, dim).
    """

    images: tuple[CaptionedImage, ...]
    vectors: npt.NDArray[np.float32]

    @property
    def labels(self) -> tuple[str, ...]:
        """Class of each; "" where it has none."""
        return tuple(image.label for image in self.images)

    def of(self, source: str) -> Embedded:
        """Those of one caption file."""
        return self._kept([n for n, image in enumerate(self.images) if image.source == source])

    def labelled(self) -> Embedded:
        """Those that have a class."""
        return self._kept([n for n, image in enumerate(self.images) if image.label])

    def gallery_for(self, asked: Embedded) -> Embedded:
        """Those of the same caption files, each picture once, without the pictures that ask.

        Files may share pictures: one that asked would find itself, and one that two files name
        would vote twice.
        """
        sources = {image.source for image in asked.images}
        taken = {image.path for image in asked.images}
        kept = []
        for number, image in enumerate(self.images):
            if image.source in sources and image.path not in taken:
                taken.add(image.path)
                kept.append(number)
        return self._kept(kept)

    def joined(self) -> Embedded:
        """One entry per picture, with what all caption files say of it."""
        first: dict[Path, int] = {}
        merged: dict[Path, CaptionedImage] = {}
        for number, image in enumerate(self.images):
            known = merged.get(image.path)
            if known is None:
                first[image.path], merged[image.path] = number, image
            else:
                merged[image.path] = replace(
                    known,
                    sentences=known.sentences + image.sentences,
                    label=known.label or image.label,
                )
        return Embedded(images=tuple(merged.values()), vectors=self.vectors[list(first.values())])

    def _kept(self, numbers: Sequence[int]) -> Embedded:
        return Embedded(
            images=tuple(self.images[number] for number in numbers),
            vectors=self.vectors[list(numbers)],
        )
