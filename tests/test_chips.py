from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from georclip.errors import SceneError
from georclip.georeference import Georeference
from georclip.scenes.chips import chip_id, chip_windows, reading_runs, resolve_plan, rows_held
from georclip.values import ChipPlan, Rendering, Scene, Window

KNOWN = (75.0, 400.0, 2000.0)


def scene(
    width: int = 2000, height: int = 1500, *, pixel_m: float = 1.0, tall: float = 1.0
) -> Scene:
    """A scene on UTM's central meridian, where a metre is a metre."""
    transform = (pixel_m, 0.0, 500_000.0, 0.0, -pixel_m * tall, 5_300_000.0)
    place = Georeference(crs="EPSG:32632", transform=transform)
    return Scene(
        scene_id="0123456789abcdef",
        uri="/data/scene.tif",
        name="scene.tif",
        crs="EPSG:32632",
        transform=transform,
        width=width,
        height=height,
        band_count=3,
        dtype="uint8",
        nodata=None,
        gsd_m=place.gsd_m(width / 2, height / 2),
        acquired=datetime(2020, 1, 1, tzinfo=UTC),
        rendering=Rendering(
            bands=(1, 2, 3),
            low=(0.0, 0.0, 0.0),
            high=(255.0, 255.0, 255.0),
            bands_from="count",
            stretch_from="none",
        ),
    )


def sides(resolved) -> dict[float, tuple[int, int]]:
    return {level.scale: (level.width_px, level.height_px) for level in resolved.levels}


@pytest.mark.parametrize(
    ("pixel_m", "expected"),
    [
        (2.0, {0.5: (100, 100), 1.0: (200, 200), 2.0: (400, 400)}),  # the typical ground
        (1.0, {0.5: (200, 200), 1.0: (400, 400), 2.0: (800, 800)}),
        (5.0, {0.5: (64, 64), 1.0: (128, 128), 2.0: (256, 256)}),  # at least the tower's side
        (10.0, {0.5: (64, 64), 1.0: (128, 128)}),  # twice would be more than is known
        (0.5, {0.5: (256, 256), 1.0: (512, 512), 2.0: (1024, 1024)}),  # at most four sides
        (0.2, {1.0: (512, 512), 2.0: (1024, 1024)}),  # half would be less than is known
        (0.1, {2.0: (1024, 1024)}),  # and here the side itself is
        (100.0, {1.0: (128, 128)}),  # nothing fits: still cut, with a warning
    ],
)
def test_auto_covers_ground_that_the_encoder_knows(pixel_m: float, expected) -> None:
    resolved = resolve_plan(scene(pixel_m=pixel_m), ChipPlan(), KNOWN, 128)
    assert sides(resolved) == expected
    assert any("knows" in note for note in resolved.notes)
    assert any("warning" in note for note in resolved.notes) == (pixel_m == 100.0)


def test_auto_stays_inside_a_small_scene() -> None:
    resolved = resolve_plan(scene(300, 250, pixel_m=1.0), ChipPlan(), KNOWN, 128)
    assert sides(resolved) == {0.5: (125, 125), 1.0: (250, 250)}


def test_auto_without_known_ground_takes_native_pixels() -> None:
    resolved = resolve_plan(scene(), ChipPlan(), None, 224)
    assert sides(resolved) == {1.0: (224, 224)}


def test_scales_that_were_asked_for_are_kept_as_they_are() -> None:
    resolved = resolve_plan(scene(), ChipPlan(scales=(1.0, 3.0)), KNOWN, 128)
    assert set(sides(resolved)) == {1.0, 3.0}


def test_sizes_in_metres_and_pixels() -> None:
    metres = resolve_plan(scene(pixel_m=0.5), ChipPlan(size=100, unit="m"), KNOWN, 128)
    assert sides(metres) == {1.0: (200, 200)}
    pixels = resolve_plan(scene(pixel_m=0.5), ChipPlan(size=100, unit="px"), KNOWN, 128)
    assert sides(pixels) == {1.0: (100, 100)}


@pytest.mark.parametrize(
    ("tall", "shape"), [(1.09, (200, 200)), (1.5, (200, 133)), (0.5, (200, 400))]
)
def test_chips_are_square_on_the_ground(tall: float, shape: tuple[int, int]) -> None:
    resolved = resolve_plan(scene(pixel_m=1.0, tall=tall), ChipPlan(size=200, unit="m"), None, 128)
    width, height = sides(resolved)[1.0]
    if tall == 1.09:  # within a tenth: square in pixels, of the mean size
        assert width == height == pytest.approx(200 / 1.09**0.5, abs=1)
    else:
        assert (width, height) == pytest.approx(shape, abs=1)


