"""Which captions and pictures belong together, by the two protocols in circulation.

They differ in what counts as right, so that one model gets two figures on the same data:

- A, RemoteCLIP's (Liu et al. 2023, its retrieval evaluation over clip_benchmark's recall): every
  sentence is a text of its own, equal ones too, and belongs to its own picture alone. A picture
  is answered by any of its own sentences.
- B, SkyScript's (Wang et al. 2024, its cross-modal retrieval notebook): texts are the distinct
  captions, each behind a prefix; every picture that has the caption is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from georclip.evaluation.metrics import first_hits, parts, recall_of

CUTOFFS = (1, 5, 10)
"""The k of R@k that both protocols report."""


class Protocol(StrEnum):
    """A protocol of text-image retrieval."""

    A = "A"
    B = "B"

    @property
    def prefix(self) -> str:
        """What stands before every caption."""
        return "" if self is Protocol.A else "a satellite image. "

    @property
    def description(self) -> str:
        """The protocol in a few words, for people."""
        if self is Protocol.A:
            return "A (RemoteCLIP's: every sentence a text, its own picture right)"
        return "B (SkyScript's: distinct captions, every picture that has the caption right)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Texts, pictures, and which of them belong together.

    Attributes:
        captions: The distinct sentences to embed, in the order in which they first come.
        caption_of_text: int64, (texts,): index of each text's sentence.
        image_count: Pictures.
        text_of_pair: int64, (pairs,): a text ...
        image_of_pair: int64, (pairs,): ... and a picture that is right for it.
    """

    captions: tuple[str, ...]
    caption_of_text: npt.NDArray[np.int64]
    image_count: int
    text_of_pair: npt.NDArray[np.int64]
    image_of_pair: npt.NDArray[np.int64]

    @property
    def text_count(self) -> int:
        """Texts, equal ones counted as the protocol counts them."""
        return len(self.caption_of_text)

    def relevant(self, texts: slice, images: slice) -> npt.NDArray[np.bool_]:
        """Which pictures are right for which texts: bool, (texts, images) of the slices."""
        rows = self.text_of_pair - texts.start
        columns = self.image_of_pair - images.start
        height, width = texts.stop - texts.start, images.stop - images.start
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        table = np.zeros((height, width), dtype=bool)
        table[rows[inside], columns[inside]] = True
        return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """Where the first right answer comes, from 0.

    Attributes:
        text_to_image: int64, (texts,).
        image_to_text: int64, (images,).
    """

    text_to_image: npt.NDArray[np.int64]
    image_to_text: npt.NDArray[np.int64]


def pair(
    sentences: Sequence[Sequence[str]], protocol: Protocol, *, prefix: str | None = None
) -> Pairing:
    """Pair the sentences of pictures with the pictures.

    Args:
        sentences: Of each picture, at least one each.
        protocol: What belongs together.
        prefix: Stands before every caption instead of the protocol's own.

    Returns:
        Texts in the order of the pictures and of their sentences.
    """
    before = protocol.prefix if prefix is None else prefix
    said = [before + sentence for own in sentences for sentence in own]
    number = {caption: index for index, caption in enumerate(dict.fromkeys(said))}
    caption_of_sentence = np.array([number[caption] for caption in said], dtype=np.int64)
    image_of_sentence = np.repeat(
        np.arange(len(sentences), dtype=np.int64), [len(own) for own in sentences]
    )
    if protocol is Protocol.A:
        caption_of_text, text_of_pair = caption_of_sentence, np.arange(len(said), dtype=np.int64)
    else:
        caption_of_text, text_of_pair = np.arange(len(number), dtype=np.int64), caption_of_sentence
    return Pairing(
        captions=tuple(number),
        caption_of_text=caption_of_text,
        image_count=len(sentences),
        text_of_pair=text_of_pair,
        image_of_pair=image_of_sentence,
    )


