"""Options that several commands share. Imports only click and the standard library."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from georclip.scenes.access import Access

if TYPE_CHECKING:  # click 8.5 made the type generic; older ones cannot be subscripted
    _Size = click.ParamType[int]
    _Numbers = click.ParamType[tuple[float, ...]]
else:
    _Size = _Numbers = click.ParamType

Command = TypeVar("Command", bound=Callable[..., Any])

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmgt]?)i?b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class BboxOption(click.Option):
    """`--bbox W,S,E,N` or `--bbox W S E N`, negative numbers in both.

    click takes either one token or four; this takes one, and up to three more numbers where
    the first holds no comma.
    """

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:  # noqa: ANN401
        """Wrap the parser's own handling of the option."""
        super().add_to_parser(parser, ctx)
        for name in self.opts:
            option = parser._long_opt[name]
            option.process = _take_numbers(option.process)


def _take_numbers(process: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    def wrapped(value: str, state: Any) -> None:  # noqa: ANN401
        numbers = [value]
        if "," not in value:
            while len(numbers) < 4 and state.rargs and _is_number(state.rargs[0]):
                numbers.append(state.rargs.pop(0))
        process(",".join(numbers), state)

    return wrapped


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class ByteSize(_Size):
    """A size such as 800MB or 1.5GB (powers of 1000), in bytes."""

    name = "size"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Bytes of a size."""
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no size; write for example 800MB or 2GB", param, ctx)
        size = int(float(match["number"]) * 1000 ** _POWERS[match["unit"].lower()])
        if size < 64_000_000:
            self.fail(f"{value} is too little to work with; give at least 64MB", param, ctx)
        return size


class Numbers(_Numbers):
    """Numbers parted by commas, as a tuple of floats."""

    name = "numbers"

    def __init__(self, *, whole: bool = False, count: int | None = None) -> None:
        self.whole = whole
        self.count = count

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[float, ...]:
        """The numbers of a text."""
        if isinstance(value, tuple):
            return value
        kind: type[int] | type[float] = int if self.whole else float
        try:
            numbers = tuple(kind(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 3,2,1", param, ctx)
        if self.count is not None and len(numbers) != self.count:
            self.fail(f"{value!r} holds {len(numbers)} numbers, not {self.count}", param, ctx)
        return numbers


def index_option(command: Command) -> Command:
    """`-i/--index`: which index."""
    return click.option(
        "-i",
        "--index",
        "index_path",
        type=click.Path(path_type=Path),
        default=Path("georclip-index"),
        envvar="GEORCLIP_INDEX",
        show_default=True,
        show_envvar=True,
        help="The index, a folder.",
    )(command)


def area_options(command: Command) -> Command:
    """`--bbox` and `--aoi`: where to look."""
    bbox = click.option(
        "--bbox",
        cls=BboxOption,
        metavar="W,S,E,N",
        help="Only here: lon/lat; west > east crosses the date line. Also as four numbers.",
    )
    aoi = click.option(
        "--aoi",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Only here: a vector file, any format and CRS.",
    )
    return bbox(aoi(command))


def scene_option(command: Command) -> Command:
    """`--scene`: in which scenes to look."""
    return click.option("--scene", metavar="GLOB", help="Only scenes whose path or name matches.")(
        command
    )


def device_option(command: Command) -> Command:
    """`--device`: where the encoder runs."""
    return click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where the encoder runs.",
    )(command)


def weights_option(command: Command) -> Command:
    """`--weights`: a local checkpoint."""
    return click.option(
        "--weights",
        type=click.Path(path_type=Path),
        help="A local checkpoint (.pt or .safetensors) instead of a model's own weights, or a "
        "folder that georclip models export made.",
    )(command)


def access_options(command: Command) -> Command:
    """`--allow-remote` and `--allow-outside`: what is read of scenes to show answers."""
    return _access_options(
        command,
        remote="Read scenes on servers, for pictures and --zoom-in.",
        outside="Read files in DIR that a file names, likewise. Repeatable.",
    )


def source_options(command: Command) -> Command:
    """`--allow-remote` and `--allow-outside`: what a raster may name."""
    return _access_options(
        command,
        remote="Read URLs that a file (VRT, STAC) names.",
        outside="Read files in DIR that a file names. Repeatable.",
    )


def _access_options(command: Command, *, remote: str, outside: str) -> Command:
    folders = click.option(
        "--allow-outside",
        type=click.Path(path_type=Path),
        multiple=True,
        metavar="DIR",
        help=outside,
    )
    return click.option("--allow-remote", is_flag=True, help=remote)(folders(command))


def memory_option(command: Command) -> Command:
    """`--memory`: a bound on buffers."""
    return click.option(
        "--memory",
        type=ByteSize(),
        default="1GB",
        show_default=True,
        help="Bound on the memory of reading and encoding.",
    )(command)


def access_of(allow_remote: bool, allow_outside: tuple[Path, ...]) -> Access | None:
    """What these options allow; None, and nothing loaded, where they say nothing."""
    if not allow_remote and not allow_outside:
        return None
    from georclip.scenes.access import Access

    return Access(allow_remote=allow_remote, allow_outside=allow_outside)


def overwrite_option(command: Command) -> Command:
    """`--overwrite`: replace what is in the way."""
    return click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")(command)
