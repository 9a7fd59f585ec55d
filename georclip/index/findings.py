"""What `verify` says."""

from __future__ import annotations

from dataclasses import dataclass

RESTORE = "restore it from a copy, or index its scenes again into a new folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong with an index.

    Attributes:
        file: Path inside the index, with forward slashes.
        problem: What is wrong.
        advice: What to do about it.
    """

    file: str
    problem: str
    advice: str


def missing_file(name: str, advice: str = RESTORE) -> Finding:
    """A file that the index names is not there."""
    return Finding(file=name, problem="it is missing", advice=advice)


def foreign_file(name: str) -> Finding:
    """A file that nothing names."""
    return Finding(
        file=name,
        problem="it does not belong to the index",
        advice="move it elsewhere, if it is yours; leftovers of a killed run go "
        "when the index is next written to",
    )
