"""The drawn scene tells the truth about itself, and the fake encoder is an encoder."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from georclip.errors import QueryError
from georclip.testing import COLOURS, FakeEncoder, draw_scene

COARSE_M = 5.0


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_scene(tmp_path_factory.mktemp("drawn") / "coast.tif", pixel_size_m=COARSE_M)


@pytest.fixture(scope="module")
def pixels(drawn):
    with rasterio.open(drawn.path) as dataset:
        return dataset.read()


def cut(pixels, window):
    rows = slice(window.row_off, window.row_off + window.height)
    return pixels[:, rows, window.col_off : window.col_off + window.width].astype(float)


def test_file_is_what_the_value_says(drawn):
    with rasterio.open(drawn.path) as dataset:
        assert (dataset.width, dataset.height) == (drawn.width, drawn.height) == (600, 480)
        assert dataset.crs.to_string() == drawn.crs
        assert tuple(dataset.transform)[:6] == drawn.transform
        assert dataset.dtypes == ("uint8",) * 3
        assert dataset.tags()["TIFFTAG_DATETIME"].startswith("2024:06:15")


def test_same_seed_same_pixels_and_another_seed_others(drawn, pixels, tmp_path):
    again = draw_scene(tmp_path / "again.tif", pixel_size_m=COARSE_M)
    other = draw_scene(tmp_path / "other.tif", pixel_size_m=COARSE_M, seed=1)
    with rasterio.open(again.path) as dataset:
        np.testing.assert_array_equal(dataset.read(), pixels)
    with rasterio.open(other.path) as dataset:
        assert (dataset.read() != pixels).mean() > 0.3
    assert [place.window for place in other.places] == [place.window for place in drawn.places]


def test_pixel_size_out_of_range_is_refused(tmp_path):
    for size in (0.0, 0.4, 11.0, float("nan")):
        with pytest.raises(ValueError, match="pixel_size_m"):
            draw_scene(tmp_path / "never.tif", pixel_size_m=size)
    assert not list(tmp_path.iterdir())


def test_places_lie_inside_and_apart(drawn):
    assert {place.name for place in drawn.places} >= {
        "harbor", "airport", "farmland", "forest", "dense houses", "storage tanks", "stadium",
    }  # fmt: skip
    covered = np.zeros((drawn.height, drawn.width), int)
    for place in drawn.places:
        window = place.window
        assert window.col_off >= 0 and window.col_off + window.width <= drawn.width
        assert window.row_off >= 0 and window.row_off + window.height <= drawn.height
        rows = slice(window.row_off, window.row_off + window.height)
        covered[rows, window.col_off : window.col_off + window.width] += 1
    assert covered.max() == 1


def test_small_things_lie_where_they_were_drawn(drawn, pixels):
    count = {name: 0 for name in ("ship", "plane", "storage tank")}
    homes = {"ship": "harbor", "plane": "airport", "storage tank": "storage tanks"}
    for thing in drawn.things:
        count[thing.name] += 1
        window, home = thing.window, drawn.place(homes[thing.name]).footprint
        assert 25 <= COARSE_M * max(window.width, window.height) <= 220
        if thing.name != "ship":  # two of those are under way
            assert home.covers(thing.footprint.centroid)
        if thing.name == "storage tank":
            middle = dataclasses.replace(
                window,
                col_off=window.col_off + window.width // 3,
                row_off=window.row_off + window.height // 3,
                width=max(1, window.width // 3),
                height=max(1, window.height // 3),
            )
            assert cut(pixels, middle).mean() > 160  # pale roofs on brown ground, of about 130
    assert count == {"ship": 9, "plane": 22, "storage tank": 24}


def test_footprints_are_the_windows_on_the_ground(drawn):
    from pyproj import Transformer

    to_lonlat = Transformer.from_crs(drawn.crs, "EPSG:4326", always_xy=True)
    for place in drawn.places:
        col = place.window.col_off + place.window.width / 2
        row = place.window.row_off + place.window.height / 2
        x = drawn.transform[2] + col * drawn.transform[0]
        y = drawn.transform[5] + row * drawn.transform[4]
        lon, lat = to_lonlat.transform(x, y)
        assert drawn.place_at(lon, lat) == place
    assert drawn.place_at(0.0, 0.0) is None


def test_a_chip_shows_the_places_that_fill_it_or_lie_in_it(drawn):
    from shapely.geometry import box

    def shown(footprint):
        return [place.name for place in drawn.places_in(footprint)]

    everything = box(-9.5, 39.5, -8.5, 40.5)
    assert shown(everything) == [place.name for place in drawn.places]
    assert shown(drawn.place("forest").footprint.centroid.buffer(0.001)) == ["forest"]
    west, south, east, north = drawn.place("stadium").footprint.bounds
    assert shown(box(west - (east - west) * 0.4, south, east - (east - west) * 0.4, north)) == [
        "stadium"
    ]
    assert shown(box(west - (east - west) * 0.6, south, east - (east - west) * 0.6, north)) == []


def test_unknown_place_names_the_known_ones(drawn):
    with pytest.raises(KeyError, match="storage tanks"):
        drawn.place("volcano")


def test_places_look_like_what_they_are(drawn, pixels):
    def mean(name):
        return cut(pixels, drawn.place(name).window).mean(axis=(1, 2))

    forest, farmland, tanks = mean("forest"), mean("farmland"), mean("storage tanks")
    assert forest[1] > max(forest[0], forest[2])  # green
    assert forest.sum() < 0.6 * farmland.sum()  # and dark
    assert np.ptp(tanks) < 25  # concrete and white steel are grey
    harbor = cut(pixels, drawn.place("harbor").window)
    water = (harbor[2] > harbor[0] + 10) & (harbor.sum(axis=0) < 260)
    assert 0.2 < water.mean() < 0.7


def test_no_place_is_flat(drawn, pixels):
    for place in drawn.places:
        assert cut(pixels, place.window).std(axis=(1, 2)).min() > 5, place.name


def test_drawn_values_are_frozen(drawn):
    with pytest.raises(dataclasses.FrozenInstanceError):
        drawn.places[0].name = "elsewhere"


@given(level=st.tuples(*[st.integers(0, 255)] * 3), side=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_images_become_unit_vectors(level, side):
    picture = np.broadcast_to(np.array(level, np.uint8)[None, :, None, None], (2, 3, side, side))
    vectors = FakeEncoder().encode_images(picture)
    assert vectors.shape == (2, len(COLOURS)) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("word", COLOURS)
def test_a_colour_word_finds_its_colour(word):
    encoder = FakeEncoder()
    pictures = np.zeros((len(COLOURS), 3, 8, 8), np.uint8)
    pictures[:] = np.array(list(COLOURS.values()), np.uint8)[:, :, None, None]
    scores = encoder.encode_images(pictures) @ encoder.encode_texts([f"a {word} roof"])[0]
    assert list(COLOURS)[int(scores.argmax())] == word


def test_texts_without_a_colour_are_refused_and_unknown_words_named():
    encoder = FakeEncoder()
    assert encoder.unknown_words("the Green harbor with ships") == ("harbor", "ships")
    for text in ("harbor", ""):
        with pytest.raises(QueryError, match="green"):
            encoder.encode_texts([text])


def test_spec_is_of_the_protocols_type():
    from georclip.values import EncoderSpec

    spec = FakeEncoder(ground_size_m=None, image_size_px=64, name="mine").spec
    assert isinstance(spec, EncoderSpec)
    assert (spec.name, spec.image_size_px, spec.ground_size_m, spec.dim) == ("mine", 64, None, 8)
