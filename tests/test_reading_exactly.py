"""`ChipReader` beside a plain loop of one window per chip: the same chips, in the same order."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import numpy as np
import pytest
import rasterio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from georclip.errors import SceneError
from georclip.scenes.chips import resolve_plan
from georclip.scenes.pixels import BandReader
from georclip.scenes.quality import is_blank, is_saturated, prove_unsaturated, prove_varied
from georclip.scenes.reader import ChipReader
from georclip.scenes.rendering import render
from georclip.scenes.scene import open_scene
from georclip.values import ChipPlan, Rendering
from tests.conftest import textured
from tests.helpers_reading import plain_chips, plain_render, plainly_blank, plainly_saturated

MEMORY = 64 * 2**20
PLAN = ChipPlan(size=40.0, unit="px", overlap=0.5, scales=(1.0, 2.0))


def patchy(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Values (3, 330, 410) with blank, black and white ground, and what is valid of them."""
    values = textured(3, 330, 410, dtype)
    top = 255 if dtype == "uint8" else 20_000
    values[:, :120, :130] = top // 3
    values[:, :120, 130:250] = top
    values[:, 200:, 300:] = np.minimum(values[:, 200:, 300:], 1)
    valid = np.ones(values.shape[1:], dtype=bool)
    valid[140:230, :170] = False
    valid[np.random.default_rng(2).random(valid.shape) < 0.002] = False
    return values, valid


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("layout", ["tiled", "striped"])
@pytest.mark.parametrize(
    ("dtype", "validity"),
    [
        ("uint8", "none"),
        ("uint8", "nodata"),
        ("uint8", "alpha"),
        ("uint8", "mask"),
        ("uint16", "none"),
        ("uint16", "nodata"),
    ],
)
def test_chips_are_those_of_a_plain_loop(
    make_raster, monkeypatch, dtype, validity, layout, threads
) -> None:
    monkeypatch.setattr("georclip.scenes.strips._PIECE_BYTES", 40_000)
    monkeypatch.setattr("georclip.scenes.reader._READ_AHEAD_BYTES", 500_000)
    monkeypatch.setattr("georclip.scenes.rendering._WORK_VALUES", 5_000)
    values, valid = patchy(dtype)
    path = make_raster(values=values, valid=valid, validity=validity, layout=layout)
    scene = open_scene(str(path))
    resolved = resolve_plan(scene, PLAN, None, 64)
    plain = list(plain_chips(scene, resolved))
    assert {"saturated", ""} < {one.reason for one in plain}
    reader = ChipReader(scene, resolved, memory_bytes=MEMORY, max_side_px=256, threads=threads)
    ours = list(reader)
    expected = [one for one in plain if not one.reason]
    assert [one.number for one in ours] == [one.number for one in expected]
    for one, other in zip(ours, expected, strict=True):
        assert one.image.chip == other.chip
        assert np.array_equal(one.image.pixels, other.pixels)
        assert np.array_equal(one.image.valid, other.valid)
    skipped = Counter(one.reason for one in plain)
    counts = reader.skipped
    assert (counts.low_valid, counts.saturated, counts.blank) == (
        skipped["low_valid"],
        skipped["saturated"],
        skipped["blank"],
    )


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("validity", ["none", "mask"])
@pytest.mark.parametrize(("layout", "overlap"), [("tiled", 0.8), ("striped", 0.8), ("tiled", 0.0)])
def test_each_block_is_read_once_however_much_chips_overlap(
    make_raster, monkeypatch, layout, overlap, validity, threads
) -> None:
    path = make_raster(height=450, width=260, layout=layout, validity=validity)
    with rasterio.open(path) as file:
        height, width = file.block_shapes[0]
        blocks = {place for place, _ in file.block_windows(1)}
    read: Counter[tuple[int, int]] = Counter()
    original = BandReader.read

    def counted(self, area, shape=None, **options):
        left, top, across, down = area
        for row in range(top // height, -(-(top + down) // height)):
            for col in range(left // width, -(-(left + across) // width)):
                read[row, col] += 1
        return original(self, area, shape, **options)

    monkeypatch.setattr(BandReader, "read", counted)
    monkeypatch.setattr("georclip.scenes.strips._PIECE_BYTES", 40_000)
    monkeypatch.setattr("georclip.scenes.reader._READ_AHEAD_BYTES", 200_000)
    scene = open_scene(str(path))
    read.clear()  # opening looks at a sample
    plan = ChipPlan(size=64.0, unit="px", overlap=overlap, scales=(1.0, 2.0))
    resolved = resolve_plan(scene, plan, None, 64)
    chips = list(ChipReader(scene, resolved, memory_bytes=MEMORY, max_side_px=256, threads=threads))
    assert len(chips) == resolved.chip_count
    assert set(read) == blocks
    assert set(read.values()) == {1}


@pytest.mark.parametrize("threads", [1, 2])
def test_rows_held_keep_to_the_memory_allowed(make_raster, monkeypatch, threads) -> None:
    monkeypatch.setattr("georclip.scenes.strips._PIECE_BYTES", 200_000)
    path = make_raster(height=3000, width=1000, dtype="uint16", layout="tiled")
    scene = open_scene(str(path))
    resolved = resolve_plan(scene, ChipPlan(size=64.0, unit="px", overlap=0.5), None, 64)
    allowed = 1_500_000
    reader = ChipReader(scene, resolved, memory_bytes=allowed, max_side_px=256, threads=threads)
    tracemalloc.start()
    try:
        count = sum(1 for _ in reader)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == resolved.chip_count
    assert not reader.notes  # not read window by window
    pieces = 200_000 + 4 * 64 * 1000 * 2  # a piece's values, and floats that they are stretched in
    assert allowed / 3 < peak < allowed + 2 * pieces + 1_000_000
    assert 3 * scene.width * scene.height > 3 * peak


@pytest.mark.parametrize("threads", [1, 2])
def test_a_reader_may_be_left_early(make_raster, threads) -> None:
    scene = open_scene(str(make_raster(height=900, width=200, layout="tiled")))
    resolved = resolve_plan(scene, ChipPlan(size=64.0, unit="px"), None, 64)
    chips = iter(
        ChipReader(scene, resolved, memory_bytes=150_000, max_side_px=256, threads=threads)
    )
    assert next(chips).number == 0
    chips.close()
    assert list(chips) == []


def test_what_cannot_be_read_ahead_is_an_error_where_it_is_needed(make_raster) -> None:
    path = make_raster(height=900, width=200, layout="striped", compress="deflate")
    scene = open_scene(str(path))
    resolved = resolve_plan(scene, ChipPlan(size=64.0, unit="px"), None, 64)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    read = []
    with pytest.raises(SceneError, match=r"rows \d+ to \d+"):
        read.extend(ChipReader(scene, resolved, memory_bytes=150_000, max_side_px=256, threads=2))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("side", [128, 256, 512])
def test_coarse_chips_come_from_overviews(make_raster, side, threads) -> None:
    path = make_raster(height=700, width=1100)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4, 8], rasterio.enums.Resampling.average)
    with rasterio.open(path, "r+") as file:
        shown = [
            file.read([1, 2, 3], out_shape=(3, -(-file.height // by), -(-file.width // by)))
            for by in (2, 4, 8)
        ]
        file.write(np.full((3, file.height, file.width), 77, dtype=np.uint8))  # not into overviews
    scene = open_scene(str(path))
    resolved = resolve_plan(scene, ChipPlan(size=float(side), unit="px", overlap=0.5), None, 16)
    factor = resolved.levels[0].factor
    assert factor == side // 64
    chips = list(ChipReader(scene, resolved, memory_bytes=MEMORY, max_side_px=64, threads=threads))
    assert len(chips) == resolved.chip_count > 2
    overview = shown[factor.bit_length() - 2]
    for one in chips:
        window = one.image.chip.window
        if window.col_off % factor or window.row_off % factor:
            continue  # at the scene's edge, where grids do not fit
        row, col = window.row_off // factor, window.col_off // factor
        assert np.array_equal(one.image.pixels, overview[:, row : row + 64, col : col + 64])


@settings(max_examples=60)
@given(
    noise=st.floats(0.0, 4.0),
    level=st.sampled_from([1, 2, 90, 250, 254]),
    odd=st.sampled_from([0.0, 0.004, 0.0049, 0.0051, 0.02, 0.24, 0.26, 0.49, 0.51, 0.9]),
    other=st.sampled_from([0, 2, 3, 91, 200, 253, 255]),
    some_valid=st.booleans(),
    stretched=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_glances_never_change_what_is_blank_or_saturated(
    noise, level, odd, other, some_valid, stretched, seed
) -> None:
    rng = np.random.default_rng(seed)
    drawn = rng.normal(level, noise, (3, 96, 96))
    drawn[:, rng.random((96, 96)) < odd] = other
    pixels = np.clip(np.rint(drawn), 0, 255).astype(np.uint8)
    valid = rng.random((96, 96)) < (0.7 if some_valid else 2.0)
    passed = valid if some_valid else None
    assert is_blank(pixels, passed) == plainly_blank(pixels, valid)
    if not some_valid and prove_varied(pixels[1], np.array([0]), 96).any():
        assert not plainly_blank(pixels, valid)
    aside = np.array([0]), 96
    if not some_valid and prove_unsaturated(pixels[1], *aside, stretched=stretched).any():
        assert not plainly_saturated(pixels, valid, stretched=stretched)
    assert is_saturated(pixels, passed, stretched=stretched) == plainly_saturated(
        pixels, valid, stretched=stretched
    )


def test_a_blank_chip_stays_blank_where_its_few_others_lie_in_sampled_rows() -> None:
    pixels = np.full((3, 128, 128), 90, dtype=np.uint8)
    pixels[:, ::16, :4] = 95
    pixels[:, ::16, 4:8] = 85
    assert plainly_blank(pixels, np.ones((128, 128), dtype=bool))
    assert is_blank(pixels, None)
    assert not prove_varied(pixels[1], np.array([0]), 128).any()
    ground = textured(1, 128, 300)[0]
    ground[:, 150:] = 90
    columns = np.array([0, 20, 160])
    assert prove_varied(ground, columns, 128).tolist() == [True, True, False]
    with pytest.MonkeyPatch.context() as patch:  # in parts
        patch.setattr("georclip.scenes.quality._PROOF_VALUES", 2000)
        assert prove_varied(ground, columns, 128).tolist() == [True, True, False]


@pytest.mark.parametrize("end", [0, 2, 253, 255])
def test_what_is_at_the_ends_is_counted_by_chip(end) -> None:
    ground = textured(1, 200, 300)[0]
    ground[:120, 100:200] = end  # three fifths of a chip of 100 px
    columns = np.array([0, 30, 80, 100, 190])
    for stretched, expected in (
        (False, [True, True, False, False, True]),
        (True, [True, True, True, False, True]),
    ):
        found = prove_unsaturated(ground, columns, 100, stretched=stretched)
        assert found.tolist() == expected


@example(dtype="float32", low=2_000_000.3, span=10.0, shape=(20, 20), seed=1)
@given(
    dtype=st.sampled_from(["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"]),
    low=st.floats(-2000.0, 3e6),
    span=st.floats(2.5, 60_000.0),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 1000),
)
def test_rendering_in_parts_and_in_place_is_rendering(dtype, low, span, shape, seed) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(low + span / 2, span, (3, *shape))
    if np.issubdtype(np.dtype(dtype), np.integer):
        info = np.iinfo(dtype)
        values = np.clip(values, info.min, info.max)
    else:
        values[rng.random(values.shape) < 0.1] = np.nan
        values[rng.random(values.shape) < 0.1] = np.inf
    values = values.astype(dtype)
    rendering = Rendering(
        bands=(1, 2, 3), low=(low, low + 1, low - 1), high=(low + span,) * 3,
        bands_from="count", stretch_from="asked",
    )  # fmt: skip
    expected = plain_render(values, rendering)
    assert np.array_equal(render(values, rendering), expected)
    memory = np.full((3, shape[0] + 4, shape[1] + 6), 9, dtype=np.uint8)
    inside = memory[:, 2:-2, 3:-3]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("georclip.scenes.rendering._WORK_VALUES", 64)
        assert render(values, rendering, out=inside) is inside
    assert np.array_equal(inside, expected)
    inside[:] = 9
    assert (memory == 9).all()


def test_a_pan_scene_and_one_in_other_orders_are_read_alike(make_raster) -> None:
    values = textured(3, 200, 200)
    for bands in ((3, 2, 1), (2, 2, 2), (1, 3, 1)):
        scene = open_scene(str(make_raster(values=values)), bands=bands)
        resolved = resolve_plan(scene, PLAN, None, 64)
        plain = list(plain_chips(scene, resolved))
        reader = ChipReader(scene, resolved, memory_bytes=MEMORY, max_side_px=256)
        for one, other in zip(reader, plain, strict=True):
            assert np.array_equal(one.image.pixels, other.pixels)
