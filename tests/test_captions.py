import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from georclip.captions.columns import CAPTION_NAMES, IMAGE_NAMES
from georclip.captions.pictures import check_images, decode_images
from georclip.captions.reading import read_captions
from georclip.cli.train import train
from georclip.errors import CaptionError
from georclip.evaluation.embedding import embed_files
from georclip.testing import FakeEncoder
from georclip.training.data.vocabulary import build_vocabulary
from tests.helpers_training import draw_captioned


def test_a_file_of_the_rsicd_form_is_read(tmp_path):
    file, pictures = draw_captioned(tmp_path, per_class=2, held_out=1)
    images = read_captions([file], [pictures])
    assert len(images) == 9
    first = images[0]
    assert first.path == pictures / "StorageTanks_0.png"
    assert (first.split, first.label, first.source) == ("train", "storage tank", "captions")
    assert first.sentences == ("some red storage tanks stand near a road .",) * 2


def test_class_is_optional(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    entry = {"filename": "x.png", "split": "val", "sentences": [{"raw": "a road"}]}
    (tmp_path / "c.json").write_text(json.dumps({"images": [entry]}))
    (image,) = read_captions([tmp_path / "c.json"], [tmp_path])
    assert image.label == ""


def test_every_missing_image_is_named_at_once(tmp_path):
    file, pictures = draw_captioned(tmp_path, per_class=2, held_out=0)
    (pictures / "Port_0.png").unlink()
    (pictures / "farmland_1.png").unlink()
    with pytest.raises(CaptionError, match="2 of 6 images are missing") as caught:
        check_images(read_captions([file], [pictures]))
    assert "Port_0.png" in str(caught.value)
    assert "farmland_1.png" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_broken_image_is_named_at_once(tmp_path):
    file, pictures = draw_captioned(tmp_path, per_class=2, held_out=0)
    (pictures / "Port_0.png").write_bytes(b"no picture")
    whole = (pictures / "farmland_1.png").read_bytes()
    (pictures / "farmland_1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CaptionError, match="2 of 6 images are broken") as caught:
        decode_images(read_captions([file], [pictures]), max_side_px=32)
    assert "Port_0.png" in str(caught.value)
    assert "farmland_1.png" in str(caught.value)


def test_long_lists_are_cut_short(tmp_path):
    file, pictures = draw_captioned(tmp_path, per_class=10, held_out=0)
    with pytest.raises(CaptionError, match=r"30 of 30 images are missing.* and 10 more$"):
        check_images(read_captions([file], [pictures / "elsewhere"]))


def test_many_missing_pictures_are_listed_once(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("georclip"), "propagate", True)
    images = read_captions([draw_captioned(tmp_path)[0]], [tmp_path / "nowhere"])
    with pytest.raises(CaptionError, match="missing"):
        embed_files(FakeEncoder(), images)
    assert len(caplog.messages) == len(set(caplog.messages)) == len(images)


@pytest.mark.parametrize(
    ("named", "folder"),
    [("images/{}", "data/images"), ("{}", "data/images/images"), ("data/images/{}", "data/images")],
)
def test_a_folder_that_is_named_twice_is_found(tmp_path, monkeypatch, named, folder):
    """As where a table's names count from the working folder, and --images names one below it."""
    file, pictures = draw_captioned(tmp_path / "data", held_out=0)
    content = json.loads(file.read_text())
    for image in content["images"]:
        image["filename"] = named.format(image["filename"])
    file.write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CaptionError, match=r"; data/images/\w+.png is there: .* --images$"):
        check_images(read_captions([file], [Path(folder)]))
    monkeypatch.chdir("/")
    with pytest.raises(CaptionError, match=rf"; {pictures}/\w+.png is there"):
        check_images(read_captions([file], [tmp_path / folder]))


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        "[" * 200_000,
        "[]",
        "{}",
        '{"images": 3}',
        '{"images": [{"filename": "a.png"}]}',
        '{"images": [{"filename": "a.png", "split": "val", "sentences": []}]}',
        '{"images": [{"filename": "a.png", "split": "val", "sentences": ["a road"]}]}',
    ],
)
def test_files_of_another_form_are_refused(tmp_path, content):
    file = tmp_path / "c.json"
    file.write_text(content)
    with pytest.raises(CaptionError, match="not a caption file of the RSICD form"):
        read_captions([file], [tmp_path])


