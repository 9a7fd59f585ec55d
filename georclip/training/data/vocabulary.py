"""The words that a model trained from scratch knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from georclip.captions.records import CaptionedImage
from georclip.encoders.words import normalise


def build_vocabulary(
    images: Sequence[CaptionedImage], *, more: Sequence[str] = (), min_count: int = 3
) -> tuple[str, ...]:
    """Collect the words of captions and classes, most frequent first.

    Args:
        images: Training images.
        more: Sentences whose words are always taken.
        min_count: Words seen in fewer sentences than this are mostly slips and are left out.
    """
    counts = Counter(
        word
        for image in images
        for sentence in image.sentences
        for word in set(normalise(sentence))
    )
    wanted = {word for word, count in counts.items() if count >= min_count}
    wanted.update(word for image in images for word in normalise(image.label))
    wanted.update(word for sentence in more for word in normalise(sentence))
    return tuple(sorted(wanted, key=lambda word: (-counts[word], word)))
