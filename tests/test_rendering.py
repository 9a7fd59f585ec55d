from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from georclip.errors import SceneError
from georclip.scenes.quality import fill_invalid, is_blank, is_saturated
from georclip.scenes.rendering import choose_bands, find_stretch, render, valid_by_value
from georclip.values import Rendering

ALL = np.ones((50, 50), dtype=bool)


def dataset(count: int, meanings="", names=(), tags=(), waves=()):
    """What `choose_bands` looks at, without a file."""
    described = meanings.split(",") if meanings else ["gray"] + ["undefined"] * (count - 1)

    def read_tags(band: int, ns: str | None = None) -> dict[str, str]:
        if ns == "IMAGERY":
            return {"CENTRAL_WAVELENGTH_UM": waves[band - 1]} if waves else {}
        return {"BandName": tags[band - 1]} if tags else {}

    return SimpleNamespace(
        count=count,
        colorinterp=[SimpleNamespace(name=name) for name in described],
        descriptions=tuple(names) or (None,) * count,
        tags=read_tags,
    )


def rendering(low: float, high: float) -> Rendering:
    return Rendering(
        bands=(1, 2, 3), low=(low,) * 3, high=(high,) * 3, bands_from="count", stretch_from="asked"
    )


@pytest.mark.parametrize(
    ("raster", "bands", "found_from"),
    [
        (dataset(1), (1, 1, 1), "count"),
        (dataset(2), (1, 1, 1), "count"),
        (dataset(2, "gray,alpha"), (1, 1, 1), "count"),
        (dataset(3), (1, 2, 3), "count"),
        (dataset(4), (1, 2, 3), "count"),
        (dataset(8), (3, 2, 1), "count"),
        (dataset(1, "palette"), (1, 1, 1), "palette"),
        (dataset(3, "red,green,blue"), (1, 2, 3), "colour interpretation"),
        (dataset(4, "blue,green,red,undefined"), (3, 2, 1), "colour interpretation"),
        (dataset(4, "alpha,blue,green,red"), (4, 3, 2), "colour interpretation"),
        (dataset(4, names=("B02", "B03", "B04", "B08")), (3, 2, 1), "description"),
        (dataset(4, names=("B4", "B3", "B2", "B8")), (1, 2, 3), "description"),
        (dataset(4, names=("Blue", "Green", "Red", "NIR")), (3, 2, 1), "description"),
        (dataset(5, names=("blue", "green", "red edge", "red", "nir")), (4, 2, 1), "description"),
        (dataset(3, names=("b", "g", "r")), (3, 2, 1), "description"),
        (dataset(7, names=tuple(f"SR_B{n}" for n in range(1, 8))), (4, 3, 2), "description"),
        (dataset(6, names=tuple(f"SR_B{n}" for n in (1, 2, 3, 4, 5, 7))), (3, 2, 1), "description"),
        (dataset(3, names=("B4, central wavelength 665 nm", "B3", "B2")), (1, 2, 3), "description"),
        (dataset(3, tags=("Blue", "Green", "Red")), (3, 2, 1), "description"),
        (dataset(3, waves=("0.490", "0.560", "0.665")), (3, 2, 1), "description"),
        (dataset(3, waves=("x", "y", "z")), (1, 2, 3), "count"),
        (dataset(3, names=("VV", "VH", "ratio")), (1, 2, 3), "count"),
    ],
)
def test_bands_are_found(raster, bands, found_from: str) -> None:
    assert choose_bands(raster) == (bands, found_from)


def test_what_is_asked_wins() -> None:
    assert choose_bands(dataset(4, "red,green,blue,alpha"), (4, 1, 1)) == ((4, 1, 1), "asked")


@pytest.mark.parametrize("asked", [(0, 1, 2), (1, 2, 5), (-1, 1, 1), (1, 2)])
def test_bands_that_are_not_there_are_refused(asked) -> None:
    with pytest.raises(SceneError, match="from 1 to 4"):
        choose_bands(dataset(4), asked)


def test_8_bit_is_left_alone() -> None:
    values = np.random.default_rng(0).integers(0, 256, (3, 50, 50), dtype=np.uint8)
    found = find_stretch(values, ALL, (1, 2, 3), "count")
    assert found.stretch_from == "none"
    assert np.array_equal(render(values, found), values)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "float32", "float64"])
def test_one_stretch_uses_the_range_and_shrugs_at_outliers(dtype: str) -> None:
    ramp = np.linspace(1000, 3000, 2500).reshape(50, 50)
    values = np.stack([ramp, ramp / 2, ramp * 2]).astype(dtype)
    values[:, 0, :5] = 30_000
    found = find_stretch(values, ALL, (1, 2, 3), "count")
    assert found.stretch_from == "percentiles"
    assert found.low == pytest.approx((1040, 520, 2080), rel=0.02)
    assert found.high == pytest.approx((2960, 1480, 5920), rel=0.02)
    shown = render(values, found)
    assert shown.min() == 0
    assert shown.max() == 255
    assert abs(int(np.median(shown)) - 128) < 5


def test_invalid_pixels_and_undeclared_fill_do_not_count() -> None:
    values = np.full((3, 50, 50), 9999, dtype=np.uint16)
    values[:, :20] = 0
    values[:, 20:40] = np.linspace(400, 600, 1000).reshape(20, 50)
    valid = np.ones((50, 50), dtype=bool)
    valid[40:] = False
    found = find_stretch(values, valid, (1, 2, 3), "count")
    assert found.low[0] == pytest.approx(404, abs=3)
    assert found.high[0] == pytest.approx(596, abs=3)


