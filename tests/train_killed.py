"""A run to be killed: ``python -m tests.train_killed CAPTIONS IMAGES WEIGHTS``."""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from georclip.captions.reading import read_captions
from georclip.training.loop import train
from tests.helpers_training import TINY, tiny_model

SETTINGS = replace(TINY, epochs=40, validate_every=40)


def run(captions: Path, images: Path, weights: Path, *, resume: bool = False) -> None:
    torch.set_num_threads(1)
    found = read_captions([captions], [images])
    model = tiny_model(found, SETTINGS, name="killed")
    train(found, weights, SETTINGS, model=model, resume=resume, quiet=True)


if __name__ == "__main__":
    run(*map(Path, sys.argv[1:4]))
