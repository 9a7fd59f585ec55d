"""What a contact sheet reads: chips as their encoder saw them, and nothing that it may not."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from georclip.errors import SceneError
from georclip.export import dumps_hits, read_hits, write_hits
from georclip.export.records import as_hits
from georclip.export.sheet import pictures as reading
from georclip.export.sheet.encoding import data_uri
from georclip.scenes.access import Access
from georclip.scenes.pixels import PixelReader
from georclip.scenes.raster import open_raster
from georclip.scenes.scene import open_scene
from georclip.values import Hit
from tests.conftest import PLACES, MakeRaster, write_raster
from tests.helpers_hits import make_result, make_scene
from tests.helpers_sheet import Element, hit_on, parse, picture_of
from tests.test_remote_reading import served


def quarters(
    height: int = 200, width: int = 200, dtype: str = "uint8", top: int = 255
) -> np.ndarray:
    """Red, green, blue and grey quarters: (3, height, width)."""
    values = np.zeros((3, height, width), dtype=dtype)
    half = height // 2, width // 2
    values[0, : half[0], : half[1]] = top
    values[1, : half[0], half[1] :] = top
    values[2, half[0] :, : half[1]] = top
    values[:, half[0] :, half[1] :] = top // 2
    return values


def cards_of(hits: list[Hit], access: Access | None = None) -> list[Element]:
    page = parse(dumps_hits(make_result(hits), "html", access=access))
    return page.all("li", "card")


def pixels_of(card: Element) -> np.ndarray:
    return picture_of(card.one("img").attributes["src"])


def assert_quarters(picture: np.ndarray) -> None:
    side = picture.shape[0]
    near, far = side // 4, side * 3 // 4
    for at, wanted in (
        ((near, near), (255, 0, 0)),
        ((near, far), (0, 255, 0)),
        ((far, near), (0, 0, 255)),
        ((far, far), (127, 127, 127)),
    ):
        np.testing.assert_allclose(picture[at][:3].astype(int), wanted, atol=12)


def test_a_chip_is_shown_with_ground_around_it_and_its_own_outline(make_raster: MakeRaster) -> None:
    path = make_raster(values=quarters(400, 400))
    (card,) = cards_of([hit_on(path, 1, (150, 150, 100, 100))])
    picture = pixels_of(card)
    assert picture.shape == (140, 140, 3)  # never enlarged
    assert_quarters(picture)
    frame = card.all("rect", "frame")[0].attributes
    shares = [float(frame[name] or "") for name in ("x", "y", "width", "height")]
    np.testing.assert_allclose(shares, [100 / 7, 100 / 7, 500 / 7, 500 / 7], atol=0.02)
    assert (
        card.one("img").attributes["alt"] == "Hit 1: a part of raster_0.tif at 47.8497° N 9.0053° E"
    )
    assert not card.all("path", "north")


def test_at_an_edge_the_ground_around_is_to_one_side(make_raster: MakeRaster) -> None:
    path = make_raster(values=quarters(400, 400))
    (card,) = cards_of([hit_on(path, 1, (0, 300, 100, 100))])
    picture = pixels_of(card)
    assert picture.shape == (140, 140, 3)
    np.testing.assert_allclose(picture[70, 70].astype(int), (0, 0, 255), atol=12)
    frame = card.all("rect", "frame")[0].attributes
    assert float(frame["x"] or "") == 0
    assert float(frame["y"] or "") == pytest.approx(100 * 40 / 140, abs=0.02)


def test_deep_pixels_are_shown_with_the_stretch_of_their_scene(make_raster: MakeRaster) -> None:
    path = make_raster(values=quarters(400, 400, "uint16", 4000) + 500, validity="none")
    scene = open_scene(str(path))
    assert scene.rendering.stretch_from == "percentiles"
    (card,) = cards_of([hit_on(scene, 1, (100, 100, 200, 200))])
    with open_raster(str(path)) as dataset:
        reader = PixelReader(dataset, str(path), scene.rendering)
        wanted, _ = reader.read_rendered((60, 60, 280, 280))
    shown = np.moveaxis(pixels_of(card), -1, 0)
    assert shown.shape == wanted.shape
    assert np.abs(shown.astype(int) - wanted).mean() < 6


def test_large_chips_are_decimated(make_raster: MakeRaster) -> None:
    path = make_raster(values=quarters(1000, 1000))
    (card,) = cards_of([hit_on(path, 1, (100, 100, 800, 800))])
    assert pixels_of(card).shape[:2] == (320, 320)
    assert_quarters(pixels_of(card))


def test_pixels_that_are_not_there_stay_empty(make_raster: MakeRaster) -> None:
    valid = np.ones((300, 300), dtype=bool)
    valid[:, 200:] = False
    for validity in ("alpha", "nodata", "mask"):
        path = make_raster(values=quarters(300, 300), valid=valid, validity=validity)
        (card,) = cards_of([hit_on(path, 1, (110, 100, 100, 100))])
        picture = pixels_of(card)
        assert picture.shape == (140, 140, 4)
        assert picture[70, 20, 3] == 255 and picture[70, 130, 3] == 0
    path = make_raster(values=quarters(100, 100))
    (card,) = cards_of([hit_on(path, 1, (0, 0, 100, 100))])  # no ground around it at all
    picture = pixels_of(card)
    assert picture[2, 70, 3] == 0 and picture[70, 70, 3] == 255


@pytest.mark.parametrize("turned", [30.0, 180.0])
def test_a_turned_scene_says_where_north_is(make_raster: MakeRaster, turned: float) -> None:
    transform = PLACES["utm"].transform(rotation_deg=turned)
    path = make_raster(values=quarters(300, 300), transform=transform)
    (card,) = cards_of([hit_on(path, 1, (100, 100, 100, 100))])
    (arrow,) = [one for one in card.all("g") if one.all("path", "north")]
    said = float((arrow.attributes["transform"] or "").rpartition("(")[2].rstrip(")"))
    # rasters turned counter-clockwise have north to the right of up
    assert abs((said - turned + 180) % 360 - 180) < 1.5


def test_pixels_that_are_not_square_are_shown_square_on_the_ground(make_raster: MakeRaster) -> None:
    place = PLACES["utm"]
    transform = Affine.translation(place.x, place.y) @ Affine.scale(1.0, -2.0)
    path = make_raster(values=quarters(200, 400), transform=transform)
    (card,) = cards_of([hit_on(path, 1, (150, 75, 100, 50))])
    picture = pixels_of(card)
    assert picture.shape[0] == picture.shape[1] == 140
    assert_quarters(picture)


def test_a_hit_over_the_date_line_is_drawn_in_one_piece(make_raster: MakeRaster) -> None:
    place = PLACES["dateline"]
    path = make_raster(values=quarters(4000, 4000), place=place)
    scene = open_scene(str(path))
    footprints = [hit_on(scene, 1, (col, 500, 400, 400)) for col in range(0, 3600, 50)]
    hit = next(one for one in footprints if one.chip.footprint.geom_type == "MultiPolygon")
    page = parse(dumps_hits(make_result([hit]), "html"))
    assert pixels_of(page.one("li", "card")).shape[:2] == (320, 320)
    svg = page.one("div", "map").one("svg")
    outline = svg.one("path", "outline").attributes["d"] or ""
    assert outline.count("M") == 1
    width = float((svg.attributes["viewbox"] or "").split()[2])
    xs = [float(point.split()[0]) for point in outline.strip("MZ").split("L")]
    assert 0 < min(xs) < max(xs) < width and max(xs) - min(xs) > width / 10


def test_the_map_shows_the_scene_below_its_hits(make_raster: MakeRaster) -> None:
    path = make_raster(values=quarters(400, 400))
    page = parse(dumps_hits(make_result([hit_on(path, 1, (100, 100, 200, 200))]), "html"))
    svg = page.one("div", "map").one("svg")
    image = svg.one("image", "backdrop").attributes
    a, b, c, d, e, f = map(float, (image["transform"] or "")[7:-1].split())
    width, height = float(image["width"] or ""), float(image["height"] or "")
    outline = svg.one("path", "outline").attributes["d"] or ""
    xs, ys = zip(*(map(float, one.split()) for one in outline.strip("MZ").split("L")), strict=True)
    # the hit is the middle half of the scene, in both directions
    middle = a * width / 2 + c * height / 2 + e, b * width / 2 + d * height / 2 + f
    assert middle == pytest.approx(((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2), abs=1)
    assert abs(a * width) == pytest.approx(2 * (max(xs) - min(xs)), rel=0.05)
    assert_quarters(picture_of(image["href"]))


def problem_of(card: Element) -> str:
    assert not card.all("img")
    return card.one("div", "none").text


def test_a_scene_that_is_gone_or_another_leaves_a_reason(
    make_raster: MakeRaster, caplog: pytest.LogCaptureFixture
) -> None:
    gone, other, fine = (make_raster(seed=seed, height=300, width=300) for seed in range(3))
    hits = [
        hit_on(path, at, (0, 0, 64, 64)) for at, path in enumerate((gone, other, fine), start=1)
    ]
    gone.unlink()
    write_raster(other, quarters(100, 120))
    with caplog.at_level(logging.WARNING, "georclip"):
        first, second, third = cards_of(hits)
    assert "no such file" in problem_of(first)
    assert "has changed" in problem_of(second)
    assert third.all("img")
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and str(gone) in told[0] and str(other) in told[1]


def test_a_damaged_part_leaves_a_reason_for_its_chip_alone(make_raster: MakeRaster) -> None:
    path = make_raster(height=512, width=512, compress="deflate")
    hits = [hit_on(path, 1, (0, 0, 64, 64)), hit_on(path, 2, (440, 440, 64, 64))]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    first, second = cards_of(hits)
    assert first.all("img")
    assert "cannot be read" in problem_of(second)
    assert str(path) not in problem_of(second)


@pytest.fixture
def never_opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of scenes that were opened all the same."""
    opened: list[str] = []

    def refuse(uri: str, **_: object) -> None:
        opened.append(uri)
        raise SceneError("opened")

    monkeypatch.setattr(reading, "open_raster", refuse)
    monkeypatch.setattr(reading, "open_scene", refuse)
    return opened


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("size", [2**53, 10**300])
def test_a_hit_of_no_size_is_shown_without_a_warning(make_raster: MakeRaster, size: int) -> None:
    path = make_raster(values=quarters(200, 200))
    hits = as_hits(make_result([hit_on(path, 1, (0, 0, 64, 64))]))
    wide = replace(hits.records[0], width=size)
    (card,) = parse(dumps_hits(replace(hits, records=(wide,)), "html")).all("li", "card")
    assert not card.all("path", "north")


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9/a.tif", "s3://bucket/a.tif", "/vsicurl/http://127.0.0.1:9/a.tif",
            "/vsizip/a.zip/a.tif", "WMS:http://127.0.0.1:9/"]
)  # fmt: skip
def test_servers_are_not_asked_without_permission(uri: str, never_opened: list[str]) -> None:
    scene = make_scene(uri=uri, name="a.tif")
    hits = as_hits(make_result([hit_on(scene, 1, (0, 0, 64, 64))]))
    for asked in (hits, replace(hits, scenes=(), read_from="/hits/hits.geojson")):
        (card,) = parse(dumps_hits(asked, "html")).all("li", "card")
        assert "--allow-remote" in problem_of(card)
    assert never_opened == []


