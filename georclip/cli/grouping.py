"""Help of commands with many options, in groups. Imports only click."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click


class GroupedCommand(click.Command):
    """A command whose help lists options by group.

    Args:
        groups: Heading to the names of its parameters; what is in none comes last.
    """

    def __init__(self, *arguments: Any, groups: Mapping[str, tuple[str, ...]], **more: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*arguments, **more)
        self.groups = groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options."""
        records = {
            parameter.name: record
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option)
            and (record := parameter.get_help_record(ctx)) is not None
        }
        for heading, names in self.groups.items():
            found = [records.pop(name) for name in names if name in records]
            with formatter.section(heading):
                formatter.write_dl(found)
        with formatter.section("Other options"):
            formatter.write_dl(list(records.values()))
