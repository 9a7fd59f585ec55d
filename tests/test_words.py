import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from georclip.encoders.loading import STARTER_FOLDER
from georclip.encoders.words import WordTokenizer, normalise
from georclip.errors import EncoderError

WORDS = ("a", "harbor", "ship", "with", "baseball", "field", "bare", "land", "farmland", "tree")


@pytest.fixture
def tokenizer():
    return WordTokenizer(WORDS, 6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Harbours with SHIPS.", ("harbor", "with", "ship")),
        ("BaseballField", ("baseball", "field")),
        ("baseballfields", ("baseball", "field")),
        ("bareland", ("bare", "land")),
        ("churches, bushes & cities", ("church", "bush", "city")),
        ("glass bus this", ("glass", "bus", "this")),
        ("bird's nest; city’s edge", ("bird", "nest", "city", "edge")),
        ("t_junction semi-circle", ("t", "junction", "semi", "circle")),
        ("grey colour, Café", ("gray", "color", "cafe")),
        ("2 planes", ("two", "plane")),
        ("mobilehomepark", ("mobile", "home", "park")),
        (" \t\n", ()),
    ],
)
def test_one_form_per_word(text, words):
    assert normalise(text) == words


@settings(max_examples=200)
@given(st.text(alphabet=st.characters(codec="latin-1"), max_size=40))
def test_normalising_twice_changes_nothing(text):
    once = normalise(text)
    assert normalise(" ".join(once)) == once


def test_ids_count_from_one_and_zero_pads(tokenizer):
    encoded = tokenizer.encode("harbor with ships")
    assert encoded.ids.dtype == np.int64
    assert encoded.ids.tolist() == [2, 4, 3, 0, 0, 0]
    assert encoded.known == ("harbor", "ship")
    assert encoded.unknown == ()


def test_unknown_words_are_named_and_left_out(tokenizer):
    encoded = tokenizer.encode("a harbor with zebras and 港口")
    assert encoded.unknown == ("zebra", "港口")
    assert encoded.ids.tolist() == [1, 2, 4, 0, 0, 0]


def test_function_words_alone_are_not_known(tokenizer):
    encoded = tokenizer.encode("a with of")
    assert encoded.known == ()
    assert encoded.unknown == ()


def test_run_together_words_are_split_into_known_ones(tokenizer):
    assert tokenizer.encode("shipharbor").known == ("ship", "harbor")
    assert tokenizer.encode("farmland").known == ("farmland",)  # a word of its own
    assert tokenizer.encode("warship").unknown == ("warship",)


def test_long_sentences_are_cut(tokenizer):
    encoded = tokenizer.encode("harbor " * 50)
    assert encoded.ids.tolist() == [2] * 6


def test_nearest_words_are_spelt_alike(tokenizer):
    assert tokenizer.nearest("harbr")[0] == "harbor"
    assert "a" not in tokenizer.nearest("aa", n=10)
    assert tokenizer.nearest("farmlnd") == ("farmland",)


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("beech", "beach"), ("brigde", "bridge"), ("staduim", "stadium"), ("chruch", "church"),
        ("rivr", "river"), ("tennsi", "tennis"), ("houss", "house"), ("forêt", "forest"),
        ("hafen", None), ("Brücke", None), ("wald", None), ("casa", None), ("hus", None),
        ("rio", None), ("zyxwv", None), ("港口", None),
    ],
)  # fmt: skip
def test_words_that_are_not_really_near_are_not_offered(word, near):
    starter = WordTokenizer.load(STARTER_FOLDER / "vocabulary.txt")
    found = starter.nearest(word)
    assert (near in found) if near else found == ()


def test_a_vocabulary_file_comes_back(tmp_path, tokenizer):
    tokenizer.save(tmp_path / "vocabulary.txt")
    assert (tmp_path / "vocabulary.txt").read_bytes().startswith(b"a\nharbor\nship\n")
    loaded = WordTokenizer.load(tmp_path / "vocabulary.txt", context_length=6)
    assert loaded.words == WORDS
    assert loaded.encode("ships").ids.tolist() == tokenizer.encode("ships").ids.tolist()
    assert len(loaded) == len(WORDS) + 1


@pytest.mark.parametrize("content", [b"", b"ship\nship\n", b"\xff\xfe\xff"])
def test_a_damaged_vocabulary_is_refused(tmp_path, content):
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(content)
    with pytest.raises(EncoderError, match="vocabulary"):
        WordTokenizer.load(path)


def test_a_missing_vocabulary_is_refused(tmp_path):
    with pytest.raises(EncoderError, match="cannot read the vocabulary"):
        WordTokenizer.load(tmp_path / "none.txt")
