"""Laid scenes: cells tile them, pixels are the pictures', the ground stays when pixels change."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st

from georclip.captions.pictures import decode_images
from georclip.errors import CaptionError, SceneError
from georclip.evaluation import mosaic as mosaic_module
from georclip.evaluation.mosaic import (
    UTM,
    grid_shape,
    lay_mosaic,
    resample_scene,
    usual_side_px,
)
from georclip.scenes.scene import open_scene
from tests.helpers_mosaic import draw_pictures, one_colour_each

ZONES = ("EPSG:32601", "EPSG:32631", "EPSG:32660", "EPSG:32733")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return draw_pictures(tmp_path_factory.mktemp("pictures"), one_colour_each(60))


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


@given(st.integers(1, 5000))
def test_the_grid_holds_all_pictures_and_few_twice(count):
    rows, columns = grid_shape(count)
    assert 0 <= rows * columns - count < columns
    assert rows <= columns <= max(2 * rows, rows + 1)
    squarest = int(np.ceil(np.sqrt(count)))
    assert rows * columns <= squarest * -(-count // squarest)


@given(
    count=st.integers(1, 60),
    seed=st.integers(0, 1000),
    trim=st.floats(0, 0.5),
    cell_px=st.integers(4, 40),
)
def test_cells_tile_the_scene_and_hold_their_pictures(
    pictures, tmp_path, count, seed, trim, cell_px
):
    laid = lay_mosaic(
        pictures[:count],
        tmp_path / "scene.tif",
        cell_px=cell_px,
        pixel_size_m=2.5,
        seed=seed,
        trim=trim,
    )
    pixels = read(laid.path)
    assert pixels.shape == (3, laid.height, laid.width)
    seen = np.zeros(pixels.shape[1:], dtype=int)
    for cell in laid.cells:
        w = cell.window
        assert (1 - trim) * cell_px <= min(w.width, w.height)
        assert max(w.width, w.height) <= cell_px
        inside = np.s_[w.row_off : w.row_off + w.height, w.col_off : w.col_off + w.width]
        seen[inside] += 1
        (picture,) = decode_images([cell.image], max_side_px=40)
        assert (pixels[:, *inside] == picture[0, 0][:, None, None]).all()
    assert (seen == 1).all()
    assert {cell.image.path for cell in laid.cells} == {one.path for one in pictures[:count]}


def test_a_picture_is_shown_at_its_middle_in_native_pixels(tmp_path):
    (image,) = draw_pictures(tmp_path, [("x", (120, 120, 120))], size=(64, 40), noise=100)
    laid = lay_mosaic([image], tmp_path / "scene.tif", cell_px=40, pixel_size_m=1, trim=0.3)
    window = laid.cells[0].window
    top, left = (40 - window.height) // 2, 12 + (40 - window.width) // 2
    (picture,) = decode_images([image], max_side_px=40)
    expected = picture[top : top + window.height, left : left + window.width]
    np.testing.assert_array_equal(read(laid.path), expected.transpose(2, 0, 1))


def test_pictures_of_other_sizes_become_whole_cells(tmp_path):
    colours = [("wide", (200, 10, 10)), ("small", (10, 200, 10)), ("large", (10, 10, 200))]
    sizes = [(90, 30), (16, 16), (200, 300)]
    images = [
        draw_pictures(tmp_path / label, [(label, colour)], size=size)[0]
        for (label, colour), size in zip(colours, sizes, strict=True)
    ]
    laid = lay_mosaic(images, tmp_path / "scene.tif", cell_px=50, pixel_size_m=1, trim=0)
    assert (laid.width, laid.height) == (100, 100)
    pixels, known = read(laid.path), dict(colours)
    for cell in laid.cells:
        w = cell.window
        inside = pixels[:, w.row_off : w.row_off + 50, w.col_off : w.col_off + 50]
        assert (inside == np.array(known[cell.image.label])[:, None, None]).all()
    assert usual_side_px(images, most_px=40) == 30
    assert usual_side_px(images, most_px=20) == 20


def test_chance_comes_from_the_seed_alone(pictures, tmp_path):
    def lay(name, seed):
        return lay_mosaic(pictures, tmp_path / name, cell_px=20, pixel_size_m=1, seed=seed)

    first, again, other = lay("a.tif", 3), lay("b.tif", 3), lay("c.tif", 4)
    assert first.cells == again.cells
    assert (first.path).read_bytes() == (again.path).read_bytes()
    assert [c.image for c in first.cells] != [c.image for c in other.cells]


def test_no_stride_falls_into_step_with_trimmed_cells(pictures, tmp_path):
    def phases(trim):
        laid = lay_mosaic(
            pictures * 4, tmp_path / "scene.tif", cell_px=40, pixel_size_m=1, trim=trim
        )
        return np.array([cell.window.col_off % 20 for cell in laid.cells])

    assert set(phases(0).tolist()) == {0}
    assert len(set(phases(0.1).tolist())) >= 8


def test_the_file_is_tiled_compressed_and_written_once(tmp_path, monkeypatch):
    images = draw_pictures(tmp_path, one_colour_each(12), size=(300, 300), noise=30)
    at_once = []
    decode = mosaic_module.decode_images

    def counted(row, **options):
        at_once.append(len(row))
        return decode(row, **options)

    monkeypatch.setattr(mosaic_module, "decode_images", counted)
    laid = lay_mosaic(images, tmp_path / "scene.tif", cell_px=300, pixel_size_m=1)
    assert at_once == [4, 4, 4]
    with rasterio.open(laid.path) as dataset:
        assert set(dataset.block_shapes) == {(512, 512)}
        assert dataset.compression.name == "deflate"
        assert dataset.dtypes == ("uint8",) * 3
        assert [meaning.name for meaning in dataset.colorinterp] == ["red", "green", "blue"]
        blocks = [
            int(dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1))
            for row in range(-(-laid.height // 512))
            for col in range(-(-laid.width // 512))
        ]
    # A block that is written again where it has grown leaves its old place empty in the file.
    assert laid.path.stat().st_size - sum(blocks) < 4096


@pytest.mark.parametrize("crs", ZONES)
def test_a_scene_lies_where_its_zone_is_true_to_scale(pictures, tmp_path, crs):
    laid = lay_mosaic(pictures[:9], tmp_path / "scene.tif", cell_px=20, pixel_size_m=2.5, crs=crs)
    scene = open_scene(str(laid.path))
    assert scene.crs == crs
    assert scene.gsd_m == pytest.approx(2.5, rel=1e-3)
    assert scene.transform == pytest.approx(laid.transform)
    boxes = laid.boxes()
    whole = shapely.union_all(boxes)
    assert whole.area == pytest.approx(shapely.area(boxes).sum())
    with rasterio.open(laid.path) as dataset:
        assert whole.bounds == pytest.approx(tuple(dataset.bounds))


@given(factor=st.floats(0.4, 3.0), seed=st.integers(0, 20))
def test_resampling_keeps_the_ground(pictures, tmp_path, factor, seed):
    laid = lay_mosaic(
        pictures[:12], tmp_path / "scene.tif", cell_px=20, pixel_size_m=2.5, seed=seed
    )
    target = tmp_path / "other.tif"
    resample_scene(laid.path, target, factor=factor)
    with rasterio.open(laid.path) as old, rasterio.open(target) as new:
        assert tuple(new.bounds) == pytest.approx(tuple(old.bounds), abs=1e-6)
        assert new.crs == old.crs
        assert abs(new.width * new.res[0] / (factor * 2.5) - new.width) <= 0.5 + 1e-6
        assert abs(new.height * new.res[1] / (factor * 2.5) - new.height) <= 0.5 + 1e-6
        pixels = new.read()
        for cell, box in zip(laid.cells, laid.boxes(), strict=True):
            row, col = new.index(box.centroid.x, box.centroid.y)
            (picture,) = decode_images([cell.image], max_side_px=20)
            np.testing.assert_allclose(pixels[:, row, col], picture[0, 0], atol=2)


def test_resampling_leaves_no_border_and_does_not_alias(tmp_path):
    (image,) = draw_pictures(tmp_path, [("", (0, 0, 0))], size=(64, 64))
    laid = lay_mosaic([image], tmp_path / "scene.tif", cell_px=64, pixel_size_m=1, trim=0)
    stripes = np.zeros((3, 64, 64), dtype=np.uint8)
    stripes[:, ::2] = 200
    with rasterio.open(laid.path, "r+") as dataset:
        dataset.write(stripes)
    coarse = tmp_path / "coarse.tif"
    for factor in (2.0, 3.7):
        resample_scene(laid.path, coarse, factor=factor)
        assert np.ptp(read(coarse)[:, 2:-2].astype(int)) <= 30
        np.testing.assert_allclose(read(coarse).mean(), 100, atol=4)
    with rasterio.open(laid.path, "r+") as dataset:
        dataset.write(np.full_like(stripes, 200))
    for factor in (0.5, 1.4, 2.0):
        resample_scene(laid.path, coarse, factor=factor)
        assert (read(coarse) == 200).all()


def test_what_cannot_be_laid_is_refused(pictures, tmp_path):
    path = tmp_path / "scene.tif"
    with pytest.raises(CaptionError, match="no pictures"):
        lay_mosaic([], path, cell_px=20, pixel_size_m=1)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    images = [pictures[0], replace(pictures[1], path=broken)]
    with pytest.raises(CaptionError, match=r"broken\.png"):
        lay_mosaic(images, path, cell_px=20, pixel_size_m=1)
    with pytest.raises(CaptionError, match=r"broken\.png"):
        usual_side_px(images, most_px=20)
    with pytest.raises(SceneError, match="cannot be written"):
        lay_mosaic(pictures, tmp_path / "nowhere" / "scene.tif", cell_px=20, pixel_size_m=1)
    with pytest.raises(SceneError, match="cannot be written"):
        resample_scene(tmp_path / "missing.tif", path, factor=2)
    for wrong in ({"cell_px": 0}, {"pixel_size_m": 0.0}, {"trim": 0.6}):
        with pytest.raises(ValueError, match="no cells of"):
            lay_mosaic(pictures, path, **({"cell_px": 20, "pixel_size_m": 1.0} | wrong))
    with pytest.raises(ValueError, match="means nothing"):
        resample_scene(path, path, factor=0)
    assert UTM in ZONES
