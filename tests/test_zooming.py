"""Zooming in: footprints shrink onto what answers, and lie where they should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from georclip.georeference import Georeference, footprint_area_m2
from georclip.scenes.access import Access
from georclip.scenes.chips import chip_id
from georclip.scenes.scene import open_scene
from georclip.search import zooming
from georclip.search.evidence import LARGE, SMALL, WHOLE, find_evidence, find_part
from georclip.search.zooming import zoom_in
from georclip.testing import COLOURS, FakeEncoder
from georclip.values import Chip, Hit, Window
from tests.conftest import PLACES, write_raster

SIDE = 40
"""Of the red patch, px; chips are 160 px."""
RED = FakeEncoder().encode_texts(["red"])[0]


def patched(col, row, *, height=240, width=320, side=SIDE, seed=0):
    """Mottled brown with a red patch: (3, height, width)."""
    rng = np.random.default_rng(seed)
    pixels = np.empty((3, height, width), dtype=np.int16)
    pixels[:] = np.array(COLOURS["brown"])[:, None, None]
    pixels[:, row : row + side, col : col + side] = np.array(COLOURS["red"])[:, None, None]
    return np.clip(pixels + rng.integers(-9, 10, pixels.shape), 0, 255).astype(np.uint8)


def hit_in(scene, window, *, rank=1):
    place = Georeference(crs=scene.crs, transform=scene.transform)
    corners = (window.col_off, window.row_off, window.width, window.height)
    chip = Chip(
        chip_id=chip_id(scene.scene_id, window, 1.0),
        scene_id=scene.scene_id,
        window=window,
        footprint=place.footprint(corners),
        gsd_m=scene.gsd_m,
        scale=1.0,
        valid_fraction=1.0,
    )
    return Hit(rank=rank, score=0.5, rank_score=0.5, confidence=None, chip=chip, scene=scene)


CHIP = Window(col_off=100, row_off=40, width=160, height=160)


def shows(window, col, row, side=SIDE):
    return (
        window.col_off <= col
        and window.row_off <= row
        and col + side <= window.col_off + window.width
        and row + side <= window.row_off + window.height
    )


@settings(max_examples=15)
@given(col=st.integers(100, 220), row=st.integers(40, 160))
def test_a_patch_is_found_wherever_it_lies_in_the_chip(tmp_path_factory, col, row):
    path = write_raster(tmp_path_factory.mktemp("zoom") / "a.tif", patched(col, row))
    hit = hit_in(open_scene(str(path)), CHIP)
    (zoomed,) = zoom_in([hit], RED, FakeEncoder())
    window = zoomed.chip.window
    assert shows(window, col, row)
    assert window.width * window.height <= CHIP.width * CHIP.height / 4
    assert CHIP.col_off <= window.col_off
    assert window.col_off + window.width <= CHIP.col_off + CHIP.width
    assert CHIP.row_off <= window.row_off
    assert window.row_off + window.height <= CHIP.row_off + CHIP.height


@pytest.mark.parametrize("rotation", [0.0, 33.0])
@pytest.mark.parametrize("place", ["utm", "lonlat", "dateline", "polar"])
def test_the_footprint_is_the_windows_and_the_rest_the_chips(tmp_path, place, rotation):
    transform = PLACES[place].transform(rotation_deg=rotation)
    path = write_raster(tmp_path / "a.tif", patched(200, 60), place=place, transform=transform)
    scene = open_scene(str(path))
    hit = hit_in(scene, CHIP)
    (zoomed,) = zoom_in([hit], RED, FakeEncoder())
    window = zoomed.chip.window
    ground = Georeference(crs=scene.crs, transform=scene.transform)
    corners = (window.col_off, window.row_off, window.width, window.height)
    assert zoomed.chip.footprint.equals(ground.footprint(corners))
    patch = ground.footprint((200, 60, SIDE, SIDE))
    assert zoomed.chip.footprint.intersection(patch).area > 0.999 * patch.area
    share = footprint_area_m2(zoomed.chip.footprint) / footprint_area_m2(hit.chip.footprint)
    assert share == pytest.approx(0.25, rel=0.03)
    assert (
        replace(
            zoomed,
            chip=replace(
                zoomed.chip,
                window=hit.chip.window,
                footprint=hit.chip.footprint,
                gsd_m=hit.chip.gsd_m,
            ),
        )
        == hit
    )


def test_a_scene_is_opened_once_and_hits_keep_their_order(tmp_path, monkeypatch):
    scenes = [
        open_scene(str(write_raster(tmp_path / f"{name}.tif", patched(120, 60, seed=seed))))
        for seed, name in enumerate("ab")
    ]
    opened = []
    real = zooming.open_raster

    def counted(uri, **more):
        opened.append(uri)
        return real(uri, **more)

    monkeypatch.setattr(zooming, "open_raster", counted)
    other = replace(CHIP, col_off=60)
    hits = [
        hit_in(scenes[number], window, rank=rank)
        for rank, (number, window) in enumerate([(0, CHIP), (1, CHIP), (0, other)], start=1)
    ]
    told = []
    zoomed = zoom_in(hits, RED, FakeEncoder(), progress=lambda *done: told.append(done))
    assert opened == [scene.uri for scene in scenes]
    assert [hit.rank for hit in zoomed] == [1, 2, 3]
    assert [hit.scene for hit in zoomed] == [hit.scene for hit in hits]
    assert all(shows(hit.chip.window, 120, 60) for hit in zoomed)
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("why", ["moved", "changed", "remote"])
def test_a_scene_that_cannot_be_read_is_named_and_its_hits_stay(tmp_path, caplog, why):
    good, bad = (
        open_scene(str(write_raster(tmp_path / f"{name}.tif", patched(120, 60))))
        for name in ("good", "bad")
    )
    access = Access()
    if why == "moved":
        (tmp_path / "bad.tif").unlink()
    elif why == "changed":
        write_raster(tmp_path / "bad.tif", patched(120, 60, width=300))
    else:
        bad = replace(bad, uri="https://example.invalid/bad.tif")
    hits, told = [hit_in(bad, CHIP), hit_in(good, CHIP, rank=2)], []
    with caplog.at_level("WARNING", logger="georclip"):
        kept, zoomed = zoom_in(
            hits, RED, FakeEncoder(), access, progress=lambda *done: told.append(done)
        )
    assert kept == hits[0]
    assert zoomed.chip.window != CHIP
    assert bad.uri in caplog.text
    assert ("--allow-remote" in caplog.text) == (why == "remote")
    assert told[-1] == (2, 2)


def test_ground_without_data_draws_nobody(tmp_path):
    valid = np.ones((240, 320), dtype=bool)
    valid[40:110, 100:260] = False
    pixels = patched(190, 130)
    path = write_raster(tmp_path / "a.tif", pixels, valid=valid, validity="mask")
    (zoomed,) = zoom_in([hit_in(open_scene(str(path)), CHIP)], RED, FakeEncoder())
    assert shows(zoomed.chip.window, 190, 130)


def test_large_chips_are_read_decimated(tmp_path):
    pixels = patched(400, 300, height=800, width=900, side=160)
    path = write_raster(tmp_path / "a.tif", pixels)
    chip = Window(col_off=100, row_off=50, width=700, height=700)
    encoder = FakeEncoder()  # 32 px: the chip is read at 64 px
    shapes = []
    real = encoder.encode_images
    encoder.encode_images = lambda pictures: (shapes.append(pictures.shape), real(pictures))[1]
    (zoomed,) = zoom_in([hit_in(open_scene(str(path)), chip)], RED, encoder)
    assert shows(zoomed.chip.window, 400, 300, 160)
    assert {shape[2:] for shape in shapes} == {(64, 64), (22, 22)}  # parts hidden, parts alone


def test_no_hits_nothing_to_do():
    assert zoom_in([], RED, FakeEncoder()) == ()


def test_tiny_pictures_stay_whole():
    pixels = np.zeros((3, 15, 200), dtype=np.uint8)
    assert find_part(pixels, RED, FakeEncoder()) == WHOLE


@given(st.integers(16, 90), st.integers(16, 90), st.integers(0, 9))
def test_evidence_is_finite_and_parts_lie_inside(height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)
    assert np.isfinite(find_evidence(pixels, RED, FakeEncoder())).all()
    part = find_part(pixels, RED, FakeEncoder())
    assert part.left >= 0 and part.top >= 0
    assert part.left + part.width <= 1 and part.top + part.height <= 1


def test_a_picture_of_one_colour_has_no_evidence_and_is_cut_all_the_same():
    pixels = np.full((3, 64, 64), 128, dtype=np.uint8)
    part = find_part(pixels, RED, FakeEncoder())
    assert part.width == part.height == LARGE


def test_evidence_that_is_spread_keeps_a_larger_part():
    narrow = np.full((3, 160, 160), 128, dtype=np.uint8)
    narrow[:, 60:100, 60:100] = np.array(COLOURS["red"])[:, None, None]
    wide = np.full((3, 160, 160), 128, dtype=np.uint8)
    for row, col in ((0, 0), (0, 120), (120, 0), (120, 120)):
        wide[:, row : row + 40, col : col + 40] = np.array(COLOURS["red"])[:, None, None]
    assert find_part(narrow, RED, FakeEncoder()).width == SMALL
    assert find_part(wide, RED, FakeEncoder()).width == LARGE
