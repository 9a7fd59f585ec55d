"""Questions asked before: answered to the bit as they were, without opening the text tower."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from georclip.api import create_index, open_index
from georclip.encoders import remembered, runtime
from georclip.encoders.bundle import read_bundle
from georclip.encoders.loading import load_encoder
from georclip.encoders.questions import load_for_questions
from georclip.encoders.remembered import QuestionCache, RememberingEncoder
from georclip.encoders.runtime import RuntimeEncoder
from georclip.encoders.text_store import keep_text_tower, write_text_tower
from georclip.errors import EncoderError, QueryError
from tests.helpers_clip import register, write_clip
from tests.helpers_encoders import shared_starter

pytestmark = pytest.mark.usefixtures("one_thread")
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def torch_encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    patch = pytest.MonkeyPatch()
    patch.setenv("GEORCLIP_CACHE", str(folder / "cache"))
    register(folder)
    yield load_encoder(weights=write_clip(folder / "tiny.safetensors"), device="cpu")
    patch.undo()


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GEORCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(remembered.SWITCH, raising=False)
    return tmp_path / "cache" / "questions"


@pytest.fixture
def spec(torch_encoder):
    keep_text_tower(torch_encoder)
    return torch_encoder.spec


def asker(spec, beside=Path("nowhere"), **more):
    return load_for_questions(spec, beside=beside, **more)


def files(cache):
    return sorted(cache.iterdir()) if cache.is_dir() else []


def no_tower(monkeypatch):
    def opened(*_, **__):
        raise AssertionError("a text tower was opened")

    monkeypatch.setattr(runtime, "TextTower", opened)


def test_a_question_asked_again_opens_no_tower_and_has_the_same_vector(spec, monkeypatch):
    fresh = asker(spec).encode_texts(["a harbor with ships"])
    no_tower(monkeypatch)
    again = asker(spec)
    found = again.encode_texts(["a harbor with ships"])
    assert found.dtype == np.float32 and found.flags.writeable
    np.testing.assert_array_equal(found, fresh, strict=True)
    assert again.unknown_words("a harbor with zyxwv") == ()
    assert (again.spec, again.device) == (spec, "cpu")
    with pytest.raises(AssertionError, match="was opened"):
        again.encode_texts(["a harbor with ship"])


def test_a_question_in_templates_is_remembered_as_one(spec, cache, monkeypatch):
    phrases = ["a port", "a satellite image of a port.", "an aerial image of a port."]
    fresh = asker(spec).encode_texts(phrases)
    assert len(files(cache)) == 1
    no_tower(monkeypatch)
    np.testing.assert_array_equal(asker(spec).encode_texts(phrases), fresh, strict=True)
    for others in (phrases[:2], phrases[::-1], ["".join(phrases)], phrases[:1]):
        with pytest.raises(AssertionError, match="was opened"):
            asker(spec).encode_texts(others)


def test_a_long_question_is_told_to_be_cut_and_a_short_one_opens_nothing(spec, monkeypatch):
    encoder = asker(spec)
    with monkeypatch.context() as patch:
        no_tower(patch)
        assert encoder.unread("a port") == ""
    text = " ".join(["harbor"] * 80)
    unread = encoder.unread(text)
    assert unread and text.endswith(unread) and unread != text


@given(st.text(max_size=12))
def test_what_is_remembered_is_what_the_tower_says(spec, text):
    if not text.strip():
        for _ in range(2):
            with pytest.raises(QueryError, match="empty"):
                asker(spec).encode_texts([text])
        return
    encoder = asker(spec)
    assert isinstance(encoder, RememberingEncoder)
    first, second = encoder.encode_texts([text]), asker(spec).encode_texts([text])
    np.testing.assert_array_equal(first, encoder._open().encode_texts([text]))
    np.testing.assert_array_equal(first, second)


def test_many_sentences_at_once_neither_read_nor_write(spec, cache):
    encoder = asker(spec)
    sentences = ["a port", *(f"lake {number}" for number in range(remembered.TOGETHER))]
    many = encoder.encode_texts(sentences)
    assert files(cache) == []
    encoder.encode_texts(["a port"])
    (kept,) = files(cache)
    kept.write_bytes(b"")
    np.testing.assert_array_equal(encoder.encode_texts(sentences), many)
    assert kept.read_bytes() == b""


@pytest.mark.parametrize("how", ["cut", "flipped", "emptied", "of another question", "a folder"])
def test_what_is_damaged_is_passed_over_and_written_anew(spec, cache, how):
    encoder = asker(spec)
    wanted = encoder.encode_texts(["a port"])
    (kept,) = files(cache)
    whole = kept.read_bytes()
    content = bytearray(whole)
    if how == "cut":
        kept.write_bytes(content[:-4])
    elif how == "flipped":
        content[40] ^= 1
        kept.write_bytes(content)
    elif how == "emptied":
        kept.write_bytes(bytes(len(content)))
    elif how == "of another question":
        encoder.encode_texts(["a lake"])
        (other,) = set(files(cache)) - {kept}
        shutil.copy(other, kept)
    else:
        kept.unlink()
        kept.mkdir()
    for _ in range(2):
        np.testing.assert_array_equal(asker(spec).encode_texts(["a port"]), wanted)
    if how != "a folder":
        assert kept.read_bytes() == whole


def test_towers_that_only_say_that_they_are_the_same_are_told_apart(
    spec, torch_encoder, tmp_path, cache
):
    """An index from elsewhere cannot put words into the mouth of this machine's own tower."""
    other = load_encoder(weights=write_clip(tmp_path / "other.safetensors", seed=5), device="cpu")
    other._spec = replace(spec)
    write_text_tower(other, tmp_path / "foreign")
    foreign = asker(spec, beside=tmp_path / "foreign").encode_texts(["a port"])
    own = asker(spec).encode_texts(["a port"])
    assert len(files(cache)) == 2
    assert np.abs(own - foreign).max() > 0.01
    np.testing.assert_array_equal(asker(spec).encode_texts(["a port"]), own)
    found = asker(spec, beside=tmp_path / "foreign").encode_texts(["a port"])
    np.testing.assert_array_equal(found, foreign)


