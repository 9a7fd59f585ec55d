"""What an index knows of its own scores, applied to a question: how sure each candidate is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from georclip.search import neutral
from georclip.search.calibration import CONVINCING, Calibration, block_of, combine
from georclip.search.scale_shift import ScaleShift

if TYPE_CHECKING:
    import numpy.typing as npt

    from georclip.encoders.base import Encoder
    from georclip.index.background import Background
    from georclip.index.references import Reference
    from georclip.index.store import IndexStore
    from georclip.search.question import Part, Question

    Vectors = npt.NDArray[np.float32]
    Confidences = npt.NDArray[np.float64]


_LEAST_SHIFTED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """How scores of one state of an index are to be read.

    Attributes:
        calibration: What confidences come from; None where the index cannot say.
        scale_shift: What makes scores of several scales comparable; None where there is one.
    """

    calibration: Calibration | None
    scale_shift: ScaleShift | None

    @classmethod
    def of(cls, store: IndexStore) -> Judge:
        """Take what an index keeps for that purpose, as far as it is there."""
        background = store.background()
        if background is None:
            return cls(calibration=None, scale_shift=None)
        return _learn(background, store.reference(neutral.NAME))

    @property
    def knows(self) -> bool:
        """Whether there is anything to judge by."""
        return self.calibration is not None

    def can_tell(self, question: Question) -> bool:
        """Whether the index can say how sure answers to a question are."""
        known = self.calibration
        if known is None:
            return False
        pictures = {part.is_picture for part in question.parts}
        return (True not in pictures or known.peers is not None) and (
            False not in pictures or known.prompts is not None
        )

    def pool_size(self, chips: int) -> int:
        """Best chips of a question to have at hand where so many are to be judged."""
        if self.scale_shift is not None:
            chips = max(_LEAST_SHIFTED, chips)  # worse cosines may rank higher
        return chips if self.calibration is None else block_of(chips)

    def show_nothing(self, question: Question, vectors: Vectors) -> npt.NDArray[np.bool_]:
        """Which candidates show nothing that could be asked for: bool, (n,)."""
        return np.zeros(len(vectors), dtype=np.bool_)

    def confidences(self, question: Question, vectors: Vectors) -> Confidences | None:
        """How sure each candidate is.

        Args:
            question: What is asked.
            vectors: The candidates' embeddings, float32, (n, dim), best first; `pool_size` of
                them, or all there are.

        Returns:
            float64 in [0, 1], (n,); None where the index cannot say.
        """
        if self.calibration is None:
            return None
        wanted: list[Confidences] = []
        unwanted: list[Confidences] = []
        parts = sorted(question.parts, key=lambda part: part.weight < 0)  # wanted ones first
        for part in parts:
            confidence = _of_part(self.calibration, part, vectors)
            if confidence is None:
                return None
            (wanted if part.weight > 0 else unwanted).append(confidence)
        return combine(wanted, unwanted, [abs(part.weight) for part in parts])


def convinces(confidence: float | None) -> bool | None:
    """Whether a hit of this confidence is one to rely on; None where there is none."""
    return None if confidence is None else confidence >= CONVINCING


def keep_references(store: IndexStore, encoder: Encoder) -> None:
    """Give an index what its answers are judged by, where that is missing or of another version.

    Args:
        store: Opened for writing.
        encoder: The index's own; it embeds a hundred short sentences.
    """
    made_from = neutral.digest()
    kept = store.reference(neutral.NAME)
    if kept is not None and kept.made_from == made_from:
        return
    labels, vectors = neutral.embed_neutral(encoder)
    if labels:
        store.keep_reference(neutral.NAME, labels, vectors, made_from=made_from)


@lru_cache(maxsize=1)  # a store hands out the same sets as long as they stay: asked once a question
def _learn(background: Background, prompts: Reference | None) -> Judge:
    vectors = None if prompts is None else prompts.vectors
    return Judge(
        calibration=Calibration.of(background.vectors, vectors),
        scale_shift=ScaleShift.of(background.vectors, background.scales),
    )


def _of_part(calibration: Calibration, part: Part, vectors: Vectors) -> Confidences | None:
    if part.is_picture:
        return calibration.image_confidence(part.vector, vectors)
    return calibration.text_confidence(part.vector, vectors)
