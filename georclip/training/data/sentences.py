"""Which sentences a step compares its pictures with, and which of them are true of which."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.captions.records import CaptionedImage
from georclip.encoders.words import is_function_word, normalise
from georclip.training.data.wording import PROMPTS, drop_words, replace_phrases, synonym_groups
from georclip.training.settings import TrainSettings

SplitWords = Callable[[str], tuple[str, ...]]

_DECIDING = frozenset("no not over under above below inside outside".split())
"""Words that say nothing about a place on their own, and without which a caption says another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences:
    """The sentences of a step.

    Attributes:
        texts: As the text tower gets them.
        owners: int64, (sentences,): the picture that each was written for.
        positives: bool, (pictures, sentences): which sentence is true of which picture. It is true
            of the picture it was written for, of pictures that have a caption of the same meaning,
            and, where it only names a class, of every picture of that class.
    """

    texts: tuple[str, ...]
    owners: npt.NDArray[np.int64]
    positives: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Caption:
    words: tuple[str, ...]
    meaning: int  # equal for captions that say the same


class SentenceMaker:
    """Draws sentences for pictures; the same generator gives the same sentences."""

    def __init__(
        self,
        images: Sequence[CaptionedImage],
        settings: TrainSettings,
        split_words: SplitWords = normalise,
    ) -> None:
        """Prepare captions.

        Args:
            images: Training images.
            settings: Shares, and captions per image.
            split_words: A caption as written to the words that the text tower gets.
        """
        self._settings = settings
        self._split = split_words
        self._groups = synonym_groups()
        self._meanings: dict[str, int] = {}
        self._captions = [[self._caption(raw) for raw in image.sentences] for image in images]
        self._labels = [image.label for image in images]
        self._classes = [self._meaning(label) if label else -1 for label in self._labels]
        self._true_of = [
            frozenset(caption.meaning for caption in captions) | ({name} - {-1})
            for captions, name in zip(self._captions, self._classes, strict=True)
        ]

    def draw(self, chosen: Sequence[int], rng: np.random.Generator) -> Sentences:
        """Draw up to `captions_per_image` sentences of different meaning for each picture.

        Args:
            chosen: Pictures of the step, as indices into the training images.
            rng: Seeded generator.
        """
        texts: list[str] = []
        owners: list[int] = []
        meanings: list[int] = []
        for place, image in enumerate(chosen):
            seen: set[int] = set()
            captions = self._captions[image]
            order = rng.permutation(len(captions))[: self._settings.captions_per_image]
            for number in order.tolist():
                prompt = bool(self._labels[image]) and rng.random() < self._settings.prompt_share
                meaning = self._classes[image] if prompt else captions[number].meaning
                if meaning in seen:
                    continue
                seen.add(meaning)
                words = captions[number].words
                texts.append(self._prompt(image, rng) if prompt else self._varied(words, rng))
                owners.append(place)
                meanings.append(meaning)
        return Sentences(
            texts=tuple(texts),
            owners=np.array(owners, dtype=np.int64),
            positives=positive_pairs(
                np.array(meanings, dtype=np.int64), [self._true_of[image] for image in chosen]
            ),
        )

    def _caption(self, raw: str) -> _Caption:
        return _Caption(self._split(raw), self._meaning(raw))

    def _meaning(self, raw: str) -> int:
        """A number for what a caption says; captions that say the same have the same.

        Where words are swapped for synonyms, they count as the same word, and words that say
        nothing are left out; else all words count.
        """
        words = normalise(raw)
        said: Sequence[str] = words
        if self._settings.synonym_share:
            same = replace_phrases(words, self._groups, rng=None)
            said = [word for word in same if word in _DECIDING or not is_function_word(word)]
        key = " ".join(said) or raw.strip()
        return self._meanings.setdefault(key, len(self._meanings))

    def _prompt(self, image: int, rng: np.random.Generator) -> str:
        words = tuple(self._labels[image].split())
        share = 0.4 if self._settings.synonym_share else 0.0
        name = replace_phrases(words, self._groups, rng=rng, probability=share)
        return PROMPTS[int(rng.integers(len(PROMPTS)))].format(" ".join(name))

    def _varied(self, words: tuple[str, ...], rng: np.random.Generator) -> str:
        share = self._settings.synonym_share
        swapped = (
            replace_phrases(words, self._groups, rng=rng, probability=share) if share else words
        )
        return " ".join(drop_words(swapped, rng, probability=self._settings.dropped_share))


def positive_pairs(
    meanings: npt.NDArray[np.integer], true_of: Sequence[Collection[int]]
) -> npt.NDArray[np.bool_]:
    """Say which sentence of a step is true of which picture.

    A picture's captions that were not drawn count too: a sentence that equals one of them is no
    negative.

    Args:
        meanings: (sentences,): equal numbers mean equal sentences. A sentence that only names a
            class has the number of that class.
        true_of: The meanings of all captions of each picture, and of its class name.

    Returns:
        bool, (pictures, sentences).
    """
    distinct, of_sentence = np.unique(meanings, return_inverse=True)
    column = {meaning: number for number, meaning in enumerate(distinct.tolist())}
    has = np.zeros((len(true_of), len(distinct)), dtype=np.bool_)  # (pictures, meanings)
    for picture, known in enumerate(true_of):
        has[picture, [column[meaning] for meaning in known if meaning in column]] = True
    return np.asarray(has[:, of_sentence], dtype=np.bool_)
