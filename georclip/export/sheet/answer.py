"""The answer to one question: its maps and its cards."""

from __future__ import annotations

from collections.abc import Sequence

import shapely
from shapely.geometry.base import BaseGeometry

from georclip.errors import GeorclipError
from georclip.export.records import HitRecord, Hits
from georclip.export.sheet.backdrop import Backdrop
from georclip.export.sheet.card import card
from georclip.export.sheet.drawing import draw_map, legend
from georclip.export.sheet.marks import Mark
from georclip.export.sheet.markup import Markup, foreign, join, tag
from georclip.export.sheet.pictures import Pictures
from georclip.export.sheet.sections import Place, Section
from georclip.export.style import RAMP, ramp_colour
from georclip.georeference import Georeference

_DARK_INK_FROM = 0.2
"""Relative luminance from which dark text reads better than white."""
_PLACE_RADIUS = 9.0


def quoted(question: str) -> Markup:
    """A question in its marks."""
    return join("“", foreign(question), "”")


def count(number: int, what: str) -> str:
    """How many there are of something, in words."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def nothing_convincing(records: Sequence[HitRecord]) -> bool:
    """Whether there are hits, and none is one to rely on."""
    return bool(records) and all(record.convincing is False for record in records)


class AnswerWriter:
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
        heading = tag("h2", quoted(self.section.question)) if many else ""
        if not self.records:
            return tag("section", heading, self._no_hits(), id=f"q{number}")
        cards = [self._card(one) for one in self.section.records]
        doubt = ""
        if nothing_convincing(self.records):
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
                title=f"Map of {count(len(section.records), 'hit')}",
                backdrops=backdrops[0],
                outlines=self._outlines(section.records),
            )
            return tag("div", tag("div", drawn, class_="map"), key, class_="maps")
        marks = [self._place_mark(place) for place in section.places]
        overview = draw_map(view, marks, title=f"Overview of {count(len(marks), 'place')}")
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
        said = f"Place {place.letter}: {count(len(place.records), 'hit')}, best is {best.rank}"
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
        more = f" and {count(len(others), 'other scene')}" if others else ""
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
            f"{more}, {count(len(place.records), 'hit')}",
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
