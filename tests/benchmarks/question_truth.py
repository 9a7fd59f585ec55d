"""What `questions` asks, and which pictures are right: by class and by captions.

A picture shows a word if any of its captions holds it, or its class name does (words in one form:
"trees" is "tree"). Captions leave things out: precision is a little low, for every way alike.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.captions.records import CaptionedImage
from georclip.encoders.words import is_function_word, normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Wanted and unwanted, in words, and the word that each is known by in captions."""

    wanted: str
    unwanted: str
    word: str
    unwanted_word: str


PAIRS = tuple(
    Pair(wanted=wanted, unwanted=unwanted, word=word, unwanted_word=unwanted_word)
    for wanted, unwanted, word, unwanted_word in (
        ("buildings", "parking", "building", "parking"),
        ("green trees", "buildings", "tree", "building"),
        ("playground", "football field", "playground", "football"),
        ("parking lot", "buildings", "parking", "building"),
        ("school", "playground", "school", "playground"),
        ("mountains", "green", "mountain", "green"),
        ("church", "trees", "church", "tree"),
        ("square", "buildings", "square", "building"),
        ("railway station", "trees", "railway", "tree"),
        ("storage tanks", "trees", "tank", "tree"),
    )
)
"""Chosen on training pictures: where some pictures show both, and some the wanted alone."""

COMPOSITIONS = (
    ("playground", "a red track", "red"), ("stadium", "parking lot", "parking"),
    ("pond", "buildings", "building"), ("pond", "trees", "tree"), ("river", "bridge", "bridge"),
    ("dense residential", "swimming pool", "pool"), ("mountain", "snow", "snow"),
    ("parking", "trees", "tree"), ("farmland", "yellow", "yellow"), ("church", "trees", "tree"),
    ("storage tanks", "white", "white"), ("school", "football field", "football"),
    ("industrial", "blue", "blue"), ("railway station", "cars", "car"),
    ("medium residential", "trees", "tree"), ("beach", "trees", "tree"),
    ("bridge", "ships boats", "boat"), ("square", "trees", "tree"),
    ("commercial", "parking lot", "parking"), ("resort", "swimming pool", "pool"),
    ("airport", "planes", "plane"), ("sparse residential", "river", "river"),
    ("viaduct", "cars", "car"), ("park", "lake", "lake"),
)  # fmt: skip
"""Class shown by a picture, attribute in words, and the word that it is known by in captions."""

_EMPTY_WORDS = frozenset(
    "piece lot many some several two large small number side next near around area different "
    "three four very".split()
)
_FREQUENT = 12


def shows(images: list[CaptionedImage], word: str) -> npt.NDArray[np.bool_]:
    """Which pictures show a word, (n,)."""
    return np.array([word in _words(image) | set(normalise(image.label)) for image in images])


def mentions(images: list[CaptionedImage], word: str) -> npt.NDArray[np.bool_]:
    """Which pictures' captions hold a word, (n,)."""
    return np.array([word in _words(image) for image in images])


def vague_words(images: list[CaptionedImage]) -> dict[str, list[str]]:
    """For each class the words that its captions use most, but for those of its name."""
    found: dict[str, list[str]] = {}
    for label in sorted({image.label for image in images}):
        own = set(normalise(label)) | _EMPTY_WORDS
        counts = Counter(
            word
            for image in images
            if image.label == label
            for word in sorted(_words(image) - own)
            if not is_function_word(word)
        )
        found[label] = [word for word, _ in counts.most_common(_FREQUENT)]
    return found


def _words(image: CaptionedImage) -> set[str]:
    return {word for sentence in image.sentences for word in normalise(sentence)}
