"""`georclip train`: captions and pictures to weights."""

from __future__ import annotations

from typing import Literal

import click

from georclip.cli.caption_options import CaptionOptions, caption_options, read_caption_files


@click.command(
    epilog="Example: georclip train captions.json --images images -o mine.safetensors "
    "--from-scratch --ground-size 75,400,2000"
)
@click.argument("captions", nargs=-1, required=True, type=click.Path(dir_okay=False))
@caption_options
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False),
    help="Weights to write (.safetensors); the training record goes beside them.",
)
@click.option(
    "--from-scratch", is_flag=True, help="Start from random weights of georclip's own towers."
)
@click.option(
    "--weights",
    type=click.Path(dir_okay=False),
    help="Start from these weights of georclip's own towers instead.",
)
@click.option("--architecture", default=None, help="Towers to train.  [default: the starter's]")
@click.option(
    "--ground-size",
    metavar="LOW,TYPICAL,HIGH",
    help="Ground side of the pictures, m: decides how scenes are cut for this model.",
)
@click.option("--image-size", default=128, show_default=True, help="Side the tower takes, px.")
@click.option(
    "--view-sizes",
    metavar="PX,...",
    default="96,112,128",
    show_default=True,
    help="Sides of the training views, each for an equal share of the epochs.",
)
@click.option("--epochs", default=30, show_default=True, help="Passes over the pictures.")
@click.option("--batch-size", default=128, show_default=True, help="Pictures in a step.")
@click.option(
    "--accum",
    "micro_batches",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Parts that a batch goes through the towers in, to the same gradient with the memory of "
    "one part. Batch normalisation sees one part at a time.",
)
@click.option("--learning-rate", default=1e-3, show_default=True, help="At its peak.")
@click.option("--seed", default=0, show_default=True, help="Of everything random.")
@click.option(
    "--smallest-crop",
    type=click.FloatRange(0.01, 1.0),
    default=0.3,
    show_default=True,
    help="Least share of a picture that a training view shows.",
)
@click.option(
    "--other-sensors",
    is_flag=True,
    help="Vary tint and gamma as between sensors, and cut corners without data.",
)
@click.option("--imagenet", is_flag=True, help="Start the image tower from ImageNet's weights.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    default="fp32",
    show_default=True,
    help="Of the towers' arithmetic.",
)
@click.option(
    "--freeze", "frozen_blocks", default=0, show_default=True, help="First blocks that stay."
)
@click.option(
    "--captions-per-image", default=3, show_default=True, help="Compared in a step, at most."
)
@click.option("--body-rate", default=0.3, show_default=True, help="Rate of trained weights.")
@click.option("--licence", help="Terms of the weights, kept with them.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: all cores]")
@click.option("--resume", is_flag=True, help="Go on with the run that was killed.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def train(
    captions: tuple[str, ...],
    caption_input: CaptionOptions,
    output: str,
    from_scratch: bool,
    weights: str | None,
    architecture: str | None,
    ground_size: str | None,
    image_size: int,
    view_sizes: str,
    epochs: int,
    batch_size: int,
    micro_batches: int,
    learning_rate: float,
    seed: int,
    smallest_crop: float,
    other_sensors: bool,
    imagenet: bool,
    precision: Literal["fp32", "bf16"],
    frozen_blocks: int,
    captions_per_image: int,
    body_rate: float,
    licence: str | None,
    threads: int | None,
    resume: bool,
    quiet: bool,
) -> None:
    """Train a model on CAPTIONS, files of pictures and what people wrote about them.

    JSON as RSICD, RSITMD and UCM have it, {"images": [{"filename", "split", "sentences":
    [{"raw"}], "class"}]} with "class" optional, or a table (CSV, TSV; UTF-8) with a row for each
    image and caption, with a header or without. The split "train" is learnt; "val" is measured,
    and chooses what is kept. A file named twice counts twice in an epoch, so that a small set is
    not drowned by a large one. A checkpoint is written after every epoch: a run that was killed
    goes on with --resume.

    Several processes share each batch where torchrun starts them:
    torchrun --nproc-per-node 2 -m georclip.cli.main train ...
    """
    if from_scratch == bool(weights):
        raise click.UsageError("say either --from-scratch or --weights FILE")
    if not output.endswith(".safetensors"):
        raise click.BadParameter("must end in .safetensors", param_hint="--output")
    ground = _ground(ground_size) if ground_size else None

    from dataclasses import replace
    from pathlib import Path

    try:
        import torch

        from georclip.training.compact_model import DEFAULT_ARCHITECTURE, CompactModel
        from georclip.training.distributed import joined
        from georclip.training.loop import train as run
        from georclip.training.run import split_images
    except ImportError as error:
        from georclip.errors import EncoderError

        raise EncoderError(f'{error}: pip install "georclip[train]"') from error
    from georclip.captions.pictures import check_images
    from georclip.training.imagenet import find_lite0
    from georclip.training.settings import TrainSettings

    if threads:
        torch.set_num_threads(threads)
    processes = click.get_current_context().with_resource(joined("cpu"))
    quiet = quiet or not processes.first
    settings = TrainSettings(
        image_size_px=image_size,
        view_sizes_px=tuple(round(size) for size in _numbers(view_sizes, "--view-sizes")),
        ground_size_m=ground,
        epochs=epochs,
        batch_size=batch_size,
        micro_batches=micro_batches,
        learning_rate=learning_rate,
        seed=seed,
        smallest_crop=smallest_crop,
        other_sensors=other_sensors,
        precision=precision,
        frozen=frozen_blocks,
        captions_per_image=captions_per_image,
        body_rate=body_rate,
    )
    settings = replace(settings, licence=licence or settings.licence)
    found = read_caption_files(captions, caption_input)
    check_images(found, quiet=quiet)
    torch.manual_seed(seed)
    if weights:
        model = CompactModel.from_weights(Path(weights), settings, name=Path(output).stem)
    else:
        model = CompactModel.from_scratch(
            architecture or DEFAULT_ARCHITECTURE,
            split_images(found, settings)[0],
            settings,
            name=Path(output).stem,
            image_weights=find_lite0() if imagenet else None,
        )
    run(
        found,
        Path(output),
        settings,
        model=model,
        resume=resume,
        quiet=quiet,
        processes=processes,
    )
    if processes.first:
        click.echo(output)


def _ground(text: str) -> tuple[float, float, float]:
    numbers = _numbers(text, "--ground-size")
    if len(numbers) != 3 or not 0 < numbers[0] <= numbers[1] <= numbers[2]:
        raise click.BadParameter("needs 0 < LOW <= TYPICAL <= HIGH", param_hint="--ground-size")
    return numbers[0], numbers[1], numbers[2]


def _numbers(text: str, option: str) -> list[float]:
    from math import isfinite

    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(map(isfinite, numbers)):
        raise click.BadParameter(f"{text!r} is not numbers with commas", param_hint=option)
    return numbers