def test_a_copy_of_a_tower_elsewhere_is_another(spec, cache, tmp_path):
    """Of large towers only a sample is compared: a folder's record is no proof of what it holds."""
    (own,) = (cache.parent / "text-towers").iterdir()
    shutil.copytree(own, tmp_path / "copy", copy_function=shutil.copy2)
    asker(spec).encode_texts(["a port"])
    asker(spec, beside=tmp_path / "copy").encode_texts(["a port"])
    assert len(files(cache)) == 2


def test_a_tower_that_stands_in_for_a_damaged_one_is_not_remembered_as_that(
    spec, torch_encoder, tmp_path, cache, caplog
):
    write_text_tower(torch_encoder, tmp_path / "beside")
    tower = tmp_path / "beside" / "text.safetensors"
    content = bytearray(tower.read_bytes())
    content[len(content) // 2] ^= 0x40
    tower.write_bytes(content)
    found = asker(spec, beside=tmp_path / "beside").encode_texts(["a port"])
    assert "a text tower is passed over" in caplog.text
    np.testing.assert_array_equal(found, asker(spec)._open().encode_texts(["a port"]))
    assert files(cache) == []


def test_a_tower_that_was_written_anew_is_asked_anew(spec, torch_encoder, tmp_path, cache):
    folder = tmp_path / "own"
    write_text_tower(torch_encoder, folder)
    asker(spec, beside=folder).encode_texts(["a port"])
    os.utime(folder / "text.safetensors", (1, 1))
    asker(spec, beside=folder).encode_texts(["a port"])
    assert len(files(cache)) == 2


def test_a_damaged_tower_is_named_for_a_new_question_and_remembers_nothing(spec, caplog, cache):
    (tower,) = (cache.parent / "text-towers").glob("*/text.safetensors")
    content = bytearray(tower.read_bytes())
    content[len(content) // 2] ^= 0x40
    tower.write_bytes(content)
    with pytest.raises(EncoderError):
        asker(replace(spec, name="elsewhere")).encode_texts(["a port"])
    assert "a text tower is passed over" in caplog.text
    assert files(cache) == []


def test_the_oldest_questions_go_first(spec, cache, monkeypatch):
    monkeypatch.setattr(remembered, "MOST", 20)
    kept = QuestionCache.of(asker(spec)._open().bundle)
    vector = np.ones(spec.dim, dtype=np.float32)
    for number in range(40):
        kept.keep([str(number)], vector[np.newaxis])
        newest = max(files(cache), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, ns=(number, number + 10**9 * number))
        assert len(files(cache)) <= 20
    there = [number for number in range(40) if kept.find([str(number)]) is not None]
    assert there == list(range(40 - len(there), 40))
    assert len(there) >= 18


def test_a_folder_that_cannot_be_written_costs_nothing(spec, cache):
    cache.write_text("in the way")
    first, second = (asker(spec).encode_texts(["a port"]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert cache.read_text() == "in the way"


def test_a_full_disk_leaves_nothing_behind(spec, cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    asker(spec).encode_texts(["a port"])
    assert files(cache) == []


@pytest.mark.parametrize(("value", "kept"), [("0", 0), ("off", 0), ("No", 0), ("1", 1), ("", 1)])
def test_it_can_be_switched_off(spec, cache, monkeypatch, value, kept):
    monkeypatch.setenv(remembered.SWITCH, value)
    asker(spec).encode_texts(["a port"])
    assert len(files(cache)) == kept


def test_nothing_of_a_sentence_is_written_and_others_cannot_read(spec, cache):
    asker(spec).encode_texts(["a secret port"])
    (kept,) = files(cache)
    assert b"secret" not in kept.read_bytes() + kept.name.encode()
    if os.name == "posix":
        assert kept.stat().st_mode & 0o077 == 0
        assert cache.stat().st_mode & 0o077 == 0


def test_nothing_is_remembered_of_the_model_in_the_box_whose_unknown_words_are_named_each_time(
    tmp_path, cache, caplog, monkeypatch
):
    monkeypatch.setattr(logging.getLogger("georclip"), "propagate", True)
    with create_index(tmp_path / "index", model="starter"):
        pass
    for _ in range(2):
        caplog.clear()
        with open_index(tmp_path / "index") as index:
            index.search("harbor with zyxwv")
        assert "left out: zyxwv" in caplog.text
    assert files(cache) == []
    assert QuestionCache.of(read_bundle(shared_starter())) is None


def test_a_folder_that_a_person_names_is_remembered_too(torch_encoder, tmp_path, cache):
    from georclip.encoders.exporting import export_text, text_of

    folder = tmp_path / "carried"
    export_text(text_of(torch_encoder), torch_encoder.spec, folder)
    spec = replace(read_bundle(folder).spec, name="carried")
    encoder = asker(spec, weights=folder)
    wanted = encoder.encode_texts(["a port"])
    np.testing.assert_array_equal(asker(spec, weights=folder).encode_texts(["a port"]), wanted)
    assert len(files(cache)) == 1
    with pytest.raises(EncoderError, match="text tower"):
        encoder.encode_images(np.zeros((1, 3, 32, 32), dtype=np.uint8))


PROCESS = """
import sys
from pathlib import Path
import numpy as np
from georclip.encoders import remembered
remembered.MOST = 30
cache = remembered.QuestionCache(folder=Path(sys.argv[1]), tower=b"t" * 32, dim=512)
seen = 0
for turn in range(300):
    number = turn * int(sys.argv[2]) % 50
    wanted = np.random.default_rng(number).standard_normal(512).astype(np.float32)
    found = cache.find([str(number)])
    if found is None:
        cache.keep([str(number)], wanted[np.newaxis])
    else:
        seen += 1
        assert (found == wanted).all()
print(seen)
"""


def test_processes_share_it_without_a_broken_answer(cache):
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(cache), str(step)],
                         cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        for step in (1, 3, 7)
    ]  # fmt: skip
    seen = [int(process.communicate()[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(seen) > 0
    assert len(files(cache)) <= 30 + len(processes)


def test_the_encoder_behind_is_that_of_the_index(spec, torch_encoder):
    opened = asker(spec)._open()
    assert isinstance(opened, RuntimeEncoder)
    np.testing.assert_allclose(
        asker(spec).encode_texts(["a port"]), torch_encoder.encode_texts(["a port"]), atol=2e-6
    )
