"""Many questions at once: the same answers as one by one, from one look at the filters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from georclip.api import Index
from georclip.errors import QueryError
from georclip.index.store import IndexStore
from georclip.search.engine import search_many
from georclip.search.judging import Judges
from georclip.search.query import build_query
from georclip.search.sentences import read_sentences
from georclip.testing import COLOURS, FakeEncoder, draw_scene
from georclip.values import ChipPlan

TEXTS = ("blue", "green field", "blue", "white and gray houses", "green field", "blue")


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batch")
    scene = draw_scene(folder / "coast.tif", pixel_size_m=4)
    encoder = FakeEncoder()
    plan = ChipPlan(size=128, unit="px")
    store = IndexStore.create(folder / "index", encoder=encoder.spec, plan=plan)
    with Index(store, encoder=encoder) as index:
        index.add(scene.path)
        yield index


def ranked(result):
    return [(hit.rank, hit.chip.chip_id, hit.score) for hit in result.hits]


def test_each_sentence_is_answered_as_if_asked_alone_repeats_too(index):
    answers = index.search_many(TEXTS, bbox=(-9, 39, -8, 41), k=7)
    assert [answer.query.terms[0].value for answer in answers] == list(TEXTS)
    for text, answer in zip(TEXTS, answers, strict=True):
        alone = index.search(text, bbox=(-9, 39, -8, 41), k=7)
        assert ranked(answer) == ranked(alone)
        assert answer.rows_considered == alone.rows_considered
        assert [hit.chip for hit in answer.hits] == [hit.chip for hit in alone.hits]
        assert answer.to_geojson().count('"query"') == 1  # of the collection, of no hit
    assert index.search_many([]) == ()


def test_filters_chips_and_sentences_are_looked_at_once(index, monkeypatch):
    calls = {"select": 0, "fetch": 0, "texts": []}
    select, fetch = IndexStore.select, IndexStore.fetch
    encode = FakeEncoder.encode_texts

    def counted_select(self, **filters):
        calls["select"] += 1
        return select(self, **filters)

    def counted_fetch(self, rows):
        calls["fetch"] += 1
        assert len(rows) == len(set(rows))
        return fetch(self, rows)

    def counted_encode(self, texts):
        calls["texts"].append(tuple(texts))
        return encode(self, texts)

    monkeypatch.setattr(IndexStore, "select", counted_select)
    monkeypatch.setattr(IndexStore, "fetch", counted_fetch)
    monkeypatch.setattr(FakeEncoder, "encode_texts", counted_encode)
    assert len(index.search_many(TEXTS, scene="coast*")) == len(TEXTS)
    assert calls == {"select": 1, "fetch": 1, "texts": [tuple(dict.fromkeys(TEXTS))]}


@given(st.lists(st.sampled_from([*COLOURS, "xyzzy", "a of", " ", "red::0", "-"]), max_size=12))
def test_what_cannot_be_asked_is_told_by_its_place_and_the_rest_is_answered(index, texts):
    refused = {}
    answers = index.search_many(texts, k=2, refused=refused.__setitem__)
    good = [text for text in texts if text in COLOURS]
    assert [answer.query.terms[0].value for answer in answers] == good
    assert sorted(refused) == [place for place, text in enumerate(texts) if text not in COLOURS]
    assert all(isinstance(error, QueryError) for error in refused.values())


def test_without_anyone_to_tell_the_first_bad_sentence_is_an_error(index):
    with pytest.raises(QueryError, match="question 2 of 3: no known word in 'xyzzy'"):
        index.search_many(["blue", "xyzzy", "plugh"])
    with pytest.raises(QueryError, match="a list of sentences"):
        index.search_many("blue")
    with pytest.raises(QueryError, match="-k 0"):
        index.search_many(["blue"], k=0)


def test_questions_with_other_filters_are_not_mixed_up(index):
    queries = [build_query("blue"), build_query("red", scenes="coast*")]
    with pytest.raises(QueryError, match="ask them apart"):
        search_many(index._store, index.asker, queries)


def test_what_judges_hits_is_kept_from_call_to_call(index, monkeypatch):
    used = []
    of = Judges.of

    def noted_of(self, store):
        used.append(self)
        return of(self, store)

    monkeypatch.setattr(Judges, "of", noted_of)
    index.search_many(["blue", "green field"])
    index.search_many(["blue"])
    index.search("blue")
    assert len(used) >= 3
    assert all(one is used[0] for one in used)


def test_unknown_words_of_many_questions_are_named_once_and_not_all(index, caplog):
    words = ["".join(chr(ord("a") + digit) for digit in divmod(n, 26)) * 2 for n in range(30)]
    index.search_many([f"blue {word}" for word in [*words, *words]])
    (record,) = caplog.records
    line = record.getMessage()
    assert line.count(words[0]) == 1
    assert words[19] in line and words[20] not in line
    assert line.endswith("and 10 more (in 30 of 30 different questions)")


# --- the file ------------------------------------------------------------------------------------


def test_blank_lines_and_comments_are_passed_over_and_counted():
    content = "\ufeff# places\r\n\r\n  harbor with ships \r\n#\nBäume, 港\tnear\n\nharbor".encode()
    found = read_sentences(content, "q.txt")
    assert [(one.line, one.text) for one in found] == [
        (3, "harbor with ships"), (5, "Bäume, 港\tnear"), (7, "harbor"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "q.txt holds no question"),
        (b"# nothing\n \n", "q.txt holds no question"),
        (b"a\nb\n\xff\n", "q.txt:3 is not UTF-8"),
        ("harbor".encode("utf-16"), "q.txt:1 is not UTF-8"),
    ],
)
def test_a_file_without_sentences_is_refused(content, message):
    with pytest.raises(QueryError, match=message):
        read_sentences(content, "q.txt")


@pytest.mark.parametrize("text", ["har\x00bor", "\x1b[2Jharbor", "har\x9bbor"])
def test_control_characters_are_no_words(text):
    with pytest.raises(QueryError, match="control character"):
        build_query(text)
    assert build_query("harbor\t\n with").terms[0].value == "harbor with"


def test_vectors_are_those_that_the_encoder_gives(index):
    best = index.search_many(["green"], k=1)[0].hits[0]
    row = index._store.row_of(best.chip.chip_id)
    wanted = index._store.vectors([row])[0] @ FakeEncoder().encode_texts(["green"])[0]
    assert best.score == pytest.approx(float(wanted), abs=1e-6)
    assert np.isfinite(best.score)
