"""One run on two processes of this CPU, which gloo connects; nccl needs GPUs and is not tested."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from georclip.captions.pictures import decode_images
from georclip.captions.reading import read_captions
from georclip.encoders.compact import TorchCompactEncoder
from georclip.errors import CaptionError
from georclip.training import loop
from georclip.training.data.batches import BatchMaker
from georclip.training.distributed import ALONE, Processes, joined, pooled_statistics
from georclip.training.loop import train
from tests.helpers_distributed import RUN, learn, run
from tests.helpers_encoders import pictures as pictures_of
from tests.helpers_steps import CompactPair, draw_batch, furthest, norms
from tests.helpers_training import draw_captioned, tiny_model

CLOSE = 1e-5
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def captioned(tmp_path_factory):
    return draw_captioned(tmp_path_factory.mktemp("captioned"))


@pytest.fixture(scope="module")
def two(tmp_path_factory, captioned):
    """What two processes found: `first` and `second`, and the folder that they wrote into."""
    folder = tmp_path_factory.mktemp("two")
    command = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "tests.helpers_distributed", str(folder), *map(str, captioned)]
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    first, second = (torch.load(folder / f"{rank}.pt") for rank in (0, 1))
    return SimpleNamespace(folder=folder, first=first, second=second)


# --- two processes against one ---------------------------------------------------------------


@pytest.mark.parametrize("parts", [1, 2])
def test_two_processes_learn_as_one_does(two, parts):
    alone = learn(1)
    for found in (two.first, two.second):
        assert found["world"] == 2
        shared = found["steps"][parts]
        assert shared["losses"] == pytest.approx(alone["losses"], rel=CLOSE)
        assert furthest(alone["gradients"], shared["gradients"]) < CLOSE
        for name, expected in alone["weights"].items():
            assert torch.allclose(shared["weights"][name], expected, atol=CLOSE), name


def test_both_processes_hold_the_same_weights(two):
    for parts in (1, 2):
        one, other = (found["steps"][parts]["weights"] for found in (two.first, two.second))
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_running_statistics_are_averaged(two):
    alone = []
    for rank in range(2):
        model = CompactPair(frozen_statistics=False)
        batch = draw_batch(0, (rank, 2), side=64)
        for first in range(2):
            model.embed_images(batch.pictures[first::2] + 3 * rank)
        alone.append(
            [torch.stack([one.running_mean, one.running_var]) for one in norms(model.module)]
        )
    for found, other, *own in zip(
        two.first["statistics"], two.second["statistics"], *alone, strict=True
    ):
        assert all(map(torch.equal, found, other))
        both = torch.stack(own)  # (processes, 2, channels)
        mean, variance = pooled_statistics(both, torch.full_like(found[0], 0.1))
        assert torch.allclose(found[0], mean, atol=1e-6)
        assert torch.allclose(found[1], variance, atol=1e-6)


@pytest.mark.parametrize("momentum", [0.1, 0.4, None])
def test_running_statistics_of_shares_are_those_of_the_batch(momentum):
    rng = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 500, 3, 4, 4, generator=rng)
    other = 2.0 * other + torch.tensor([5.0, 0.0, -3.0])[:, None, None]
    whole, first, second = (torch.nn.BatchNorm2d(3, momentum=momentum) for _ in range(3))
    for layer, seen in ((whole, torch.cat([one, other])), (first, one), (second, other)):
        layer(seen)
    shares = torch.stack([torch.stack([x.running_mean, x.running_var]) for x in (first, second)])
    newest = torch.full((3,), momentum or 1.0)
    mean, variance = pooled_statistics(shares, newest)
    assert torch.allclose(mean, whole.running_mean, atol=1e-5)
    assert torch.allclose(variance, whole.running_var, rtol=1e-3)


def test_a_whole_run_on_two_processes_ends_as_on_one(two, captioned, tmp_path):
    file, pictures = captioned
    images = read_captions([file], [pictures])
    output = tmp_path / "alone.safetensors"
    history = run(images, output)
    losses = [record.loss for record in history]
    assert two.first["losses"] == two.second["losses"]
    assert two.first["losses"] == pytest.approx(losses, rel=1e-3)
    texts, pixels = ["green farmland", "a port"], pictures_of(8, seed=1)
    expected, found = (
        TorchCompactEncoder.load(path) for path in (output, two.folder / "shared.safetensors")
    )
    assert np.allclose(expected.encode_texts(texts), found.encode_texts(texts), atol=1e-3)
    assert np.allclose(expected.encode_images(pixels), found.encode_images(pixels), atol=1e-3)


def test_a_killed_run_on_two_processes_goes_on_to_the_same_weights(two):
    expected = load_file(two.folder / "shared.safetensors")
    found = load_file(two.folder / "killed.safetensors")
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert not list(two.folder.glob("*.checkpoint.pt"))


def test_the_first_process_makes_things_for_all(two):
    assert two.first["made"] == two.second["made"] == "made by 0"
    assert two.first["refused"] == two.second["refused"] == "refused by 0"


def test_only_the_first_process_looks_at_pictures(captioned, tmp_path, monkeypatch):
    """What it finds is told to the others, which are refused likewise."""
    images = read_captions([captioned[0]], [tmp_path / "nowhere"])
    told = []
    monkeypatch.setattr(loop, "new_run", lambda *_: None)
    monkeypatch.setattr(dist, "broadcast_object_list", told.append)
    model = tiny_model(images, RUN)
    with pytest.raises(CaptionError, match="39 of 39 images are missing"):
        train(images, tmp_path / "o.safetensors", RUN, model=model, quiet=True,
              processes=Processes(rank=0, world=2))  # fmt: skip
    (found,) = told.pop()
    monkeypatch.setattr(loop, "check_images", lambda *_, **__: pytest.fail("looked at pictures"))
    monkeypatch.setattr(dist, "broadcast_object_list", lambda made: made.__setitem__(0, found))
    with pytest.raises(CaptionError, match="39 of 39 images are missing"):
        train(images, tmp_path / "o.safetensors", RUN, model=model, quiet=True,
              processes=Processes(rank=1, world=2))  # fmt: skip


# --- shares ----------------------------------------------------------------------------------


def test_shares_of_a_batch_are_the_batch(captioned):
    file, pictures = captioned
    images = [image for image in read_captions([file], [pictures]) if image.split == "train"]
    maker = BatchMaker(images, decode_images(images, max_side_px=40), tiny_model(images, RUN), RUN)
    shares = [maker.epoch(1, (rank, 3)) for rank in range(3)]
    for whole, *parts in zip(maker.epoch(1), *shares, strict=True):
        for rank, part in enumerate(parts):
            assert torch.allclose(part.pictures, whole.pictures[rank::3], atol=1e-6)
            assert torch.equal(part.ids, whole.ids[rank::3])
            assert torch.equal(part.positives, whole.positives)
            assert torch.equal(part.owners, whole.owners)


def test_a_process_that_torchrun_did_not_start_is_alone(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")  # as batch systems set it
    with joined("cpu") as processes:
        assert processes is ALONE
        assert processes.from_first(lambda: 3) == 3


def test_processes_draw_differently_and_the_same_again():
    def drawn(rank, epoch):
        Processes(rank=rank, world=2).seed(7, epoch)
        return torch.rand(3).tolist()

    assert drawn(0, 1) == drawn(0, 1)
    assert len({str(drawn(rank, epoch)) for rank in (0, 1) for epoch in (0, 1)}) == 4
