"""HTML that cannot be broken by what is put into it: text is escaped unless it is `Markup`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import quote, urlsplit

_NOT_SHOWN = re.compile(
    "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\ufdd0-\\ufdef\\ufffe\\uffff]"
)
"""Signs that HTML does not allow, and halves of characters."""

_BREAKS = re.compile("(?<=[_/\\\\-])(?=.)")
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "wbr"})
_URL_SIGNS = "/:?&=%+~@,;!$'()*#[]-._"
_WEB = frozenset({"http", "https"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def clean(text: str) -> str:
    """Text with a sign of replacement for whatever HTML does not allow."""
    return _NOT_SHOWN.sub("\ufffd", text)


def tag(name: str, /, *children: str, **attributes: str | float | bool | None) -> Markup:
    """One element.

    Args:
        name: Of the element; HTML's or SVG's.
        children: Escaped, unless they are `Markup`.
        attributes: Escaped; None and False leave one out, True writes it without a value. A
            trailing underscore is dropped, others become hyphens: `class_`, `data_rank`.
    """
    written = "".join(
        _attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items()
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: str) -> Markup:
    """Elements and texts one after the other, texts escaped."""
    return Markup(
        "".join(child if isinstance(child, Markup) else escape(clean(child)) for child in children)
    )


def foreign(text: str) -> Markup:
    """A name from outside, kept from turning the direction of what stands around it.

    Long names break after what parts their words.
    """
    pieces = _BREAKS.split(text)
    return tag("bdi", *(piece if piece else tag("wbr") for piece in _between(pieces)))


def _between(pieces: list[str]) -> Iterator[str]:
    """Pieces with "" where a line may end."""
    for number, piece in enumerate(pieces):
        if number:
            yield ""
        if piece:
            yield piece


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = value if isinstance(value, str) else number(value)
    return f' {name}="{escape(clean(text))}"'


def number(value: float) -> str:
    """A number as SVG takes it, to a hundredth."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def link_of(uri: str) -> str | None:
    """Where a scene can be opened: a file, http or https URL; None for everything else.

    No other scheme is ever linked, whatever a file of hits says.
    """
    try:
        parts = urlsplit(uri)
        if parts.scheme.lower() in _WEB and parts.hostname:
            return quote(uri, safe=_URL_SIGNS, errors="replace")
        if uri.startswith("/vsi") or not Path(uri).is_absolute():
            return None
        return Path(uri).as_uri()
    except ValueError:
        return None
