"""Tables of captions, JSON's loose ends, splits, and what the command line says of them."""

import csv
import io
import json
import logging
import random
from collections import Counter
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from georclip.captions.columns import find_columns
from georclip.captions.entries import held_out
from georclip.captions.forms import CaptionForm, HoldOut, Whole
from georclip.captions.lengths import too_long
from georclip.captions.reading import read_captions
from georclip.captions.records import CaptionedImage
from georclip.cli.caption_options import CaptionOptions, caption_options, read_caption_files
from georclip.errors import CaptionError

FORM = CaptionForm()


@pytest.fixture(autouse=True)
def heard():
    """The command line, run in other tests, keeps the package's words from `caplog`."""
    logger = logging.getLogger("georclip")
    before = logger.propagate, logger.level
    logger.propagate = True
    logger.setLevel(logging.INFO)  # not .level: loggers remember what they let through
    yield
    logger.propagate = before[0]
    logger.setLevel(before[1])


def read(folder, text, *, name="captions.csv", form=FORM, **more):
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_captions([file], [folder / "images"], form, **more)


def content(images):
    """What was read, whatever its order."""
    return {
        (image.path.name, image.split, image.label, tuple(sorted(image.sentences)))
        for image in images
    }


# --- tables --------------------------------------------------------------------------------

SAME = {
    "the notebook's, with a header": ("captions.csv", "image,caption\na.png,a road\nb.png,a sea\n"),
    "the notebook's, without": ("captions.csv", "a.png,a road\nb.png,a sea\n"),
    "open_clip's": ("train.csv", "filepath\ttitle\na.png\ta road\nb.png\ta sea\n"),
    "tabs": ("captions.tsv", "a.png\ta road\nb.png\ta sea\n"),
    "a spreadsheet's": ("captions.csv", "\ufeffImage;Caption\r\na.png;a road\r\nb.png;a sea\r\n"),
    "quoted": ("captions.csv", '"image", "caption"\n"a.png", "a road"\n"b.png", "a sea"'),
    "old Mac's": ("captions.csv", "image,caption\ra.png,a road\rb.png,a sea\r"),
    "swapped": ("captions.csv", "Title,FileName\na road,a.png\na sea,b.png\n"),
    "with a row number": ("captions.csv", ",image,caption\n0,a.png,a road\n1,b.png,a sea\n"),
    "with blank rows": ("captions.csv", "image,caption\n\na.png,a road\n,\n \nb.png,a sea\n\n"),
    "wide": ("captions.csv", "image,caption,,\na.png,a road,,\nb.png,a sea,,\n"),
    "other words": ("captions.csv", "photo,beschreibung\na.png,a road\nb.png,a sea\n"),
    "of text": ("captions.txt", "image,caption\na.png,a road\nb.png,a sea\n"),
}


@pytest.mark.parametrize("kind", SAME)
def test_tables_are_read_without_options(tmp_path, kind):
    name, text = SAME[kind]
    images = read(tmp_path, text, name=name, undivided=Whole(split="train"))
    assert [(image.path, image.sentences) for image in images] == [
        (tmp_path / "images" / "a.png", ("a road",)),
        (tmp_path / "images" / "b.png", ("a sea",)),
    ]


@pytest.mark.parametrize(
    "form",
    [
        CaptionForm(image_column="Bild", caption_column="Satz"),
        CaptionForm(image_column=" bild ", caption_column="3"),
        CaptionForm(image_column="2", caption_column="3"),
        CaptionForm(image_column="2", caption_column="satz", separator=","),
    ],
)
def test_columns_are_asked_for_by_name_or_position(tmp_path, form):
    (image,) = read(tmp_path, "Nr,Bild,Satz\n1,a.png,a road\n", form=form)
    assert (image.path.name, image.sentences) == ("a.png", ("a road",))


