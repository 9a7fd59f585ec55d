"""CLIP's tokenizer without torch: sentences to ids by byte pairs.

The same ids as open_clip's `SimpleTokenizer` (Radford et al. 2021: lower case, byte pairs after
Sennrich et al. 2016), which imports torch and takes seconds to be there. A merge's id is its line
number behind the 512 single bytes, so that one table does.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import regex

from georclip.errors import EncoderError

_PIECES = regex.compile(
    r"<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    regex.IGNORECASE,
)
_BYTES = 256
_WORD_END = "</w>"


class BpeTokenizer:
    """Byte pairs by a list of merges, most frequent first."""

    def __init__(self, merges: list[str], context_length: int) -> None:
        """Take merges.

        Args:
            merges: Two symbols and a space between, each; a symbol that ends a word ends in
                "</w>".
            context_length: Most ids of a sentence, those for its start and end included.
        """
        self._ranks = {merge: rank for rank, merge in enumerate(merges)}
        self._start = 2 * _BYTES + len(merges)
        self.context_length = context_length

    def __len__(self) -> int:
        """Number of ids."""
        return self._start + 2

    @classmethod
    def load(cls, path: Path, *, context_length: int) -> BpeTokenizer:
        """Read merges, one a line.

        Raises:
            EncoderError: The file cannot be read.
        """
        try:
            merges = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise EncoderError(f"cannot read the vocabulary {path}: {error}") from error
        return cls([merge for merge in merges if merge], context_length)

    def count(self, text: str) -> int:
        """Ids of a sentence before it is cut, start and end included."""
        return sum(1 for _ in self._pieces(clean(text))) + 2

    def ids(self, text: str) -> npt.NDArray[np.int64]:
        """Ids of a sentence, cut to the context, start and end included: int64 (ids,)."""
        found = [self._start, *self._pieces(clean(text))]
        return np.array([*found[: self.context_length - 1], self._start + 1], dtype=np.int64)

    def _pieces(self, text: str) -> Iterator[int]:
        specials = {"<start_of_text>": self._start, "<end_of_text>": self._start + 1}
        for piece in _PIECES.findall(text):
            if piece in specials:
                yield specials[piece]
            else:
                yield from self._merged("".join(_letters()[byte] for byte in piece.encode()))

    def _merged(self, word: str) -> list[int]:
        """Ids of a word: the earliest merge of the list first, until none fits."""
        symbols = [*word[:-1], word[-1] + _WORD_END]
        ids = [self._single[symbol] for symbol in symbols]
        while len(symbols) > 1:
            pairs = [f"{one} {two}" for one, two in pairwise(symbols)]
            best = min(pairs, key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            rank = self._ranks.get(best)
            if rank is None:
                break
            at = 0
            while at < len(symbols) - 1:
                if f"{symbols[at]} {symbols[at + 1]}" == best:
                    symbols[at : at + 2] = [symbols[at] + symbols[at + 1]]
                    ids[at : at + 2] = [2 * _BYTES + rank]
                at += 1
        return ids

    @cached_property
    def _single(self) -> dict[str, int]:
        """Ids of single bytes, within a word and at its end."""
        letters = list(_letters_in_order())
        ends = [letter + _WORD_END for letter in letters]
        return {symbol: number for number, symbol in enumerate([*letters, *ends])}


def clean(text: str) -> str:
    """As CLIP does it: mended, without entities, one space between words, lower case."""
    if not text.isascii() or "&" in text or not text.isprintable():
        import ftfy  # finds nothing to mend in anything else

        text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).strip().lower()


@lru_cache(maxsize=1)
def _letters() -> dict[int, str]:
    """A printable letter for each byte: GPT-2's table (Radford et al. 2019)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    plain += range(ord("®"), ord("ÿ") + 1)
    others = [byte for byte in range(_BYTES) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain}
    letters.update({byte: chr(_BYTES + number) for number, byte in enumerate(others)})
    return letters


def _letters_in_order() -> Iterator[str]:
    """The table's letters in the order of CLIP's vocabulary: printable bytes first."""
    yield from _letters().values()
