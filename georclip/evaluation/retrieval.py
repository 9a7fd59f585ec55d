"""Text-image retrieval figures of an encoder on captioned pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.evaluation.metrics import recall_of
from georclip.evaluation.protocols import CUTOFFS, Pairing, Protocol, Ranks, ceiling, rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalls:
    """R@1, R@5 and R@10 both ways, in percent.

    Attributes:
        text_to_image: One figure for each of `CUTOFFS`.
        image_to_text: The same the other way round.
    """

    text_to_image: tuple[float, ...]
    image_to_text: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean of the six."""
        return float(np.mean(self.text_to_image + self.image_to_text))


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalFigures:
    """What an encoder reaches in text-image retrieval.

    Attributes:
        protocol: What counted as right.
        prefix: What stood before every caption.
        images: Pictures.
        texts: Texts, as the protocol counts them.
        unknown_texts: Texts of which the encoder knows no word; they score 0 with everything.
        ranks: Where the first right answers came, for curves.
        best_ranks: Where they come at best, since equal texts score equal.
    """

    protocol: Protocol
    prefix: str
    images: int
    texts: int
    unknown_texts: int
    ranks: Ranks
    best_ranks: Ranks

    @property
    def recalls(self) -> Recalls:
        """Measured."""
        return _recalls(self.ranks)

    @property
    def ceiling(self) -> Recalls:
        """What no model can exceed (see `protocols.ceiling`)."""
        return _recalls(self.best_ranks)


def measure_retrieval(
    pairing: Pairing,
    image_vectors: npt.NDArray[np.floating],
    caption_vectors: npt.NDArray[np.floating],
    *,
    protocol: Protocol,
    prefix: str,
) -> RetrievalFigures:
    """Measure retrieval from embeddings.

    Args:
        pairing: Of the protocol.
        image_vectors: Unit vectors, (images, dim).
        caption_vectors: Unit vectors of `pairing.captions`, (captions, dim); a row of zeros for a
            caption without a known word.
        protocol: For the record.
        prefix: For the record.
    """
    unknown = np.asarray(~caption_vectors.any(axis=1))
    return RetrievalFigures(
        protocol=protocol,
        prefix=prefix,
        images=pairing.image_count,
        texts=pairing.text_count,
        unknown_texts=int(unknown[pairing.caption_of_text].sum()),
        ranks=rank(pairing, image_vectors, caption_vectors),
        best_ranks=ceiling(pairing),
    )


def _recalls(ranks: Ranks) -> Recalls:
    return Recalls(
        text_to_image=tuple(recall_of(ranks.text_to_image, k) for k in CUTOFFS),
        image_to_text=tuple(recall_of(ranks.image_to_text, k) for k in CUTOFFS),
    )
