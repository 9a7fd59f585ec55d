"""`georclip train`: captions and pictures to weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from georclip.cli.caption_options import (
    CaptionOptions,
    caption_form,
    caption_options,
    check_caption_files,
    read_caption_files,
)
from georclip.cli.grouping import GroupedCommand
from georclip.cli.options import device_option, overwrite_option
from georclip.cli.train_options import GROUPS, StartOptions, setting_options, start_options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from georclip.captions.forms import CaptionForm
    from georclip.captions.records import CaptionedImage
    from georclip.training.models.starting import Start
    from georclip.training.trainable import Trainable


@click.command(
    cls=GroupedCommand,
    groups=GROUPS,
    epilog="\b\nExamples:\n"
    "  georclip train captions.json --images images -o mine.safetensors --model starter\n"
    "  georclip train captions.csv --images images -o mine.safetensors --freeze 6\n"
    "  georclip train captions.json --images images -o mine.safetensors --lora 8 --wise 0.5\n"
    "  georclip train captions.json --images images -o small.safetensors --from-scratch \\\n"
    "    --ground-size 75,400,2000",
)
@click.argument("captions", nargs=-1, required=True, type=click.Path(dir_okay=False))
@caption_options
@start_options
@setting_options
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False),
    help="Weights to write (.safetensors); the training record goes beside them.",
)
@overwrite_option
@click.option(
    "--forgetting",
    type=click.Path(dir_okay=False),
    metavar="CAPTIONS",
    help="Captions of other pictures, which are not learnt: measured before and after.",
)
@click.option(
    "--forgetting-images",
    type=click.Path(file_okay=False),
    metavar="DIRECTORY",
    help="Folder of those pictures.  [default: beside their captions]",
)
@device_option
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: all cores]")
@click.option("--resume", is_flag=True, help="Go on with the run that was killed.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def train(
    captions: tuple[str, ...],
    caption_input: CaptionOptions,
    start: StartOptions,
    given: dict[str, Any],
    output: str,
    overwrite: bool,
    forgetting: str | None,
    forgetting_images: str | None,
    device: str,
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

    Started from is RemoteCLIP's ViT-B-32 unless something else is said. What is written loads in
    georclip index --weights, and, where the architecture is open_clip's, in open_clip. Beside it
    lie the record (.training.json) and the curves (.csv, .png).

    Several processes share each batch where torchrun starts them:
    torchrun --nproc-per-node 2 -m georclip.cli.main train ...
    """
    import logging
    from pathlib import Path

    _check_output(output, start, replaces=overwrite or resume)
    _check_start(start)
    _check_others(forgetting, forgetting_images)
    check_caption_files(captions, caption_input)
    try:
        import torch

        from georclip.encoders.clip import choose_device
        from georclip.training.checkpoint import check_saved, checkpoint_path
        from georclip.training.defaults import in_words, resolve_settings
        from georclip.training.distributed import joined
        from georclip.training.loop import train as run
        from georclip.training.models.starting import make_model
        from georclip.training.run import split_images
    except ImportError as error:
        from georclip.errors import EncoderError

        raise EncoderError(f'{error}: pip install "georclip[train]"') from error
    if threads:
        torch.set_num_threads(threads)
    processes = click.get_current_context().with_resource(joined(choose_device(device).type))
    place = choose_device(device)  # of the GPUs there are, this process's
    found = read_caption_files(captions, caption_input)
    check_saved(checkpoint_path(Path(output)), resume=resume)
    begin = _find_start(start)
    settings = resolve_settings(begin, given, place)
    learnt, held_out = split_images(found, settings)
    others = _read_others(forgetting, forgetting_images, caption_form(caption_input), learnt)
    torch.manual_seed(settings.seed)
    name = Path(output).stem
    model = make_model(begin, learnt, settings, name=name, imagenet=start.imagenet)
    _warn(begin, model, [*learnt, *held_out])
    steps = len(learnt) // settings.batch_size
    log = logging.getLogger("georclip")
    log.info("%s", in_words(begin, settings, steps, place, imagenet=start.imagenet))
    run(
        found,
        Path(output),
        settings,
        model=model,
        origin=begin.origin,
        device=place,
        forgetting=others,
        caption_files=[Path(file) for file in captions],
        resume=resume,
        quiet=quiet or not processes.first,
        processes=processes,
    )
    if processes.first:
        click.echo(output)


