"""From candidates to hits: none that is better is missed, however many are looked at first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from georclip.index.store import IndexStore
from georclip.search.candidates import find_hits
from georclip.search.judging import Judge, Judges
from georclip.search.question import Part, Question, single
from georclip.values import Chip, Grouping, Hit, Query, Term
from tests.helpers_index import PLAN, draw_vectors, encoder_spec, make_chips, make_scene

DIM = 32
CHIPS = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Told(Judge):
    """A judge that reads emptiness and confidence off single numbers of a vector."""

    @property
    def knows(self) -> bool:
        return True

    def show_nothing(self, question: Question, vectors: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        return vectors[:, 1] > 0.5

    def confidences(
        self, question: Question, vectors: npt.NDArray[Any]
    ) -> npt.NDArray[np.float64] | None:
        return np.where(vectors @ question.direction > 0.5, 0.9, 0.1)


def chips_apart(count: int) -> list[Chip]:
    """Squares that share no ground, a fifth of them of twice the scale."""
    number = np.arange(count)
    west, south = number % 100 * 0.02, number // 100 * 0.02
    boxes = np.stack([west, south, west + 0.015, south + 0.015], axis=1)
    chips = make_chips(make_scene("a"), boxes)
    return [replace(chip, scale=1.0 if at % 5 else 2.0) for at, chip in enumerate(chips)]


def made(path: Path, vectors: npt.NDArray[np.float32]) -> IndexStore:
    store = IndexStore.create(path, encoder=encoder_spec(DIM), plan=PLAN)
    chips = chips_apart(len(vectors))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    with store.stage(make_scene("a"), "plan") as staging:
        for start in range(0, len(chips), 500):
            end = min(start + 500, len(chips))
            staging.append(end - 1, chips[start:end], unit[start:end].astype(np.float32))
        staging.commit()
    return store


def ask(store: IndexStore, judge: Judge, **changes: Any) -> tuple[Hit, ...]:
    direction = np.eye(DIM, dtype=np.float32)[0]
    question = single(Part(kind="text", label="first axis", vector=direction))
    query = Query(terms=(Term(kind="text", value="first axis"),), **changes)
    with store.snapshot():
        (hits,) = find_hits(store, judge, [question], query, store.select().runs, exact=True)
    return hits


@pytest.fixture(scope="module")
def cloudy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexStore]:
    """450 clouds score best; then 20 chips that are what was asked for; then the rest."""
    vectors = draw_vectors(np.random.default_rng(0), CHIPS, DIM)
    vectors[:450] = 0.01 * vectors[:450]
    vectors[:450, :2] += (0.8, 0.6)
    vectors[450:470] = 0.01 * vectors[450:470]
    vectors[450:470, :3] += (0.7, 0.0, 0.71)
    vectors[470:, :2] = np.minimum(vectors[470:, :2], 0.3)
    with made(tmp_path_factory.mktemp("cloudy") / "index", vectors) as store:
        yield store


@pytest.mark.parametrize("k", [1, 10, 20])
@pytest.mark.parametrize("least", [None, 0.5])
def test_what_shows_nothing_hides_no_sure_hit(
    cloudy: IndexStore, k: int, least: float | None
) -> None:
    judge = Told(calibration=None, emptiness=None, scale_shift=None)
    hits = ask(cloudy, judge, k=k, min_confidence=least)
    assert len(hits) == k
    assert all(hit.confidence == 0.9 for hit in hits)


def test_where_fewer_are_sure_than_are_wanted_those_come(cloudy: IndexStore) -> None:
    judge = Told(calibration=None, emptiness=None, scale_shift=None)
    assert len(ask(cloudy, judge, k=100, min_confidence=0.5)) == 20
    everything = ask(cloudy, judge, k=CHIPS)
    assert [hit.confidence for hit in everything[-450:]] == [0.0] * 450
    assert all(hit.rank_score < -1 for hit in everything[-450:])


@pytest.fixture(scope="module")
def of_two_scales(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexStore]:
    """Chips of the more frequent scale score higher for the question, whatever they show."""
    vectors = draw_vectors(np.random.default_rng(0), CHIPS, DIM)
    vectors[np.arange(CHIPS) % 5 > 0, 0] += 0.15
    with made(tmp_path_factory.mktemp("scales") / "index", vectors) as store:
        yield store


@pytest.mark.parametrize("grouping", ["object", "none"])
@pytest.mark.parametrize("k", [5, 25, 100])
def test_the_first_hits_are_the_first_of_all(
    of_two_scales: IndexStore, k: int, grouping: Grouping
) -> None:
    with of_two_scales.snapshot():
        judge = Judges().of(of_two_scales)
    assert judge.scale_shift is not None
    everything = ask(of_two_scales, judge, k=CHIPS, grouping=grouping)
    some = ask(of_two_scales, judge, k=k, grouping=grouping)
    shown = [hit.chip.chip_id for hit in some]
    assert shown == [hit.chip.chip_id for hit in everything[:k]]
    assert {hit.chip.scale for hit in everything[:100]} == {1.0, 2.0}
    for one, other in zip(some, everything, strict=False):
        assert one.confidence == pytest.approx(other.confidence, abs=1e-9)
