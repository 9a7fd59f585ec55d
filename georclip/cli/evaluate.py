"""`georclip evaluate`: how good a model is, by published protocols."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from georclip.cli.caption_options import CaptionOptions, caption_options, check_caption_files
from georclip.cli.options import Numbers, device_option

if TYPE_CHECKING:
    from georclip.cli.evaluating import EvaluateRequest

TASKS = ("retrieval", "zero-shot", "neighbours", "in-scene")


_NOT_RETRIEVAL = {
    "templates": "--template",
    "gallery": "--gallery",
    "pixel_sizes": "--pixel-sizes",
    "scene_dir": "--scene-dir",
    "seed": "--seed",
}
"""Options that retrieval does not heed, by their parameters."""


class Tasks(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.5 on
    """Tasks parted by commas."""

    name = "tasks"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The tasks of a text, each once."""
        if isinstance(value, tuple):
            return value
        tasks = tuple(dict.fromkeys(part.strip() for part in str(value).split(",")))
        for task in tasks:
            if task not in TASKS:
                self.fail(f"{task!r} is none of {', '.join(TASKS)}", param, ctx)
        return tasks


@click.command(
    epilog="Example: georclip evaluate dataset_rsicd.json --images RSICD_images --split val"
)
@click.argument("captions", nargs=-1, required=True, type=click.Path(dir_okay=False))
@caption_options
@click.option("--model", help="A name from `georclip models`.  [default: auto]")
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="A local checkpoint (.pt or .safetensors) instead of a model's own weights; with "
    "--published also a folder of them.",
)
@click.option(
    "--activation",
    type=click.Choice(["gelu", "quickgelu", "both"]),
    help="Activation of a checkpoint that does not say; both: only with --published.",
)
@click.option("--split", default="test", show_default=True, help="Whose pictures are measured.")
@click.option(
    "--protocol",
    type=click.Choice(["A", "B"]),
    default="A",
    show_default=True,
    help="A, RemoteCLIP's: every sentence is a text, its own picture alone is right. B, "
    "SkyScript's: distinct captions, every picture that has the caption is right.",
)
@click.option(
    "--prefix",
    help='Before every caption.  [default: none in A, "a satellite image. " in B]',
)
@click.option(
    "--tasks",
    type=Tasks(),
    metavar="TASK,...",
    help=f"Of {', '.join(TASKS)}.  [default: all but in-scene; retrieval alone where pictures "
    "have no class]",
)
@click.option(
    "--template",
    "templates",
    multiple=True,
    metavar="TEXT",
    help="Prompt of zero-shot, with {} for the class; repeatable, their embeddings are averaged.",
)
@click.option(
    "--gallery",
    metavar="SPLIT",
    help="Split whose pictures vote as neighbours.  [default: the one measured, each picture "
    "without itself]",
)
@click.option(
    "--pixel-sizes",
    type=Numbers(),
    metavar="0.5,1,2",
    default="1",
    show_default=True,
    help="Pixel sizes at which a scene of in-scene is asked, over its own; from 0.1 to 10.",
)
@click.option(
    "--scene-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the scenes and indexes of in-scene here.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of how scenes are laid.",
)
@click.option(
    "--published",
    type=click.Choice(["remoteclip"]),
    help="Repeat RemoteCLIP's table over RSITMD, RSICD and UCM, named so in the caption files' "
    "names: published and measured side by side.",
)
@click.option(
    "-f",
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Format on stdout.",
)
@click.option(
    "--plots",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write recall curves, confusion matrices and in-scene precision here (PNG, CSV).",
)
@device_option
@click.option("--batch-size", type=click.IntRange(min=1), help="Most pictures encoded at once.")
@click.option("--quiet", is_flag=True, help="No progress; only warnings and errors.")
@click.pass_context
def evaluate(
    context: click.Context,
    /,
    captions: tuple[str, ...],
    caption_input: CaptionOptions,
    **options: object,
) -> None:
    """Measure a model on CAPTIONS, files of pictures and what people wrote about them.

    \b
    retrieval   R@1, R@5, R@10 both ways and their mean, and beside them the most that any model
                could reach, since equal captions score equal
    zero-shot   accuracy of class names in prompts, confusion matrix, precision at 10 of a class
                name as query
    neighbours  the 20 nearest pictures vote on the class
    in-scene    pictures laid into one scene, which is indexed and asked as any other

    Recalls and accuracies are percentages, precisions lie in [0, 1]. Of several caption files
    each is measured in a gallery of its own ("by_set" in JSON), and all of them in one.
    """
    check_caption_files(captions, caption_input)

    from georclip.cli.evaluating import run

    run(_request(context, {"captions": captions, "caption_input": caption_input, **options}))


def _request(context: click.Context, options: dict[str, object]) -> EvaluateRequest:
    from georclip.cli.evaluating import EvaluateRequest

    default = click.core.ParameterSource.DEFAULT
    given = [name for name in _NOT_RETRIEVAL if context.get_parameter_source(name) != default]
    idle = tuple(_NOT_RETRIEVAL[name] for name in given)
    return EvaluateRequest(**options, idle=idle)  # type: ignore[arg-type]
