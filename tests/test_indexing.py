"""Scene to encoder to index: whole or not at all, resumed where it stopped, in order."""

import time
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from georclip.errors import EncoderError, EncoderMismatchError, GeorclipError, SceneError
from georclip.index import staging
from georclip.index.store import IndexStore
from georclip.indexing import estimate, index_scene
from georclip.scenes.chips import resolve_plan
from georclip.scenes.scene import open_scene
from georclip.testing import COLOURS, FakeEncoder
from georclip.values import ChipPlan

PLAN = ChipPlan(size=64, unit="px", overlap=0.25, scales=(1.0, 2.0))
MEMORY = 256_000_000


class StoppingEncoder(FakeEncoder):
    """Works for a number of calls, then fails as a killed process would."""

    def __init__(self, calls):
        super().__init__()
        self.calls = calls

    def encode_images(self, pixels):
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        return super().encode_images(pixels)


class OtherEncoder(FakeEncoder):
    def __init__(self):
        super().__init__(name="other")
        self.spec = replace(self.spec, weights_sha256="1" * 64)


class NanEncoder(FakeEncoder):
    def encode_images(self, pixels):
        return np.full((len(pixels), self.spec.dim), np.nan, dtype=np.float32)


@pytest.fixture
def scene_path(tmp_path):
    """Four colours in four quarters, with noise so that no chip is blank."""
    rng = np.random.default_rng(3)
    pixels = np.zeros((3, 320, 320), dtype=np.int16)
    for colour, (row, col) in zip(
        ("red", "green", "blue", "yellow"), ((0, 0), (0, 160), (160, 0), (160, 160)), strict=True
    ):
        pixels[:, row : row + 160, col : col + 160] = np.array(COLOURS[colour])[:, None, None]
    pixels = np.clip(pixels + rng.integers(-12, 13, pixels.shape), 0, 255).astype(np.uint8)
    path = tmp_path / "quarters.tif"
    with rasterio.open(path, "w", driver="GTiff", width=320, height=320, count=3, dtype="uint8",
                       crs="EPSG:32618", transform=from_origin(500_000, 4_000_000, 2, 2),
                       tiled=True, blockxsize=128, blockysize=128) as target:  # fmt: skip
        target.write(pixels)
    return path


def contents(store):
    rows = store.select().rows
    vectors = store.vectors(rows)
    return {
        chip.chip_id: (chip.window, chip.scale, tuple(vector))
        for (chip, _), vector in zip(store.fetch(rows), vectors, strict=True)
    }


def test_colours_are_found_where_they_are(scene_path, tmp_path):
    encoder = FakeEncoder()
    with IndexStore.create(tmp_path / "i", encoder=encoder.spec, plan=PLAN) as store:
        report = index_scene(store, encoder, open_scene(str(scene_path)), PLAN, memory_bytes=MEMORY)
        assert report.outcome == "added"
        assert report.chips == len(store.select().rows) > 0
        for colour, col, row in (("red", 0, 0), ("green", 1, 0), ("blue", 0, 1), ("yellow", 1, 1)):
            rows = store.select().rows
            best, _ = store.top(encoder.encode_texts([colour])[0], rows, 1)[0]
            window = store.fetch([best])[0][0].window
            centre = (window.col_off + window.width / 2, window.row_off + window.height / 2)
            assert (centre[0] > 160, centre[1] > 160) == (bool(col), bool(row))


@pytest.mark.parametrize("calls", [0, 1, 3])
def test_a_run_that_was_stopped_goes_on_to_the_same_result(scene_path, tmp_path, calls):
    scene = open_scene(str(scene_path))
    encoder = FakeEncoder()
    options = {"memory_bytes": MEMORY, "batch_size": 8}
    with IndexStore.create(tmp_path / "whole", encoder=encoder.spec, plan=PLAN) as store:
        index_scene(store, encoder, scene, PLAN, **options)
        expected = contents(store)
    with (
        IndexStore.create(tmp_path / "broken", encoder=encoder.spec, plan=PLAN) as store,
        pytest.raises(KeyboardInterrupt),
    ):
        index_scene(store, StoppingEncoder(calls), scene, PLAN, **options)
    with IndexStore.open(tmp_path / "broken", writable=True) as store:
        assert contents(store) == {}
        seen = []
        index_scene(store, encoder, scene, PLAN, progress=lambda *n: seen.append(n), **options)
        assert contents(store) == expected
    assert seen[-1][0] == seen[-1][1] == resolve_plan(scene, PLAN, None, 8).chip_count


def test_same_scene_is_left_alone_and_a_changed_plan_replaces_it(scene_path, tmp_path):
    encoder = FakeEncoder()
    scene = open_scene(str(scene_path))
    with IndexStore.create(tmp_path / "i", encoder=encoder.spec, plan=PLAN) as store:
        first = index_scene(store, encoder, scene, PLAN, memory_bytes=MEMORY)
        stopping = StoppingEncoder(0)
        assert index_scene(store, stopping, scene, PLAN, memory_bytes=MEMORY).outcome == "unchanged"
        coarse = ChipPlan(size=128, unit="px")
        second = index_scene(store, encoder, scene, coarse, memory_bytes=MEMORY)
        assert second.outcome == "replaced"
        assert second.recut and not first.recut
        assert second.chips == len(contents(store)) < first.chips


