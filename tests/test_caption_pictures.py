"""Pictures of every mode and depth, with pixel values that are known."""

import logging
import struct
import warnings
import zlib

import numpy as np
import pytest
import rasterio
from PIL import Image, ImageCms
from rasterio.enums import ColorInterp

from georclip.captions import pictures
from georclip.captions.pictures import check_images, decode_images
from georclip.captions.records import CaptionedImage
from georclip.errors import CaptionError
from georclip.scenes.picture_file import MOST_PIXELS, read_picture
from georclip.scenes.pixels import PixelReader
from georclip.scenes.raster import open_raster
from georclip.scenes.scene import open_scene
from georclip.scenes.whole import read_whole
from tests.conftest import textured, write_raster

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
GREY = RGB[..., 0]
SHOWN = RGB[..., 1] > 60
DEEP = np.random.default_rng(1).integers(300, 4000, (20, 30), dtype=np.uint16)


def captioned(path):
    return CaptionedImage(path=path, split="train", label="", sentences=("a road",), source="x")


def decode(path, max_side_px=1000):
    """One picture, through the door that all use; a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (pixels,) = decode_images([captioned(path)], max_side_px=max_side_px)
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    return pixels


def stretched(values, low=2, high=98):
    """What a scene's stretch makes of values, written down once more."""
    bottom, top = np.percentile(values.astype(np.float64), [low, high])
    return np.rint(np.clip((values - bottom) * 255 / (top - bottom), 0, 255)).astype(np.uint8)


