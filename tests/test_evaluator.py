"""The whole evaluation over an encoder with known truth."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
from PIL import Image

from georclip.captions.reading import read_captions
from georclip.errors import CaptionError, EncoderError, QueryError, SceneError
from georclip.evaluation.embedding import embed_files, embed_sentences
from georclip.evaluation.evaluator import evaluate
from georclip.evaluation.protocols import Protocol
from georclip.evaluation.records import EvaluationSettings, Task
from georclip.evaluation.reporting import as_json, as_table
from georclip.testing import FakeEncoder
from tests.helpers_captions import write_coloured

COLOURS = ["green", "red", "blue", "red", "green", "gray"]


class Blind(FakeEncoder):
    """Must not be shown a picture."""

    def encode_images(self, pixels):
        raise AssertionError("a picture was embedded")


def silent(name, unit):
    return nullcontext(lambda done, total: None)


def measure(files, folder, *, bars=silent, encoder=None, **settings):
    images = read_captions(
        files, [files[0].parent] if len(files) == 1 else [f.parent for f in files]
    )
    return evaluate(
        encoder or FakeEncoder(), images, EvaluationSettings(**settings), bars=bars,
        scene_folder=folder / "scenes",
    )  # fmt: skip


def test_retrieval_zero_shot_and_neighbours_by_default(tmp_path):
    file = write_coloured(tmp_path / "one.json", COLOURS)
    found = measure([file], tmp_path)
    assert found.by_set == ()
    assert found.sets == (found.whole,)
    assert found.whole.name == "one"
    # By colour alone: of two pictures of one colour the first is found by both captions.
    retrieval = found.whole.retrieval
    assert retrieval.recalls.text_to_image[0] == pytest.approx(400 / 6)
    assert retrieval.recalls == retrieval.ceiling
    assert found.whole.zero_shot.top_1 == 100.0
    assert found.whole.neighbours.lonely == 2
    assert found.whole.neighbours.precision_at_10 == 1.0
    assert found.whole.in_scene == ()


def test_without_classes_only_retrieval(tmp_path):
    file = write_coloured(tmp_path / "one.json", COLOURS, classes=False)
    found = measure([file], tmp_path)
    assert found.whole.retrieval is not None
    assert found.whole.zero_shot is None
    assert found.whole.neighbours is None
    with pytest.raises(CaptionError, match=r"neighbours, zero-shot needs pictures with classes"):
        measure([file], tmp_path, tasks=frozenset({Task.ZERO_SHOT, Task.NEIGHBOURS}))


def test_pictures_without_a_class_are_left_out_and_counted(tmp_path):
    file = write_coloured(tmp_path / "one.json", COLOURS)
    content = json.loads(file.read_text())
    del content["images"][0]["class"]
    file.write_text(json.dumps(content))
    found = measure([file], tmp_path)
    assert found.whole.unlabelled == 1
    assert found.whole.zero_shot.images == 5
    assert found.whole.retrieval.images == 6
    assert "1 images without a class" in as_table(found)


def test_several_files_are_measured_each_and_together(tmp_path):
    one = write_coloured(tmp_path / "a" / "one.json", ["green", "red"])
    two = write_coloured(tmp_path / "b" / "two.json", ["green", "blue"])
    found = measure([one, two], tmp_path)
    assert [figures.name for figures in found.by_set] == ["one", "two"]
    assert found.whole.name == "one + two"
    assert [figures.images for figures in found.sets] == [2, 2, 4]
    assert [figures.retrieval.recalls.mean for figures in found.by_set] == [100.0, 100.0]
    assert found.whole.retrieval.recalls.text_to_image[0] == 75.0  # green lies there twice now
    alone = as_json(measure([two], tmp_path))
    together = as_json(found)["by_set"]["two"]
    assert all(alone[key] == value for key, value in together.items())


def test_a_picture_of_two_files_counts_once_where_they_are_together(tmp_path):
    one = write_coloured(tmp_path / "one.json", ["green", "red"])
    content = json.loads(one.read_text())
    for image in content["images"]:
        image["sentences"] = [{"raw": "a gray thing"}]
    two = tmp_path / "two.json"
    two.write_text(json.dumps(content))
    found = measure([one, two], tmp_path)
    assert (found.whole.images, found.whole.retrieval.texts) == (2, 4)


def test_a_gallery_is_another_split(tmp_path):
    file = write_coloured(tmp_path / "one.json", ["green", "red"], split="val")
    write_coloured(file, ["green", "green", "red"], split="train")
    found = measure([file], tmp_path, split="val", gallery="train")
    assert (found.whole.neighbours.gallery, found.whole.neighbours.gallery_images) == ("train", 3)
    assert found.whole.neighbours.top_1 == 100.0
    alone = measure([file], tmp_path, split="val", gallery="val")
    assert (alone.whole.neighbours.gallery, alone.whole.neighbours.lonely) == ("val", 2)
    with pytest.raises(CaptionError, match=r"no images of the split 'x'.* with --gallery"):
        measure([file], tmp_path, split="val", gallery="x")


def write_folds(folder):
    """Two files that name the same pictures: what one tests on, the other trains on."""
    first = write_coloured(folder / "fold1.json", ["green", "green", "red", "red", "blue", "blue"])
    content = json.loads(first.read_text())
    for number, image in enumerate(content["images"]):
        image["split"] = ("test", "train", "spare")[number % 3]
    first.write_text(json.dumps(content))
    second = folder / "fold2.json"
    for image in content["images"]:
        image["split"] = {"test": "train", "train": "test"}.get(image["split"], "spare")
    second.write_text(json.dumps(content))
    return [first, second]


def test_a_gallery_holds_no_picture_twice_nor_one_that_asks(tmp_path, caplog):
    files = write_folds(tmp_path)
    found = measure(files, tmp_path, gallery="train")
    assert [one.neighbours.gallery_images for one in found.by_set] == [2, 2]
    assert found.whole.neighbours is None  # both files' pictures ask, and no other is there
    assert "fold1 + fold2: the split 'train' has no picture" in caplog.text
    found = measure(files, tmp_path, gallery="spare")
    assert (found.whole.neighbours.images, found.whole.neighbours.gallery_images) == (4, 2)


def test_a_split_without_images_names_those_there_are(tmp_path):
    file = write_coloured(tmp_path / "one.json", COLOURS, split="train")
    write_coloured(file, ["red"], split="val")
    with pytest.raises(CaptionError, match=r"one has no .*'test'; it has train \(6\), val \(1\)"):
        measure([file], tmp_path)


def test_texts_without_a_known_word_score_0_and_are_counted(tmp_path):
    captions = [["a quay", "green"], ["red"]]
    file = write_coloured(tmp_path / "one.json", ["green", "red"], captions=captions)
    found = measure([file], tmp_path)
    assert found.whole.retrieval.unknown_texts == 1
    assert as_json(found)["unknown_texts"] == 1
    assert "1 texts without a known word score 0" in as_table(found)


def test_a_known_word_of_the_prefix_does_not_answer_for_an_unknown_text(tmp_path):
    captions = [["a quay", "green"], ["red"]]
    file = write_coloured(tmp_path / "one.json", ["green", "red"], captions=captions)
    found = measure([file], tmp_path, protocol=Protocol.B, prefix="blue, ")
    assert found.whole.retrieval.unknown_texts == 1
    assert found.whole.retrieval.texts == 3


def test_broken_and_missing_pictures_are_named_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("georclip.evaluation.embedding._CHUNK", 2)
    file = write_coloured(tmp_path / "one.json", COLOURS)
    (tmp_path / "one_test_0.png").write_bytes(b"no picture")
    (tmp_path / "one_test_5.png").unlink()
    with pytest.raises(CaptionError) as caught:
        measure([file], tmp_path)
    assert "one_test_0.png" in str(caught.value)
    assert "one_test_5.png" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parts_of_any_size_give_the_same_vectors_in_order(tmp_path, monkeypatch):
    file = write_coloured(tmp_path / "one.json", COLOURS)
    Image.new("RGB", (9, 30), (50, 120, 50)).save(tmp_path / "one_test_3.png")  # another shape
    images = read_captions([file], [tmp_path])
    whole = embed_files(FakeEncoder(), images)
    monkeypatch.setattr("georclip.evaluation.embedding._CHUNK", 2)
    told = []
    parts = embed_files(FakeEncoder(), images, progress=lambda *one: told.append(one))
    np.testing.assert_array_equal(parts, whole)
    assert told == [(2, 6), (4, 6), (6, 6)]


def test_weights_that_give_no_numbers_are_refused(tmp_path):
    class Diverged(FakeEncoder):
        def encode_images(self, pixels):
            return super().encode_images(pixels) * np.float32("nan")

    file = write_coloured(tmp_path / "one.json", COLOURS)
    with pytest.raises(EncoderError, match="not numbers"):
        measure([file], tmp_path, encoder=Diverged())


def write_nameless(file):
    """Classes of no known word."""
    content = json.loads(write_coloured(file, ["green", "red", "green", "red"]).read_text())
    for image in content["images"]:
        image["class"] = "zzqxa" if image["class"] == "green" else "zzqxb"
    file.write_text(json.dumps(content))
    return file


def test_classes_of_no_known_word_leave_the_rest_to_be_measured(tmp_path, caplog):
    file = write_nameless(tmp_path / "one.json")
    found = measure([file], tmp_path)
    assert found.whole.zero_shot is None
    assert found.whole.retrieval is not None
    assert found.whole.neighbours.top_1 == 100.0
    assert "one: the model knows no word of any class (zzqxa, zzqxb)" in caplog.text


def test_classes_of_no_known_word_are_refused_where_they_are_asked_for(tmp_path):
    file = write_nameless(tmp_path / "one.json")
    with pytest.raises(QueryError, match=r"leave zero-shot out of --tasks, or name the column"):
        measure([file], tmp_path, encoder=Blind(), tasks=frozenset({Task.ZERO_SHOT}))


def test_texts_that_are_not_numbers_are_refused():
    class Diverged(FakeEncoder):
        def encode_texts(self, texts):
            return super().encode_texts(texts) * np.float32("nan")

    with pytest.raises(EncoderError, match="not numbers"):
        embed_sentences(Diverged(), ["green"])


def test_no_bar_but_the_one_that_was_asked_for(tmp_path, capsys):
    images = read_captions(
        [write_coloured(tmp_path / "one.json", ["green"] * 300, side=4)], [tmp_path]
    )
    embed_files(FakeEncoder(), images, batch_size=300)
    assert capsys.readouterr().err == ""


def test_a_template_that_is_none_is_refused(tmp_path):
    file = write_coloured(tmp_path / "one.json", COLOURS)
    with pytest.raises(QueryError, match="template"):
        measure([file], tmp_path, templates=("no place",))


def test_protocol_b_joins_equal_captions(tmp_path):
    file = write_coloured(tmp_path / "one.json", COLOURS)
    found = as_json(measure([file], tmp_path, protocol=Protocol.B))
    assert (found["protocol"], found["prefix"], found["texts"]) == ("B", "a satellite image. ", 4)
    assert found["mean_recall"] == found["ceiling"]["mean_recall"] == 100.0


def test_every_output_of_retrieval_names_the_protocol(tmp_path):
    file = write_coloured(tmp_path / "one.json", COLOURS)
    for protocol in Protocol:
        found = measure([file], tmp_path, protocol=protocol, tasks=frozenset({Task.RETRIEVAL}))
        assert as_json(found)["protocol"] == protocol.value
        assert f"protocol {protocol.value} (" in as_table(found)


def test_a_scene_is_laid_indexed_and_asked(tmp_path):
    colours = ["green", "red", "blue", "yellow"] * 3
    file = write_coloured(tmp_path / "one.json", colours, side=40)
    found = measure(
        [file], tmp_path, tasks=frozenset({Task.IN_SCENE}), pixel_size_factors=(1.0, 2.0)
    )
    (same, coarse) = found.whole.in_scene
    assert (same.pixel_size_factor, coarse.pixel_size_factor) == (1.0, 2.0)
    assert same.precision_at_k > 0.5 > same.by_chance
    assert (tmp_path / "scenes" / "one" / "scene.tif").is_file()
    content = json.loads(json.dumps(as_json(found)))
    assert content["in_scene"][0]["precision_at_k"] == same.precision_at_k
    assert not {"mean_recall", "protocol"} & set(content)  # a protocol is retrieval's
    assert "protocol" not in as_table(found)
    assert "in a scene of" in as_table(found)


def test_what_is_in_the_way_of_scenes_is_said_first(tmp_path):
    file = write_coloured(tmp_path / "one.json", COLOURS)
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "one").write_text("in the way")
    tasks = frozenset({Task.RETRIEVAL, Task.IN_SCENE})
    with pytest.raises(SceneError, match="no scenes can be written"):
        measure([file], tmp_path, encoder=Blind(), tasks=tasks)


def test_scenes_alone_need_no_picture_by_itself(tmp_path):
    """All that is embedded is chips."""
    file = write_coloured(tmp_path / "one.json", ["green", "red"] * 4, side=40)
    named = []

    def bars(name, unit):
        named.append(name)
        return silent(name, unit)

    found = measure([file], tmp_path, bars=bars, tasks=frozenset({Task.IN_SCENE}))
    assert named == ["one", "asking one"]
    assert found.whole.in_scene
    (tmp_path / "one_test_1.png").unlink()
    (tmp_path / "one_test_7.png").write_bytes(b"no picture")
    with pytest.raises(CaptionError, match=r"one_test_1\.png.*one_test_7\.png"):
        measure([file], tmp_path, tasks=frozenset({Task.IN_SCENE}))
