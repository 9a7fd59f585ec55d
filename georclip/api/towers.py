"""Which of an index's encoders does what: each is loaded when it is first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from georclip.index.store import IndexStore

if TYPE_CHECKING:
    from georclip import values
    from georclip.encoders.base import Encoder


class Towers:
    """An open index with the encoder that made it, as far as that is needed."""

    def __init__(self, store: IndexStore, *, encoder: Encoder | None = None, **load: Any) -> None:  # noqa: ANN401
        self._store = store
        self._encoder = encoder
        self._asker: Encoder | None = None
        self._indexer: Encoder | None = None
        self._text_kept = False
        self._load = load

    def _writer(self) -> IndexStore:
        """The store, opened for writing on the first change: readers take no lock."""
        if not self._store.writable:
            reading = self._store
            self._store = IndexStore.open(reading.path, writable=True)
            reading.close()
        return self._store

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded on first use.

        Raises:
            EncoderError: It cannot be loaded here; the message says what is missing.
        """
        if self._encoder is None:
            from georclip.encoders.loading import load_for_index

            self._encoder = load_for_index(self._store.encoder, **self._load)
        return self._encoder

    @property
    def asker(self) -> Encoder:
        """What reads questions: the encoder, or its exported text tower, which needs no torch.

        Raises:
            EncoderError: Neither is here; the message says what to do.
        """
        if self._encoder is not None:
            return self._encoder
        if self._asker is None:
            from georclip.encoders.questions import load_for_questions

            self._asker = load_for_questions(
                self._store.encoder, beside=self._store.encoder_folder, **self._load
            )
        return self._asker

    @property
    def indexer(self) -> Encoder:
        """What embeds chips: the encoder, but on a CPU with its image tower exported, not in torch.

        Raises:
            EncoderError: The encoder cannot be loaded here.
        """
        if self._indexer is None:
            from georclip.encoders.for_indexing import for_indexing

            self._indexer = for_indexing(self.encoder)
        return self._indexer

    def make_portable(self) -> None:
        """Keep the text tower inside the index, so that it is searched without torch anywhere.

        The starter's is in every installation, and not copied.

        Raises:
            EncoderError: The encoder cannot be loaded here, or its text tower not be exported.
        """
        from georclip.encoders.cache import text_folder
        from georclip.encoders.registry import STARTER
        from georclip.encoders.text_store import find_text_tower, write_text_tower

        store = self._writer()
        spec, folder = store.encoder, store.encoder_folder
        if spec.name == STARTER or find_text_tower(spec, folder) is not None:
            return
        write_text_tower(find_text_tower(spec, text_folder(spec)) or self.encoder, folder)

    def _keep_text(self) -> None:
        """Export the encoder's text tower to the user's cache, once, for quick questions."""
        if self._text_kept:
            return
        from georclip.encoders.registry import STARTER
        from georclip.encoders.text_store import find_text_tower, keep_text_tower

        self._text_kept = True
        spec = self._store.encoder
        if spec.name != STARTER and find_text_tower(spec, self._store.encoder_folder) is None:
            keep_text_tower(self.encoder)

    def _needed_for(self, query: values.Query) -> Encoder | None:
        """What embeds a question's terms; chips of the index need nothing."""
        kinds = {term.kind for term in query.terms}
        if "image" in kinds:
            return self.indexer
        return self.asker if "text" in kinds else None
