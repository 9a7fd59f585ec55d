import numpy as np
import pytest

from georclip.errors import QueryError
from georclip.evaluation.embedding import embed_pictures
from georclip.evaluation.zero_shot import class_prompts, measure_zero_shot
from georclip.testing import FakeEncoder
from tests.helpers_captions import coloured


def embedded(*colours):
    encoder = FakeEncoder()
    return encoder, embed_pictures(encoder, [coloured(c, seed=n) for n, c in enumerate(colours)])


def test_figures_by_hand():
    encoder, vectors = embedded("green", "green", "red", "blue")
    labels = ["green", "blue", "red", "blue"]  # the second is a green picture labelled blue
    figures = measure_zero_shot(encoder, vectors, labels)
    assert figures.classes == ("blue", "green", "red")
    assert figures.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert figures.images == 4
    assert figures.top_1 == 75.0
    assert figures.per_class == (50.0, 100.0, 100.0)
    assert figures.mean_per_class == pytest.approx(250 / 3)
    assert figures.precision_at_10 == (0.5, 1.0, 1.0)  # of blue two are looked at, one is blue
    assert figures.mean_precision_at_10 == pytest.approx(2.5 / 3)


def test_a_class_without_a_known_word_is_never_predicted():
    encoder, vectors = embedded("green", "red", "red")
    figures = measure_zero_shot(encoder, vectors, ["green", "red", "aerodrome"])
    assert figures.unknown_classes == ("aerodrome",)
    assert figures.confusion[:, figures.classes.index("aerodrome")].tolist() == [0, 0, 0]
    assert figures.precision_at_10[figures.classes.index("aerodrome")] == 0.0
    assert figures.top_1 == pytest.approx(200 / 3)
    # Not even where every other class scores below 0.
    figures = measure_zero_shot(encoder, -vectors, ["green", "red", "aerodrome"])
    assert figures.confusion[:, figures.classes.index("aerodrome")].tolist() == [0, 0, 0]


def test_classes_that_are_all_unknown_are_refused():
    encoder, vectors = embedded("green", "red")
    with pytest.raises(QueryError, match="no word of any class: aerodrome, quay"):
        measure_zero_shot(encoder, vectors, ["aerodrome", "quay"])


def test_prompts_are_averaged_and_of_unit_length():
    encoder = FakeEncoder()
    vectors, unknown = class_prompts(encoder, ["green", "red"], ["{}", "{} and green"])
    assert unknown == []
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    plain = encoder.encode_texts(["red", "red and green"])
    wanted = plain.mean(axis=0) / np.linalg.norm(plain.mean(axis=0))
    np.testing.assert_allclose(vectors[1], wanted, atol=1e-6)
    assert vectors[1] @ encoder.encode_texts(["green"])[0] > 0.1  # the second prompt took part