def _check_output(output: str, start: StartOptions, *, replaces: bool) -> None:
    """Refuse what could not be written after hours, or would overwrite what somebody needs."""
    from pathlib import Path

    path = Path(output)
    folder = path.resolve().parent
    if path.suffix != ".safetensors":
        raise click.BadParameter(
            f"{output!r} must end in .safetensors: --output {path.with_suffix('.safetensors')}",
            param_hint="--output",
        )
    if not folder.is_dir():
        raise click.BadParameter(f"the folder {folder} does not exist", param_hint="--output")
    if start.weights and Path(start.weights).resolve() == path.resolve():
        raise click.BadParameter("is what the run starts from", param_hint="--output")
    if path.exists() and not replaces:
        raise click.BadParameter(
            f"{output} exists: --overwrite replaces it, --resume goes on with a run that was "
            "killed",
            param_hint="--output",
        )


def _check_others(file: str | None, folder: str | None) -> None:
    """Check that the pictures for the measure of forgetting have captions and a folder."""
    from pathlib import Path

    if folder and not file:
        raise click.UsageError("--forgetting-images goes with --forgetting, which names captions")
    if file:
        beside = str(Path(file).parent)
        check_caption_files([file], CaptionOptions(image_dirs=(folder or beside,)))


def _warn(begin: Start, model: Trainable, images: Sequence[CaptionedImage]) -> None:
    """Say what a person may have overlooked."""
    import logging

    from georclip.captions.lengths import too_long

    log = logging.getLogger("georclip")
    cut = too_long(images, model.count_tokens, model.token_limit)
    if cut:
        log.warning("%s", cut)
    if begin.kind == "compact" and not model.spec.ground_size_m:
        log.warning(
            "no --ground-size: georclip index will cut scenes for this model by pixels, whatever "
            "ground they cover; give LOW,TYPICAL,HIGH, the sides in metres that the pictures show"
        )


def _check_start(start: StartOptions) -> None:
    if start.from_scratch and (start.weights or start.model):
        raise click.UsageError("--from-scratch starts from nothing: leave --model, --weights out")
    if start.architecture and not start.from_scratch:
        raise click.UsageError("--architecture goes with --from-scratch; others have their own")
    if start.activation and start.from_scratch:
        raise click.UsageError("name the activation in --architecture: ViT-B-32-quickgelu")


def _find_start(start: StartOptions) -> Start:
    from pathlib import Path

    from georclip.training.models.starting import scratch, trained

    if start.from_scratch:
        return scratch(start.architecture)
    weights = Path(start.weights) if start.weights else None
    return trained(start.model or "auto", weights, start.activation)


def _read_others(
    file: str | None, folder: str | None, form: CaptionForm, learnt: list[CaptionedImage]
) -> tuple[CaptionedImage, ...]:
    """Pictures for the measure of forgetting, all splits of them.

    Raises:
        CaptionError: Some of them are learnt.
    """
    if file is None:
        return ()
    from pathlib import Path

    from georclip.captions.forms import Whole
    from georclip.captions.reading import read_captions
    from georclip.errors import CaptionError

    images = read_captions(
        [Path(file)], [Path(folder or Path(file).parent)], form, undivided=Whole(split="test")
    )
    known = {_place(image.path) for image in learnt}
    both = [image.path.name for image in images if _place(image.path) in known]
    if both:
        raise CaptionError(
            f"{len(both)} pictures of --forgetting {file} are learnt as well, such as {both[0]}: "
            "they tell nothing about forgetting"
        )
    return images


def _place(path: Path) -> str:
    import os

    return os.path.realpath(path)  # as the run itself tells pictures apart
