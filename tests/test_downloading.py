from __future__ import annotations

import zipfile

import pytest

from georclip.encoders.downloading import NotOnServerError, download, unpack_checkpoint
from georclip.errors import EncoderError
from tests.helpers_encoders import serve

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def hub():
    with serve() as served:
        served.put("/a/model.pt", CONTENT)
        yield served


def test_a_file_comes_whole(hub, tmp_path):
    path = download(f"{hub.url}/a/model.pt", tmp_path / "new" / "model.pt")
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["model.pt"]


def test_a_broken_transfer_is_resumed_and_not_shown_as_whole(hub, tmp_path):
    hub.cut_after = 400_000
    with pytest.raises(OSError, match=r"broke off at 400,000 of 1,280,000"):
        download(f"{hub.url}/a/model.pt", tmp_path / "model.pt")
    assert not (tmp_path / "model.pt").exists()
    hub.cut_after = None
    download(f"{hub.url}/a/model.pt", tmp_path / "model.pt")
    assert (tmp_path / "model.pt").read_bytes() == CONTENT
    assert hub.asked[-1] == ("/cdn/a/model.pt", "bytes=400000-")


def test_a_partial_file_longer_than_the_file_is_begun_again(hub, tmp_path):
    (tmp_path / "model.pt.part").write_bytes(CONTENT + b"more")
    download(f"{hub.url}/a/model.pt", tmp_path / "model.pt")
    assert (tmp_path / "model.pt").read_bytes() == CONTENT


def test_another_digest_than_promised_is_refused(hub, tmp_path):
    hub.digests["/a/model.pt"] = "0" * 64
    with pytest.raises(EncoderError, match="another SHA-256"):
        download(f"{hub.url}/a/model.pt", tmp_path / "model.pt")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_not_there(hub, tmp_path):
    with pytest.raises(NotOnServerError, match="404"):
        download(f"{hub.url}/a/other.pt", tmp_path / "other.pt")


def zipped(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return path


def test_the_checkpoint_in_a_zip(tmp_path):
    names = ["x/", "x/epoch_20.pt", "x/readme.txt", "__MACOSX/x/._epoch_20.pt"]
    archive = zipped(tmp_path / "x.zip", names)
    path = unpack_checkpoint(archive, tmp_path / "x.pt")
    assert path.read_text() == "x/epoch_20.pt"
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]


@pytest.mark.parametrize("names", [[], ["a.pt", "b.pt"]])
def test_a_zip_without_one_checkpoint(names, tmp_path):
    archive = zipped(tmp_path / "x.zip", names)
    with pytest.raises(EncoderError, match=rf"holds {len(names)} .pt files"):
        unpack_checkpoint(archive, tmp_path / "x.pt")


def test_no_zip(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"<html>")
    with pytest.raises(EncoderError, match="damaged"):
        unpack_checkpoint(tmp_path / "x.zip", tmp_path / "x.pt")
