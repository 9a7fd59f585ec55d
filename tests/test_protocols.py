"""Both protocols against clip_benchmark, against brute force, and by properties."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from georclip.evaluation.metrics import NOT_FOUND, first_hits
from georclip.evaluation.protocols import (
    CUTOFFS,
    Protocol,
    Ranks,
    ceiling,
    mean_recall,
    pair,
    rank,
)
from georclip.evaluation.retrieval import measure_retrieval

FEW = st.lists(
    st.lists(st.sampled_from("stuvw"), min_size=1, max_size=3), min_size=2, max_size=5
)  # sentences of a few pictures, many of them equal


def unit(rng, *shape):
    vectors = rng.normal(size=shape)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def captioned(rng, images=40, per_image=5, vocabulary=60):
    """Sentences of pictures; with a small vocabulary most are said of several."""
    return [
        [f"caption {rng.integers(vocabulary)}" for _ in range(per_image)] for _ in range(images)
    ]


def recalls_of(ranks: Ranks) -> list[float]:
    directions = (ranks.text_to_image, ranks.image_to_text)
    return [float((one < k).mean() * 100) for one in directions for k in CUTOFFS]


def clip_benchmark_recalls(scores, relevant):
    """Both directions as clip_benchmark's `evaluate` computes them, in percent."""
    torch = pytest.importorskip("torch")
    retrieval = pytest.importorskip("clip_benchmark.metrics.zeroshot_retrieval")
    scores, relevant = torch.from_numpy(scores), torch.from_numpy(relevant)
    return [
        float(
            (retrieval.batchify(retrieval.recall_at_k, s, r, 16, "cpu", k=k) > 0).double().mean()
            * 100
        )
        for s, r in ((scores, relevant), (scores.T, relevant.T))
        for k in CUTOFFS
    ]


def naive_rank(row, right):
    """Place of the best right answer in a row, by sorting: best first, equal by lowest index."""
    order = sorted(range(len(row)), key=lambda one: (-row[one], one))
    return min(place for place, one in enumerate(order) if right[one])


def everything(pairing):
    return pairing.relevant(slice(0, pairing.text_count), slice(0, pairing.image_count))


# clip_benchmark


@pytest.mark.parametrize("protocol", list(Protocol))
@pytest.mark.parametrize("seed", range(5))
def test_figures_equal_those_of_clip_benchmark_where_nothing_ties(protocol, seed):
    rng = np.random.default_rng(seed)
    sentences = captioned(rng)
    if protocol is Protocol.A:  # distinct sentences: equal ones would tie
        sentences = [
            [f"{one} {n} {k}" for k, one in enumerate(own)] for n, own in enumerate(sentences)
        ]
    pairing = pair(sentences, protocol)
    images, captions = unit(rng, 40, 12), unit(rng, len(pairing.captions), 12)
    figures = measure_retrieval(pairing, images, captions, protocol=protocol, prefix="")
    scores = captions[pairing.caption_of_text] @ images.T
    wanted = clip_benchmark_recalls(scores, everything(pairing))
    found = [*figures.recalls.text_to_image, *figures.recalls.image_to_text]
    assert found == pytest.approx(wanted, abs=1e-9)
    assert figures.recalls.mean == pytest.approx(np.mean(wanted), abs=1e-9)
    assert 0 < figures.recalls.mean < 100


@pytest.mark.parametrize("seed", range(5))
def test_equal_captions_do_not_tie_pictures_and_equal_clip_benchmark(seed):
    rng = np.random.default_rng(seed)
    pairing = pair(captioned(rng), Protocol.A)
    assert len(pairing.captions) < pairing.text_count == 200
    images, captions = unit(rng, 40, 12), unit(rng, len(pairing.captions), 12)
    ranks = rank(pairing, images, captions)
    scores = captions[pairing.caption_of_text] @ images.T
    wanted = clip_benchmark_recalls(scores, everything(pairing))
    assert recalls_of(ranks)[:3] == pytest.approx(wanted[:3], abs=1e-9)


# ties, against brute force


@given(st.data(), FEW, st.sampled_from(Protocol))
def test_ties_rank_by_lowest_index(data, sentences, protocol):
    pairing = pair(sentences, protocol)
    numbers = st.integers(-1, 1)  # few different scores: ties everywhere
    image = np.array([[data.draw(numbers) for _ in range(3)] for _ in sentences], dtype=float)
    text = np.array([[data.draw(numbers) for _ in range(3)] for _ in pairing.captions], dtype=float)
    ranks = rank(pairing, image, text)
    scores = text[pairing.caption_of_text] @ image.T
    right = everything(pairing)
    assert ranks.text_to_image.tolist() == list(map(naive_rank, scores, right))
    assert ranks.image_to_text.tolist() == list(map(naive_rank, scores.T, right.T))


def test_parts_give_what_the_whole_gives(monkeypatch):
    rng = np.random.default_rng(3)
    pairing = pair(captioned(rng), Protocol.A)
    images, captions = unit(rng, 40, 8), unit(rng, len(pairing.captions), 8)
    whole = rank(pairing, images, captions)
    monkeypatch.setattr("georclip.evaluation.metrics._CELLS", 700)  # three pictures at a time
    split = rank(pairing, images, captions)
    np.testing.assert_array_equal(split.text_to_image, whole.text_to_image)
    np.testing.assert_array_equal(split.image_to_text, whole.image_to_text)


