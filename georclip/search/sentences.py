"""A file of questions: one sentence a line."""

from __future__ import annotations

from dataclasses import dataclass

from georclip.errors import QueryError

_COMMENT = "#"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A question as it stands in a file.

    Attributes:
        line: From 1, blank lines and comments counted.
        text: Without blanks around it.
    """

    line: int
    text: str


def read_sentences(content: bytes, name: str) -> tuple[Sentence, ...]:
    """Take a file's sentences apart, in their order, repeats too.

    Blank lines, and lines that begin with "#", are comments.

    Args:
        content: UTF-8, with or without a byte order mark; lines end in LF or CR LF.
        name: The file's, for errors.

    Raises:
        QueryError: It is not UTF-8, or holds no sentence.
    """
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise QueryError(f"{name}:{line} is not UTF-8 text: save the file as UTF-8") from error
    stripped = ((number, line.strip()) for number, line in enumerate(lines, start=1))
    found = tuple(
        Sentence(line=number, text=text)
        for number, text in stripped
        if text and not text.startswith(_COMMENT)
    )
    if not found:
        raise QueryError(f"{name} holds no question: write one sentence a line")
    return found
