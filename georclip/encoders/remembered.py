"""Embeddings of earlier questions, so that one asked again needs no text tower.

The user's cache holds one small file a question, under a hash: of the sentence itself nothing is
kept. A question is a sentence, or the few that templates make of one: it is remembered as it was
asked, since a sentence's embedding may differ in its last bits where others go through the tower
with it; so what is remembered is what the tower would say. Many questions together are not.
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
TOGETHER = 8
"""Most sentences that count as one question."""
_OFF = frozenset({"0", "no", "off", "false"})
_DTYPE = np.dtype("<f4")
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionCache:
    """What one text tower said to earlier questions. Safe to share among processes.

    A file holds a digest and the embeddings; one that is damaged, or of another question, answers
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

    def find(self, texts: Sequence[str]) -> Vector | None:
        """The embeddings of sentences, float32 (n, dim), or None where they are not remembered."""
        key = self._key(texts)
        try:
            content = (self.folder / key.hex()).read_bytes()
        except OSError:
            return None
        digest, values = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        whole = len(values) == len(texts) * self.dim * _DTYPE.itemsize
        if not whole or digest != hashlib.sha256(key + values).digest():
            return None
        return np.frombuffer(values, dtype=_DTYPE).astype(np.float32).reshape(len(texts), self.dim)

    def keep(self, texts: Sequence[str], vectors: Vector) -> None:
        """Remember the embeddings of sentences, (n, dim), where that can be done."""
        key = self._key(texts)
        values = vectors.astype(_DTYPE).tobytes()
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

    def _key(self, texts: Sequence[str]) -> bytes:
        digest = hashlib.sha256(self.tower)
        for text in texts:  # each behind its length, so that no two lists run into one
            content = text.encode("utf-8", "surrogatepass")
            digest.update(len(content).to_bytes(8, "little") + content)
        return digest.digest()[:20]


class RememberingEncoder:
    """An `Encoder` for questions that opens its text tower only for one that is new."""

    def __init__(
        self,
        spec: EncoderSpec,
        cache: QuestionCache,
        *,
        folder: Path,
        context_length: int,
        load: Callable[[], Encoder],
    ) -> None:
        """Take what is remembered, and what to open where that is not enough.

        Args:
            spec: Of the tower, whose vocabulary is of sub-words: it knows every word.
            cache: Of that tower.
            folder: Where the tower lies.
            context_length: Most ids of a sentence that it reads.
            load: Opens it; where it gives another, nothing is remembered.
        """
        self._spec = spec
        self._cache = cache
        self._folder = folder
        self._context_length = context_length
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
        """Embed sentences: unit rows, float32 (n, dim); a few from memory, where it can be.

        Raises:
            QueryError: A sentence is empty.
            EncoderError: The tower cannot be used.
        """
        if not 1 <= len(texts) <= TOGETHER:
            return self._open().encode_texts(texts)
        known = self._cache.find(texts)
        if known is not None:
            return known
        encoder = self._open()
        found = encoder.encode_texts(texts)
        from georclip.encoders.runtime import RuntimeEncoder

        if isinstance(encoder, RuntimeEncoder) and encoder.bundle.folder == self._folder:
            self._cache.keep(texts, found)
        return found

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """None: sub-words spell every word."""
        return ()

    def unread(self, text: str) -> str:
        """The end of `text` that is cut off, being more than the tower reads; "" if none is."""
        if len(text.encode("utf-8", "surrogatepass")) + 2 <= self._context_length:
            return ""  # an id stands for a byte or more, and two for start and end
        return self._open().unread(text)

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
    return RememberingEncoder(
        spec, cache, folder=bundle.folder, context_length=bundle.context_length, load=load
    )


def _forget_oldest(folder: Path) -> None:
    """Keep the folder within bounds; what killed processes left there goes, too, in its turn."""
    if len(os.listdir(folder)) <= MOST:
        return
    with os.scandir(folder) as entries:
        found = sorted((entry.stat().st_mtime_ns, entry.path) for entry in entries)
    for _, path in found[: len(found) - MOST * 9 // 10]:
        Path(path).unlink(missing_ok=True)
