"""The `georclip` command: its group, its exit codes, and where its words go."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from georclip import __version__
from georclip.cli.changes import changes
from georclip.cli.compact import compact
from georclip.cli.evaluate import evaluate
from georclip.cli.export import export
from georclip.cli.feedback import feedback
from georclip.cli.heatmap import heatmap
from georclip.cli.index import index
from georclip.cli.info import info
from georclip.cli.list import list_scenes
from georclip.cli.models import models
from georclip.cli.relocate import relocate
from georclip.cli.remove import remove
from georclip.cli.search import search
from georclip.cli.train import train
from georclip.cli.verify import verify
from georclip.errors import GeorclipError

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="georclip")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Find places in satellite and aerial scenes by a sentence.

    \b
    Examples:
      georclip index scene.tif
      georclip search "harbor with ships" --bbox -76.8,34.6,-76.5,34.8 > hits.geojson
      georclip search "storage tanks" -k 20 -o hits.gpkg
    """


for _command in (
    index, search, feedback, heatmap, changes, export, info, list_scenes, remove, relocate, verify,
    compact, models, train, evaluate,
):  # fmt: skip
    cli.add_command(_command)


def _how_to_go_on(words: Sequence[str]) -> str:
    """What of an interrupted command is kept."""
    if "index" in words[:2]:
        return " What is done so far is kept: run the same command to go on."
    if "train" in words[:2]:
        return (
            " Epochs that were finished, if any, are kept: the same command with --resume goes on "
            "after them."
        )
    return ""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code.

    0 done, 1 a GeorclipError, 2 wrong usage, 130 interrupted. `--debug` shows tracebacks.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _send_log_to_stderr()
    try:
        outcome = cli.main(args=words, prog_name="georclip", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"Interrupted.{_how_to_go_on(words)}", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of stdout has gone, as `| head` does: not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except GeorclipError as error:
        if "--debug" in words:
            raise
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_ERROR)
    except Exception as error:
        if "--debug" in words:
            raise
        click.echo(
            f"Error: unexpected {type(error).__name__}: {error} "
            "(this is a bug; `georclip --debug ...` shows where)",
            err=True,
        )
        sys.exit(EXIT_ERROR)
    sys.exit(outcome if isinstance(outcome, int) else 0)


def _send_log_to_stderr() -> None:
    """Notes and warnings of the package go to stderr as plain lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("georclip")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


if __name__ == "__main__":
    main()
