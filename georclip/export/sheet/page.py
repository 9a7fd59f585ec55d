"""Hits as one HTML page that needs nothing else: no font, tile, style or script from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources

import shapely
from shapely.geometry.base import BaseGeometry

import georclip
from georclip.errors import GeorclipError
from georclip.export.records import HitRecord, Hits, as_hits
from georclip.export.sheet.backdrop import Backdrop
from georclip.export.sheet.card import card
from georclip.export.sheet.drawing import draw_map, legend
from georclip.export.sheet.marks import Mark
from georclip.export.sheet.markup import Markup, foreign, join, tag
from georclip.export.sheet.pictures import Pictures, read_pictures
from georclip.export.sheet.sections import Place, Section, sections_of
from georclip.export.style import RAMP, ramp_colour
from georclip.georeference import Georeference
from georclip.scenes.access import Access
from georclip.values import SearchResult

_DARK_INK_FROM = 0.2
"""Relative luminance from which dark text reads better than white."""
_PLACE_RADIUS = 9.0


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
        written.append(_Sheet(hits=hits, section=section, pictures=pictures).html(own))
    page = _page(hits, sections, written)
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _page(hits: Hits, sections: Sequence[Section], written: Sequence[Markup]) -> Markup:
    many = hits.answers_many
    asked = f"{len(sections)} questions" if many else sections[0].question or "Hits"
    head = tag(
        "header",
        tag("p", "georclip", class_="brand"),
        tag("h1", asked if many or not sections[0].question else _quoted(sections[0].question)),
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


def _quoted(question: str) -> Markup:
    return join("“", foreign(question), "”")


def _provenance(hits: Hits) -> list[str | Markup]:
    where = hits.provenance
    scenes = len({record.uri for record in hits.records})
    parts: list[str | Markup] = [_count(len(hits.records), "hit")]
    if scenes:
        parts.append(f" in {_count(scenes, 'scene')}")
    if where.rows_considered is not None:
        parts.append(f", of {where.rows_considered:,} chips compared")
    if where.encoder:
        parts += [" by ", foreign(where.encoder)]
    if where.version:
        parts += [", georclip ", foreign(where.version)]
    return parts


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _contents(sections: Sequence[Section], hits: Hits) -> Markup:
    lines = []
    for section in sections:
        found = [hits.records[one] for one in section.records]
        said = _count(len(found), "hit") if found else "no hits"
        if _nothing_convincing(found):
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


def _nothing_convincing(records: Sequence[HitRecord]) -> bool:
    return bool(records) and all(record.convincing is False for record in records)


class _Sheet:
    """One section of a page."""

    def __init__(self, *, hits: Hits, section: Section, pictures: Pictures) -> None:
        self.hits = hits
        self.section = section
        self.pictures = pictures
        self.records = [hits.records[one] for one in section.records]
        self.scores = [record.score for record in self.records]

    def html(self, backdrops: Sequence[Sequence[Backdrop]]) -> Markup:
        """Write it; `backdrops` are those of its maps, in their order."""
        number = self.section.number
        many = self.hits.answers_many
        heading = tag("h2", _quoted(self.section.question)) if many else ""
        if not self.records:
            return tag("section", heading, self._no_hits(), id=f"q{number}")
        cards = [self._card(one) for one in self.section.records]
        doubt = ""
        if _nothing_convincing(self.records):
            doubt = tag(
                "p",
                tag("b", "Nothing convincing found."),
                " These are the best of what there is; none of them stands out from the rest.",
                class_="notice",
            )
        return tag(
            "section",
            heading,
            doubt,
            tag("a", "Skip the map", href=f"#q{number}-hits", class_="skip"),
            tag(
                "div",
                self._maps(backdrops),
                tag("ol", *cards, id=f"q{number}-hits", class_="cards", tabindex="-1"),
                class_="answer",
            ),
            id=f"q{number}",
        )

    def _no_hits(self) -> Markup:
        compared = self.hits.provenance.rows_considered
        why = "no chip passed the filters" if compared == 0 else "nothing was found"
        return tag("p", tag("b", "No hits:"), f" {why}.", class_="notice")

    def _name(self, record_number: int) -> str:
        rank = self.hits.records[record_number].rank
        return f"q{self.section.number}-hit-{rank}"

    def _colour(self, record: HitRecord) -> str:
        return ramp_colour(record.score, self.scores)

    def _card(self, record_number: int) -> Markup:
        record = self.hits.records[record_number]
        colour = self._colour(record)
        return card(
            record,
            self.pictures.chips[record_number],
            name=self._name(record_number),
            colour=colour,
            ink="dark-ink" if luminance(colour) >= _DARK_INK_FROM else "light-ink",
        )

    def _marks(self, record_numbers: Sequence[int]) -> list[Mark]:
        marks = []
        for one in record_numbers:
            record = self.hits.records[one]
            said = f"Hit {record.rank}: {record.scene}, score {record.score:.3f}"
            if record.confidence is not None:
                said += f", confidence {record.confidence:.2f}"
            marks.append(
                Mark(
                    target=self._name(one),
                    label=str(record.rank),
                    title=said,
                    footprint=record.footprint,
                    colour=self._colour(record),
                    convincing=record.convincing is not False,
                )
            )
        return marks

    def _maps(self, backdrops: Sequence[Sequence[Backdrop]]) -> Markup:
        section, view = self.section, self.section.overview
        assert view is not None  # there are hits
        key = legend(self.scores, RAMP)
        if section.plan is not None:
            drawn = draw_map(
                view,
                self._marks(section.records),
                title=f"Map of {_count(len(section.records), 'hit')}",
                backdrops=backdrops[0],
                outlines=self._outlines(section.records),
            )
            return tag("div", tag("div", drawn, class_="map"), key, class_="maps")
        marks = [self._place_mark(place) for place in section.places]
        overview = draw_map(view, marks, title=f"Overview of {_count(len(marks), 'place')}")
        own = [
            self._place_map(place, drawn)
            for place, drawn in zip(section.places, backdrops, strict=False)
        ]
        return tag(
            "div",
            tag("div", overview, class_="map"),
            key,
            tag("div", *own, class_="places"),
            class_="maps",
        )

    def _place_mark(self, place: Place) -> Mark:
        best = self.hits.records[place.records[0]]
        target = f"q{self.section.number}-place-{place.letter}"
        said = f"Place {place.letter}: {_count(len(place.records), 'hit')}, best is {best.rank}"
        return Mark(
            target=target if place.plan is not None else self._name(place.records[0]),
            label=place.letter,
            title=said,
            footprint=shapely.Point(shapely.centroid(best.footprint)).buffer(1e-6),
            colour=self._colour(best),
            convincing=True,
            radius=_PLACE_RADIUS,
        )

    def _place_map(self, place: Place, backdrops: Sequence[Backdrop]) -> Markup:
        assert place.plan is not None  # zipped with the places that have one
        names = dict.fromkeys(self.hits.records[one].scene for one in place.records)
        first, *others = names
        more = f" and {_count(len(others), 'other scene')}" if others else ""
        drawn = draw_map(
            place.plan.view,
            self._marks(place.records),
            title=f"Map of place {place.letter}",
            backdrops=backdrops,
            outlines=self._outlines(place.records),
        )
        caption = tag(
            "figcaption",
            tag("b", place.letter),
            " ",
            foreign(first),
            f"{more}, {_count(len(place.records), 'hit')}",
        )
        return tag(
            "figure",
            tag("div", drawn, class_="map small"),
            caption,
            id=f"q{self.section.number}-place-{place.letter}",
        )

    def _outlines(self, record_numbers: Sequence[int]) -> list[BaseGeometry]:
        """Outlines of the scenes of hits, as far as they are known."""
        outlines: list[BaseGeometry] = []
        for uri in dict.fromkeys(self.hits.records[one].uri for one in record_numbers):
            scene = self.pictures.scenes.get(uri)
            if scene is None:
                continue
            place = Georeference(crs=scene.crs, transform=scene.transform)
            try:
                outlines.append(place.footprint((0, 0, scene.width, scene.height)))
            except GeorclipError:  # partly off the Earth
                continue
        return outlines


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb" in [0, 1] (WCAG 2.2)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


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
