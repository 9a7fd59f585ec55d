import numpy as np

from georclip.training.data.wording import drop_words, replace_phrases, synonym_groups


def test_synonyms_become_one_canonical_phrase():
    groups = synonym_groups()
    said = replace_phrases("many vessel in a marina near a car park".split(), groups, rng=None)
    assert " ".join(said) == "many ship in a harbor near a parking lot"


def test_synonyms_are_swapped_at_random():
    groups = synonym_groups()
    rng = np.random.default_rng(0)
    said = {" ".join(replace_phrases(["port"], groups, rng=rng)) for _ in range(60)}
    assert said == {"harbor", "port", "dock", "marina"}
    kept = replace_phrases(["port"], groups, rng=rng, probability=0.0)
    assert kept == ("port",)


def test_words_are_dropped_but_never_all():
    rng = np.random.default_rng(0)
    assert drop_words(("a", "b"), rng, probability=1.0) == ("a", "b")
    lengths = {len(drop_words(tuple("abcdefgh"), rng, probability=0.3)) for _ in range(50)}
    assert max(lengths) <= 8
    assert len(lengths) > 2