def test_positions_do_without_a_header(tmp_path):
    form = CaptionForm(
        image_column="2", caption_column="4", split_column="1", label_column="3", separator="|"
    )
    (image,) = read(tmp_path, "Test|a.png|BaseballField|a field\n", form=form)
    assert (image.split, image.label, image.sentences) == ("test", "baseball field", ("a field",))


def test_a_caption_that_reads_like_a_header_is_a_caption(tmp_path):
    images = read(tmp_path, "a.png,path\nb.png,text\n")
    assert [image.sentences for image in images] == [("path",), ("text",)]


def test_splits_and_classes_of_a_table_count(tmp_path):
    rows = "Split,class,caption,image\nvalidation,Port,a sea,a.png\nTRAIN,7,a road,b.png\n"
    images = read(tmp_path, rows)
    assert content(images) == {
        ("a.png", "val", "port", ("a sea",)),
        ("b.png", "train", "", ("a road",)),  # a number is no class in words
    }


def test_an_asked_column_is_no_other(tmp_path):
    form = CaptionForm(image_column="label")
    (image,) = read(tmp_path, "label,caption\na.png,a road\n", form=form)
    assert (image.path.name, image.label) == ("a.png", "")


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
ROWS = st.lists(st.tuples(st.integers(0, 5), TEXT), min_size=1, max_size=15)


@given(rows=ROWS, separator=st.sampled_from(",;\t|'x"), header=st.booleans(), seed=st.integers())
def test_what_a_csv_writer_wrote_is_read(tmp_path, rows, separator, header, seed):
    wanted = {}
    for number, sentence in rows:
        if sentence.strip():
            wanted.setdefault(f"{number}.png", []).append(sentence.strip())
    if not wanted:
        return
    written = [(f"{number}.png", sentence) for number, sentence in rows]
    form = CaptionForm(separator=separator)
    head = [("image", "caption")] if header else []

    def images_of(lines):
        buffer = io.StringIO(newline="")
        csv.writer(buffer, delimiter=separator).writerows([*head, *lines])
        return read(tmp_path, buffer.getvalue(), form=form)

    images = images_of(written)
    assert {image.path.name: list(image.sentences) for image in images} == wanted
    random.Random(seed).shuffle(written)
    assert content(images_of(written)) == content(images)


