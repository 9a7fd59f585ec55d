"""`georclip feedback`: hits with marks in; better hits out."""

from __future__ import annotations

import re
from pathlib import Path

import click

from georclip.cli.answers import answer_options, remark_on, show_hits
from georclip.cli.options import access_of, device_option, weights_option

_RANKS = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
_MOST_RANKS = 1_000
_DEFAULT_INDEX = Path("georclip-index")


class Ranks(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Ranks such as 1,4 or 2-5,9."""

    name = "ranks"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The ranks of a text, each once."""
        if isinstance(value, tuple):
            return value
        ranks: list[int] = []
        for part in str(value).split(","):
            match = _RANKS.fullmatch(part.strip())
            if match is None:
                self.fail(f"{value!r} is no list of ranks such as 1,4 or 2-5", param, ctx)
            first, last = int(match[1]), int(match[2] or match[1])
            if not 1 <= first <= last < first + _MOST_RANKS:
                self.fail(f"{part.strip()!r} is no range of ranks: they count from 1", param, ctx)
            ranks += range(first, last + 1)
        return tuple(dict.fromkeys(ranks))


@click.command()
@click.argument("hits", type=click.Path(path_type=Path))
@click.option("--good", type=Ranks(), default=(), metavar="RANKS", help="Wanted: 1,4 or 2-5.")
@click.option("--bad", type=Ranks(), default=(), metavar="RANKS", help="Not wanted.")
@click.option(
    "-i",
    "--index",
    "index_path",
    type=click.Path(path_type=Path),
    envvar="GEORCLIP_INDEX",
    show_envvar=True,
    help="The index, a folder.  [default: what HITS name, if it lies beside them or below]",
)
@click.option("-k", type=int, help="Most hits.  [default: as before]")
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="FILE",
    help="A picture of the question that lies outside the folder of HITS may be read.",
)
@device_option
@weights_option
@answer_options
def feedback(
    hits: Path,
    good: tuple[int, ...],
    bad: tuple[int, ...],
    index_path: Path | None,
    k: int | None,
    images: tuple[str, ...],
    device: str,
    weights: Path | None,
    output_format: str | None,
    output: Path | None,
    overwrite: bool,
    allow_remote: bool,
    allow_outside: tuple[Path, ...],
) -> None:
    """Ask the question of a file of HITS again, with your marks on them.

    HITS are an answer of georclip search, or of this command: marks add up. The terms, the place,
    the time and the number of hits are as before. A hit marked good counts as --like-hit, one
    marked bad as --unlike-hit.

    \b
    Examples:
      georclip search "ships at a pier" -k 20 -o hits.geojson
      georclip feedback hits.geojson --good 1,4 --bad 2 -o better.geojson
      georclip feedback better.geojson --bad 3-5 -f table
    """
    from georclip.api import open_index
    from georclip.export.reasking import index_of, read_own_hits
    from georclip.export.records import as_hits
    from georclip.export.writing import check_output

    if not good and not bad:
        raise click.UsageError("mark some hits: --good RANKS or --bad RANKS, such as --good 1,4")
    output = None if output == Path("-") else output
    check_output(output, output_format, overwrite=overwrite)
    marked = read_own_hits(hits, images=images)
    place = index_path or index_of(marked, hits, _DEFAULT_INDEX)
    with open_index(place, weights=weights, device=device) as index:
        result = index.feedback(marked, good=good, bad=bad, k=k)
        remark = remark_on(index, (result,))
    access = access_of(allow_remote, allow_outside)
    show_hits(as_hits(result), output, output_format, overwrite=overwrite, access=access)
    if remark:
        click.echo(remark, err=True)
