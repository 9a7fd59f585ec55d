"""Figures on the ground: against truth that is known by construction, and by a naive oracle."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from georclip.errors import (
    CaptionError,
    EncoderMismatchError,
    IndexFormatError,
    QueryError,
    SceneError,
)
from georclip.evaluation.ground_truth import Shares, judge, measure_shares
from georclip.evaluation.in_scene import InSceneSettings, measure_in_scene, measure_scales
from georclip.evaluation.mosaic import lay_mosaic, usual_side_px
from georclip.georeference import Georeference
from georclip.index.store import IndexStore
from georclip.testing import COLOURS, FakeEncoder
from tests.helpers_mosaic import draw_pictures, one_colour_each

CLASSES = ("red", "green", "blue", "yellow")
PER_CLASS = 6


class LotteryEncoder(FakeEncoder):
    """Draws the vector of each picture at random; knows texts."""

    def encode_images(self, pixels):
        rng = np.random.default_rng(np.asarray(pixels, np.int64).sum() % 2**32)
        vectors = rng.normal(size=(len(pixels), self.spec.dim)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class OtherEncoder(FakeEncoder):
    def __init__(self):
        super().__init__(name="other")
        self.spec = replace(self.spec, weights_sha256="1" * 64)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Six pictures of each of four colours, with noise so that no chip is blank."""
    colours = [(name, COLOURS[name]) for name in CLASSES for _ in range(PER_CLASS)]
    return draw_pictures(tmp_path_factory.mktemp("pictures"), colours, noise=12)


@pytest.fixture(scope="module")
def laid(tmp_path_factory):
    """Twelve cells of 2 m pixels, far from round numbers."""
    folder = tmp_path_factory.mktemp("laid")
    images = draw_pictures(folder, one_colour_each(12))
    return lay_mosaic(images, folder / "scene.tif", cell_px=40, pixel_size_m=2, seed=1)


# Truth


@given(data=st.data())
def test_shares_are_those_of_pixels_and_sum_to_one(laid, data):
    owner = np.empty((laid.height, laid.width), dtype=int)
    for number, cell in enumerate(laid.cells):
        w = cell.window
        owner[w.row_off : w.row_off + w.height, w.col_off : w.col_off + w.width] = number
    windows = []
    for _ in range(5):
        width, height = (data.draw(st.integers(5, 100)) for _ in range(2))
        col = data.draw(st.integers(0, laid.width - width))
        row = data.draw(st.integers(0, laid.height - height))
        windows.append((col, row, width, height))
    place = Georeference(crs=laid.crs, transform=laid.transform)
    shares = measure_shares([place.footprint(w) for w in windows], laid.boxes(), laid.crs)
    for number, (col, row, width, height) in enumerate(windows):
        shown = Counter(owner[row : row + height, col : col + width].ravel().tolist())
        expected = {cell: count / (width * height) for cell, count in shown.items()}
        mine = shares.chip == number
        found = dict(zip(shares.cell[mine].tolist(), shares.share[mine].tolist(), strict=True))
        for cell in expected.keys() | found.keys():
            assert found.get(cell, 0) == pytest.approx(expected.get(cell, 0), abs=1e-4)
        assert shares.share[mine].sum() == pytest.approx(1, abs=1e-6)
        assert (np.diff(shares.share[mine]) <= 0).all()
        assert shares.largest_share()[number] == pytest.approx(max(expected.values()), abs=1e-4)


@pytest.mark.parametrize("crs", ["EPSG:32601", "EPSG:32660", "EPSG:32733"])
def test_shares_are_right_in_every_zone(tmp_path, laid, crs):
    images = [cell.image for cell in laid.cells]
    other = lay_mosaic(images, tmp_path / "scene.tif", cell_px=40, pixel_size_m=2, seed=1, crs=crs)
    place = Georeference(crs=crs, transform=other.transform)
    windows = [(cell.window.col_off, cell.window.row_off, 30, 30) for cell in other.cells]
    shares = measure_shares([place.footprint(w) for w in windows], other.boxes(), crs)
    everywhere = np.ones(12, dtype=bool)
    np.testing.assert_array_equal(shares.largest(everywhere), np.arange(12))
    assert shares.shown_cells == 12
    np.testing.assert_allclose(shares.covered(everywhere), 1, atol=1e-6)


