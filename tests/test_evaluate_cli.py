"""`georclip evaluate` end to end, with the model in the box and with checkpoints."""

import csv
import json
import shutil
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from georclip.cli.evaluating import name_sets
from georclip.cli.main import cli
from georclip.errors import CaptionError, EncoderError, ExportError
from tests.helpers_captions import write_coloured
from tests.test_cli import assert_one_line_error, georclip
from tests.test_imports import loaded_by

COLOURS = ["green", "red", "blue", "gray", "green", "white"]
CAPTIONS = [["a green field", "some trees"], ["red roofs"], ["a blue lake", "some trees"],
            ["a gray road"], ["a green field"], ["a white building"]]  # fmt: skip


def run(*arguments):
    """In this process: (stdout, stderr), with errors raised."""
    done = CliRunner().invoke(
        cli, ["evaluate", *map(str, arguments)], catch_exceptions=False, standalone_mode=False
    )
    if done.exception:
        raise done.exception
    return done.stdout


@pytest.fixture
def captioned(tmp_path):
    """A caption file over its own folder, with some splits and classes."""
    file = write_coloured(tmp_path / "data" / "one.json", COLOURS, captions=CAPTIONS, side=32)
    return write_coloured(file, ["red", "green"], split="val", side=32)


def test_the_contract_s_json(captioned):
    modules, done = loaded_by(
        "evaluate", captioned, "--images", captioned.parent, "--model", "starter", "-f", "json"
    )
    found = json.loads(done.stdout)
    assert {"protocol", "images", "texts", "text_to_image", "image_to_text", "mean_recall"} <= set(
        found
    )
    assert (found["protocol"], found["images"], found["texts"]) == ("A", 6, 8)
    assert found["split"] == "test"
    six = []
    for direction in ("text_to_image", "image_to_text"):
        assert set(found[direction]) == {"R@1", "R@5", "R@10"}
        assert found[direction]["R@10"] == 100.0
        six += found[direction].values()
    assert all(0 <= value <= 100 for value in six)
    assert found["mean_recall"] == pytest.approx(np.mean(six))
    # "some trees" and "a green field" are said of two pictures each
    assert found["ceiling"]["text_to_image"] == {"R@1": 75.0, "R@5": 100.0, "R@10": 100.0}
    assert set(found["zero_shot"]["per_class"]) == {"blue", "gray", "green", "red", "white"}
    assert found["model"]["name"] == "starter"
    assert "by_set" not in found
    # The base install has no torch and no matplotlib.
    assert not modules & {"torch", "open_clip", "matplotlib"}


def test_the_table_names_protocol_and_ceiling(captioned):
    printed = run(captioned, "--images", captioned.parent, "--model", "starter", "--protocol", "B")
    assert "protocol B (SkyScript's" in printed
    assert "one: 6 images, 6 texts" in printed
    assert "at most 100.00" in printed
    assert "prefix of every text: 'a satellite image. '" in printed


def test_a_split_without_images_is_an_error_naming_the_others(captioned):
    done = georclip("evaluate", captioned, "--images", captioned.parent, "--split", "train",
                    "--model", "starter")  # fmt: skip
    assert_one_line_error(done, "'train'", "test (6), val (2)")


def test_tables_without_splits_count_whole(tmp_path):
    file = tmp_path / "captions.csv"
    rows = [("image", "caption")]
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (32, 32), (40 * number, 90, 60)).save(tmp_path / f"{number}.png")
        rows.append((f"{number}.png", f"a {colour} field"))
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows(rows)
    found = json.loads(run(file, "--images", tmp_path, "--model", "starter", "-f", "json"))
    assert (found["images"], found["texts"]) == (6, 6)
    assert "zero_shot" not in found
    done = georclip("evaluate", file, "--images", tmp_path, "--model", "starter", "--split", "val")
    assert "one: 6 images" not in done.stderr
    assert "captions: 6 images" in done.stdout
    assert "--split val with the --val-share of that training" in done.stderr
    done = georclip("evaluate", file, "--images", tmp_path, "--model", "starter", "--split", "val",
                    "--val-share", "0.5")  # fmt: skip
    assert "captions: 3 images" in done.stdout
    assert "--split val with" not in done.stderr


def test_files_of_one_name_are_told_apart(captioned, tmp_path):
    other = tmp_path / "more" / "one.json"
    shutil.copytree(captioned.parent, other.parent)
    found = json.loads(run(
        captioned, other, "--images", captioned.parent, "--images", other.parent,
        "--model", "starter", "-f", "json", "--tasks", "retrieval",
    ))  # fmt: skip
    assert list(found["by_set"]) == ["data-one.json", "more-one.json"]
    assert found["images"] == 12
    assert {one["images"] for one in found["by_set"].values()} == {6}


def test_linked_files_are_named_as_they_were_given(tmp_path):
    links = []
    for letter in "ab":
        real = write_coloured(tmp_path / letter / f"real{letter}.json", ["green", "red"], side=32)
        links.append(real.parent / "one.json")
        links[-1].symlink_to(real)
    found = json.loads(run(
        *links, "--images", links[0].parent, "--images", links[1].parent,
        "--model", "starter", "-f", "json", "--tasks", "retrieval",
    ))  # fmt: skip
    assert list(found["by_set"]) == ["a-one.json", "b-one.json"]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["/d/one.json", "/d/two.json"], ["one", "two"]),
        (["/d/a/one.json", "/d/b/one.json"], ["a-one.json", "b-one.json"]),
        (["/one.json", "/d/one.json"], ["one.json", "d-one.json"]),
        # equal at every depth but 2, where the third is in the way
        (["/d/a/b-c/x", "/d/a-b/c/x", "/e/z/c/x"], ["d-a-b-c-x", "d-a-b-c-x-2", "e-z-c-x"]),
        (
            ["/d/a/b-c/x", "/d/a-b/c/x", "/e/z/c/x", "/d/a/b-c/x-2"],
            ["d-a-b-c-x", "d-a-b-c-x-3", "e-z-c-x", "d-a-b-c-x-2"],
        ),
    ],
)
def test_names_of_caption_files_differ_and_end(files, names):
    assert name_sets([Path(file) for file in files]) == names


