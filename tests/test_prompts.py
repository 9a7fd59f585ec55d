from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from georclip.encoders.prompts import PLAIN, SCENES, encode_with_templates
from georclip.encoders.runtime import word_ids
from georclip.errors import QueryError
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
