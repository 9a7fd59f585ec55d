"""What the processes of a test of `georclip.training.distributed` do.

torchrun --nproc-per-node 2 -m tests.helpers_distributed FOLDER CAPTIONS IMAGES
"""

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from georclip.captions.reading import read_captions
from georclip.errors import CaptionError
from georclip.training import loop
from georclip.training import run as running
from georclip.training.distributed import ALONE, joined
from georclip.training.step import Learner, backward
from tests.helpers_steps import (
    ClipPair,
    CompactPair,
    draw_batch,
    freeze_statistics,
    gradients,
    norms,
)
from tests.helpers_training import TINY, tiny_model

STEPS = 2
RUN = replace(TINY, batch_size=9, micro_batches=2, epochs=3, validate_every=1)


def learn(parts, processes=ALONE):
    """Two steps of tiny towers: the losses, the last gradients, the weights."""
    model = ClipPair()
    if processes.rank:  # the first process's start counts
        nn.init.zeros_(model.module.logit_scale)
    learner = Learner(model, parts=parts, processes=processes)
    optimizer = torch.optim.SGD(model.module.parameters(), lr=0.1)
    losses = []
    for seed in range(STEPS):
        optimizer.zero_grad()
        losses.append(backward(learner, draw_batch(seed, processes.share), "fp32"))
        optimizer.step()
    weights = {name: value.detach() for name, value in model.module.named_parameters()}
    return {"losses": losses, "gradients": gradients(model), "weights": weights}


def statistics(processes):
    """Running means and variances of the image tower after a step in two parts."""
    model = CompactPair(frozen_statistics=False)
    learner = Learner(model, parts=2, processes=processes)
    batch = draw_batch(0, processes.share, side=64)
    brighter = replace(batch, pictures=batch.pictures + 3 * processes.rank)  # than the others'
    backward(learner, brighter, "fp32")
    return [(layer.running_mean, layer.running_var) for layer in norms(model.module)]


def run(images, output, processes=ALONE, *, resume=False):
    """A training run of towers whose batch statistics stay."""
    model = tiny_model(images, RUN, name="run")
    freeze_statistics(model.module)
    return loop.train(
        images, output, RUN, model=model, resume=resume, quiet=True, processes=processes
    )


def run_killed(images, output, processes):
    """The same, killed in its second epoch and resumed."""
    real, steps = running.backward, []

    def dies(*arguments):
        steps.append(1)
        if len(steps) == 5:  # of three a step
            raise KeyboardInterrupt
        return real(*arguments)

    running.backward = dies
    with suppress(KeyboardInterrupt):
        run(images, output, processes)
    running.backward = real
    processes.wait()
    return run(images, output, processes, resume=True)


def refusal(processes):
    """What every process is told where the first one cannot go on."""

    def refuse():
        raise CaptionError(f"refused by {processes.rank}")

    try:
        processes.from_first(refuse)
    except CaptionError as error:
        return str(error)


def main():
    folder, captions, pictures = map(Path, sys.argv[1:])
    torch.set_num_threads(1)
    images = read_captions([captions], [pictures])
    with joined("cpu") as processes:
        made = processes.from_first(lambda: f"made by {processes.rank}")
        found = {
            "refused": refusal(processes),
            "world": processes.world,
            "made": made,
            "steps": {parts: learn(parts, processes) for parts in (1, 2)},
            "statistics": statistics(processes),
            "losses": [
                record.loss for record in run(images, folder / "shared.safetensors", processes)
            ],
        }
        run_killed(images, folder / "killed.safetensors", processes)
        torch.save(found, folder / f"{processes.rank}.pt")


if __name__ == "__main__":
    main()