@pytest.mark.parametrize(
    ("arguments", "needle"),
    [
        (["--activation", "both"], "goes with --published"),
        (["--tasks", "retrieval,magic"], "'magic' is none of"),
        (["--template", "an aerial photo"], "needs one {}"),
        (["--pixel-sizes", "0"], "from 0.1 to 10"),
        (["--pixel-sizes", "nan"], "from 0.1 to 10"),
        (["--pixel-sizes", "1,0.001"], "from 0.1 to 10"),
        (["--seed", "-1"], "x>=0"),
        (["--pixel-sizes", "0.5,2"], "--pixel-sizes goes with --tasks in-scene"),
        (["--scene-dir", "x"], "--scene-dir goes with --tasks in-scene"),
        (["--tasks", "retrieval", "--gallery", "train"], "--gallery goes with --tasks neighbours"),
        (["--tasks", "neighbours", "--template", "a {}"], "--template goes with --tasks zero-shot"),
        (["--tasks", "zero-shot", "--protocol", "B"], "go with --tasks retrieval"),
        (["--protocol", "C"], "'C' is not one of"),
        (["--published", "remoteclip", "--protocol", "B"], "protocol A"),
        (["--published", "remoteclip", "--split", "val"], "'test'"),
        (["--published", "remoteclip", "--gallery", "train"], "leave --gallery out"),
        (["--published", "remoteclip", "--template", "a {}"], "leave --template out"),
        (["--published", "remoteclip", "--pixel-sizes", "1"], "leave --pixel-sizes out"),
        (["--published", "remoteclip", "--scene-dir", "x", "--seed", "0"], "--scene-dir, --seed"),
    ],
)
def test_wrong_usage(captioned, arguments, needle):
    with pytest.raises(click.UsageError) as caught:
        run(captioned, "--images", captioned.parent, "--model", "starter", *arguments)
    assert needle in caught.value.format_message()


def test_a_file_given_twice_is_wrong_usage(captioned):
    with pytest.raises(click.UsageError, match="given twice"):
        run(captioned, captioned, "--images", captioned.parent, "--model", "starter")


def test_plots_are_written(captioned, tmp_path):
    folder = tmp_path / "new" / "plots"
    run(captioned, "--images", captioned.parent, "--model", "starter", "--plots", folder)
    assert {path.name for path in folder.iterdir()} == {
        "recall-one.png", "confusion-one.png", "confusion-one.csv",
    }  # fmt: skip
    for path in folder.glob("*.png"):
        with Image.open(path) as picture:
            assert min(picture.size) > 300
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 50
    with (folder / "confusion-one.csv").open(newline="") as file:
        heading, *rows = csv.reader(file)
    assert heading[1:] == [row[0] for row in rows] == ["blue", "gray", "green", "red", "white"]
    assert sum(int(cell) for row in rows for cell in row[1:]) == 6


def test_scenes_have_a_plot(tmp_path):
    file = write_coloured(tmp_path / "one.json", ["green", "red"] * 4, side=40)
    folder = tmp_path / "plots"
    run(file, "--images", file.parent, "--model", "starter", "--tasks", "in-scene",
        "--pixel-sizes", "1,2", "--plots", folder)  # fmt: skip
    (path,) = folder.iterdir()
    assert path.name == "in-scene-one.png"
    with Image.open(path) as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
    assert {(31, 119, 180), (255, 127, 14)} <= colours  # precision, and recall by caption


def test_nothing_to_draw_is_said(captioned, tmp_path, caplog):
    run(captioned, "--images", captioned.parent, "--model", "starter", "--tasks", "neighbours",
        "--plots", tmp_path / "plots")  # fmt: skip
    assert "no plots" in caplog.text


def test_plots_without_matplotlib_say_how_to_get_it(captioned, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "georclip.evaluation.plots", raising=False)
    with pytest.raises(ExportError, match=r'pip install "georclip\[train\]"'):
        run(captioned, "--images", captioned.parent, "--model", "starter", "--plots", tmp_path)


def test_plots_that_cannot_be_written_are_an_error(captioned, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExportError, match="cannot write plots"):
        run(captioned, "--images", captioned.parent, "--model", "starter",
            "--plots", tmp_path / "file" / "plots")  # fmt: skip


def test_tasks_that_need_classes_say_so(captioned):
    content = json.loads(captioned.read_text())
    for image in content["images"]:
        del image["class"]
    captioned.write_text(json.dumps(content))
    with pytest.raises(CaptionError, match="zero-shot needs pictures with classes"):
        run(captioned, "--images", captioned.parent, "--model", "starter", "--tasks", "zero-shot")


def test_a_missing_checkpoint_is_an_error(captioned, tmp_path):
    with pytest.raises(EncoderError, match="no weights at"):
        run(captioned, "--images", captioned.parent, "--weights", tmp_path / "none.pt")
