"""The options of `georclip train`. Imports only click at the top.

An option that was not given is None: what then holds depends on what the run starts from.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import click

from georclip.cli.options import Numbers

Command = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """What was said about the start.

    Attributes:
        model: `--model`: a model's name, with `weights` also an architecture; or None.
        weights: `--weights`, or None.
        from_scratch: `--from-scratch`.
        architecture: `--architecture`, or None.
        activation: `--activation`, or None.
        imagenet: `--imagenet`.
    """

    model: str | None
    weights: str | None
    from_scratch: bool
    architecture: str | None
    activation: str | None
    imagenet: bool


GROUPS = {
    "Start": ("model", "weights", "from_scratch", "architecture", "activation", "imagenet"),
    "Captions": (
        "image_dirs", "separator", "image_column", "caption_column", "split_column",
        "class_column", "val_share", "captions_per_image", "prompt_share", "synonym_share",
        "dropped_share",
    ),
    "Views of the pictures": ("image_size", "view_sizes", "smallest_crop", "other_sensors"),
    "Learning": (
        "epochs", "batch_size", "learning_rate", "body_rate", "warmup_epochs",
        "weight_decay", "averaging", "frozen", "lora_rank", "seed",
    ),
    "What is kept": (
        "output", "overwrite", "choose_by", "validate_every", "patience", "wise", "half",
        "ground_size", "licence", "forgetting", "forgetting_images",
    ),
    "Machine": ("device", "precision", "micro_batches", "checkpointing", "threads"),
}  # fmt: skip
"""Headings of the help, and the parameters below each."""


def start_options(command: Command) -> Command:
    """Add what a run starts from to a command, which gets it as one argument, `start`."""

    @functools.wraps(command)
    def collected(**given: Any) -> Any:  # noqa: ANN401 - click's values and the command's own
        said = {field.name: given.pop(field.name) for field in fields(StartOptions)}
        return command(start=StartOptions(**said), **given)

    for option in reversed(_START):
        option(collected)
    return collected


def setting_options(command: Command) -> Command:
    """Add settings to a command, which gets those that were given as one argument, `given`.

    Its keys are fields of `georclip.training.settings.TrainSettings`.
    """
    names = [*_SETTINGS, *_RENAMED]

    @functools.wraps(command)
    def collected(**values: Any) -> Any:  # noqa: ANN401 - click's values and the command's own
        said = {name: values.pop(name) for name in names}
        given = {_RENAMED.get(name, name): value for name, value in said.items()}
        return command(
            given={name: value for name, value in given.items() if value is not None}, **values
        )

    for option in reversed(_OPTIONS):
        option(collected)
    return collected


def _frozen(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | int | None:
    if value is None or value in ("none", "image", "text"):
        return value
    if value.isdecimal():
        return int(value)
    raise click.BadParameter(f"{value!r} is none of image, text, none, or a number of blocks")


def _ground_size(
    context: click.Context, parameter: click.Parameter, value: tuple[float, ...] | None
) -> tuple[float, ...] | None:
    if value is not None and not 0 < value[0] <= value[1] <= value[2] < float("inf"):
        raise click.BadParameter("needs 0 < LOW <= TYPICAL <= HIGH")
    return value


_OWN = ("starter-lite0-w256", "starter-resnet14-w256", "starter-tiny")
_SHARE = click.FloatRange(0, 1)
_RATE = click.FloatRange(0, 1, min_open=True, max_open=True)

_START = (
    click.option(
        "--model",
        metavar="NAME",
        help="Start from this model (see georclip models); beside --weights, the architecture of "
        "a file that does not say it.  [default: remoteclip-vit-b-32]",
    ),
    click.option(
        "--weights",
        type=click.Path(dir_okay=False),
        help="Start from this checkpoint (.pt or .safetensors), one of georclip's own included.",
    ),
    click.option("--from-scratch", is_flag=True, help="Start from random weights."),
    click.option(
        "--architecture",
        metavar="NAME",
        help=f"Of what starts from scratch: {', '.join(_OWN)} (for trials), or open_clip's such as "
        "RN50 or ViT-B-32.  [default: the first]",
    ),
    click.option(
        "--activation",
        type=click.Choice(["gelu", "quickgelu"]),
        help="Against what model or checkpoint say.",
    ),
    click.option(
        "--imagenet",
        is_flag=True,
        help="Start the starter's image tower from ImageNet's weights, the rest from scratch.",
    ),
)

_OPTIONS = (
    click.option(
        "--captions-per-image",
        type=click.IntRange(min=1),
        help="Most captions of a picture that a step compares.  [default: 3]",
    ),
    click.option(
        "--prompt-share",
        type=_SHARE,
        help="Captions replaced by the picture's class in a prompt.  [default: 0.2]",
    ),
    click.option(
        "--synonym-share",
        type=_SHARE,
        help="Phrases swapped for a synonym.  [default: 0.2; 0 for CLIP]",
    ),
    click.option(
        "--dropped-share", type=_SHARE, help="Words left out of captions.  [default: 0.1]"
    ),
    click.option(
        "--image-size",
        "image_size",
        type=click.IntRange(min=32),
        help="Side the tower takes, px.  [default: the start's, 128 for georclip's own]",
    ),
    click.option(
        "--view-sizes",
        "view_sizes",
        metavar="PX,...",
        type=Numbers(whole=True),
        help="Sides of the training views, each for an equal share of the epochs; CLIP takes its "
        "own size only.  [default: 96,112,128 up to the image size]",
    ),
    click.option(
        "--smallest-crop",
        type=click.FloatRange(0.01, 1.0),
        help="Least share of a picture that a training view shows.  [default: 0.25]",
    ),
    click.option(
        "--other-sensors",
        is_flag=True,
        help="Vary tint and gamma as between sensors, and cut corners without data.",
    ),
    click.option(
        "--epochs",
        type=click.IntRange(min=1),
        help="Passes over the pictures.  [default: 30; 10 for CLIP]",
    ),
    click.option(
        "--batch-size", type=click.IntRange(min=2), help="Pictures in a step.  [default: 128]"
    ),
    click.option(
        "--learning-rate",
        type=_RATE,
        help="At its peak.  [default: 1e-3; CLIP 1e-5, with LoRA 2e-4, from scratch 5e-4]",
    ),
    click.option(
        "--body-rate",
        type=_SHARE,
        help="Share of the learning rate that trained weights get.  [default: 0.3; CLIP 1]",
    ),
    click.option(
        "--warmup",
        "warmup_epochs",
        type=click.FloatRange(min=0),
        help="Epochs until the peak.  [default: 0.5; CLIP 1]",
    ),
    click.option(
        "--weight-decay",
        type=click.FloatRange(min=0),
        help="Not on norms, biases, embeddings and temperature.  [default: 0.05; CLIP 0.1, from "
        "scratch 0.2]",
    ),
    click.option(
        "--averaging",
        type=_SHARE,
        help="Decay, per step, of the running average of weights that is kept.  [default: 0.99]",
    ),
    click.option(
        "--freeze",
        "frozen",
        metavar="image|text|none|N",
        callback=_frozen,
        help="What stays as it is: a tower, or the image tower's first N blocks, the stem or "
        "patch embedding counted.  [default: none]",
    ),
    click.option(
        "--lora",
        "lora_rank",
        type=click.IntRange(min=1),
        metavar="RANK",
        help="Learn low-rank changes of attention and MLPs, and the temperature, and nothing "
        "else; they are merged into what is written.",
    ),
    click.option("--seed", type=click.IntRange(min=0), help="Of everything random.  [default: 0]"),
    click.option(
        "--choose-by",
        type=click.Choice(["recall", "precision"]),
        help="What the kept weights are best by, on val: mean recall of captions, or precision at "
        "10 of class names.  [default: recall]",
    ),
    click.option(
        "--validate-every",
        type=click.IntRange(min=1),
        help="Epochs between figures on val.  [default: 2; 1 for CLIP]",
    ),
    click.option(
        "--patience",
        type=click.IntRange(min=1),
        help="End after this many figures in a row without a better one.  [default: never]",
    ),
    click.option(
        "--wise",
        type=_SHARE,
        metavar="SHARE",
        help="Write this share of the tuned weights and the rest of the start's, against "
        "forgetting (WiSE-FT): 0.5 is half way; the mix is what val measures and what is chosen. "
        "Running statistics of batch normalisation are mixed too, which is approximate for RN50."
        "  [default: 1, the tuned alone]",
    ),
    click.option("--half", is_flag=True, help="Write fp16, half the size."),
    click.option(
        "--ground-size",
        "ground_size",
        metavar="LOW,TYPICAL,HIGH",
        type=Numbers(count=3),
        callback=_ground_size,
        help="Ground side of the pictures, m: decides how scenes are cut for this model.  "
        "[default: the start's]",
    ),
    click.option("--licence", help="Terms of the weights, kept with them."),
    click.option(
        "--precision",
        type=click.Choice(["fp32", "bf16"]),
        help="Of the towers' arithmetic.  [default: bf16 where the device computes in it]",
    ),
    click.option(
        "--accum",
        "micro_batches",
        type=click.IntRange(min=1),
        help="Parts that a batch goes through the towers in, to the same gradient with the "
        "memory of one part. Batch normalisation sees one part at a time.  [default: 1]",
    ),
    click.option(
        "--checkpointing",
        is_flag=True,
        help="Compute what lies inside of blocks twice: less memory, a third more time.",
    ),
)

_RENAMED = {
    "image_size": "image_size_px",
    "view_sizes": "view_sizes_px",
    "ground_size": "ground_size_m",
}
_SETTINGS = (
    "captions_per_image", "prompt_share", "synonym_share", "dropped_share", "smallest_crop",
    "other_sensors", "epochs", "batch_size", "learning_rate", "body_rate",
    "warmup_epochs", "weight_decay", "averaging", "frozen", "lora_rank", "seed", "choose_by",
    "validate_every", "patience", "wise", "half", "licence", "precision", "micro_batches",
    "checkpointing",
)  # fmt: skip