def shares_of(*chips):
    """From (cell, share) pairs of each chip, largest first."""
    entries = [(number, *pair) for number, chip in enumerate(chips) for pair in chip]
    chip, cell, share = (np.array(column) for column in zip(*entries, strict=True))
    return Shares(len(chips), 4, chip, cell, share)


def test_a_place_counts_once_and_more_than_half_is_needed():
    shares = shares_of(
        [(0, 1.0)],  # right
        [(0, 0.6), (2, 0.4)],  # the same place again
        [(2, 0.6), (0, 0.4)],  # too little of it
        [(3, 1.0)],  # another kind
        [(0, 0.3), (1, 0.3), (2, 0.4)],  # two right cells together
        [(1, 0.5), (3, 0.5)],  # half is not more than half, and the place is named
    )
    right = np.array([True, True, False, False])
    answers = judge(shares, np.arange(6), right)
    assert answers.right.tolist() == [True, False, False, False]
    assert answers.wanted == 2
    assert answers.precision(10) == 0.5
    assert answers.average_precision() == 0.5
    answers = judge(shares, np.array([4, 0, 2, 3]), right)
    assert answers.right.tolist() == [True, False, False]  # 4 and 0 are one place
    answers = judge(shares, np.array([3, 2, 5, 0]), right)
    assert answers.right.tolist() == [False, False, False, True]
    assert answers.average_precision() == pytest.approx(1 / 4 / 2)
    assert [answers.found_by(k) for k in (1, 3, 4)] == [False, False, True]
    losses = answers.losses(10)
    assert (losses.straddling, losses.mixed, losses.mistaken) == (0.5, 0, 0.5)


def test_losses_tell_straddling_mixed_and_mistaken_apart():
    shares = shares_of(
        [(3, 0.91), (0, 0.09)], [(3, 0.6), (2, 0.4)], [(2, 0.85), (0, 0.15)], [(1, 0.9), (2, 0.1)]
    )
    answers = judge(shares, np.array([2, 1, 3]), np.array([False, False, True, False]))
    assert answers.precision(3) == 1.0  # cell 2 alone is wanted: one answer counts
    right = np.array([True, False, False, False])
    for chip, kind in enumerate(("mistaken", "mixed", "straddling", "mistaken")):
        losses = judge(shares, np.array([chip]), right).losses(10)
        assert getattr(losses, kind) == 1.0
        assert losses.straddling + losses.mixed + losses.mistaken == 1.0
    nothing = judge(shares, np.empty(0, dtype=np.int64), right)
    assert nothing.precision(10) == nothing.average_precision() == 0.0
    assert nothing.losses(10).mistaken == 1.0
    with pytest.raises(ValueError, match="no cell answers"):
        judge(shares, np.arange(4), np.zeros(4, dtype=bool))


def naive_answers(chips, ranked, right):
    """As `judge` describes it, a chip at a time."""
    named, verdicts = set(), []
    for chip in ranked:
        good = sum(share for cell, share in chips[chip] if cell in right) > 0.5
        candidates = [(share, -cell) for cell, share in chips[chip] if not good or cell in right]
        place = -max(candidates)[1]
        if place not in named:
            named.add(place)
            verdicts.append(good)
    return verdicts


@given(st.data())
def test_judging_agrees_with_a_naive_reading(data):
    chips = []
    for _ in range(data.draw(st.integers(1, 12))):
        cells = data.draw(st.lists(st.integers(0, 3), min_size=1, unique=True))
        weights = np.array([data.draw(st.integers(1, 9)) for _ in cells])
        pairs = zip(cells, (weights / weights.sum()).tolist(), strict=True)
        chips.append(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))
    right = set(data.draw(st.lists(st.integers(0, 3), min_size=1)))
    ranked = data.draw(st.permutations(range(len(chips))))
    answers = judge(
        shares_of(*chips), np.array(ranked), np.array([cell in right for cell in range(4)])
    )
    expected = naive_answers(chips, ranked, right)
    assert answers.right.tolist() == expected
    assert sum(expected) <= len(right) == answers.wanted
    for k in (1, 2, 10):
        counted = min(k, len(right))
        assert answers.precision(k) == pytest.approx(sum(expected[:counted]) / counted)
        losses = answers.losses(k)
        parts = (losses.straddling, losses.mixed, losses.mistaken)
        assert sum(parts) + answers.precision(k) == pytest.approx(1) and min(parts) >= -1e-12
    ranks = [rank for rank, good in enumerate(expected, start=1) if good]
    precisions = [number / rank for number, rank in enumerate(ranks, start=1)]
    assert answers.average_precision() == pytest.approx(sum(precisions) / len(right))


