"""Hits as one HTML page that needs nothing else: no font, tile, style or script from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources

import georclip
from georclip.export.records import HitRecord, Hits, as_hits
from georclip.export.sheet.answer import AnswerWriter, count, nothing_convincing, quoted
from georclip.export.sheet.markup import Markup, foreign, join, tag
from georclip.export.sheet.pictures import read_pictures
from georclip.export.sheet.sections import Section, sections_of
from georclip.export.style import RAMP
from georclip.scenes.access import Access
from georclip.values import SearchResult


def dumps_sheet(result: SearchResult | Hits, access: Access | None = None) -> str:
    """Write hits as a contact sheet: question, maps and pictures, in pure ASCII.

    Args:
        result: What to show.
        access: What may be read beside scenes that a person named: servers, and folders that a
            file of hits names; None: neither. What may not be read has a reason in its place.
    """
    hits = as_hits(result)
    sections = sections_of(hits)
    plans = [plan for section in sections for plan in section.plans]
    pictures = read_pictures(hits, plans, access or Access())
    backdrops = iter(pictures.backdrops)
    written = []
    for section in sections:
        own = [next(backdrops) for _ in section.plans]
        written.append(AnswerWriter(hits=hits, section=section, pictures=pictures).html(own))
    page = _page(hits, sections, written)
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _page(hits: Hits, sections: Sequence[Section], written: Sequence[Markup]) -> Markup:
    many = hits.answers_many
    asked = f"{len(sections)} questions" if many else sections[0].question or "Hits"
    head = tag(
        "header",
        tag("p", "georclip", class_="brand"),
        tag("h1", asked if many or not sections[0].question else quoted(sections[0].question)),
        tag("p", *_provenance(hits), class_="origin"),
        _contents(sections, hits) if many else "",
        _tools(hits.records) if len(hits.records) > 1 else "",
    )
    return join(
        Markup("<!DOCTYPE html>\n"),
        tag(
            "html",
            tag(
                "head",
                tag("meta", charset="utf-8"),
                tag("meta", http_equiv="Content-Security-Policy", content=_policy()),
                tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
                tag("meta", name="referrer", content="no-referrer"),
                tag("meta", name="color-scheme", content="light dark"),
                tag("meta", name="generator", content=f"georclip {georclip.__version__}"),
                tag("title", f"georclip: {asked}"),
                tag("style", Markup(_style())),
            ),
            "\n",
            tag("body", head, "\n", tag("main", *written), "\n", tag("script", Markup(_script()))),
            lang="en",
        ),
        "\n",
    )


def _provenance(hits: Hits) -> list[str | Markup]:
    where = hits.provenance
    scenes = len({record.uri for record in hits.records})
    parts: list[str | Markup] = [count(len(hits.records), "hit")]
    if scenes:
        parts.append(f" in {count(scenes, 'scene')}")
    if where.rows_considered is not None:
        parts.append(f", of {where.rows_considered:,} chips compared")
    if where.encoder:
        parts += [" by ", foreign(where.encoder)]
    if where.version:
        parts += [", georclip ", foreign(where.version)]
    return parts


def _contents(sections: Sequence[Section], hits: Hits) -> Markup:
    lines = []
    for section in sections:
        found = [hits.records[one] for one in section.records]
        said = count(len(found), "hit") if found else "no hits"
        if nothing_convincing(found):
            said += ", none convincing"
        link = tag("a", foreign(section.question), href=f"#q{section.number}")
        lines.append(tag("li", link, tag("span", f" {said}")))
    return tag("nav", tag("ol", *lines), aria_label="Questions")


def _tools(records: Sequence[HitRecord]) -> Markup:
    """What a script offers; hidden until it runs."""
    orders = [("rank", "rank")]
    known = [record.confidence for record in records if record.confidence is not None]
    if known:
        orders.append(("confidence", "confidence"))
    if len({record.acquired for record in records}) > 1:
        orders += [("date", "date, newest first"), ("date-up", "date, oldest first")]
    if len({record.scene for record in records}) > 1:
        orders.append(("scene", "scene"))
    controls = []
    if len(orders) > 1:
        options = [tag("option", said, value=value) for value, said in orders]
        controls.append(tag("label", "Sort by ", tag("select", *options, id="order")))
    if known:
        slider = tag("input", type="range", id="least", min="0", max="1", step="0.01", value="0")
        shown = tag("output", "0.00", for_="least", id="least-shown")
        controls.append(tag("label", "Least confidence ", slider, " ", shown))
    if not controls:
        return join()
    return tag("form", *controls, id="tools", hidden=True)


@lru_cache(maxsize=1)
def _policy() -> str:
    """A policy under which a browser fetches nothing, and runs only this page's own script."""
    return (
        "default-src 'none'; img-src data:; "
        f"style-src '{_digest(_style())}'; script-src '{_digest(_script())}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("ascii")).digest()).decode()


@lru_cache(maxsize=1)
def _style() -> str:
    ramp = "".join(f".ramp-{colour[1:]}{{background:{colour}}}\n" for colour in RAMP)
    return _file("style.css") + ramp


@lru_cache(maxsize=1)
def _script() -> str:
    return _file("script.js")


def _file(name: str) -> str:
    return resources.files("georclip.export.sheet").joinpath(name).read_text("ascii")