def test_a_constant_scene_is_no_division_by_zero() -> None:
    values = np.full((3, 50, 50), 7, dtype=np.uint16)
    assert render(values, find_stretch(values, ALL, (1, 2, 3), "count")).max() == 0


@pytest.mark.parametrize(
    ("dtype", "top"), [("uint8", 255.0), ("uint16", 65535.0), ("int16", 32767.0), ("float32", 1.0)]
)
def test_no_stretch_takes_the_range_of_the_type(dtype: str, top: float) -> None:
    found = find_stretch(np.zeros((3, 50, 50), dtype=dtype), ALL, (1, 2, 3), "count", "none")
    assert (found.low[0], found.high[0], found.stretch_from) == (0.0, top, "none")


def test_a_stretch_that_was_asked_for_is_taken() -> None:
    values = np.array([0, 100, 150, 200, 999], dtype=np.uint16).reshape(1, 1, 5).repeat(3, axis=0)
    found = find_stretch(values, np.ones((1, 5), bool), (1, 2, 3), "count", (100, 200))
    assert found.stretch_from == "asked"
    assert render(values, found)[0, 0].tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize("asked", [(5, 5), (9, 1), (float("nan"), 1), (0, float("inf"))])
def test_a_stretch_that_is_no_interval_is_refused(asked) -> None:
    with pytest.raises(SceneError, match="LOW < HIGH"):
        find_stretch(np.zeros((3, 2, 2)), np.ones((2, 2), bool), (1, 2, 3), "count", asked)


def test_what_is_not_finite_is_shown_as_something() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 0.5], dtype=np.float32).reshape(1, 1, 4)
    shown = render(values.repeat(3, axis=0), rendering(0.0, 1.0))
    assert shown[0, 0].tolist() == [0, 255, 0, 128]


@given(st.floats(-1e6, 1e6), st.floats(0.1, 1e6), st.sampled_from(["float32", "float64", "int32"]))
def test_rendering_keeps_the_order_of_values(low: float, span: float, dtype: str) -> None:
    values = np.linspace(low - span, low + 2 * span, 60).astype(dtype).reshape(1, 6, 10)
    shown = render(values.repeat(3, axis=0), rendering(low, low + span))
    assert (np.diff(shown[0].ravel().astype(int)) >= 0).all()


def test_large_values_keep_their_differences() -> None:
    values = np.array([2e9, 2e9 + 51, 2e9 + 100]).astype(np.uint32).reshape(1, 1, 3)
    shown = render(values.repeat(3, axis=0), rendering(2e9, 2e9 + 100))
    assert shown[0, 0].tolist() == [0, 130, 255]


@pytest.mark.parametrize(
    ("dtype", "nodata", "expected"),
    [
        ("uint8", None, None),
        ("uint8", 0.0, [False, True, True]),
        ("uint8", -9999.0, [True, True, True]),
        ("uint8", 0.5, [True, True, True]),
        ("float32", None, [True, True, True]),
        ("float32", 0.0, [False, True, True]),
        ("float32", float("nan"), [True, True, True]),
    ],
)
def test_nodata_by_value(dtype: str, nodata: float | None, expected) -> None:
    values = np.array([[0, 0, 7], [0, 5, 7], [0, 0, 7]], dtype=dtype)[:, None]
    valid = valid_by_value(values, [nodata] * 3)
    assert valid is None if expected is None else valid[0].tolist() == expected


def test_nodata_by_value_in_floats() -> None:
    declared = -1.7e38
    values = np.array([declared * (1 + 1e-7), np.nan, np.inf, 3.0], dtype=np.float32)
    valid = valid_by_value(values[None, None].repeat(3, axis=0), [declared] * 3)
    assert valid is not None
    assert valid[0].tolist() == [False, False, False, True]


def test_a_pixel_with_a_hole_in_one_band_is_not_usable() -> None:
    values = np.ones((3, 1, 2), dtype=np.float32)
    values[1, 0, 0] = np.nan
    valid = valid_by_value(values, [None] * 3)
    assert valid is not None
    assert valid[0].tolist() == [False, True]


def test_blank_and_saturated() -> None:
    noise = np.random.default_rng(0).integers(20, 200, (3, 64, 64), dtype=np.uint8)
    flat = np.full((3, 64, 64), 77, dtype=np.uint8)
    flat[:, 0, 0] = 200
    assert is_blank(flat, None)
    assert not is_blank(noise, None)
    boat = flat.copy()
    boat[:, 30:36, 30:36] = 240
    assert not is_blank(boat, None)
    wedge = noise.copy()
    wedge[:, :20] = 254
    assert is_saturated(wedge, None, stretched=False)
    assert not is_saturated(wedge, None, stretched=True)
    assert not is_saturated(noise, None, stretched=False)
    red = noise.copy()
    red[0], red[1:] = 255, 0
    assert not is_saturated(red, None, stretched=False)
    outside = np.ones((64, 64), dtype=bool)
    outside[:20] = False
    assert not is_saturated(wedge, outside, stretched=False)


def test_filling_takes_the_mean_and_pads_all_round() -> None:
    pixels = np.zeros((3, 4, 6), dtype=np.uint8)
    pixels[:, :, :3] = np.array([10, 20, 30], dtype=np.uint8)[:, None, None]
    valid = np.zeros((4, 6), dtype=bool)
    valid[:, :3] = True
    filled, known = fill_invalid(pixels, valid, (8, 8))
    assert (filled == np.array([10, 20, 30])[:, None, None]).all()
    assert known.sum() == 12
    assert known[2:6, 1:4].all()
