from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from georclip.captions.records import CaptionedImage
from georclip.training.data.sentences import SentenceMaker
from georclip.training.settings import TrainSettings

SAID = ("a red roof", "blue water", "many trees", "a long road", "white boats", "bare ground")
captions_of = st.lists(
    st.lists(st.sampled_from(SAID), min_size=1, max_size=5), min_size=2, max_size=8
)


def pictures(captions, label=""):
    return [
        CaptionedImage(
            path=Path(f"{number}.png"),
            split="train",
            label=label,
            sentences=tuple(sentences),
            source="drawn",
        )
        for number, sentences in enumerate(captions)
    ]


@given(captions=captions_of, drawn=st.integers(1, 3), seed=st.integers(0, 50))
def test_a_sentence_is_true_of_every_picture_that_has_it_drawn_or_not(captions, drawn, seed):
    settings = TrainSettings(
        captions_per_image=drawn, synonym_share=0.0, dropped_share=0.0, prompt_share=0.0
    )
    maker = SentenceMaker(pictures(captions), settings, lambda raw: tuple(raw.split()))
    made = maker.draw(range(len(captions)), np.random.default_rng(seed))
    wanted = [[text in sentences for text in made.texts] for sentences in captions]
    assert made.positives.tolist() == wanted
    assert set(made.owners.tolist()) == set(range(len(captions)))


def test_copies_of_a_picture_are_no_negatives_of_each_other():
    settings = TrainSettings(captions_per_image=1, prompt_share=0.0)
    maker = SentenceMaker(pictures([SAID[:4], SAID[:4]]), settings)
    for seed in range(20):
        assert maker.draw([0, 1], np.random.default_rng(seed)).positives.all()


def test_a_prompt_is_true_of_its_whole_class():
    settings = TrainSettings(prompt_share=1.0)
    maker = SentenceMaker(pictures([SAID[:1], SAID[1:2]], label="port"), settings)
    made = maker.draw([0, 1], np.random.default_rng(0))
    assert made.positives.all()
    assert all(
        any(word in text for word in ("harbor", "port", "dock", "marina")) for text in made.texts
    )