def write_plain(path, bands, *, driver="GTiff", **profile):
    """A raster that nobody has placed: (band, height, width)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(
            path, "w", driver=driver, width=bands.shape[2], height=bands.shape[1],
            count=len(bands), dtype=bands.dtype, **profile,
        ) as file:  # fmt: skip
            file.write(bands)
    return path


def saved(folder, picture, name, **options):
    picture.save(folder / name, **options)
    return folder / name


# --- 8 bits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.ppm", "a.webp", "a.jp2", "a.tga"])
def test_8_bit_colour_is_left_alone(tmp_path, name):
    options = {"lossless": True} if name == "a.webp" else {}
    path = saved(tmp_path, Image.fromarray(RGB), name, **options)
    assert np.array_equal(decode(path), RGB)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_grey_becomes_three_times_the_same(tmp_path, name):
    path = saved(tmp_path, Image.fromarray(GREY), name)
    assert np.array_equal(decode(path), np.repeat(GREY[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("name", "options"), [("a.png", {}), ("a.tif", {}), ("b.tif", {"compression": "group4"})]
)
def test_1_bit_becomes_black_and_white(tmp_path, name, options):
    bits = GREY > 127
    path = saved(tmp_path, Image.fromarray(bits), name, **options)
    assert np.array_equal(decode(path)[..., 2], np.where(bits, 255, 0))


def test_4_bit_grey_fills_the_range(tmp_path):
    path = write_plain(tmp_path / "a.tif", GREY[None] >> 4, NBITS="4")
    assert np.array_equal(decode(path)[..., 0], (GREY >> 4) * 17)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.gif", "a.bmp"])
def test_palettes_become_their_colours(tmp_path, name):
    picture = Image.fromarray(RGB).quantize(16)
    path = saved(tmp_path, picture, name)
    assert np.array_equal(decode(path), np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_what_is_transparent_gets_the_mean_colour_of_the_rest(tmp_path, name):
    alpha = np.where(SHOWN, 1, 0).astype(np.uint8)  # hardly there still is there, as in scenes
    options = {"lossless": True, "exact": True} if name == "a.webp" else {}
    path = saved(tmp_path, Image.fromarray(np.dstack([RGB, alpha])), name, **options)
    pixels = decode(path)
    assert np.array_equal(pixels[SHOWN], RGB[SHOWN])
    assert np.abs(pixels[~SHOWN] - RGB[SHOWN].mean(axis=0)).max() <= 0.5


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_grey_with_alpha(tmp_path, name):
    alpha = np.where(SHOWN, 255, 0).astype(np.uint8)
    path = saved(tmp_path, Image.fromarray(np.dstack([GREY, alpha]), "LA"), name)
    pixels = decode(path)
    assert np.array_equal(pixels[SHOWN][:, 0], GREY[SHOWN])
    assert np.abs(pixels[~SHOWN] - GREY[SHOWN].mean()).max() <= 0.5


def test_a_transparent_colour_is_transparent(tmp_path):
    there = np.full((4, 4), 90, dtype=np.uint8)
    there[0] = 7
    path = saved(tmp_path, Image.fromarray(there), "a.png", transparency=7)
    assert (decode(path) == 90).all()


@pytest.mark.parametrize("name", ["a.tif", "a.jpg"])
def test_ink_becomes_light(tmp_path, name):
    flat = np.zeros((16, 16, 3), dtype=np.uint8) + np.array([200, 100, 50], dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(flat).convert("CMYK"), name)
    assert np.abs(decode(path).astype(int) - flat).max() <= 3


def test_lab_becomes_light(tmp_path):
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    flat = Image.new("RGB", (16, 16), (200, 100, 50))
    lab = ImageCms.applyTransform(flat, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    assert np.abs(decode(saved(tmp_path, lab, "a.tif")).astype(int) - [200, 100, 50]).max() <= 3


def test_of_several_frames_the_first_counts(tmp_path):
    first, second = Image.new("RGB", (8, 8), (9, 9, 9)), Image.new("RGB", (8, 8), (99, 99, 99))
    path = saved(tmp_path, first, "a.tif", save_all=True, append_images=[second])
    assert (decode(path) == 9).all()


# --- more than 8 bits ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_16_bit_grey_is_stretched_and_never_cut(tmp_path, name):
    path = saved(tmp_path, Image.fromarray(DEEP), name)
    assert np.array_equal(decode(path)[..., 1], stretched(DEEP))


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_32_bit_tiffs_are_stretched(tmp_path, dtype):
    path = saved(tmp_path, Image.fromarray(DEEP.astype(dtype)), "a.tif")
    assert np.array_equal(decode(path)[..., 1], stretched(DEEP))


@pytest.mark.parametrize(("name", "driver"), [("a.png", "PNG"), ("a.jp2", "JP2OpenJPEG")])
def test_16_bit_colour_is_stretched_and_never_cut(tmp_path, name, driver):
    bands = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]])
    options = {"QUALITY": "100", "REVERSIBLE": "YES"} if driver != "PNG" else {}
    path = write_plain(tmp_path / name, bands, driver=driver, **options)
    wanted = np.stack([stretched(band) for band in bands], axis=-1)
    assert np.array_equal(decode(path), wanted)


@pytest.mark.parametrize("count", [2, 4, 5, 8])
def test_many_bands_are_chosen_from_as_in_scenes(tmp_path, count):
    bands = textured(count, 20, 30, "uint16")
    shown = {2: (0, 0, 0), 4: (0, 1, 2)}.get(count, (2, 1, 0))
    pixels = decode(write_plain(tmp_path / "a.tif", bands))
    for channel, band in enumerate(shown):
        assert np.array_equal(pixels[..., channel], stretched(bands[band]))


@pytest.mark.parametrize(
    "options",
    [
        {"validity": "none"},
        {"validity": "nodata", "nodata": 0},
        {"validity": "mask"},
        {"dtype": "float32", "validity": "nan"},
        {"dtype": "uint8", "validity": "nodata", "nodata": 0},
    ],
)
@pytest.mark.parametrize("count", [1, 4, 6])
def test_a_geotiff_is_what_its_scene_shows(tmp_path, count, options):
    options = dict(options)
    bands = textured(count, 50, 70, options.pop("dtype", "uint16"))
    valid = np.ones((50, 70), dtype=bool)
    valid[:9, :11] = options["validity"] == "none"
    path = write_raster(tmp_path / "a.tif", bands, valid=valid, **options)
    scene = open_scene(str(path))
    with open_raster(scene.uri) as dataset:
        shown, known = PixelReader(dataset, scene.uri, scene.rendering).read_rendered(
            (0, 0, 70, 50)
        )
    assert (known is None) or np.array_equal(known, valid)
    pixels = decode(path)
    assert np.array_equal(pixels[valid], np.moveaxis(shown, 0, -1)[valid])
    assert pixels[valid].max() > 200
    if not valid.all():
        assert np.abs(pixels[~valid] - pixels[valid].mean(axis=0)).max() <= 0.5


def test_bands_are_chosen_by_their_meaning(tmp_path):
    bands = textured(4, 20, 30)
    path = write_raster(tmp_path / "a.tif", bands)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp[n] for n in ("blue", "green", "red", "undefined")]
    assert np.array_equal(decode(path), np.moveaxis(bands[[2, 1, 0]], 0, -1))


# --- orientation and size ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "deep"),
    [("a.png", False), ("a.png", True), ("a.tif", False), ("a.tif", True), ("a.webp", False)],
)
def test_the_orientation_of_a_camera_is_applied(tmp_path, name, deep):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rows run right to left, columns downwards
    options = {"lossless": True} if name == "a.webp" else {}
    plain = stretched(DEEP)[..., None].repeat(3, axis=2) if deep else RGB
    path = saved(tmp_path, Image.fromarray(DEEP if deep else RGB), name, exif=exif, **options)
    assert np.array_equal(decode(path), np.rot90(plain, -1))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_reducing_averages(tmp_path, dtype):
    """A checkerboard finer than the result becomes grey; picking pixels would keep its colours."""
    squares = (np.indices((400, 600)).sum(axis=0) % 2 * 200 + 20).astype(dtype)
    pixels = decode(saved(tmp_path, Image.fromarray(squares), "a.png"), max_side_px=50)
    assert pixels.shape == (50, 75, 3)
    assert pixels[5:-5, 5:-5].min() > 80
    assert pixels[5:-5, 5:-5].max() < 160


def test_a_large_raster_is_decimated_while_it_is_read(tmp_path):
    ramp = np.linspace(500, 4000, 2500).astype(np.uint16)
    path = write_plain(tmp_path / "a.tif", np.broadcast_to(ramp, (1, 2000, 2500)))
    decimated, _ = read_whole(path, least_side_px=80, most_px=5_000_000)
    assert decimated.shape == (3, 80, 100)
    pixels = decode(path, max_side_px=40)
    assert pixels.shape == (40, 50, 3)
    step = np.diff(pixels[20, :, 0].astype(int))
    assert (step >= 0).all()  # a ramp still
    assert pixels[20, 0, 0] < 10
    assert pixels[20, -1, 0] > 245


@pytest.mark.parametrize("lying", [True, False])
def test_a_strip_is_decimated_along_its_length(tmp_path, monkeypatch, lying):
    monkeypatch.setattr("georclip.scenes.whole._DECODED_PX", 4_000)
    values = np.broadcast_to(np.linspace(0, 255, 2_000), (20, 2_000)).astype(np.uint8)
    path = write_plain(tmp_path / "strip.tif", np.stack([values if lying else values.T] * 3))
    pixels, _ = read_whole(path, least_side_px=80, most_px=5_000_000)
    assert pixels.shape == ((3, 20, 200) if lying else (3, 200, 20))
    along = pixels[0].mean(axis=0 if lying else 1)
    assert np.abs(along - np.linspace(0, 255, 200)).max() < 3


def test_a_large_jpeg_is_what_it_was(tmp_path):
    smooth = np.asarray(Image.fromarray(RGB).resize((900, 600), Image.Resampling.BICUBIC))
    path = saved(tmp_path, Image.fromarray(smooth), "a.jpg", quality=95)
    wanted = Image.open(path).resize((60, 40), Image.Resampling.BICUBIC)
    pixels = decode(path, max_side_px=40)
    assert pixels.shape == (40, 60, 3)
    assert np.abs(pixels.astype(int) - np.asarray(wanted)).mean() < 2


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("side", [11_000, 60_000])
def test_bombs_are_refused_before_they_go_off(tmp_path, side, depth):
    header = struct.pack(">IIBBBBB", side, side, depth, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(CaptionError, match=f"pixels, more than {MOST_PIXELS:,}|more than .* pix"):
        decode(path)


def test_rasters_too_large_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "count": 6, "dtype": "uint16", "sparse_ok": True}
    with rasterio.open(path, "w", width=20_000, height=20_000, crs="EPSG:32632",
                       transform=rasterio.Affine(1, 0, 5e5, 0, -1, 5e6), **profile):  # fmt: skip
        pass
    with pytest.raises(CaptionError, match="has 20000 x 20000 pixels, more than 100,000,000"):
        decode(path)


# --- what is wrong -----------------------------------------------------------------------------


def write_eps(path):
    Image.fromarray(RGB).save(path, format="EPS")


def write_transparent(path):
    Image.new("RGBA", (8, 8)).save(path)


def write_nodata(path):
    write_raster(path, np.zeros((3, 8, 8), np.uint16), nodata=0)


BROKEN = {
    "no.png": (lambda path: path.write_bytes(b"no picture"), "is no raster that GDAL can read"),
    "empty.png": (lambda path: path.write_bytes(b""), "the file is empty"),
    "clear.png": (write_transparent, "is transparent all over"),
    "none.tif": (write_nodata, "holds no valid pixel"),
    "radar.tif": (lambda path: write_plain(path, np.ones((1, 8, 8), np.complex64)), "complex"),
    "program.eps": (write_eps, "is no raster"),  # Pillow would start Ghostscript
    "page.html": (lambda path: path.write_text("<html></html>"), "is no raster"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_pictures_say_why(tmp_path, name):
    make, why = BROKEN[name]
    make(tmp_path / name)
    with pytest.raises(CaptionError, match=f"1 of 1 images are broken: .*{name} .*{why}"):
        decode(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "deep.png", "deep.tif"])
def test_truncated_pictures_are_broken(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 65536, (64, 64), dtype=np.uint16)
    picture = Image.fromarray(noise if name.startswith("deep") else noise.astype(np.uint8))
    path = saved(tmp_path, picture, name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CaptionError, match="1 of 1 images are broken"):
        check_images([captioned(path)])


def test_missing_and_broken_pictures_are_named_in_one_error(tmp_path):
    for name in "abc":
        saved(tmp_path, Image.fromarray(RGB), f"{name}.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    (tmp_path / "folder.png").mkdir()
    names = ["a.png", "b.png", "c.png", "none.png", "folder.png", "b.png"]
    for judge in (check_images, lambda images: decode_images(images, max_side_px=9)):
        with pytest.raises(CaptionError) as caught:
            judge([captioned(tmp_path / name) for name in names])
        missing, broken = str(caught.value).split("; ")
        assert missing == (f"2 of 5 images are missing: {tmp_path}/none.png, {tmp_path}/folder.png")
        assert broken.startswith(f"1 of 5 images are broken: {tmp_path}/b.png (")


@pytest.mark.parametrize("name", ["x" * 100_000, "\udcff.png"])
def test_names_that_no_file_can_have_are_missing(tmp_path, name):
    with pytest.raises(CaptionError, match="1 of 1 images are missing") as caught:
        check_images([captioned(tmp_path / name)])
    assert len(str(caught.value)) < 300


def test_long_lists_go_into_the_log_whole(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("georclip"), "propagate", True)
    for number in range(25):
        (tmp_path / f"{number}.png").write_bytes(b"no picture")
    images = [captioned(tmp_path / f"{number}.png") for number in range(25)]
    with pytest.raises(CaptionError, match=r"25 of 25 images are broken: .* and 5 more$"):
        check_images(images)
    assert [f"broken: {image.path} (" in caplog.text for image in images] == [True] * 25


def test_order_is_kept_and_a_picture_that_comes_twice_is_decoded_once(tmp_path, monkeypatch):
    read = []

    def counted(path, **options):
        read.append(path)
        return read_picture(path, **options)

    monkeypatch.setattr(pictures, "read_picture", counted)
    paths = []
    for number in range(40):
        flat = np.full((9, 9, 3), number, dtype=np.uint8)
        paths.append(saved(tmp_path, Image.fromarray(flat), f"{number}.png"))
    images = [captioned(path) for path in [*paths, *paths[::-1]]]
    pixels = decode_images(images, max_side_px=9)
    assert [int(one[0, 0, 0]) for one in pixels] == [*range(40), *range(39, -1, -1)]
    assert pixels[0] is pixels[-1]
    assert sorted(read) == sorted(paths)


def test_a_bar_shows_many_pictures_unless_it_is_quiet(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pictures, "_SHOWN_FROM", 3)
    images = [
        captioned(saved(tmp_path, Image.fromarray(RGB), f"{number}.png")) for number in range(3)
    ]
    check_images(images, quiet=True)
    check_images(images[:2])
    assert capsys.readouterr() == ("", "")
    check_images(images)
    shown = capsys.readouterr()
    assert "pictures" in shown.err
    assert shown.out == ""