def test_a_server_is_asked_with_permission(make_raster: MakeRaster) -> None:
    path = make_raster(values=quarters(300, 300))
    with served(path) as (url, asked):
        scene = replace(open_scene(str(path)), uri=url)
        hit = hit_on(scene, 1, (100, 100, 100, 100))
        (card,) = cards_of([hit])
        assert "--allow-remote" in problem_of(card) and not asked
        (card,) = cards_of([hit], Access(allow_remote=True))
        assert_quarters(pixels_of(card))
        assert asked


def test_a_file_of_hits_may_name_scenes_in_its_folder_and_below(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "work").mkdir()
    path = write_raster(tmp_path / "data" / "scene.tif", quarters(300, 300))
    result = make_result([hit_on(path, 1, (100, 100, 100, 100))])
    for folder, shown in ((tmp_path, True), (tmp_path / "data", True), (tmp_path / "work", False)):
        write_hits(result, folder / "hits.geojson")
        hits = read_hits(folder / "hits.geojson")
        (card,) = parse(dumps_hits(hits, "html")).all("li", "card")
        if shown:
            assert_quarters(pixels_of(card))
        else:
            assert f"--allow-outside {tmp_path / 'data'}" in problem_of(card)
            access = Access(allow_outside=(tmp_path / "data",))
            (card,) = parse(dumps_hits(hits, "html", access=access)).all("li", "card")
            assert_quarters(pixels_of(card))