def test_what_is_not_a_number_finds_nothing():
    scores = np.array([[np.nan, 0.5], [0.9, 0.1]])
    assert first_hits(scores, np.array([[True, False], [True, False]])).tolist() == [NOT_FOUND, 0]


@given(FEW, st.integers(0, 2**32 - 1))
def test_mean_recall_from_vectors_is_protocol_a(sentences, seed):
    """Duplicates among the sentences, and vectors whose products round: to the last bit."""
    rng = np.random.default_rng(seed)
    sentences = [[f"{one}{n % 9}" for one in own] for n, own in enumerate(sentences * 12)]
    pairing = pair(sentences, Protocol.A)
    images = unit(rng, len(sentences), 48).astype(np.float32)
    captions = unit(rng, len(pairing.captions), 48).astype(np.float32)
    figures = measure_retrieval(pairing, images, captions, protocol=Protocol.A, prefix="")
    found = mean_recall(images, captions[pairing.caption_of_text], pairing.image_of_pair)
    assert found == figures.recalls.mean


# the protocols' rules


def test_a_counts_every_sentence_and_its_own_picture_alone():
    pairing = pair([["a road", "a road"], ["a road", "a lake"]], Protocol.A)
    assert pairing.captions == ("a road", "a lake")
    assert pairing.caption_of_text.tolist() == [0, 0, 0, 1]
    assert everything(pairing).tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]


def test_b_counts_distinct_captions_and_every_picture_that_has_them():
    pairing = pair([["a road", "a road"], ["a road", "a lake"]], Protocol.B)
    assert pairing.captions == ("a satellite image. a road", "a satellite image. a lake")
    assert everything(pairing).tolist() == [[1, 1], [0, 1]]


def test_the_prefix_can_be_another():
    assert pair([["a road"]], Protocol.B, prefix="").captions == ("a road",)
    assert pair([["a road"]], Protocol.A, prefix="seen: ").captions == ("seen: a road",)


@given(FEW)
def test_under_b_nothing_stands_in_the_way_of_100(sentences):
    best = ceiling(pair(sentences, Protocol.B))
    assert not best.text_to_image.any()
    assert not best.image_to_text.any()


# the ceiling


@given(FEW)
def test_the_ceiling_is_what_the_best_order_reaches_in_each_direction(sentences):
    """Against every order of pictures per sentence, and of sentences per picture."""
    pairing = pair(sentences, Protocol.A)
    right, captions = everything(pairing), range(len(pairing.captions))
    best = ceiling(pairing)
    for k in (1, 2, 3):
        found = 0
        for caption in captions:
            own = right[pairing.caption_of_text == caption]
            found += max(
                sum(naive_rank(-np.argsort(order), row) < k for row in own)
                for order in itertools.permutations(range(len(sentences)))
            )
        assert (best.text_to_image < k).sum() == found
        answered = sum(
            any(
                naive_rank(-np.argsort(order)[pairing.caption_of_text], column) < k
                for order in itertools.permutations(captions)
            )
            for column in right.T
        )
        assert (best.image_to_text < k).sum() == answered


@given(FEW, st.integers(0, 2**32 - 1))
def test_no_scores_exceed_the_ceiling(sentences, seed):
    pairing = pair(sentences, Protocol.A)
    rng = np.random.default_rng(seed)
    reached = recalls_of(
        rank(pairing, unit(rng, len(sentences), 4), unit(rng, len(pairing.captions), 4))
    )
    assert all(a <= b for a, b in zip(reached, recalls_of(ceiling(pairing)), strict=True))


def test_the_ceiling_by_hand():
    # One sentence for three pictures: each order puts one of them first.
    best = ceiling(pair([["a lake"], ["a lake"], ["a lake"]], Protocol.A))
    assert sorted(best.text_to_image.tolist()) == [0, 1, 2]
    assert best.image_to_text.tolist() == [0, 1, 2]  # own text behind the equal ones before it
    # Said twice of the second picture: the order that puts it first finds two of three texts.
    best = ceiling(pair([["a lake"], ["a lake", "a lake"]], Protocol.A))
    assert best.text_to_image.tolist() == [1, 0, 0]


def test_without_equal_captions_the_ceiling_is_100():
    best = ceiling(pair([["a", "b"], ["c"]], Protocol.A))
    assert recalls_of(best) == [100.0] * 6


def test_the_ceiling_of_ucm_is_about_79(shared_data):
    from georclip.captions.reading import read_captions

    folder = shared_data / "captions" / "ucm"
    if not folder.is_dir():
        pytest.skip(f"no captions at {folder}")
    images = read_captions([folder / "dataset_ucm.json"], [folder / "images"])
    held_out = [image.sentences for image in images if image.split == "val"]
    best = recalls_of(ceiling(pair(held_out, Protocol.A)))
    assert best[:3] == pytest.approx([42.2930, 90.5732, 100.0], abs=1e-4)
    assert np.mean(best) == pytest.approx(79.15, abs=0.01)


def test_unknown_texts_are_counted_as_texts():
    pairing = pair([["zzz", "a lake"], ["zzz", "a road"]], Protocol.A)
    captions = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    figures = measure_retrieval(pairing, np.eye(2), captions, protocol=Protocol.A, prefix="")
    assert figures.unknown_texts == 2
    assert figures.ranks.text_to_image.tolist() == [0, 0, 1, 0]  # of equal zeros the first
