from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from georclip.errors import SceneError
from georclip.georeference import Georeference
from georclip.scenes.chips import ResolvedPlan, chip_windows, resolve_plan
from georclip.scenes.reader import ChipReader, PlannedChip, read_chips
from georclip.scenes.scene import open_scene
from georclip.values import ChipPlan, Scene
from tests.conftest import LAYOUTS, PLACES, decode_coordinates, textured, write_raster

MEMORY = 64 * 2**20
MakeRaster = Callable[..., Path]


def opened(path: Path, plan: ChipPlan, *, tower_px: int = 64) -> tuple[Scene, ResolvedPlan]:
    scene = open_scene(str(path))
    return scene, resolve_plan(scene, plan, None, tower_px)


def read(
    path: Path, plan: ChipPlan, *, memory: int = MEMORY, start: int = 0, tower_px: int = 64
) -> tuple[list[PlannedChip], ChipReader]:
    scene, resolved = opened(path, plan, tower_px=tower_px)
    reader = ChipReader(scene, resolved, memory_bytes=memory, max_side_px=4 * tower_px, start=start)
    return list(reader), reader


def truth(path: Path, chip: PlannedChip) -> np.ndarray:
    window = chip.image.chip.window
    with rasterio.open(path) as file:
        return file.read(
            [1, 2, 3],
            window=(
                (window.row_off, window.row_off + window.height),
                (window.col_off, window.col_off + window.width),
            ),
        )


transforms = st.fixed_dictionaries(
    {
        "rotation_deg": st.sampled_from([0.0, 0.0, 17.0, 90.0, 211.0]),
        "south_up": st.booleans(),
        "stretch_y": st.sampled_from([1.0, 1.04, 1.8, 0.5]),
    }
)
plans = st.builds(
    ChipPlan,
    size=st.integers(25, 90).map(float),
    unit=st.just("px"),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.7]),
    scales=st.sampled_from([(1.0,), (1.0, 2.0), (0.5, 1.0, 3.0)]),
    min_valid_fraction=st.just(0.0),
)


@given(
    place=st.sampled_from(sorted(PLACES)),
    shape=st.tuples(st.integers(20, 180), st.integers(20, 180)),
    transform=transforms,
    plan=plans,
    layout=st.sampled_from(sorted(LAYOUTS)),
    memory=st.sampled_from([MEMORY, 20_000]),
)
def test_every_pixel_lies_inside_the_footprint_of_its_chip(
    coordinate_raster: MakeRaster, place, shape, transform, plan, layout, memory
) -> None:
    height, width = shape
    where = PLACES[place].transform(**transform)
    path = coordinate_raster(
        height=height, width=width, place=place, transform=where, layout=layout
    )
    scene, resolved = opened(path, plan, tower_px=100)  # nothing is decimated
    ground = Georeference(crs=scene.crs, transform=scene.transform)
    reader = ChipReader(scene, resolved, memory_bytes=memory, max_side_px=400)
    covered = np.zeros(shape, dtype=bool)
    seen: set[str] = set()
    for planned in reader:
        image = planned.image
        cols, rows = decode_coordinates(image.pixels[:, image.valid])
        covered[rows, cols] = True
        assert image.chip.chip_id not in seen
        seen.add(image.chip.chip_id)
        lon, lat = ground.lonlat(cols + 0.5, rows + 0.5)
        pixel_deg = image.chip.gsd_m / 111_320 / max(0.1, np.cos(np.radians(lat.mean())))
        room = image.chip.footprint.buffer(1.0 * pixel_deg)
        assert shapely.contains_xy(room, lon, lat).all()
        window = image.chip.window
        assert np.array_equal(np.unique(cols), np.arange(window.width) + window.col_off)
        assert np.array_equal(np.unique(rows), np.arange(window.height) + window.row_off)
    assert covered.all()
    assert len(seen) == reader.chips_total == resolved.chip_count


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("memory", [MEMORY, 30_000])
def test_chips_hold_the_pixels_of_their_windows(
    make_raster: MakeRaster, layout: str, memory: int
) -> None:
    path = make_raster(height=180, width=160, layout=layout)
    plan = ChipPlan(size=50.0, unit="px", overlap=0.3, scales=(1.0, 2.0))
    chips, reader = read(path, plan, memory=memory)
    assert len(chips) == reader.chips_total
    for chip in chips:
        assert np.array_equal(chip.image.pixels, truth(path, chip))
        assert chip.image.valid.all()
    assert bool(reader.notes) == (memory < MEMORY)


