"""Captions that are longer than a text tower reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from georclip.captions.records import CaptionedImage

_SHOWN_LETTERS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLong:
    """Captions whose ends a text tower never sees.

    Attributes:
        limit: Tokens that it reads.
        count: Captions beyond it, each as often as it comes.
        total: All captions.
        longest: Tokens of the longest caption.
        first_image: File name of the first picture with one, or "".
        first_caption: That caption, or "".
    """

    limit: int
    count: int
    total: int
    longest: int
    first_image: str
    first_caption: str

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        if not self:
            return f"all {self.total:,} captions fit into {self.limit} tokens"
        shown = self.first_caption[:_SHOWN_LETTERS]
        more = "..." if len(self.first_caption) > _SHOWN_LETTERS else ""
        return (
            f"{self.count:,} of {self.total:,} captions are longer than the {self.limit} tokens "
            f"that the text tower reads (the longest has {self.longest:,}) and are cut there; "
            f"the first is of {self.first_image}: {shown + more!r}"
        )


def too_long(
    images: Sequence[CaptionedImage], count_tokens: Callable[[str], int], limit: int
) -> TooLong:
    """Count captions that a text tower would cut.

    Args:
        images: With their captions.
        count_tokens: Tokens of a sentence, uncut and counted as `limit` counts them (with marks
            for start and end, where the tower takes them). Called once for equal sentences.
        limit: Tokens that the tower reads.

    Returns:
        What to report: true where there are any, and one line as a string.
    """
    lengths = {
        sentence: count_tokens(sentence)
        for sentence in dict.fromkeys(each for image in images for each in image.sentences)
    }
    pairs = [(image, sentence) for image in images for sentence in image.sentences]
    beyond = [(image, sentence) for image, sentence in pairs if lengths[sentence] > limit]
    first = beyond[0] if beyond else None
    return TooLong(
        limit=limit,
        count=len(beyond),
        total=len(pairs),
        longest=max(lengths.values(), default=0),
        first_image=first[0].path.name if first else "",
        first_caption=first[1] if first else "",
    )