def test_rows_of_one_image_are_gathered_and_repeated_ones_kept(tmp_path):
    rows = f"a.png,a road\nb.png,a sea\n./a.png,a path\n{tmp_path}/images/a.png,a road\n"
    images = read(tmp_path, rows, undivided=Whole(split="test"))
    assert [(image.path.name, image.sentences) for image in images] == [
        ("a.png", ("a road", "a path", "a road")),
        ("b.png", ("a sea",)),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        (" \n,\n", "is empty"),
        ("image,caption\n", "holds no caption"),
        ("image,caption\na.png,\nb.png,  \n", "holds no caption"),
        ("image,caption\na.png,a road, wide\nb.png,a sea\nc.png\n",
         r"2 of 3 rows are broken: row 2 \(has 3 columns, not 2\), row 4 \(has 1 columns, not 2\)"),
        ("image,caption\na.png,a road\n,a sea\n", r"1 of 2 rows are broken: row 3 \(names no im"),
        ("image,caption\na.png,a \0road\n", "line 2: holds a NUL"),
        ('image,caption\na.png,"a road\nb.png,a sea\n', "line 3: unexpected end of data"),
        ('image,caption\na.png,"a" road\n', "line 2: .* quotes inside a caption are written twice"),
        (f'image,caption\na.png,"{"x" * 10_000_000}"\n', "line 2: field larger than field limit"),
        (f'image,caption\na.png,"{"x," * 100_000}', "a quote is opened and never closed"),
        (b"image,caption\na.png,caf\xe9\n", r"line 2: is not UTF-8 \(another encoding"),
        ("image,caption\na.png,a road\n".encode("utf-16"), r"line 1: is not UTF-8 \(UTF-16"),
        ("image,caption\n../a.png,a road\n", r"row 2: '../a.png' lies outside"),
        ("image,caption\n/etc/passwd,a road\n", "row 2: '/etc/passwd' lies outside"),
        ("image,caption\nb/../../a.png,a road\n", "row 2: .* lies outside"),
        ("image,caption\n.,a road\n", "row 2: '.' lies outside"),
        ("image,caption,split\na.png,a road,val\na.png,a path,train\n",
         "row 3: a.png has the split 'train' here and 'val' in row 2"),
        ("image,caption,class\na.png,a road,port\na.png,a path,beach\n", "row 3: .* the class"),
        ("image;caption\na.png;a road\n", None),
        ("nr,name,words\n1,a.png,a road\n",
         "which column holds the images.* its first row has 3 columns: 'nr', 'name', 'words'"),
        ("nr,image,words\n1,a.png,a road\n", "which column holds the captions"),
        ("one\ntwo\n", "its first row has 1 columns: 'one'"),
    ],
)  # fmt: skip
def test_broken_tables_are_refused_in_one_line(tmp_path, text, why):
    if why is None:
        assert len(read(tmp_path, text)) == 1
        return
    with pytest.raises(CaptionError, match=why) as caught:
        read(tmp_path, text)
    assert "captions.csv" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("form", "why"),
    [
        (CaptionForm(image_column="photo"), "no column 'photo'.* 'image', 'caption'"),
        (CaptionForm(caption_column="0"), "no column 0, counted from 1"),
        (CaptionForm(caption_column="3"), "no column 3, counted from 1"),
        (CaptionForm(caption_column="9" * 5000), "there is no column"),
        (CaptionForm(image_column="1", caption_column="image"), "asked for twice"),
        (CaptionForm(separator=";"), "cannot tell which column"),
    ],
)
def test_columns_that_are_not_there_are_refused(tmp_path, form, why):
    with pytest.raises(CaptionError, match=why):
        read(tmp_path, "image,caption\na.png,a road\n", form=form)


@pytest.mark.parametrize("separator", ["", ",,", '"', "\n", "\r", "\0", " "])
def test_what_cannot_part_columns_is_refused(separator):
    with pytest.raises(CaptionError, match="cannot part columns"):
        CaptionForm(separator=separator)


def test_empty_captions_are_left_out_and_named(tmp_path, caplog):
    rows = "image,caption\na.png,a road\na.png,\nb.png,\nc.png,a sea\n"
    images = read(tmp_path, rows, undivided=Whole(split="train"))
    assert [image.path.name for image in images] == ["a.png", "c.png"]
    assert "2 empty captions are left out: row 3, row 4" in caplog.text


@given(st.lists(st.lists(st.sampled_from(["image", "caption", "a.png", "split", "", "class", "x"]),
                         min_size=1, max_size=5), min_size=1, max_size=2))  # fmt: skip
def test_columns_are_found_apart_or_refused(rows):
    try:
        found = find_columns(rows[0], rows[1] if len(rows) > 1 else None, FORM)
    except CaptionError:
        return
    places = [
        place
        for place in (found.image, found.caption, found.split, found.label)
        if place is not None
    ]
    assert len(set(places)) == len(places)
    assert all(0 <= place < len(rows[0]) for place in places)
    assert not (found.header and "a.png" in rows[0])


# --- JSON ----------------------------------------------------------------------------------


def entry(name="a.png", **more):
    return {"filename": name, "sentences": [{"raw": "a road", "tokens": ["a", "road"]}], **more}


def as_json(*entries):
    return json.dumps({"dataset": "x", "images": entries})


def test_json_is_known_by_its_content_and_may_hold_more(tmp_path):
    text = "\ufeff" + as_json(entry(imgid=3, sentids=[1], split="test", filepath="x"))
    (image,) = read(tmp_path, text, name="captions")
    assert (image.split, image.sentences) == ("test", ("a road",))


