"""Chips that show nothing are told by their vectors, and come last in an answer."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

import georclip
from georclip.encoders.empty_pictures import draw_empty_pictures
from georclip.index.references import Reference
from georclip.search.emptiness import asks_for_nothing, learn_emptiness
from georclip.search.empty_reference import NAME, keep_nothing
from georclip.search.judging import Judges
from georclip.testing import FakeEncoder, draw_scene
from tests.benchmarks import nothing_shown
from tests.benchmarks.nothing_pictures import draw_kinds
from tests.helpers_mosaic import draw_pictures

DIM = 24


def unit(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.float64)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def around(rng: np.random.Generator, centre: np.ndarray, count: int, spread: float) -> np.ndarray:
    return unit(centre + spread * rng.normal(size=(count, DIM)) / DIM**0.5)


@pytest.fixture
def made():
    """Two kinds of nothing, each around a direction of its own, and ground elsewhere."""
    rng = np.random.default_rng(0)
    centres = unit(rng.normal(size=(2, DIM)))
    bank = np.concatenate([around(rng, centre, 20, 0.25) for centre in centres])
    nothing = np.concatenate([around(rng, centre, 60, 0.25) for centre in centres])
    ground = unit(rng.normal(size=(600, DIM)) + 1.5 * unit(rng.normal(size=DIM)))
    return ["cloud"] * 20 + ["noise"] * 20, bank, nothing, ground


def test_the_bank_is_the_same_every_time_and_of_the_size_asked_for() -> None:
    kinds, pictures = draw_empty_pictures(64)
    again = draw_empty_pictures(64)
    assert kinds == again[0]
    np.testing.assert_array_equal(pictures, again[1])
    assert pictures.dtype == np.uint8
    assert pictures.shape == (len(kinds), 3, 64, 64)
    assert set(kinds) == {"blank", "cloud", "haze", "noise", "gradient"}
    assert len(np.unique(pictures.reshape(len(pictures), -1), axis=0)) == len(pictures)
    assert len(draw_empty_pictures(8)[0]) == len(kinds)
    with pytest.raises(ValueError, match="too small"):
        draw_empty_pictures(7)


@given(
    seed=st.integers(0, 10_000),
    count=st.integers(2, 9),
    scattered=st.floats(0.05, 2.0),
)
def test_likeness_is_the_cosine_with_the_nearest_point_of_an_arc(seed, count, scattered) -> None:
    rng = np.random.default_rng(seed)
    bank = around(rng, unit(rng.normal(size=DIM)), count, scattered)
    kinds = [str(number % 2) for number in range(count)]
    chips = np.concatenate([around(rng, bank[0], 5, scattered), unit(rng.normal(size=(5, DIM)))])
    found = learn_emptiness(kinds, bank, None).likeness(chips)
    shares = np.linspace(0, 1, 401)[:, None]
    for chip, one in zip(chips, found, strict=True):
        nearest = int((bank @ chip).argmax())
        ends = [bank[place] for place in range(count) if kinds[place] == kinds[nearest]]
        arcs = np.concatenate([unit(shares * bank[nearest] + (1 - shares) * end) for end in ends])
        assert float((arcs @ chip).max()) == pytest.approx(float(one), abs=2e-4)


def test_nothing_is_told_from_ground(made) -> None:
    kinds, bank, nothing, ground = made
    for background in (ground, None, ground[:3]):
        found = learn_emptiness(kinds, bank, background)
        assert found.shows_nothing(nothing).mean() > 0.9
        assert not found.shows_nothing(ground).any()
    assert learn_emptiness(kinds, bank, ground).shows_nothing(bank).all()


def test_an_index_full_of_clouds_does_not_take_them_for_ground(made) -> None:
    kinds, bank, nothing, ground = made
    mixed = np.random.default_rng(1).permutation(np.concatenate([nothing, ground[:120]]))
    found = learn_emptiness(kinds, bank, mixed)
    assert found.shows_nothing(nothing).mean() > 0.4
    assert not found.shows_nothing(ground).any()


def test_ground_that_looks_like_nothing_makes_the_limit_stricter(made) -> None:
    kinds, bank, _, ground = made
    rng = np.random.default_rng(2)
    desert = around(rng, bank[0], 200, 0.45)
    lax = learn_emptiness(kinds, bank, ground)
    strict = learn_emptiness(kinds, bank, np.concatenate([ground[:100], desert]))
    assert strict.least > lax.least
    assert strict.shows_nothing(desert).mean() < lax.shows_nothing(desert).mean()


@pytest.mark.parametrize(
    "text",
    ["cloud", "many Clouds over the land", "snow", "ice", "a snowy hill", "fog", "no data",
     "white", "a white area", "Black.", "the grey picture", "haze", "noise"],
)  # fmt: skip
def test_whoever_asks_for_what_looks_like_nothing_gets_it(text) -> None:
    assert asks_for_nothing(text)


@pytest.mark.parametrize(
    "text",
    ["harbor with ships", "white waves on the beach", "a large white building", "service road",
     "a mister", "office", "rice", "gray roofs", "black cars", "calm water", "cloudless"],
)  # fmt: skip
def test_other_questions_do_not(text) -> None:
    assert not asks_for_nothing(text)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A drawn coast with chips of nothing beside it, in an index of the model in the box."""
    folder = tmp_path_factory.mktemp("nothing")
    coast = draw_scene(folder / "coast.tif", pixel_size_m=5.0)
    with rasterio.open(coast.path) as scene:
        grounds = [scene.read(window=((0, 192), (left, left + 192))) for left in (0, 200, 400)]
    kinds = ("blank white", "cloud", "grey cloud", "black, noisy", "noise, colour", "noise, grey")
    drawn = draw_kinds(grounds, 2, seed=3)
    index = georclip.create_index(folder / "index", model="starter")
    index.add(coast.path)
    pictures = [(kind, pixels) for kind in kinds for pixels in drawn[kind]]
    for number, (shown, pixels) in enumerate(pictures):
        path = folder / f"nothing_{shown.replace(', ', '_').replace(' ', '_')}_{number}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", width=192, height=192, count=3, dtype="uint8",
            crs="EPSG:32629", transform=from_origin(300_000 + 1_000 * number, 4_600_000, 0.5, 0.5),
        ) as target:  # fmt: skip
            target.write(pixels)
        index.add(path)
    with index:
        yield index


