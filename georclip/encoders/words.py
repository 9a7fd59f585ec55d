"""Sentences to word ids, over a small vocabulary of whole words.

Both sides of training and searching go through `normalise`, so that "Harbours", "harbor" and
"harbors" are one word, and "BaseballField" is "baseball field". Pure Python.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import numpy.typing as npt

from georclip.errors import EncoderError

PADDING_ID = 0

_NEAR = 0.8
"""Least likeness (difflib's ratio) of a word that is offered: a letter more, less or swapped. Below
it, words of other languages find company by chance: "wald", "wild"."""

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[^\W_]+")

_FUNCTION_WORDS = frozenset(
    (
        "a about above across all also an and another any are as at be been below beside between "
        "both but by can each every for from had has have here i in inside into is it its like lot "
        "many more most near next no not number of on one or other our out outside over see seen "
        "several so some that the their them there these they this those through to under up very "
        "was we were what where which while who will with within you your"
    ).split()
)
"""Words that say nothing about a place on their own; they count neither as known nor unknown."""

_SINGULAR = {"buses": "bus", "leaves": "leaf", "people": "people", "series": "series"}
_NOT_PLURAL = frozenset("always besides gas lens sometimes sports towards whereas".split())

_SPELLING = {
    "aeroplan": "airplane", "aeroplane": "airplane", "alonside": "alongside", "arround": "around",
    "bareland": "bare land", "baseballdiamond": "baseball diamond",
    "baseballfield": "baseball field", "baseballground": "baseball field", "buliding": "building",
    "carpark": "parking lot", "carparks": "parking lot", "centre": "center", "colour": "color",
    "coloured": "colored", "colourful": "colorful", "coner": "corner", "containter": "container",
    "devide": "divide", "devided": "divided", "differenet": "different", "differnet": "different",
    "divid": "divide", "flurish": "flourish", "foasm": "foam", "footballfield": "football field",
    "grey": "gray", "habor": "harbor", "harbour": "harbor", "industriala": "industrial",
    "lugage": "luggage", "mediumresidential": "medium residential", "metre": "meter",
    "mobilehomepark": "mobile home park", "mountainpeak": "mountain peak",
    "neighbourhood": "neighborhood", "parkinglot": "parking lot", "plamt": "plant",
    "ploygon": "polygon", "railwaystation": "railway station", "raod": "road",
    "redidential": "residential", "residental": "residential", "roofss": "roof",
    "seewall": "seawall", "seperate": "separate", "seperated": "separated", "shich": "which",
    "sorrounded": "surrounded", "sparseresidential": "sparse residential", "sparsly": "sparsely",
    "spase": "space", "storagetank": "storage tank", "surounded": "surrounded", "tain": "train",
    "taxing": "taxiing", "tenniscourt": "tennis court", "termial": "terminal", "tress": "tree",
    "voer": "over", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six",
    "7": "seven", "8": "eight", "9": "nine", "10": "ten",
}  # fmt: skip
"""One spelling per word: British to American, RSICD's and UCM's slips, run-together words."""


def _singular(word: str) -> str:
    if word in _SINGULAR:
        return _SINGULAR[word]
    if len(word) <= 3 or word in _NOT_PLURAL or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") else word


def normalise(text: str) -> tuple[str, ...]:
    """Split a sentence into words of one form: lower case, singular, one spelling.

    >>> normalise("Harbours with SHIPS, near a BaseballField.")
    ('harbor', 'with', 'ship', 'near', 'a', 'baseball', 'field')
    """
    plain = _CAMEL.sub(" ", text).replace("’", "'")
    plain = unicodedata.normalize("NFKD", plain.lower()).replace("'s", " ")
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    words: list[str] = []
    for found in _WORD.findall(plain):
        word = _singular(_SPELLING.get(found, found))
        words.extend(_SPELLING.get(word, word).split())
    return tuple(words)


def is_function_word(word: str) -> bool:
    """Tell whether a normalised word says nothing about a place on its own."""
    return word in _FUNCTION_WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizedText:
    """A sentence as a text tower takes it.

    Attributes:
        ids: int64, (context_length,), 0 after the last word.
        known: Normalised words that say something and that the vocabulary holds.
        unknown: Words that it does not hold, as typed but lower-case and singular.
    """

    ids: npt.NDArray[np.int64]
    known: tuple[str, ...]
    unknown: tuple[str, ...]


class WordTokenizer:
    """Whole words to ids: the first word of the vocabulary is 1, 0 is padding."""

    def __init__(self, words: Sequence[str], context_length: int) -> None:
        """Take a vocabulary.

        Args:
            words: Normalised words, without repeats.
            context_length: Most words of a sentence; what is longer is cut.

        Raises:
            EncoderError: The vocabulary is empty or repeats a word.
        """
        self.words = tuple(words)
        self.context_length = context_length
        self._ids = {word: number for number, word in enumerate(self.words, start=1)}
        if not self.words or len(self._ids) != len(self.words):
            raise EncoderError("a vocabulary must hold words, each of them once")

    def __len__(self) -> int:
        """Number of ids, padding included."""
        return len(self.words) + 1

    def count(self, text: str) -> int:
        """Ids of a sentence before it is cut."""
        return len(self._kept(text)[0])

    def encode(self, text: str) -> TokenizedText:
        """Turn a sentence into ids; words not in the vocabulary are left out and named."""
        kept, unknown = self._kept(text)
        ids = np.full(self.context_length, PADDING_ID, dtype=np.int64)
        shown = [self._ids[word] for word in kept[: self.context_length]]
        ids[: len(shown)] = shown
        known = tuple(word for word in kept if not is_function_word(word))
        return TokenizedText(ids=ids, known=known, unknown=tuple(unknown))

    def _kept(self, text: str) -> tuple[list[str], list[str]]:
        """Words of a sentence that the vocabulary holds, and those that it does not."""
        kept: list[str] = []
        unknown: list[str] = []
        for word in normalise(text):
            parts = (word,) if word in self._ids else self._split(word)
            kept.extend(parts)
            if not parts and not is_function_word(word):
                unknown.append(word)
        return kept, unknown

    def _split(self, word: str) -> tuple[str, ...]:
        """Split a run-together word into known ones; () where that does not work."""
        for cut in range(len(word) - 3, 2, -1):
            head, tail = word[:cut], word[cut:]
            if head in self._ids and not is_function_word(head):
                rest = (tail,) if tail in self._ids else self._split(tail)
                if rest and not any(is_function_word(part) for part in rest):
                    return (head, *rest)
        return ()

    def nearest(self, word: str, n: int = 3) -> tuple[str, ...]:
        """Name up to `n` known words that are spelt nearly like `word`, best first; maybe none."""
        wanted = " ".join(normalise(word))
        content = [known for known in self.words if not is_function_word(known)]
        return tuple(get_close_matches(wanted, content, n=n, cutoff=_NEAR))

    @classmethod
    def load(cls, path: str | Path, context_length: int = 32) -> WordTokenizer:
        """Read a vocabulary file: UTF-8, one word a line.

        Raises:
            EncoderError: The file cannot be read or holds no proper vocabulary.
        """
        try:
            words = Path(path).read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise EncoderError(f"cannot read the vocabulary {path}: {error}") from error
        return cls([word for word in words if word], context_length)

    def save(self, path: str | Path) -> None:
        """Write the vocabulary: UTF-8, one word a line."""
        Path(path).write_text("\n".join(self.words) + "\n", encoding="utf-8")