# The whole way


def test_a_perfect_encoder_finds_every_place_at_every_pixel_size(pictures, tmp_path):
    settings = InSceneSettings(overlap=0.5)
    factors = (0.5, 1.0, 1.4)
    found = measure_scales(
        FakeEncoder(), pictures, folder=tmp_path / "new", settings=settings, factors=factors
    )
    for factor, figures in zip(factors, found, strict=True):
        assert figures.pixel_size_factor == factor
        assert figures.pixel_size_m == pytest.approx(10 * factor, rel=0.01)
        assert (figures.images, figures.cells) == (24, 24)
        assert figures.cell_m == pytest.approx(380, abs=15)
        assert figures.whole == 1.0
        assert figures.precision_at_k == 1.0
        assert figures.mean_average_precision > 0.95
        assert figures.losses.straddling == figures.losses.mixed == figures.losses.mistaken == 0
        assert [one.label for one in figures.by_class] == sorted(CLASSES)
        assert all(one.cells == PER_CLASS for one in figures.by_class)
        assert figures.by_chance < 0.25
        captions = figures.by_caption
        assert (captions.captions, captions.unknown) == (24, 0)
        assert captions.recall_at_1 == captions.recall_at_10 == 100.0
        assert captions.mean_average_precision > 0.95
    middle = found[1]
    assert middle.chip_sides_m == pytest.approx((200, 400, 800), rel=0.01)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "scene.tif", "scene-x0.5.tif", "scene-x1.4.tif", "index", "index-x0.5", "index-x1.4",
    }  # fmt: skip
    again = replace(settings, pixel_size_factor=1.4)
    alone = measure_in_scene(FakeEncoder(), pictures, folder=tmp_path / "one", settings=again)
    assert alone == found[2]


def test_chips_do_not_line_up_with_pictures(pictures, tmp_path):
    measure_in_scene(FakeEncoder(), pictures, folder=tmp_path, settings=InSceneSettings())
    with IndexStore.open(tmp_path / "index", writable=False) as store:
        chips = [chip for chip, _ in store.fetch(store.select().rows)]
    mosaic = lay_mosaic(pictures, tmp_path / "again.tif", cell_px=40, pixel_size_m=10)
    shares = measure_shares([chip.footprint for chip in chips], mosaic.boxes(), mosaic.crs)
    of_one_size = np.array([chip.scale == 1 for chip in chips])
    assert of_one_size.sum() >= 24
    assert (shares.largest_share()[of_one_size] < 0.99).all()


def test_an_encoder_that_draws_lots_is_near_chance(pictures, tmp_path):
    figures = [
        measure_in_scene(
            LotteryEncoder(), pictures, folder=tmp_path, settings=InSceneSettings(seed=seed)
        )
        for seed in range(4)
    ]
    # 96 answers: a standard deviation of 0.04
    mean = np.mean([one.precision_at_k for one in figures])
    assert abs(mean - np.mean([one.by_chance for one in figures])) < 0.15
    for one in figures:
        losses = one.losses
        parts = losses.straddling + losses.mixed + losses.mistaken
        assert one.precision_at_k + parts == pytest.approx(1)
        assert one.by_caption.recall_at_1 < 80
    with IndexStore.open(tmp_path / "index", writable=False) as store:
        assert len(store.scenes()) == 1  # the last layout took the others' place


def test_few_places_are_judged_by_as_many_answers(pictures, tmp_path):
    rare = [one for one in pictures if one.label != "red"] + pictures[:1]
    figures = measure_in_scene(
        FakeEncoder(), rare, folder=tmp_path, settings=InSceneSettings(seed=2)
    )
    assert figures.cells == 20  # 19 pictures: one lies there twice
    by_label = {one.label: one for one in figures.by_class}
    assert by_label["red"].cells in (1, 2)
    assert by_label["red"].precision == 1.0