def test_an_image_without_a_split_among_others_is_learnt_from(tmp_path, caplog):
    images = read(tmp_path, as_json(entry("a.png", split="val"), entry("b.png")), name="c.json")
    assert content(images) == {("a.png", "val", "", ("a road",)),
                               ("b.png", "train", "", ("a road",))}  # fmt: skip
    assert '1 of 2 images have no split and count as "train": b.png' in caplog.text


@pytest.mark.parametrize(
    "broken",
    [
        entry(name=3),
        entry(name=None),
        entry(sentences=[{"raw": 3}]),
        entry(sentences={}),
        entry(split=["val"]),
        "a.png",
        None,
    ],
)
def test_json_of_other_types_says_where(tmp_path, broken):
    with pytest.raises(CaptionError, match=r"not a caption file .* in images\[1\]: "):
        read(tmp_path, as_json(entry(), broken), name="c.json")


@pytest.mark.parametrize("name", ["", " ", "a\0.png"])
def test_an_image_needs_a_name(tmp_path, name):
    with pytest.raises(CaptionError, match=r"images\[0\]: .* names no image file"):
        read(tmp_path, as_json(entry(name)), name="c.json")


# --- files without splits ------------------------------------------------------------------

HUNDRED = "".join(f"{number}.png,a road\n" for number in range(100))


def test_a_tenth_is_held_out_whatever_the_order_of_the_rows(tmp_path, caplog):
    images = read(tmp_path, HUNDRED)
    assert Counter(image.split for image in images) == {"train": 90, "val": 10}
    rows = HUNDRED.splitlines(keepends=True)
    random.Random(3).shuffle(rows)
    assert content(read(tmp_path, "".join(rows))) == content(images)
    assert 'names no splits: 10 of 100 images, chosen by their names, are held out as "val"' in (
        caplog.text
    )
    other = read(tmp_path, HUNDRED, undivided=HoldOut(seed=1))
    assert content(other) != content(images)


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 25), (0.001, 1), (0.999, 99)])
def test_shares_are_kept(tmp_path, share, count):
    images = read(tmp_path, HUNDRED, undivided=HoldOut(share=share))
    assert sum(image.split == "val" for image in images) == count


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_shares_that_are_none_are_refused(share):
    with pytest.raises(CaptionError, match="not at least 0 and below 1"):
        HoldOut(share=share)


def test_all_images_can_be_of_one_split(tmp_path, caplog):
    images = read(tmp_path, HUNDRED, undivided=Whole(split="test"))
    assert {image.split for image in images} == {"test"}
    assert 'names no splits: all 100 images count as "test"' in caplog.text


@given(st.sets(TEXT, min_size=2), st.floats(0.01, 0.99), st.integers())
def test_some_are_held_out_and_some_are_not(names, share, seed):
    val = held_out(names, HoldOut(share=share, seed=seed))
    assert val < names
    assert 1 <= len(val)
    assert abs(len(val) - share * len(names)) <= 1
    assert held_out(sorted(names, reverse=True), HoldOut(share=share, seed=seed)) == val


# --- captions too long ---------------------------------------------------------------------


def captioned(name, *sentences):
    return CaptionedImage(
        path=Path("images") / name, split="train", label="", sentences=sentences, source="x"
    )


def test_captions_too_long_are_counted():
    calls = []

    def count(sentence):
        calls.append(sentence)
        return len(sentence.split())

    long = "a road " * 40 + "end"
    images = [captioned("a.png", "a road"), captioned("b.png", "a b c d", long, long)]
    found = too_long(images, count, 4)
    assert found
    assert (found.count, found.total, found.longest, found.first_image) == (2, 4, 81, "b.png")
    assert calls == ["a road", "a b c d", long]  # equal ones once
    line = str(found)
    assert line.startswith("2 of 4 captions are longer than the 4 tokens")
    assert "the longest has 81" in line
    assert "b.png: 'a road a road" in line
    assert "\n" not in line
    assert len(line) < 250
    fits = too_long(images, count, 81)
    assert not fits
    assert str(fits) == "all 4 captions fit into 81 tokens"


