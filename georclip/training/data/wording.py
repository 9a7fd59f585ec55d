"""Other words for the same caption: synonyms, prompts around a class, words left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

PROMPTS = (
    "{}",
    "{}",
    "a satellite image of a {}",
    "an aerial photo of {}",
    "{} seen from above",
    "there is a {}",
)
"""Sentences around the name of a class; its bare name is what people type most."""

SYNONYMS = (
    ("harbor", "port", "dock", "marina"),
    ("ship", "boat", "vessel"),
    ("plane", "airplane", "aircraft", "jet"),
    ("house", "home", "housing"),
    ("building", "construction"),
    ("pond", "lake", "pool of water"),
    ("sea", "ocean"),
    ("road", "street"),
    ("highway", "freeway", "motorway"),
    ("parking lot", "car park", "parking"),
    ("forest", "wood", "woodland"),
    ("meadow", "grassland", "pasture"),
    ("farmland", "cropland", "agricultural field", "agricultural", "farm"),
    ("factory", "industrial plant", "warehouse"),
    ("viaduct", "overpass", "flyover", "interchange"),
    ("railway", "railroad", "rail"),
    ("railway station", "train station"),
    ("stadium", "arena"),
    ("church", "cathedral"),
    ("car", "vehicle", "automobile"),
    ("residential area", "neighborhood", "housing area"),
    ("dense residential", "dense house", "densely packed house", "dense housing"),
    ("sparse residential", "scattered house", "sparse house"),
    ("football field", "soccer field"),
    ("baseball field", "baseball diamond"),
    ("storage tank", "oil tank", "fuel tank", "tank"),
    ("bare land", "bare soil", "bare ground", "barren land"),
    ("beach", "shore", "sandy beach"),
    ("grass", "lawn"),
    ("intersection", "crossroad", "junction"),
    ("runway", "airstrip"),
    ("swimming pool", "pool"),
    ("mobile home park", "trailer park"),
)
"""Words that mean the same here, in the normalised form of `words.normalise`."""


def synonym_groups() -> dict[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Index SYNONYMS by phrase: phrase in words -> its group, first entry canonical."""
    groups = [tuple(tuple(phrase.split()) for phrase in group) for group in SYNONYMS]
    index: dict[tuple[str, ...], tuple[tuple[str, ...], ...]] = {}
    for group in groups:
        for phrase in group:
            index.setdefault(phrase, group)
    return index


def replace_phrases(
    words: Sequence[str],
    groups: Mapping[tuple[str, ...], tuple[tuple[str, ...], ...]],
    *,
    rng: np.random.Generator | None,
    probability: float = 1.0,
) -> tuple[str, ...]:
    """Swap phrases for synonyms, longest phrases first.

    Args:
        words: A normalised sentence.
        groups: From `synonym_groups`.
        rng: Picks synonyms; None takes the canonical one, so that equal meanings become equal.
        probability: Of a swap, for each phrase that has synonyms.
    """
    output: list[str] = []
    at = 0
    while at < len(words):
        for length in (3, 2, 1):
            phrase = tuple(words[at : at + length])
            group = groups.get(phrase) if len(phrase) == length else None
            if group is None:
                continue
            if rng is None:
                phrase = group[0]
            elif rng.random() < probability:
                phrase = group[int(rng.integers(len(group)))]
            output.extend(phrase)
            at += length
            break
        else:
            output.append(words[at])
            at += 1
    return tuple(output)


def drop_words(
    words: Sequence[str], rng: np.random.Generator, *, probability: float
) -> tuple[str, ...]:
    """Leave out words at random, never all of them: people type less than annotators."""
    kept = tuple(word for word in words if rng.random() >= probability)
    return kept or tuple(words)