def test_what_an_encoder_does_not_know_finds_nothing_and_is_said(pictures, tmp_path, caplog):
    strange = [
        replace(pictures[0], label="nowhere", sentences=("nothing to be seen",)),
        *(replace(one, label="") for one in pictures[1:]),
    ]
    figures = measure_in_scene(FakeEncoder(), strange, folder=tmp_path, settings=InSceneSettings())
    assert [one.label for one in figures.by_class] == ["nowhere"]
    assert figures.precision_at_k == figures.mean_average_precision == 0.0
    assert figures.losses.mistaken == 1.0
    assert figures.by_caption.unknown == 1
    assert figures.by_caption.recall_at_1 == pytest.approx(100 * 23 / 24)
    told = [record.message for record in caplog.records if "nowhere" in record.message]
    assert len(told) == 1
    assert not any("place" in record.message for record in caplog.records)


def test_a_question_that_fails_though_its_words_are_known_is_an_error(
    pictures, tmp_path, monkeypatch
):
    def broken(store, encoder, query):
        raise QueryError("this version is broken")

    monkeypatch.setattr("georclip.evaluation.asking.search", broken)
    with pytest.raises(QueryError, match="is broken"):
        measure_in_scene(FakeEncoder(), pictures, folder=tmp_path, settings=InSceneSettings())


def test_questions_are_counted(pictures, tmp_path):
    told = []
    measure_in_scene(
        FakeEncoder(), pictures, folder=tmp_path, settings=InSceneSettings(),
        asking=lambda *one: told.append(one),
    )  # fmt: skip
    captions = {sentence.lower() for one in pictures for sentence in one.sentences}
    total = len(CLASSES) + len(captions)  # each picture has one; equal ones are asked once
    assert told == [(number, total) for number in range(1, total + 1)]


def test_pictures_without_classes_are_asked_by_caption_alone(pictures, tmp_path):
    plain = [replace(one, label="") for one in pictures]
    figures = measure_in_scene(FakeEncoder(), plain, folder=tmp_path, settings=InSceneSettings())
    assert figures.by_class == ()
    assert figures.precision_at_k is figures.losses is figures.by_chance is None
    assert figures.mean_average_precision is None
    assert figures.by_caption.recall_at_1 == 100.0


def test_cells_suit_the_encoder(pictures, tmp_path):
    def pixel_size_m(encoder, **settings):
        figures = measure_in_scene(
            encoder, pictures[:4], folder=tmp_path / encoder.spec.name,
            settings=InSceneSettings(**settings),
        )  # fmt: skip
        return figures.pixel_size_m

    assert pixel_size_m(FakeEncoder()) == 10  # native: 40 px over 400 m
    assert pixel_size_m(FakeEncoder(image_size_px=50, name="fine")) == 8
    assert pixel_size_m(FakeEncoder(image_size_px=8, name="coarse")) == 12.5
    assert pixel_size_m(FakeEncoder(), cell_px=20) == 20
    assert pixel_size_m(FakeEncoder(ground_size_m=None, name="unknown")) == 1
    assert usual_side_px(pictures, most_px=100) == 40


def test_an_index_of_another_encoder_and_wrong_settings_are_refused(pictures, tmp_path):
    settings = InSceneSettings()
    measure_in_scene(FakeEncoder(), pictures[:4], folder=tmp_path, settings=settings)
    before = (tmp_path / "scene.tif").read_bytes()
    with pytest.raises(EncoderMismatchError):
        measure_in_scene(OtherEncoder(), pictures, folder=tmp_path, settings=settings)
    assert (tmp_path / "scene.tif").read_bytes() == before
    (tmp_path / "index-x2").write_text("in the way")
    with pytest.raises(IndexFormatError, match="is a file"):
        measure_scales(FakeEncoder(), pictures, folder=tmp_path, settings=settings, factors=(1, 2))
    assert (tmp_path / "scene.tif").read_bytes() == before
    with pytest.raises(SceneError, match="no scenes can be written"):
        occupied = pictures[0].path
        measure_in_scene(FakeEncoder(), pictures[:4], folder=occupied, settings=settings)
    with pytest.raises(CaptionError, match="no pictures"):
        measure_in_scene(FakeEncoder(), [], folder=tmp_path, settings=settings)
    for wrong in (
        {"k": 0}, {"cell_px": 0}, {"trim": 0.6}, {"overlap": 1.0}, {"scales": ()},
        {"pixel_size_factor": 0.0}, {"pixel_size_factor": float("nan")},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"must"):
            InSceneSettings(**wrong)
