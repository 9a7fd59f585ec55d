from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from georclip.encoders.contexts import beyond_context
from georclip.encoders.prompts import (
    PLAIN,
    SCENES,
    SHORT_WORDS,
    embed_question,
    embed_questions,
    encode_with_templates,
)
from georclip.encoders.runtime import word_ids
from georclip.errors import QueryError
from georclip.testing import FakeEncoder
from tests.helpers_encoders import starter_towers


class Hashing:
    """A direction for each sentence, if it holds a word of the small vocabulary."""

    def __init__(self) -> None:
        self.tokenizer = starter_towers()[1]
        self.seen: list[str] = []

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        rows = []
        for text in texts:
            word_ids(text, self.tokenizer)
            self.seen.append(text)
            row = np.random.default_rng(len(text)).normal(size=8).astype(np.float32)
            rows.append(row / np.linalg.norm(row))
        return np.stack(rows)


def test_unit_vectors_are_averaged_and_made_unit_again():
    encoder = Hashing()
    one, two = encoder.encode_texts(["harbor of a", "green harbor in"])
    mixed = encode_with_templates(encoder, "harbor", ["{} of a", "green {} in"])
    np.testing.assert_allclose(mixed, (one + two) / np.linalg.norm(one + two), rtol=1e-5)
    assert mixed.shape == (8,)
    assert mixed.dtype == np.float32


def test_the_plain_template_changes_nothing():
    encoder = Hashing()
    np.testing.assert_allclose(
        encode_with_templates(encoder, "harbor", PLAIN),
        encoder.encode_texts(["harbor"])[0],
        rtol=1e-6,
    )


def test_the_usual_templates_hold_the_phrase():
    encoder = Hashing()
    encode_with_templates(encoder, "storage tanks")
    assert all("storage tanks" in sentence for sentence in encoder.seen)
    assert len(encoder.seen) == len(SCENES) + 1


def test_a_templates_words_do_not_hide_an_unknown_phrase():
    with pytest.raises(QueryError, match="'zeppelin'"):
        encode_with_templates(Hashing(), "zeppelin", ["a {} over a harbor"])


@pytest.mark.parametrize("templates", [(), ("a harbor",), ("{} and {}",)])
def test_a_template_without_one_place_is_refused(templates):
    with pytest.raises(QueryError, match="template needs one"):
        encode_with_templates(Hashing(), "harbor", templates)


def test_an_empty_phrase_is_refused():
    with pytest.raises(QueryError, match="empty"):
        encode_with_templates(Hashing(), " ")


# --- questions -----------------------------------------------------------------------------------


class Known(Hashing):
    """The same, of an architecture that is asked in templates or not."""

    def __init__(self, architecture: str) -> None:
        super().__init__()
        self.spec = replace(FakeEncoder().spec, architecture=architecture)


@pytest.mark.parametrize("architecture", ["ViT-B-32", "starter-lite0-w256", "fake-colours"])
@pytest.mark.parametrize("phrase", ["harbor", "dense houses.", "a harbor with some green ships"])
def test_short_questions_to_clip_are_asked_in_templates(architecture, phrase):
    encoder = Known(architecture)
    found = embed_question(encoder, phrase)
    if architecture == "ViT-B-32" and len(phrase.split()) <= SHORT_WORDS:
        wanted = encode_with_templates(encoder, phrase.rstrip("."), SCENES)
    else:
        wanted = encoder.encode_texts([phrase])[0]
        assert encoder.seen[0] == phrase
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("architecture", ["ViT-B-32", "fake-colours"])
def test_many_questions_have_the_vectors_of_each(architecture):
    phrases = ["harbor", "a harbor with some green ships", "dense houses."]
    encoder = Known(architecture)
    together = embed_questions(encoder, phrases)
    alone = np.stack([embed_question(encoder, phrase) for phrase in phrases])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert together.dtype == np.float32


# --- what is too long ----------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["harbor", "ships", "zeppelin", "a"]), max_size=60))
def test_what_a_vocabulary_of_words_does_not_read_is_told(words):
    tokenizer = starter_towers()[1]
    text = " ".join(words)
    unread = beyond_context(text, tokenizer.count, tokenizer.context_length)
    read = text.removesuffix(unread)
    assert read + unread == text
    assert tokenizer.count(read) == min(tokenizer.count(text), tokenizer.context_length)
    np.testing.assert_array_equal(tokenizer.encode(read).ids, tokenizer.encode(text).ids)


def test_a_word_that_is_read_in_part_is_told():
    assert beyond_context("one three", lambda text: 2 * len(text.split()), 3) == "three"
    assert beyond_context("one", lambda text: 9, 3) == "one"
    assert beyond_context("", lambda text: 0, 3) == ""