def rank(
    pairing: Pairing,
    image_vectors: npt.NDArray[np.floating],
    caption_vectors: npt.NDArray[np.floating],
) -> Ranks:
    """Rank pictures for every text, and texts for every picture, by cosine.

    A sentence is compared once however often it is said, so that equal texts score equal to the
    last bit. Equal scores rank by lowest index.

    Args:
        pairing: What belongs together.
        image_vectors: Unit vectors, (images, dim).
        caption_vectors: Unit vectors of `pairing.captions`, (captions, dim).
    """
    everything = slice(0, pairing.image_count)
    found = np.empty(pairing.text_count, dtype=np.int64)
    for texts in parts(pairing.text_count, pairing.image_count):
        said, row = np.unique(pairing.caption_of_text[texts], return_inverse=True)
        scores = (caption_vectors[said] @ image_vectors.T)[row]  # (texts, images)
        found[texts] = first_hits(scores, pairing.relevant(texts, everything))
    answered = np.empty(pairing.image_count, dtype=np.int64)
    all_texts = slice(0, pairing.text_count)
    for images in parts(pairing.image_count, pairing.text_count):
        scores = (image_vectors[images] @ caption_vectors.T)[:, pairing.caption_of_text]
        answered[images] = first_hits(scores, pairing.relevant(all_texts, images).T)
    return Ranks(text_to_image=found, image_to_text=answered)


def mean_recall(
    image_vectors: npt.NDArray[np.floating],
    text_vectors: npt.NDArray[np.floating],
    image_of_text: npt.NDArray[np.integer],
) -> float:
    """Mean of R@1, R@5 and R@10 in both directions by protocol A, in percent, from vectors alone.

    Texts of equal vectors are one sentence, as in `rank`.

    Args:
        image_vectors: Unit vectors, (images, dim).
        text_vectors: Unit vectors, (texts, dim).
        image_of_text: Index of each text's picture, (texts,).
    """
    number: dict[bytes, int] = {}
    said = [number.setdefault(row.tobytes(), len(number)) for row in text_vectors]
    caption_of_text = np.array(said, dtype=np.int64)
    _, first = np.unique(caption_of_text, return_index=True)
    pairing = Pairing(
        captions=("",) * len(number),  # what they say does not matter
        caption_of_text=caption_of_text,
        image_count=len(image_vectors),
        text_of_pair=np.arange(len(said), dtype=np.int64),
        image_of_pair=np.asarray(image_of_text, dtype=np.int64),
    )
    ranks = rank(pairing, image_vectors, text_vectors[first])
    both = (ranks.text_to_image, ranks.image_to_text)
    return float(np.mean([recall_of(one, k) for one in both for k in CUTOFFS]))


def ceiling(pairing: Pairing) -> Ranks:
    """The best ranks that any model can reach in either direction.

    A model sees the sentence and not the picture it was written for, so equal texts score equal.
    Under protocol A that costs recall:

    - Text to image: all texts with one sentence get one order of pictures. Recall is highest for
      every k at once where pictures come by how many of those texts are theirs, most first.
    - Image to text: texts with one sentence stand together, by lowest index. The best that a
      picture can hope for is that its best sentence stands first; its own text then comes after
      the equal ones of lower index.

    Each direction's bound is reached by some order of scores. Both at once need not be, so that
    the mean over directions is a bound and not always reached. Under protocol B, where no two
    texts are equal, nothing is lost.
    """
    texts, images = pairing.text_of_pair, pairing.image_of_pair
    captions = pairing.caption_of_text[texts]
    theirs = Counter(zip(captions.tolist(), images.tolist(), strict=True))
    by_count: dict[int, list[tuple[int, int]]] = {}
    for (caption, image), count in theirs.items():
        by_count.setdefault(caption, []).append((-count, image))
    place = {
        (caption, image): position
        for caption, found in by_count.items()
        for position, (_, image) in enumerate(sorted(found))
    }
    text_ranks = np.full(pairing.text_count, pairing.image_count, dtype=np.int64)
    image_ranks = np.full(pairing.image_count, pairing.text_count, dtype=np.int64)
    equal_before = _equal_before(pairing.caption_of_text)
    for text, caption, image in zip(
        texts.tolist(), captions.tolist(), images.tolist(), strict=True
    ):
        text_ranks[text] = min(text_ranks[text], place[caption, image])
        image_ranks[image] = min(image_ranks[image], equal_before[text])
    return Ranks(text_to_image=text_ranks, image_to_text=image_ranks)


def _equal_before(caption_of_text: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many texts of lower index say the same: int64, (texts,)."""
    order = np.argsort(caption_of_text, kind="stable")
    ordered = caption_of_text[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(ordered)])
    before = np.empty(len(ordered), dtype=np.int64)
    before[order] = np.arange(len(ordered)) - np.repeat(starts, lengths)
    return before