def test_numbers_follow_the_planned_windows(make_raster: MakeRaster) -> None:
    path = make_raster(height=200, width=300)
    plan = ChipPlan(size=40.0, unit="px", scales=(1.0, 2.0))
    scene, resolved = opened(path, plan)
    planned = list(chip_windows(scene, resolved))
    chips, _ = read(path, plan)
    assert [chip.number for chip in chips] == list(range(resolved.chip_count))
    assert [(chip.image.chip.window, chip.image.chip.scale) for chip in chips] == planned


@settings(max_examples=6)
@given(start=st.integers(0, 40))
def test_going_on_gives_the_rest(make_raster: MakeRaster, start: int) -> None:
    path = make_raster(f"resume_{start}.tif", height=120, width=200)
    plan = ChipPlan(size=40.0, unit="px", overlap=0.2, scales=(1.0, 2.0))
    whole, _ = read(path, plan)
    rest, _ = read(path, plan, start=start)
    assert [chip.number for chip in rest] == [c.number for c in whole if c.number >= start]
    for ours, theirs in zip(rest, [c for c in whole if c.number >= start], strict=True):
        assert np.array_equal(ours.image.pixels, theirs.image.pixels)
        assert ours.image.chip == theirs.image.chip


def test_what_was_read_before_is_not_decoded_again(make_raster: MakeRaster) -> None:
    path = make_raster(height=640, width=64, layout="striped", compress="deflate")
    plan = ChipPlan(size=64.0, unit="px", overlap=0.0)
    scene, resolved = opened(path, plan)
    damage(path, first_strips=8)
    for start in (0, 5):
        reader = ChipReader(scene, resolved, memory_bytes=MEMORY, max_side_px=256, start=start)
        if start == 0:
            with pytest.raises(SceneError):
                list(reader)
        else:
            assert [chip.number for chip in reader] == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("validity", "dtype"),
    [
        ("nodata", "uint8"),
        ("nodata", "uint16"),
        ("nodata", "int16"),
        ("nodata", "float32"),
        ("nan", "float32"),
        ("nan", "float64"),
        ("alpha", "uint8"),
        ("mask", "uint8"),
        ("mask", "uint16"),
    ],
)
@pytest.mark.parametrize("bands", [1, 3])
def test_validity_is_told_in_every_way(
    make_raster: MakeRaster, validity: str, dtype: str, bands: int
) -> None:
    valid = np.ones((120, 120), dtype=bool)
    valid[:60, :60] = False
    path = make_raster(
        bands=bands, height=120, width=120, dtype=dtype, valid=valid, validity=validity
    )
    plan = ChipPlan(size=120.0, unit="px")
    (chip,), _ = read(path, plan)
    assert np.array_equal(chip.image.valid, valid)
    assert chip.image.chip.valid_fraction == pytest.approx(0.75)
    fill = chip.image.pixels[:, ~valid]
    mean = chip.image.pixels[:, valid].mean(axis=1)
    assert np.abs(fill - mean[:, None]).max() <= 0.5
    quarters = ChipPlan(size=60.0, unit="px", overlap=0.0)
    chips, reader = read(path, quarters)
    assert len(chips) == 3
    assert reader.skipped.low_valid == 1


def test_chips_without_content_are_counted(make_raster: MakeRaster) -> None:
    values = textured(3, 64, 256)
    values[:, :, 64:128] = 255
    values[:, :, 128:192] = 90
    values[:, :20, 192:] = 0
    chips, reader = read(make_raster(values=values), ChipPlan(size=64.0, unit="px", overlap=0.0))
    assert [chip.number for chip in chips] == [0]
    assert (reader.skipped.saturated, reader.skipped.blank) == (2, 1)
    assert reader.skipped.total == 3