# --- the command line ----------------------------------------------------------------------


@click.command()
@click.argument("captions", nargs=-1)
@caption_options
@click.option("--split")
def show(captions, caption_input, split):
    """Show what was read."""
    assert isinstance(caption_input, CaptionOptions)
    for image in read_caption_files(captions, caption_input, split=split):
        click.echo(f"{image.path.name} {image.split} {image.label} {image.sentences[0]}")


def asked(folder, text, *arguments):
    (folder / "c.csv").write_text(text)
    return CliRunner().invoke(
        show, [str(folder / "c.csv"), "--images", str(folder), *arguments], catch_exceptions=False
    )


def test_options_reach_the_reader(tmp_path):
    done = asked(
        tmp_path, "x\tPort\tval\ta sea\ta.png\n",
        "--separator", "\\t", "--image-column", "5", "--caption-column", "4",
        "--split-column", "3", "--class-column", "2",
    )  # fmt: skip
    assert done.output == "a.png val port a sea\n"


def test_evaluation_takes_all_or_what_training_held_out(tmp_path):
    everything = asked(tmp_path, HUNDRED, "--split", "test").output.splitlines()
    assert {line.split()[1] for line in everything} == {"test"}
    trained = asked(tmp_path, HUNDRED, "--val-share", "0.2").output
    assert sum(line.split()[1] == "val" for line in trained.splitlines()) == 20
    assert asked(tmp_path, HUNDRED, "--split", "val", "--val-share", "0.2").output == trained


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--separator", ",,"), "not one character"),
        (("--separator", '"'), "not one character"),
        (("--val-share", "1"), "--val-share"),
        (("--val-share", "-0.1"), "--val-share"),
    ],
)
def test_wrong_options_are_wrong_usage(tmp_path, arguments, why):
    done = asked(tmp_path, "a.png,a road\n", *arguments)
    assert done.exit_code == 2
    assert why in done.output


def test_training_names_all_missing_and_broken_pictures_first(tmp_path):
    pytest.importorskip("torch")
    from georclip.cli.train import train

    (tmp_path / "a.png").write_bytes(b"none")
    Image.new("RGB", (4, 4)).save(tmp_path / "b.png")
    (tmp_path / "c.csv").write_text("a.png,a road\nb.png,a sea\nc.png,a sea\nd.png,a sea\n")
    output = tmp_path / "x.safetensors"
    with pytest.raises(CaptionError, match=r"2 of 4 images are missing: .*; 1 of 4 images are br"):
        CliRunner().invoke(
            train,
            [str(tmp_path / "c.csv"), "--images", str(tmp_path), "--from-scratch",
             "--batch-size", "2", "-o", str(output)],
            catch_exceptions=False,
        )  # fmt: skip
    assert not output.exists()


# --- the real files ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "splits", "classes"),
    [("rsicd", {"train": 8010, "val": 963}, 30), ("ucm", {"train": 1283, "val": 157}, 16)],
)
def test_real_captions_are_read(shared_data, tmp_path, name, splits, classes):
    folder = shared_data / "captions" / name
    if not folder.is_dir():
        pytest.skip(f"no captions at {folder}")
    images = read_captions([folder / f"dataset_{name}.json"], [folder / "images"])
    assert Counter(image.split for image in images) == splits
    assert {len(image.sentences) for image in images} == {5}
    assert len({image.label for image in images}) == classes
    assert all(image.path.is_file() for image in random.Random(0).sample(images, 50))
    with open(tmp_path / "same.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["filepath", "title", "split", "class"])
        for image in images:
            rows.writerows(
                [image.path.name, sentence, image.split, image.label]
                for sentence in image.sentences
            )
    assert content(read_captions([tmp_path / "same.csv"], [folder / "images"])) == {
        (*key, tuple(sorted(sentence.strip() for sentence in sentences)))
        for *key, sentences in content(images)
    }