@pytest.mark.parametrize("name", ["../secret.png", "/secret.png", "a/../../secret.png"])
def test_a_file_names_pictures_in_its_folder_only(tmp_path, name):
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    file = tmp_path / "c.json"
    image = {"filename": name, "split": "train", "sentences": [{"raw": "a road"}]}
    file.write_text(json.dumps({"images": [image]}))
    with pytest.raises(CaptionError, match="lies outside"):
        read_captions([file], [tmp_path / "pictures"])


def test_a_missing_caption_file_is_refused(tmp_path):
    with pytest.raises(CaptionError, match="cannot read the caption file"):
        read_captions([tmp_path / "none.json"], [tmp_path])


def test_folders_go_with_files(tmp_path):
    one, pictures = draw_captioned(tmp_path / "one", per_class=1, held_out=0)
    two, others = draw_captioned(tmp_path / "two", per_class=1, held_out=0)
    images = read_captions([one, two], [pictures, others])
    assert {image.path.parent for image in images} == {pictures, others}
    with pytest.raises(CaptionError, match="1 caption files but 2 image folders"):
        read_captions([one], [pictures, others])


def test_large_pictures_are_reduced_and_small_ones_kept(tmp_path):
    file, pictures = draw_captioned(tmp_path, per_class=2, held_out=0)
    Image.new("RGB", (200, 100)).save(pictures / "Port_0.png")
    Image.new("L", (30, 30)).save(pictures / "Port_1.png")
    images = read_captions([file], [pictures])
    pixels = {
        image.path.name: one
        for image, one in zip(images, decode_images(images, max_side_px=50), strict=True)
    }
    assert pixels["Port_0.png"].shape == (50, 100, 3)
    assert pixels["Port_1.png"].shape == (30, 30, 3)
    assert pixels["farmland_0.png"].shape == (40, 40, 3)
    assert all(one.dtype == np.uint8 for one in pixels.values())


def test_the_vocabulary_holds_frequent_words_classes_and_extras(tmp_path):
    file, pictures = draw_captioned(tmp_path, per_class=1, held_out=0)
    images = read_captions([file], [pictures])
    words = build_vocabulary(images, more=["Lakes"], min_count=3)
    # "a" is in all three captions, twice each; rare words go, class names and extras stay
    assert words[0] == "a"
    assert {"storage", "tank", "farmland", "port", "lake"} <= set(words)
    assert "ship" not in words
    assert len(set(words)) == len(words)


def test_other_splits_are_counted_aloud_and_restval_is_learnt(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("georclip.captions.entries.log.propagate", True)
    file = tmp_path / "c.csv"
    rows = [("a.png", "restval"), ("b.png", "extra"), ("c.png", "extra"), ("d.png", "val")]
    file.write_text("image,caption,split\n" + "".join(f"{n},a road,{s}\n" for n, s in rows))
    with caplog.at_level("WARNING", logger="georclip"):
        images = read_captions([file], [tmp_path])
    assert [image.split for image in images] == ["train", "extra", "extra", "val"]
    (record,) = caplog.records
    assert record.message.endswith("neither learnt nor held out: 2 of 'extra'")


@pytest.mark.parametrize(("name", "known"), [("image", IMAGE_NAMES), ("caption", CAPTION_NAMES)])
def test_the_help_names_columns_in_the_order_they_are_looked_for(name, known):
    (option,) = [one for one in train.params if one.name == f"{name}_column"]
    assert f"the first there is of {', '.join(known)};" in option.help