def test_calm_water_is_no_blank_chip(make_raster: MakeRaster) -> None:
    water = np.random.default_rng(1).normal(40, 1.5, (3, 64, 64)).round().astype(np.uint8)
    chips, _ = read(make_raster(values=water), ChipPlan(size=64.0, unit="px"))
    assert len(chips) == 1


def test_a_scene_smaller_than_a_chip_is_padded(make_raster: MakeRaster) -> None:
    path = make_raster(height=30, width=50)
    (chip,), _ = read(path, ChipPlan(size=64.0, unit="px"))
    assert chip.image.pixels.shape == (3, 64, 64)
    assert chip.image.valid.sum() == 30 * 50
    assert (chip.image.chip.window.width, chip.image.chip.window.height) == (50, 30)
    assert chip.image.chip.valid_fraction == 1.0
    inside = chip.image.pixels[:, chip.image.valid].reshape(3, 30, 50)
    assert np.array_equal(inside, truth(path, chip))


@pytest.mark.parametrize("overviews", [False, True])
def test_large_windows_are_averaged(make_raster: MakeRaster, overviews: bool) -> None:
    row, col = np.mgrid[:517, :1031]
    values = np.stack([col / 1031 * 200 + 20, row / 517 * 200 + 20, (row + col) / 8 + 10])
    values = values.astype(np.uint8)
    path = make_raster(values=values)
    if overviews:
        with rasterio.open(path, "r+") as file:
            file.build_overviews([2, 4, 8], rasterio.enums.Resampling.average)
    plan = ChipPlan(size=400.0, unit="px", overlap=0.25)
    chips, reader = read(path, plan, tower_px=16)
    assert len(chips) == reader.chips_total > 2
    for chip in chips:
        assert chip.image.pixels.shape == (3, 50, 50)
        expected = truth(path, chip)[:, :400, :400].reshape(3, 50, 8, 50, 8).mean(axis=(2, 4))
        assert np.abs(expected - chip.image.pixels).max() < 8  # less than a chip's pixel apart


@pytest.mark.parametrize("validity", ["mask", "nodata", "alpha"])
def test_large_windows_know_what_is_valid(make_raster: MakeRaster, validity: str) -> None:
    valid = np.ones((256, 256), dtype=bool)
    valid[:, :128] = False
    path = make_raster(height=256, width=256, valid=valid, validity=validity)
    (chip,), _ = read(path, ChipPlan(size=256.0, unit="px"), tower_px=16)
    assert chip.image.pixels.shape == (3, 64, 64)
    assert np.array_equal(chip.image.valid, valid[::4, ::4])


