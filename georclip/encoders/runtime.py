"""Exported towers without torch: pictures on OpenVINO, the one CPU runtime; texts in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.encoders.bundle import (
    BOTH_TOWERS,
    TEXT_FILE,
    VOCABULARY_FILE,
    Bundle,
    read_bundle,
)
from georclip.encoders.contexts import beyond_context
from georclip.encoders.text_tower import TextTower
from georclip.encoders.words import PADDING_ID, WordTokenizer
from georclip.errors import EncoderError, QueryError
from georclip.values import EncoderSpec

if TYPE_CHECKING:
    from georclip.encoders.bpe import BpeTokenizer
    from georclip.encoders.image_tower import ImageTower


class RuntimeEncoder:
    """An `Encoder` from a folder of exported towers (see `bundle`).

    A tower is checked and made ready when it is first used: a search never compiles the image
    tower, nor imports what it runs on.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    @classmethod
    def load(cls, folder: Path | str, *, name: str | None = None) -> RuntimeEncoder:
        """Open a folder of exported towers.

        File sizes are compared with the record now, digests when a tower is first used (of large
        files those of a sample).

        Args:
            folder: What `exporting.export_towers` wrote.
            name: Instead of the name that the folder's spec has.

        Raises:
            EncoderError: The folder is no encoder, incomplete, or of a newer format.
        """
        bundle = read_bundle(Path(folder))
        bundle.check_sizes()
        if name is not None:
            bundle = replace(bundle, spec=replace(bundle.spec, name=name))
        return cls(bundle)

    @property
    def bundle(self) -> Bundle:
        """The folder that it runs from."""
        return self._bundle

    @property
    def spec(self) -> EncoderSpec:
        """What decides its embeddings."""
        return self._bundle.spec

    @property
    def device(self) -> str:
        """Where it runs, for people."""
        return "cpu (OpenVINO)" if self._bundle.has_images else "cpu"

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Embed pictures: uint8 RGB (n, 3, height, width) to unit rows, float32 (n, dim).

        Raises:
            EncoderError: `pixels` has another shape or dtype, or the tower cannot be used.
        """
        return self._image_tower.encode(pixels)

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed sentences as they stand: unit rows, float32 (n, dim).

        Raises:
            QueryError: A sentence is empty or holds no word that the encoder knows.
            EncoderError: The tower cannot be used.
        """
        sentences = [self._sentence(text) for text in texts]
        if not sentences:
            return np.empty((0, self.spec.dim), dtype=np.float32)
        return self._text_tower.embed(sentences)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words of `text` that the encoder has never seen, as typed, in order."""
        tokenizer = self._tokenizer
        return tokenizer.encode(text).unknown if isinstance(tokenizer, WordTokenizer) else ()

    def unread(self, text: str) -> str:
        """The end of `text` that is cut off, being more than the tower reads; "" if none is."""
        return beyond_context(text, self._tokenizer.count, self._bundle.context_length)

    def _sentence(self, text: str) -> npt.NDArray[np.int64]:
        """Ids of a sentence, int64 (ids,)."""
        if not text.strip():
            raise QueryError("the question is empty: say in words what to look for")
        if isinstance(self._tokenizer, WordTokenizer):
            return word_ids(text, self._tokenizer)
        ids = self._tokenizer.ids(text)
        return ids[: int(ids.argmax()) + 1]  # a sentence ends at its first mark of the end

    @cached_property
    def _tokenizer(self) -> WordTokenizer | BpeTokenizer:
        self._bundle.check_digests((VOCABULARY_FILE,))
        path, length = self._bundle.folder / VOCABULARY_FILE, self._bundle.context_length
        if self._bundle.tokenizer == "words":
            return WordTokenizer.load(path, context_length=length)
        from georclip.encoders.bpe import BpeTokenizer

        return BpeTokenizer.load(path, context_length=length)

    @cached_property
    def _text_tower(self) -> TextTower:
        self._bundle.check_digests((TEXT_FILE,))
        return TextTower(
            self._bundle.folder / TEXT_FILE,
            self._bundle.text,
            ids=len(self._tokenizer),
            words=self._bundle.context_length,
            dim=self.spec.dim,
        )

    def check_texts(self) -> None:
        """Look at all that a question needs, without reading the weights.

        Raises:
            EncoderError: Something is missing, damaged, or of another tower.
        """
        assert self._text_tower is not None

    @cached_property
    def _image_tower(self) -> ImageTower:
        from georclip.encoders.image_tower import ImageTower  # a question needs none of it

        if not self._bundle.has_images:
            raise EncoderError(
                f"{self._bundle.folder} holds the text tower of {self.spec.name} alone: it answers "
                f"questions, and embeds no picture; {BOTH_TOWERS}"
            )
        return ImageTower(self._bundle, self.spec, self._bundle.precision)


def word_ids(text: str, tokenizer: WordTokenizer) -> npt.NDArray[np.int64]:
    """Ids of a sentence's known words, int64 (words,).

    Raises:
        QueryError: None of its words is known; near ones are named.
    """
    encoded = tokenizer.encode(text)
    if encoded.known:
        return np.asarray(encoded.ids[encoded.ids != PADDING_ID], dtype=np.int64)
    if not encoded.unknown:
        raise QueryError(f"{text!r} holds no word: say in words what to look for")
    near = dict.fromkeys(
        word for unknown in encoded.unknown[:3] for word in tokenizer.nearest(unknown, n=3)
    )
    hint = (
        f"; near ones that it knows: {', '.join(near)}"
        if near
        else ": ask in other words of what is seen from above, such as lake, houses or runway, or "
        "index with a model that knows more (georclip models)"
    )
    raise QueryError(f"the model knows no word of {text!r}{hint}")
