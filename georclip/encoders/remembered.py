"""Embeddings of earlier questions, so that one asked again needs no text tower.

The user's cache holds one small file a question, under a hash: of the sentence itself nothing is
kept. Only questions asked alone are remembered, since a sentence's embedding may differ in its last
bits where others go through the tower with it; so what is remembered is what the tower would say.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import georclip
from georclip.encoders.bundle import TEXT_FILE, VOCABULARY_FILE, Bundle
from georclip.encoders.cache import cache_folder
from georclip.values import EncoderSpec

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder

Vector = npt.NDArray[np.float32]

SWITCH = "GEORCLIP_REMEMBER_QUESTIONS"
"""Environment variable; 0 switches it off."""
MOST = 10_000
"""Questions remembered; of more, the oldest tenth goes."""
_OFF = frozenset({"0", "no", "off", "false"})
_DTYPE = np.dtype("<f4")
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionCache:
    """What one text tower said to earlier questions. Safe to share among processes.

    A file holds a digest and the embedding; one that is damaged, or of another question, answers
    nothing and is written anew. A folder that cannot be written is left alone.

    Attributes:
        folder: Of all towers' questions.
        tower: Digest of what decides the tower's answers, on one machine to the last bit.
        dim: Length of an embedding.
    """

    folder: Path
    tower: bytes
    dim: int

    @classmethod
    def of(cls, bundle: Bundle) -> QuestionCache | None:
        """The cache of a folder's text tower, or None where there is to be none.

        A vocabulary of words has to be read for the words that it does not hold, and such towers
        answer in a few milliseconds: nothing is remembered of them.
        """
        if os.environ.get(SWITCH, "").strip().lower() in _OFF or bundle.tokenizer == "words":
            return None
        try:
            found = [(bundle.folder / name).stat() for name in (TEXT_FILE, VOCABULARY_FILE)]
            place = bundle.folder.resolve()
        except OSError:
            return None
        decides = (
            georclip.__version__, np.__version__, str(place), bundle.spec, bundle.tokenizer,
            bundle.context_length, bundle.text, sorted(bundle.files.items()),
            [(one.st_size, one.st_mtime_ns) for one in found],
        )  # fmt: skip
        tower = hashlib.sha256(repr(decides).encode("utf-8", "surrogatepass")).digest()
        return cls(folder=cache_folder() / "questions", tower=tower, dim=bundle.spec.dim)

    def find(self, text: str) -> Vector | None:
        """The embedding of a sentence, float32 (dim,), or None where it is not remembered."""
        key = self._key(text)
        try:
            content = (self.folder / key.hex()).read_bytes()
        except OSError:
            return None
        digest, values = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        whole = len(values) == self.dim * _DTYPE.itemsize
        if not whole or digest != hashlib.sha256(key + values).digest():
            return None
        return np.frombuffer(values, dtype=_DTYPE).astype(np.float32)

    def keep(self, text: str, vector: Vector) -> None:
        """Remember the embedding of a sentence, where that can be done."""
        key = self._key(text)
        values = vector.astype(_DTYPE).tobytes()
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft, name = tempfile.mkstemp(dir=self.folder, prefix=".new-")
            try:
                with os.fdopen(draft, "wb") as stream:
                    stream.write(hashlib.sha256(key + values).digest() + values)
                os.replace(name, self.folder / key.hex())
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
            _forget_oldest(self.folder)

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(self.tower + text.encode("utf-8", "surrogatepass")).digest()[:20]


class RememberingEncoder:
    """An `Encoder` for questions that opens its text tower only for one that is new."""

    def __init__(
        self,
        spec: EncoderSpec,
        cache: QuestionCache,
        *,
        folder: Path,
        load: Callable[[], Encoder],
    ) -> None:
        """Take what is remembered, and what to open where that is not enough.

        Args:
            spec: Of the tower, whose vocabulary is of sub-words: it knows every word.
            cache: Of that tower.
            folder: Where the tower lies.
            load: Opens it; where it gives another, nothing is remembered.
        """
        self._spec = spec
        self._cache = cache
        self._folder = folder
        self._load = load
        self._loaded: Encoder | None = None

    @property
    def spec(self) -> EncoderSpec:
        """What decides its embeddings."""
        return self._spec

    @property
    def device(self) -> str:
        """Where it runs, for people."""
        return "cpu" if self._loaded is None else self._loaded.device

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> Vector:
        """Embed pictures, as the encoder behind it does.

        Raises:
            EncoderError: It has no image tower.
        """
        return self._open().encode_images(pixels)

    def encode_texts(self, texts: Sequence[str]) -> Vector:
        """Embed sentences: unit rows, float32 (n, dim); one alone from memory, where it can be.

        Raises:
            QueryError: A sentence is empty.
            EncoderError: The tower cannot be used.
        """
        if len(texts) != 1:
            return self._open().encode_texts(texts)
        known = self._cache.find(texts[0])
        if known is not None:
            return known[np.newaxis]
        encoder = self._open()
        found = encoder.encode_texts(texts)
        from georclip.encoders.runtime import RuntimeEncoder

        if isinstance(encoder, RuntimeEncoder) and encoder.bundle.folder == self._folder:
            self._cache.keep(texts[0], found[0])
        return found

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """None: sub-words spell every word."""
        return ()

    def _open(self) -> Encoder:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded


def remembering(spec: EncoderSpec, bundle: Bundle, load: Callable[[], Encoder]) -> Encoder:
    """An encoder for questions over a folder's text tower.

    Args:
        spec: As the index holds it.
        bundle: The folder, which is not opened here.
        load: Opens it.
    """
    cache = QuestionCache.of(bundle)
    if cache is None:
        return load()
    return RememberingEncoder(spec, cache, folder=bundle.folder, load=load)


def _forget_oldest(folder: Path) -> None:
    """Keep the folder within bounds; what killed processes left there goes, too, in its turn."""
    if len(os.listdir(folder)) <= MOST:
        return
    with os.scandir(folder) as entries:
        found = sorted((entry.stat().st_mtime_ns, entry.path) for entry in entries)
    for _, path in found[: len(found) - MOST * 9 // 10]:
        Path(path).unlink(missing_ok=True)