@pytest.mark.parametrize(
    ("size", "warned"), [(40.0, True), (60.0, False), (2900.0, False), (3100.0, True)]
)
def test_sizes_far_outside_are_allowed_and_warned_about(size: float, warned: bool) -> None:
    resolved = resolve_plan(scene(5000, 5000), ChipPlan(size=size, unit="m"), KNOWN, 32)
    assert any("warning" in note for note in resolved.notes) is warned


def test_padding_and_enlarging_are_said() -> None:
    padded = resolve_plan(scene(100, 90), ChipPlan(size=200, unit="px"), None, 128)
    assert any("padded" in note for note in padded.notes)
    small = resolve_plan(scene(), ChipPlan(size=40, unit="px"), None, 128)
    assert any("enlarged" in note for note in small.notes)


def test_chips_of_no_size_are_refused() -> None:
    with pytest.raises(SceneError, match=r"ask for at least 8[01] m"):
        resolve_plan(scene(pixel_m=10.0), ChipPlan(size=20, unit="m"), KNOWN, 128)


def test_large_chips_are_decimated_by_powers_of_two() -> None:
    resolved = resolve_plan(scene(9000, 9000), ChipPlan(size=1100, unit="px"), None, 128)
    (level,) = resolved.levels
    assert level.factor == 4
    assert level.width_px % 4 == level.stride_x_px % 4 == 0
    assert level.width_px == pytest.approx(1100, abs=2)


def test_scales_that_come_to_the_same_windows_are_one() -> None:
    resolved = resolve_plan(scene(), ChipPlan(size=100, unit="px", scales=(1.0, 1.001)), None, 128)
    assert len(resolved.levels) == 1


plans = st.builds(
    ChipPlan,
    size=st.integers(20, 400).map(float),
    unit=st.just("px"),
    overlap=st.floats(0, 0.9),
    scales=st.sampled_from([(1.0,), (1.0, 2.0), (0.5, 1.0, 4.0)]),
)


@given(width=st.integers(1, 1500), height=st.integers(1, 1500), plan=plans)
def test_windows_cover_the_scene_and_stay_inside(width: int, height: int, plan: ChipPlan) -> None:
    ours = scene(width, height)
    resolved = resolve_plan(ours, plan, None, 32)
    windows = list(chip_windows(ours, resolved))
    assert len(windows) == resolved.chip_count == len(set(windows))
    for level in resolved.levels:
        here = [window for window, scale in windows if scale == level.scale]
        for axis, side, length in (("col_off", "width", width), ("row_off", "height", height)):
            spans = sorted({(getattr(w, axis), getattr(w, axis) + getattr(w, side)) for w in here})
            assert spans[0][0] == 0
            assert spans[-1][1] == length
            assert all(after[0] <= before[1] for before, after in itertools.pairwise(spans))
            assert all(0 <= first < end <= length for first, end in spans)


@given(width=st.integers(50, 3000), height=st.integers(50, 3000), plan=plans)
def test_rows_of_chips_come_from_top_to_bottom(width: int, height: int, plan: ChipPlan) -> None:
    ours = scene(width, height)
    resolved = resolve_plan(ours, plan, None, 32)
    for run in reading_runs(ours, resolved):
        ends = [min(row_off + run.levels[number].height_px, height) for row_off, number in run.rows]
        assert ends == sorted(ends)
        assert rows_held(ours, run.levels, list(run.rows)) <= height


def test_the_order_is_the_same_every_time() -> None:
    resolved = resolve_plan(scene(), ChipPlan(), KNOWN, 128)
    assert list(chip_windows(scene(), resolved)) == list(chip_windows(scene(), resolved))


def test_a_chip_keeps_its_name() -> None:
    window = Window(col_off=96, row_off=0, width=128, height=128)
    name = chip_id("0123456789abcdef", window, 1.0)
    assert name == chip_id("0123456789abcdef", window, 1.0)
    assert len(name) == 16
    others = {
        chip_id("0123456789abcdee", window, 1.0),
        chip_id("0123456789abcdef", window, 2.0),
        chip_id("0123456789abcdef", Window(col_off=0, row_off=96, width=128, height=128), 1.0),
    }
    assert len(others | {name}) == 4
    assert name == "eac07007a2b5ef19"