def test_wide_scenes_come_in_column_ranges(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_raster(height=200, width=900)
    plan = ChipPlan(size=64.0, unit="px", scales=(1.0, 2.0))
    whole, _ = read(path, plan)
    monkeypatch.setattr("georclip.scenes.chips._STRIP_BYTES", 4 * 200 * 300)
    ranges, _ = read(path, plan)
    key = lambda item: item.image.chip.chip_id  # noqa: E731
    assert [key(item) for item in ranges] != [key(item) for item in whole]
    for ours, theirs in zip(sorted(ranges, key=key), sorted(whole, key=key), strict=True):
        assert key(ours) == key(theirs)
        assert np.array_equal(ours.image.pixels, theirs.image.pixels)
    ends = [item.image.chip.window.col_off for item in ranges]
    assert any(later < earlier for earlier, later in itertools.pairwise(ends))


@pytest.mark.parametrize("layout", ["tiled", "striped"])
def test_each_block_is_decoded_once(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    path = make_raster(height=450, width=260, layout=layout)
    read_px = np.zeros((450, 260), dtype=int)
    from georclip.scenes.pixels import BandReader

    original = BandReader.read

    def counted(self, area, shape=None, **options):
        col, row, width, height = area
        read_px[row : row + height, col : col + width] += 1
        block_height = self.dataset.block_shapes[0][0]
        assert row % block_height == 0
        return original(self, area, shape, **options)

    monkeypatch.setattr(BandReader, "read", counted)
    monkeypatch.setattr("georclip.scenes.strips._PIECE_BYTES", 40_000)
    monkeypatch.setattr("georclip.scenes.reader._READ_AHEAD_BYTES", 200_000)
    plan = ChipPlan(size=64.0, unit="px", overlap=0.5, scales=(1.0, 2.0))
    read(path, plan)
    assert (read_px == 1).all()


def test_a_palette_is_rendered_through_its_colours(tmp_path: Path) -> None:
    indexes = np.random.default_rng(0).integers(0, 4, (1, 64, 64)).astype(np.uint8)
    colours = {0: (0, 0, 0, 0), 1: (200, 30, 40, 255), 2: (20, 160, 60, 255), 3: (9, 8, 99, 255)}
    path = write_raster(tmp_path / "palette.tif", indexes, photometric="palette", nodata=0)
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, colours)
    (chip,), _ = read(path, ChipPlan(size=64.0, unit="px"))
    assert np.array_equal(chip.image.valid, indexes[0] > 0)
    for index in (1, 2, 3):
        shown = chip.image.pixels[:, indexes[0] == index]
        assert (shown == np.array(colours[index][:3])[:, None]).all()


def test_damage_is_named_with_its_place(make_raster: MakeRaster) -> None:
    path = make_raster(height=640, width=64, layout="striped", compress="deflate")
    scene, resolved = opened(path, ChipPlan(size=64.0, unit="px"))
    damage(path, first_strips=40, skipped_strips=20)
    with pytest.raises(SceneError, match=r"rows \d+ to \d+ .*truncated or damaged"):
        list(read_chips(scene, resolved, memory_bytes=MEMORY, max_side_px=256))


def test_a_file_of_one_block_is_read_and_noted(make_raster: MakeRaster, monkeypatch) -> None:
    path = make_raster(height=150, width=160, layout="single block")
    with rasterio.open(path) as file:
        assert file.block_shapes[0] == (150, 160)
    monkeypatch.setattr("georclip.scenes.reader._ONE_BLOCK_PX", 1000)
    chips, reader = read(path, ChipPlan(size=50.0, unit="px"))
    assert all(np.array_equal(chip.image.pixels, truth(path, chip)) for chip in chips)
    assert any("one single block" in note for note in reader.notes)


def test_a_file_that_changed_its_size_is_refused(make_raster: MakeRaster) -> None:
    path = make_raster("a.tif", height=100, width=100)
    scene, resolved = opened(path, ChipPlan(size=64.0, unit="px"))
    make_raster("a.tif", height=90, width=100)
    with pytest.raises(SceneError, match="has changed"):
        list(read_chips(scene, resolved, memory_bytes=MEMORY, max_side_px=256))


def test_gcps_place_chips_on_the_ground(tmp_path: Path) -> None:
    from rasterio.control import GroundControlPoint

    values = textured(3, 100, 120)
    path = tmp_path / "gcps.tif"
    points = [
        GroundControlPoint(row=row, col=col, x=10 + col * 1e-4 + row * 6e-5, y=50 - row * 1e-4)
        for row in (0, 50, 100)
        for col in (0, 60, 120)
    ]
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=120,
        height=100,
        count=3,
        dtype="uint8",
        gcps=points,
        crs="EPSG:4326",
    ) as file:
        file.write(values)
    chips, reader = read(path, ChipPlan(size=40.0, unit="px", min_valid_fraction=0.6))
    assert reader.skipped.low_valid  # the corners that the warped view leaves empty
    assert {chip.image.chip.valid_fraction < 1 for chip in chips} == {True, False}
    west, south, east, north = chips[0].image.chip.footprint.bounds
    assert 9.99 < west < east < 10.02
    assert 49.98 < south < north < 50.01


def damage(path: Path, *, first_strips: int, skipped_strips: int = 0) -> None:
    """Overwrite the compressed bytes of some strips."""
    with rasterio.open(path) as file:
        offsets = [
            (
                int(file.get_tag_item(f"BLOCK_OFFSET_0_{block}", "TIFF", bidx=1)),
                int(file.get_tag_item(f"BLOCK_SIZE_0_{block}", "TIFF", bidx=1)),
            )
            for block in range(skipped_strips, min(first_strips, file.height // 16))
        ]
    with path.open("r+b") as file:
        for offset, size in offsets:
            file.seek(offset)
            file.write(b"\xff" * size)