QUESTIONS = (
    "harbor with ships", "beach and sea", "dense houses", "farmland", "forest", "desert",
    "calm water", "empty land", "airport with planes", "storage tanks", "road", "stadium",
)  # fmt: skip


def test_nothing_comes_among_the_first_where_something_is_asked_for(asked) -> None:
    there = {scene.name for scene in asked.scenes() if scene.name.startswith("nothing_")}
    assert len(there) == 12
    for question in QUESTIONS:
        hits = asked.search(question, k=10).hits
        assert not {hit.scene.name for hit in hits} & there, question


def test_chips_of_nothing_stay_in_the_index_and_are_found_by_those_who_want_them(asked) -> None:
    found = asked.search("desert", scene="nothing_*", k=20)
    assert len(found.hits) == 12
    assert all(hit.confidence == 0 and hit.rank_score < -0.5 for hit in found.hits)
    clouds = asked.search("clouds", scene="nothing_cloud*", k=20)
    assert clouds.hits
    assert all(hit.rank_score > -0.5 for hit in clouds.hits)


def test_the_reference_is_made_once(asked, monkeypatch) -> None:
    store, encoder = asked._writer(), asked.indexer
    kept = store.reference(NAME)
    assert kept is not None
    assert set(kept.labels) == {"blank", "cloud", "haze", "noise", "gradient"}
    judges = Judges()
    assert judges.of(store) is judges.of(store)
    calls = []

    def counted(pixels):
        calls.append(len(pixels))
        return np.ones((len(pixels), store.encoder.dim), dtype=np.float32)

    monkeypatch.setattr(encoder, "encode_images", counted)
    keep_nothing(store, encoder)
    assert not calls
    before = kept
    monkeypatch.setattr("georclip.encoders.empty_pictures.BANK", "another bank")
    keep_nothing(store, encoder)
    assert calls == [len(kept.labels)]
    store.keep_reference(NAME, before.labels, before.vectors, made_from=before.made_from)


@settings(max_examples=5)
@given(seed=st.integers(0, 100))
def test_the_benchmark_counts_what_is_put_last(seed, tmp_path_factory, capsys) -> None:
    encoder = FakeEncoder()
    colours = [("red", (200, 40, 40)), ("green", (50, 120, 50)), ("blue", (40, 70, 160))] * 4
    folder = tmp_path_factory.mktemp("pictures")
    images = draw_pictures(folder, colours, noise=12)
    chips = nothing_shown.laid_chips(encoder, images, seed=seed)
    emptiness = nothing_shown.learn(encoder, chips, seed=seed)
    rows = nothing_shown.measure(encoder, images, chips, emptiness, count=2, seed=seed)
    assert all(row.after <= row.before for row in rows)
    assert {row.kind for row in rows} >= {"cloud", "noise, colour"}
    assert "| cloud | " in capsys.readouterr().out


def test_one_picture_of_nothing_takes_no_chip_away(made) -> None:
    kinds, bank, _, _ = made
    for count, learns in ((1, False), (2, True)):
        kept = Reference(labels=tuple(kinds[:count]), vectors=bank[:count], made_from="anybody")
        store = SimpleNamespace(background=lambda: None, reference={NAME: kept}.get)
        assert (Judges().of(store).emptiness is not None) is learns