def test_a_moved_scene_keeps_its_chips_and_a_copy_is_named(scene_path, tmp_path, caplog):
    encoder = FakeEncoder()
    copy = tmp_path / "copy.tif"
    copy.write_bytes(scene_path.read_bytes())
    with IndexStore.create(tmp_path / "i", encoder=encoder.spec, plan=PLAN) as store:
        first = index_scene(store, encoder, open_scene(str(scene_path)), PLAN, memory_bytes=MEMORY)
        second = index_scene(store, encoder, open_scene(str(copy)), PLAN, memory_bytes=MEMORY)
        assert (second.outcome, second.chips) == ("moved", first.chips)
        assert second.scene.uri == str(copy)
        assert f"still lie at {scene_path}" in caplog.text
        caplog.clear()
        copy.rename(scene_path)
        copy.unlink(missing_ok=True)
        third = index_scene(store, encoder, open_scene(str(scene_path)), PLAN, memory_bytes=MEMORY)
        assert third.outcome == "moved"
        assert caplog.text == ""


def test_another_encoder_is_refused(scene_path, tmp_path):
    encoder = FakeEncoder()
    other = OtherEncoder()
    with (
        IndexStore.create(tmp_path / "i", encoder=encoder.spec, plan=PLAN) as store,
        pytest.raises(EncoderMismatchError, match="other"),
    ):
        index_scene(store, other, open_scene(str(scene_path)), PLAN, memory_bytes=MEMORY)


def test_vectors_that_are_no_numbers_never_enter(scene_path, tmp_path):
    encoder = NanEncoder()
    with IndexStore.create(tmp_path / "i", encoder=encoder.spec, plan=PLAN) as store:
        with pytest.raises(EncoderError, match="not numbers"):
            index_scene(store, encoder, open_scene(str(scene_path)), PLAN, memory_bytes=MEMORY)
        assert store.scenes() == ()


def test_a_reader_error_reaches_the_caller_and_leaves_the_index_as_it_was(scene_path, tmp_path):
    encoder = FakeEncoder()
    scene = open_scene(str(scene_path))
    scene_path.write_bytes(scene_path.read_bytes()[:60_000])
    with IndexStore.create(tmp_path / "i", encoder=encoder.spec, plan=PLAN) as store:
        with pytest.raises(SceneError, match="quarters"):
            index_scene(store, encoder, scene, PLAN, memory_bytes=MEMORY)
        assert store.scenes() == ()


def test_estimate_counts_chips_and_bytes(scene_path):
    encoder = FakeEncoder()
    scene = open_scene(str(scene_path))
    plans = [resolve_plan(scene, PLAN, None, 8)] * 2
    guess = estimate(encoder, plans)
    assert guess.chips == 2 * plans[0].chip_count
    assert guess.index_bytes > guess.chips * encoder.spec.dim * 2
    assert guess.seconds > 0


def test_a_report_says_which_part_was_the_limit(scene_path, tmp_path):
    class SlowEncoder(FakeEncoder):
        def encode_images(self, pixels):
            time.sleep(0.1)
            return super().encode_images(pixels)

    encoder = SlowEncoder()
    with IndexStore.create(tmp_path / "i", encoder=encoder.spec, plan=PLAN) as store:
        scene = open_scene(str(scene_path))
        report = index_scene(store, encoder, scene, PLAN, memory_bytes=MEMORY, batch_size=8)
        again = index_scene(store, encoder, scene, PLAN, memory_bytes=MEMORY)
    assert report.encoded == report.chips
    assert report.limit == "encoding"
    assert report.rates["encoding"] < min(report.rates["reading"], report.rates["writing"])
    assert report.elapsed_s >= max(report.reading_s, report.encoding_s, report.writing_s)
    assert (again.encoded, again.limit) == (0, None)


def test_a_resumed_run_counts_its_own_chips(scene_path, tmp_path, monkeypatch):
    monkeypatch.setattr(staging, "PART_CHIPS", 8)
    scene, encoder = open_scene(str(scene_path)), FakeEncoder()
    options = {"memory_bytes": MEMORY, "batch_size": 8}
    with IndexStore.create(tmp_path / "i", encoder=encoder.spec, plan=PLAN) as store:
        with pytest.raises(KeyboardInterrupt):
            index_scene(store, StoppingEncoder(2), scene, PLAN, **options)
        report = index_scene(store, encoder, scene, PLAN, **options)
    assert report.encoded == report.chips - 8  # a batch of two shapes is two calls


def test_a_disk_that_fails_is_told_once_and_the_run_goes_on_later(scene_path, tmp_path):
    scene, encoder = open_scene(str(scene_path)), FakeEncoder()
    options = {"memory_bytes": MEMORY, "batch_size": 8}
    with IndexStore.create(tmp_path / "whole", encoder=encoder.spec, plan=PLAN) as store:
        index_scene(store, encoder, scene, PLAN, **options)
        expected = contents(store)
    with IndexStore.create(tmp_path / "i", encoder=encoder.spec, plan=PLAN) as store:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(staging, "PART_CHIPS", 8)
            write, calls = staging.write_synced, []

            def full(path, content):
                calls.append(path)
                if len(calls) == 3:  # the second part's vectors
                    raise OSError(28, "No space left on device")
                write(path, content)

            patch.setattr(staging, "write_synced", full)
            with pytest.raises(GeorclipError, match="No space left"):
                index_scene(store, encoder, scene, PLAN, **options)
        assert store.scenes() == ()
        report = index_scene(store, encoder, scene, PLAN, **options)
        assert report.encoded == report.chips - 8
        assert contents(store) == expected
