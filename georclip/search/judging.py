"""What an index knows of its own scores, applied to a question's candidates.

How sure each of them is (`calibration`), and which of them show nothing (`emptiness`).
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import is_
from typing import TYPE_CHECKING

import numpy as np

from georclip.search import empty_reference, neutral
from georclip.search.calibration import CONVINCING, Calibration, block_of
from georclip.search.emptiness import LEAST_PICTURES, Emptiness, asks_for_nothing, learn_emptiness
from georclip.search.scale_shift import ScaleShift

if TYPE_CHECKING:
    import numpy.typing as npt

    from georclip.encoders.base import Encoder
    from georclip.index.store import IndexStore
    from georclip.search.question import Part, Question

    Vectors = npt.NDArray[np.float32]
    Confidences = npt.NDArray[np.float64]


_LEAST_SHIFTED = 100
"""Chips to have at hand at least where scales are made comparable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """How scores of one state of an index are to be read.

    Attributes:
        calibration: What confidences come from; None where the index cannot say.
        emptiness: How chips that show nothing are told; None likewise.
        scale_shift: What makes scores of several scales comparable; None where there is one.
    """

    calibration: Calibration | None
    emptiness: Emptiness | None
    scale_shift: ScaleShift | None

    @property
    def knows(self) -> bool:
        """Whether there is anything to judge by."""
        return self.calibration is not None or self.emptiness is not None

    def can_tell(self, question: Question) -> bool:
        """Whether the index can say how sure answers to a question are.

        Of several terms nobody can: confidences of each do not add up to one of all.
        """
        if self.calibration is None or len(question.parts) > 1:
            return False
        (part,) = question.parts
        known = self.calibration.peers if part.is_picture else self.calibration.prompts
        return known is not None

    def pool_size(self, chips: int) -> int:
        """Best chips of a question to have at hand where so many are to be judged."""
        if self.scale_shift is not None:
            chips = max(_LEAST_SHIFTED, chips)  # worse cosines may rank higher
        return chips if self.calibration is None else block_of(chips)

    def offsets(self, question: Question) -> npt.NDArray[np.float64] | None:
        """What the scores of each scale lie too high, (s,); None where there is one scale."""
        return None if self.scale_shift is None else self.scale_shift.offsets(question.direction)

    def show_nothing(self, question: Question, vectors: Vectors) -> npt.NDArray[np.bool_]:
        """Which candidates show nothing, where that is not what is asked for.

        Args:
            question: What is asked.
            vectors: The candidates' embeddings, float32, (n, dim).

        Returns:
            bool, (n,).
        """
        known = self.emptiness
        if known is None or any(_asks_for_nothing(known, part) for part in question.parts):
            return np.zeros(len(vectors), dtype=np.bool_)
        return known.shows_nothing(vectors)

    def confidences(self, question: Question, vectors: Vectors) -> Confidences | None:
        """How sure each candidate is.

        Args:
            question: What is asked.
            vectors: The candidates' embeddings, float32, (n, dim), best first; `pool_size` of
                them, or all there are.

        Returns:
            float64 in [0, 1], (n,); None where nobody can say: see `can_tell`.
        """
        if self.calibration is None or not self.can_tell(question):
            return None
        (part,) = question.parts
        if part.is_picture:
            return self.calibration.image_confidence(part.vector, vectors)
        return self.calibration.text_confidence(part.vector, vectors)


class Judges:
    """The judge of an index, made anew only where what it is made from has changed."""

    def __init__(self) -> None:
        self._made_from: tuple[object, ...] = ()
        self._judge = Judge(calibration=None, emptiness=None, scale_shift=None)

    def of(self, store: IndexStore) -> Judge:
        """Take what an index keeps to be judged by, as far as it is there."""
        background = store.background()
        prompts, pictures = store.reference(neutral.NAME), store.reference(empty_reference.NAME)
        made_from = background, prompts, pictures
        if self._made_from and all(map(is_, made_from, self._made_from)):
            return self._judge
        chips = None if background is None else background.vectors
        calibration = emptiness = scale_shift = None
        if background is not None:
            scale_shift = ScaleShift.of(background.vectors, background.scales)
        if chips is not None:
            calibration = Calibration.of(chips, None if prompts is None else prompts.vectors)
        if pictures is not None and len(pictures.labels) >= LEAST_PICTURES:
            emptiness = learn_emptiness(pictures.labels, pictures.vectors, chips)
        self._made_from = made_from
        self._judge = Judge(calibration=calibration, emptiness=emptiness, scale_shift=scale_shift)
        return self._judge


def convinces(confidence: float | None) -> bool | None:
    """Whether a hit of this confidence is one to rely on; None where there is none."""
    return None if confidence is None else confidence >= CONVINCING


def keep_references(store: IndexStore, encoder: Encoder) -> None:
    """Give an index what its answers are judged by, where that is missing or of another version.

    Args:
        store: Opened for writing.
        encoder: The index's own; it embeds a hundred short sentences and a few dozen pictures.
    """
    empty_reference.keep_nothing(store, encoder)
    made_from = neutral.digest()
    kept = store.reference(neutral.NAME)
    if kept is not None and kept.made_from == made_from:
        return
    labels, vectors = neutral.embed_neutral(encoder)
    if labels:
        store.keep_reference(neutral.NAME, labels, vectors, made_from=made_from)


def _asks_for_nothing(emptiness: Emptiness, part: Part) -> bool:
    """Whether a wanted term names or shows what looks like nothing."""
    if part.weight < 0:
        return False
    if part.is_picture:
        return bool(emptiness.shows_nothing(part.vector[None])[0])
    return asks_for_nothing(part.label)