def test_pictures_from_a_file_of_hits_are_those_of_the_search(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "scene.tif", quarters(300, 300, "uint16", 3000))
    result = make_result([hit_on(path, 1, (100, 100, 100, 100))])
    write_hits(result, tmp_path / "hits.geojson")
    (card,) = parse(dumps_hits(read_hits(tmp_path / "hits.geojson"), "html")).all("li", "card")
    (searched,) = cards_of(list(result.hits))
    np.testing.assert_array_equal(pixels_of(card), pixels_of(searched))


def test_a_vrt_may_not_reach_outside(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "work").mkdir()
    source = write_raster(tmp_path / "secret" / "scene.tif", quarters(300, 300))
    vrt = tmp_path / "work" / "scene.vrt"
    vrt.write_text(
        '<VRTDataset rasterXSize="300" rasterYSize="300"><SRS>EPSG:32632</SRS>'
        "<GeoTransform>500000, 2, 0, 5300000, 0, -2</GeoTransform>"
        + "".join(
            f'<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource>'
            f'<SourceFilename relativeToVRT="0">{source}</SourceFilename>'
            f"<SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
            for band in (1, 2, 3)
        )
        + "</VRTDataset>"
    )
    allowed = Access(allow_outside=(source.parent,))
    hit = hit_on(open_scene(str(vrt), access=allowed), 1, (100, 100, 100, 100))
    (card,) = cards_of([hit])
    assert "--allow-outside" in problem_of(card)
    (card,) = cards_of([hit], allowed)
    assert_quarters(pixels_of(card))


def test_each_scene_is_opened_once(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (make_raster(seed=seed, height=300, width=300) for seed in range(2))
    hits = [hit_on(path, at, (32 * at, 0, 64, 64)) for at, path in enumerate((one, other) * 3, 1)]
    opened: list[str] = []

    def counted(uri: str, **options: object) -> object:
        opened.append(uri)
        return open_raster(uri, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "open_raster", counted)
    cards_of(hits)
    assert sorted(opened) == sorted([str(one), str(other)])


def test_fifty_hits_stay_small(make_raster: MakeRaster) -> None:
    path = make_raster(height=1500, width=1500)  # noise: the worst that there is to compress
    hits = [hit_on(path, at + 1, (25 * at, 20 * at, 230, 230)) for at in range(50)]
    assert len(dumps_hits(make_result(hits), "html")) < 1_500_000


def test_a_picture_that_does_not_fit_is_made_smaller() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (3, 320, 320), dtype=np.uint8)
    text = data_uri(noise, None, most_bytes=9_000)
    assert len(text) <= 9_100
    assert picture_of(text).shape[0] < 320
