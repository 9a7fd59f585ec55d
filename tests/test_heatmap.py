"""Heat maps lie exactly over their scenes, and glow where the answer is."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint

import georclip as georclip_package
from georclip.errors import ExportError, QueryError, SceneError
from georclip.export.heat import write_heat
from georclip.georeference import Georeference
from georclip.scenes.scene import open_scene
from georclip.search.heat import heat_map
from georclip.search.heat_asking import ask_scene, find_scene
from georclip.search.heat_plan import Length, plan_heat
from georclip.search.query import build_query
from georclip.search.spreading import Axis, spread
from georclip.search.terms import resolve
from georclip.testing import COLOURS, FakeEncoder
from tests.conftest import PLACES, write_raster
from tests.test_cli import assert_one_line_error, georclip, write_scene
from tests.test_export_qgis import ask_qgis

MEMORY = 256_000_000
PATCH = (150, 90, 48)
"""First column, first row and side of the red patch, px."""


def patched(height=240, width=320, *, seed=0):
    """Mottled green with one red patch: (3, height, width)."""
    rng = np.random.default_rng(seed)
    pixels = np.empty((3, height, width), dtype=np.uint8)
    pixels[:] = np.array(COLOURS["green"], dtype=np.uint8)[:, None, None]
    col, row, side = PATCH
    pixels[:, row : row + side, col : col + side] = np.array(COLOURS["red"])[:, None, None]
    noise = rng.integers(-12, 13, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def red_map(path, *, side="32px", stride="8px", encoder=None):
    encoder = encoder or FakeEncoder()
    return ask_scene(
        open_scene(str(path)),
        encoder,
        "red",
        side=Length.parse(side),
        stride=Length.parse(stride),
        memory_bytes=MEMORY,
    )


class Listening(FakeEncoder):
    """Says what it was asked, of an architecture that is asked in templates, and reads 20 signs."""

    def __init__(self):
        super().__init__()
        self.spec = replace(self.spec, architecture="ViT-B-32")
        self.asked = []

    def encode_texts(self, texts):
        self.asked.append(list(texts))
        return super().encode_texts(texts)

    def unread(self, text):
        return text[20:]


def ask_of_patch(tmp_path, encoder, text):
    write_raster(tmp_path / "scene.tif", patched())
    return ask_scene(
        open_scene(str(tmp_path / "scene.tif")), encoder, text, side=Length.parse("32px"),
        stride=Length.parse("32px"), memory_bytes=MEMORY,
    )  # fmt: skip


@pytest.mark.parametrize("text", [" red   roofs among green trees ::0.5", "red::2"])
def test_a_map_is_asked_as_a_search_is(tmp_path, caplog, text):
    searched, mapped = Listening(), Listening()
    store = SimpleNamespace(check_encoder=lambda spec: None)
    resolve(store, searched, build_query(text))
    said = caplog.messages.copy()
    caplog.clear()
    ask_of_patch(tmp_path, mapped, text)
    assert mapped.asked == searched.asked
    assert caplog.messages == said
    assert any("leaves out its end" in one for one in said) is (len(text) > 20)


@pytest.mark.parametrize("text", ["", " ", "red\x1b[2J", "red::", "red::-1", "red::1e300"])
def test_what_a_search_refuses_a_map_does(tmp_path, text):
    with pytest.raises(QueryError):
        ask_of_patch(tmp_path, FakeEncoder(), text)


def peak(values):
    return np.unravel_index(np.nanargmax(values), values.shape)


@pytest.mark.parametrize("rotation", [0.0, 33.0])
@pytest.mark.parametrize("place", ["utm", "lonlat", "dateline", "polar", "feet"])
def test_the_peak_lies_on_the_patch_on_the_ground(tmp_path, place, rotation):
    transform = PLACES[place].transform(rotation_deg=rotation)
    path = write_raster(tmp_path / "a.tif", patched(), place=place, transform=transform)
    heat = red_map(path)
    target, _ = write_heat(heat, tmp_path / "heat.tif", question="red", encoder=FakeEncoder().spec)
    with rasterio.open(target) as written, rasterio.open(path) as scene:
        values = written.read(1)
        row, col = peak(values)
        x, y = written.transform @ (col + 0.5, row + 0.5)
        assert written.crs == scene.crs
        assert written.transform.almost_equals(scene.transform @ Affine.scale(*heat_cells(heat)))
        across, down = ~scene.transform @ (x, y)
    left, top, side = PATCH
    assert left <= across <= left + side
    assert top <= down <= top + side
    assert values[row, col] > 0.9 and np.nanmin(values) < 0.3


def heat_cells(heat):
    """Cells of a map, px of its scene."""
    a, b, _, d, e, _ = heat.scene.transform
    return (
        math.hypot(heat.transform[0], heat.transform[3]) / math.hypot(a, d),
        math.hypot(heat.transform[1], heat.transform[4]) / math.hypot(b, e),
    )


@given(col=st.integers(0, 288), row=st.integers(0, 208), stride=st.sampled_from([4, 8, 13, 32]))
def test_a_patch_as_large_as_a_window_is_found_to_a_cell(tmp_path_factory, col, row, stride):
    pixels = patched()
    pixels[:] = np.array(COLOURS["green"])[:, None, None]
    pixels[:, row : row + 32, col : col + 32] = np.array(COLOURS["red"])[:, None, None]
    pixels[1] += np.random.default_rng(1).integers(0, 9, pixels.shape[1:], dtype=np.uint8)
    path = write_raster(tmp_path_factory.mktemp("patch") / "a.tif", pixels)
    heat = red_map(path, stride=f"{stride}px")
    found_row, found_col = peak(heat.values)
    assert abs((found_col + 0.5) * stride - (col + 16)) <= 16 + stride
    assert abs((found_row + 0.5) * stride - (row + 16)) <= 16 + stride


def test_a_scene_placed_by_control_points_lies_where_its_warped_view_does(tmp_path):
    pixels, path = patched(), tmp_path / "gcps.tif"
    corners = [(0, 0), (0, 320), (240, 0), (240, 320)]
    points = [
        GroundControlPoint(row=row, col=col, x=500_000 + 2 * col, y=5_300_000 - 2 * row)
        for row, col in corners
    ]
    profile = {"driver": "GTiff", "width": 320, "height": 240, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", gcps=points, crs="EPSG:32632", **profile) as file:
        file.write(pixels)
    heat = red_map(path)
    row, col = peak(heat.values)
    a, _, c, _, e, f = heat.transform
    x, y = c + a * (col + 0.5), f + e * (row + 0.5)
    left, top, side = PATCH
    assert left <= (x - 500_000) / 2 <= left + side
    assert top <= (5_300_000 - y) / 2 <= top + side


def test_ground_without_data_has_no_score(tmp_path):
    valid = np.ones((240, 320), dtype=bool)
    valid[:, 200:] = False
    path = write_raster(tmp_path / "a.tif", patched(), valid=valid, validity="nodata", nodata=0)
    heat = red_map(path)
    known = np.isfinite(heat.values)
    assert known[:, :25].all() and not known[:, 25:].any()
    assert heat.skipped.low_valid > 0


@pytest.mark.parametrize("validity", ["alpha", "mask"])
def test_a_hole_in_the_data_is_a_hole_in_the_map(tmp_path, validity):
    valid = np.ones((240, 320), dtype=bool)
    valid[40:80, 200:248] = False
    path = write_raster(tmp_path / "a.tif", patched(), valid=valid, validity=validity)
    known = np.isfinite(red_map(path, side="64px", stride="16px").values)
    assert not known[3:5, 13:15].any()
    assert known[0, 0] and known[10, 13] and known[3, 3]


def test_a_scene_smaller_than_a_window_has_one_score(tmp_path):
    pixels = patched(40, 64)
    path = write_raster(tmp_path / "a.tif", pixels, layout="striped")
    heat = red_map(path, side="80px", stride="20px")
    assert heat.values.shape == (2, 4)
    assert np.ptp(heat.values) == pytest.approx(0)


def test_a_decimated_scene_lies_as_exactly(tmp_path):
    encoder = FakeEncoder(image_size_px=8)  # windows of 64 px are read at half their size
    path = write_raster(tmp_path / "a.tif", patched())
    heat = red_map(path, side="64px", stride="16px", encoder=encoder)
    assert heat_cells(heat) == pytest.approx((16, 16))
    row, col = peak(heat.values)
    left, top, side = PATCH
    assert left <= 16 * (col + 0.5) <= left + side
    assert top <= 16 * (row + 0.5) <= top + side


def test_strides_in_metres_and_pixels_agree(tmp_path):
    path = write_raster(tmp_path / "a.tif", patched())  # 2 m a pixel, UTM
    in_px, in_m = red_map(path), red_map(path, side="64m", stride="16m")
    assert in_px.transform == in_m.transform
    np.testing.assert_array_equal(in_px.values, in_m.values)
    assert in_m.stride_m == pytest.approx(16, rel=1e-3)


def test_pixels_that_are_not_square_are_taken_as_they_are(tmp_path):
    path = write_raster(tmp_path / "a.tif", patched(), place="lonlat")
    scene = open_scene(str(path))
    place = Georeference(crs=scene.crs, transform=scene.transform)
    across, down = place.axis_gsd_m(160, 120)
    plan = plan_heat(
        scene, FakeEncoder().spec, side=Length.parse("80m"), stride=Length.parse("20m")
    )
    assert plan.level.stride_x_px == round(20 / across)
    assert plan.level.stride_y_px == round(20 / down)
    assert plan.level.stride_x_px != plan.level.stride_y_px


def test_what_is_left_alone_follows_from_the_encoder(tmp_path):
    scene = open_scene(str(write_raster(tmp_path / "a.tif", patched(1200, 1200))))  # 2.4 km
    plan = plan_heat(scene, FakeEncoder(image_size_px=64).spec)
    assert plan.side_m == pytest.approx(200, rel=0.02)  # half of the typical 400 m
    assert plan.stride_m == pytest.approx(plan.side_m / 4, rel=0.02)


@pytest.mark.parametrize("text", ["", "50", "50 km", "-5m", "0px", "m", "5e3m", "nan m"])
def test_lengths_that_are_none_are_refused(text):
    with pytest.raises(QueryError, match="no length"):
        Length.parse(text)


def test_strides_that_leave_gaps_are_refused(tmp_path):
    path = write_raster(tmp_path / "a.tif", patched())
    with pytest.raises(QueryError, match="leaves gaps"):
        red_map(path, side="32px", stride="33px")


def test_progress_ends_at_the_end_and_counts_what_is_passed_over(tmp_path):
    valid = np.ones((240, 320), dtype=bool)
    valid[:100] = False
    path = write_raster(tmp_path / "a.tif", patched(), valid=valid, validity="alpha")
    scene, encoder, told = open_scene(str(path)), FakeEncoder(), []
    plan = plan_heat(scene, encoder.spec, side=Length.parse("32px"), stride=Length.parse("8px"))
    heat_map(
        scene,
        encoder,
        encoder.encode_texts(["red"])[0],
        plan,
        memory_bytes=MEMORY,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (plan.resolved.chip_count,) * 2
    assert told == sorted(told)


# --- spreading -------------------------------------------------------------------------------


@st.composite
def axes(draw):
    length = draw(st.integers(8, 90))
    side = draw(st.integers(4, length))
    stride = draw(st.integers(1, side))
    last = length - side
    starts = tuple(dict.fromkeys([*range(0, last, stride), last]))
    return Axis(starts=starts, side=side, stride=stride, length=length)


@given(down=axes(), across=axes(), seed=st.integers(0, 99), share=st.floats(0, 1))
def test_spread_is_a_mean_of_the_windows_over_a_cell(down, across, seed, share):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(-1, 1, (len(down.starts), len(across.starts))).astype(np.float32)
    scores[rng.uniform(size=scores.shape) < share] = np.nan
    values = spread(scores, down, across)
    assert values.shape == (down.cells, across.cells)
    for row, y in enumerate(down.centers()):
        for col, x in enumerate(across.centers()):
            over = [
                (scores[i, j], near(y - top, down.side) * near(x - left, across.side))
                for i, top in enumerate(down.starts)
                for j, left in enumerate(across.starts)
                if top <= y < top + down.side and left <= x < left + across.side
                and np.isfinite(scores[i, j])
            ]  # fmt: skip
            if over:
                expected = np.average([s for s, _ in over], weights=[w for _, w in over])
                assert values[row, col] == pytest.approx(expected, abs=1e-5)
            else:
                assert np.isnan(values[row, col])


def near(offset, side):
    return max(1e-3, 1 - abs(offset - side / 2) / (side / 2))


# --- files -----------------------------------------------------------------------------------


@pytest.fixture
def heat(tmp_path):
    path = write_raster(tmp_path / "scene_20200102.tif", patched(), valid=hole(), validity="alpha")
    return red_map(path, side="16px", stride="2px")


def hole():
    valid = np.ones((240, 320), dtype=bool)
    valid[:20, :20] = False
    return valid


def test_the_file_is_a_cog_that_says_what_it_is(tmp_path, heat):
    path, _ = write_heat(heat, tmp_path / "h.tif", question="red", encoder=FakeEncoder().spec)
    with rasterio.open(path) as file:
        structure = file.tags(ns="IMAGE_STRUCTURE")
        assert structure["LAYOUT"] == "COG"
        assert structure["COMPRESSION"] == "DEFLATE" and structure["PREDICTOR"] == "3"
        assert file.dtypes == ("float32",) and math.isnan(file.nodata)
        tags, values = file.tags(), file.read(1)
        assert tags["QUESTION"] == "red" and tags["ENCODER"] == "fake"
        assert tags["SCENE"] == "scene_20200102.tif"
        assert tags["ACQUIRED"] == "2020-01-02T00:00:00Z"
        assert float(tags["WINDOW_M"]) == pytest.approx(32, rel=1e-3)
        assert float(tags["STRIDE_M"]) == pytest.approx(4, rel=1e-3)
        statistics = file.tags(1)
        assert float(statistics["STATISTICS_MINIMUM"]) == pytest.approx(np.nanmin(values))
        assert float(statistics["STATISTICS_MAXIMUM"]) == pytest.approx(np.nanmax(values))
        assert float(statistics["STATISTICS_MEAN"]) == pytest.approx(np.nanmean(values), rel=1e-4)
    np.testing.assert_array_equal(values, heat.values)
    assert np.isnan(values).any()


def test_a_map_larger_than_a_tile_has_overviews(tmp_path):
    path = write_raster(tmp_path / "a.tif", patched(300, 600))
    wide = red_map(path, side="16px", stride="2px")
    written, _ = write_heat(wide, tmp_path / "h.tif", question="red", encoder=FakeEncoder().spec)
    with rasterio.open(written) as file:
        assert file.width == 300 and file.overviews(1) == [2]


def test_the_style_covers_the_scores_and_hides_the_low_ones(tmp_path, heat):
    _, style = write_heat(heat, tmp_path / "h.tif", question="red", encoder=FakeEncoder().spec)
    assert style == tmp_path / "h.qml"
    text = style.read_text(encoding="utf-8")
    shader = ET.fromstring(text[text.index("<qgis") :]).find(".//colorrampshader")
    items = [(float(i.get("value")), int(i.get("alpha"))) for i in shader.iter("item")]
    assert items == sorted(items) and items[0][1] == 0 and items[-1][1] > 150
    assert items[-1][0] == pytest.approx(np.nanmax(heat.values))
    assert items[0][0] >= np.nanmin(heat.values)


def test_a_map_without_any_score_is_written_all_the_same(tmp_path, heat):
    from dataclasses import replace

    empty = replace(heat, values=np.full_like(heat.values, np.nan))
    path, _ = write_heat(empty, tmp_path / "h.tif", question="red", encoder=FakeEncoder().spec)
    with rasterio.open(path) as file:
        assert np.isnan(file.read(1)).all()


def test_nothing_is_overwritten_unasked(tmp_path, heat):
    spec = FakeEncoder().spec
    (tmp_path / "h.qml").write_text("mine", encoding="utf-8")
    with pytest.raises(ExportError, match=r"h\.qml exists.*--overwrite"):
        write_heat(heat, tmp_path / "h.tif", question="red", encoder=spec)
    assert not (tmp_path / "h.tif").exists()
    write_heat(heat, tmp_path / "h.tif", question="red", encoder=spec, overwrite=True)
    assert (tmp_path / "h.qml").read_text(encoding="utf-8") != "mine"
    with pytest.raises(ExportError, match=r"ends in \.tif"):
        write_heat(heat, tmp_path / "h.png", question="red", encoder=spec)


def test_qgis_shows_the_map_with_its_style_where_the_scene_is(tmp_path, heat):
    path, _ = write_heat(heat, tmp_path / "h.tif", question="red", encoder=FakeEncoder().spec)
    scene = heat.scene
    job = {"path": str(path), "over": [scene.uri], "layer": None, "png": str(tmp_path / "h.png")}
    (told,) = ask_qgis(tmp_path, [job])
    assert told["raster"]["valid"] and told["raster"]["crs"] == scene.crs
    assert told["raster"]["renderer"] == "singlebandpseudocolor"
    assert told["range"] == pytest.approx(
        [np.nanmedian(heat.values), np.nanmax(heat.values)], abs=1e-6
    )
    assert told["items"][0][1] == 0
    left, top = scene.transform[2], scene.transform[5]
    extent = [left, top - 2 * scene.height, left + 2 * scene.width, top]
    assert told["extent"] == pytest.approx(extent)
    assert (tmp_path / "h.png").stat().st_size > 1000


# --- which scene -----------------------------------------------------------------------------


def test_a_scene_of_the_index_is_shown_as_it_was_indexed(tmp_path, monkeypatch):
    path = write_raster(tmp_path / "a.tif", patched())
    indexed = open_scene(str(path), bands=(3, 2, 1), stretch=(0.0, 200.0))
    other = open_scene(str(write_raster(tmp_path / "b.tif", patched(seed=1))))
    both = (indexed, other)
    for text in (str(path), "a.tif", "a*", str(tmp_path / "a.t*")):
        assert find_scene(text, both).rendering == indexed.rendering
    assert find_scene("a.tif", both, bands=(1, 2, 3)).rendering.bands == (1, 2, 3)
    monkeypatch.chdir(tmp_path)
    assert find_scene("a.tif", both).rendering == indexed.rendering
    with pytest.raises(SceneError, match="fits 2 scenes"):
        find_scene("*.tif", both)
    with pytest.raises(SceneError, match="no scene of the index"):
        find_scene("c*.tif", both)


def test_a_scene_that_has_changed_is_shown_as_it_is(tmp_path, caplog):
    path = write_raster(tmp_path / "a.tif", patched())
    indexed = open_scene(str(path), bands=(3, 2, 1))
    write_raster(path, patched(seed=5))
    with caplog.at_level("WARNING", logger="georclip"):
        assert find_scene("a.tif", (indexed,)).rendering.bands == (1, 2, 3)
    assert "has changed" in caplog.text


# --- the command line ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    write_scene(folder / "scene.tif", side=384)
    return folder


def test_the_command_writes_two_files_and_says_so_on_stderr(world):
    done = georclip("heatmap", "harbor with ships", "scene.tif", "-o", "h.tif", "--model",
                    "starter", "--chip-size", "128px", "--stride", "64m", cwd=world)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "25 windows of 128.1 m, one every 64.03 m" in done.stderr
    assert "h.tif: written" in done.stderr and "h.qml: written" in done.stderr
    with rasterio.open(world / "h.tif") as file, rasterio.open(world / "scene.tif") as scene:
        assert (file.width, file.height) == (6, 6)
        assert file.bounds == scene.bounds
        assert np.isfinite(file.read(1)).all()
    again = georclip("heatmap", "harbor", "scene.tif", "-o", "h.tif", cwd=world)
    assert_one_line_error(again, "h.tif exists", "--overwrite")


def test_what_cannot_be_made_is_said_in_one_line(world):
    assert_one_line_error(
        georclip("heatmap", "harbor", "no.tif", "-o", "n.tif", cwd=world), "no.tif", "no such file"
    )
    assert_one_line_error(georclip("heatmap", "qzx", "scene.tif", "-o", "n.tif", cwd=world), "qzx")
    assert_one_line_error(
        georclip("heatmap", "harbor", "scene.tif", "-o", "n.tif", "-i", "none", cwd=world), "none"
    )
    assert_one_line_error(
        georclip("heatmap", "harbor", "scene.tif", "-o", "n.tif", "--stride", "9", cwd=world),
        "--stride", "no length", code=2,
    )  # fmt: skip
    assert not list(world.glob("n.*"))


def test_the_index_gives_encoder_and_rendering(world):
    done = georclip("index", "scene.tif", "--bands", "3,2,1", "-i", "ix", "--model", "starter",
                    "--chip-size", "192px", cwd=world)  # fmt: skip
    assert done.returncode == 0, done.stderr
    by_name, asked = (
        georclip("heatmap", "harbor", "scene*", "-o", f"{name}.tif", "--chip-size", "192px", *more,
                 cwd=world)
        for name, more in (("named", ("-i", "ix")), ("asked", ("-i", "ix", "--bands", "1,2,3")))
    )  # fmt: skip
    assert by_name.returncode == asked.returncode == 0, by_name.stderr + asked.stderr
    plain = georclip("heatmap", "harbor", "scene.tif", "-o", "plain.tif", "--chip-size", "192px",
                     "--model", "starter", cwd=world)  # fmt: skip
    assert plain.returncode == 0, plain.stderr
    named, asked_values, plain_values = (
        rasterio.open(world / f"{name}.tif").read(1) for name in ("named", "asked", "plain")
    )
    np.testing.assert_allclose(asked_values, plain_values, atol=1e-5)
    assert np.abs(named - plain_values).max() > 1e-3


def test_python_writes_what_the_command_does(world):
    index_path = world / "python-index"
    with georclip_package.create_index(index_path, model="starter") as index:
        heat = index.heatmap("harbor", world / "scene.tif", world / "py.tif", chip_size="128px",
                             stride="64px")  # fmt: skip
    with rasterio.open(world / "py.tif") as file:
        np.testing.assert_array_equal(file.read(1), heat.values)
        assert file.tags()["ENCODER"] == "starter"
