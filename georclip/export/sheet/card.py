"""One hit as a card: its picture, and what is known of it."""

from __future__ import annotations

from urllib.parse import quote

from georclip.export.records import HitRecord, format_time
from georclip.export.sheet.chip import ChipPicture
from georclip.export.sheet.graticule import degrees
from georclip.export.sheet.markup import Markup, foreign, link_of, number, tag
from georclip.export.sheet.sections import centre_of, zoom_of

_TILTED_DEG = 3.0
"""Pictures turned by more than this say where north is."""


def card(record: HitRecord, picture: ChipPicture, *, name: str, colour: str, ink: str) -> Markup:
    """Write one hit.

    Args:
        record: The hit.
        picture: Of its chip.
        name: Id of the card.
        colour: Of its score.
        ink: Of text on that colour.
    """
    weak = record.convincing is False
    lon, lat = centre_of(record)
    return tag(
        "li",
        tag(
            "article",
            _picture(record, picture, name, colour, ink, (lon, lat)),
            tag(
                "div",
                _numbers(record, weak),
                tag("p", _scene(record), class_="name"),
                tag("p", _taken(record), class_="facts") if record.acquired else "",
                tag("p", *_facts(record, picture), class_="facts"),
                _place(lon, lat, zoom_of(record)),
                class_="said",
            ),
            aria_labelledby=f"{name}-title",
        ),
        id=name,
        class_="card weak" if weak else "card",
        tabindex="-1",
        data_rank=str(record.rank),
        data_confidence=None if record.confidence is None else f"{record.confidence:.6f}",
        data_date=format_time(record.acquired),
        data_scene=record.scene,
    )


def _picture(
    record: HitRecord,
    picture: ChipPicture,
    name: str,
    colour: str,
    ink: str,
    where: tuple[float, float],
) -> Markup:
    badge = tag(
        "h3",
        tag("span", "Hit ", class_="unseen"),
        f"{record.rank}",
        id=f"{name}-title",
        class_=f"rank ramp-{colour.removeprefix('#')} {ink}",
    )
    if not picture.source:
        why = picture.problem or "no picture"
        return tag("div", badge, tag("p", "No picture: ", foreign(why)), class_="picture none")
    lon, lat = where
    alt = f"Hit {record.rank}: a part of {record.scene} at {_said(lon, lat)}"
    return tag(
        "div",
        tag("img", src=picture.source, alt=alt, width=320, height=320, decoding="async"),
        _frame(picture),
        badge,
        class_="picture",
    )


def _frame(picture: ChipPicture) -> Markup:
    """The chip's own outline in its picture, and north where it is not up."""
    left, top, width, height = (100 * share for share in picture.window)
    shapes = [
        tag("rect", x=left, y=top, width=width, height=height, class_=line)
        for line in ("frame-casing", "frame")
    ]
    north = picture.north_deg
    if north is not None and abs(north) > _TILTED_DEG:
        arrow = tag(
            "g",
            tag("path", d="M0 -6L3 5L0 3L-3 5Z", class_="north"),
            transform=f"translate(91 9) rotate({number(north)})",
        )
        shapes.append(arrow)
        shapes.append(tag("title", f"north is turned by {north:.0f}°"))
    return tag("svg", *shapes, viewBox="0 0 100 100", aria_hidden="true")


def _numbers(record: HitRecord, weak: bool) -> Markup:
    parts = [tag("span", "score ", tag("b", f"{record.score:.3f}"))]
    if record.confidence is not None:
        share = f"{record.confidence:.2f}"
        parts.append(
            tag("span", "confidence ", tag("b", share), " ", _meter(record.confidence, share))
        )
    if weak:
        parts.append(tag("span", "not convincing", class_="doubt"))
    return tag("p", *parts, class_="numbers")


def _meter(confidence: float, said: str) -> Markup:
    return tag("meter", said, value=f"{confidence:.4f}", min="0", max="1", aria_hidden="true")


def _scene(record: HitRecord) -> Markup:
    link = link_of(record.uri)
    if link is None:
        return tag("span", foreign(record.scene), title=record.uri)
    return tag("a", foreign(record.scene), href=link, title=record.uri, rel="noreferrer")


def _taken(record: HitRecord) -> Markup:
    """The day, and the minute where there is one."""
    exact = format_time(record.acquired) or ""
    shown = exact[:16].replace("T", " ") + " UTC"
    if exact.endswith("T00:00:00Z"):
        shown = exact[:10]
    return tag("time", shown, datetime=exact)


def _facts(record: HitRecord, picture: ChipPicture) -> list[str | Markup]:
    across = picture.across_m or max(record.width, record.height) * record.gsd_m
    fine = record.gsd_m < 10
    gsd = f"{record.gsd_m:.2g}" if fine else f"{record.gsd_m:.0f}"
    facts: list[str | Markup] = [f"{_length(across)} · {gsd} m/px"]
    if record.members:
        count = len(record.members) + 1
        facts += [" · ", tag("span", f"{count} chips", title=f"stands for {count} chips")]
    return facts


def _length(metres: float) -> str:
    return f"{metres / 1000:.3g} km" if metres >= 1000 else f"{metres:.3g} m"


def _place(lon: float, lat: float, zoom: int) -> Markup:
    at = f"{lat:.5f},{lon:.5f}"
    map_url = (
        f"https://www.openstreetmap.org/?mlat={lat:.5f}&mlon={lon:.5f}"
        f"#map={zoom}/{lat:.5f}/{lon:.5f}"
    )
    said = _said(lon, lat)
    return tag(
        "p",
        tag("code", f"{lat:.5f}, {lon:.5f}", title="latitude, longitude"),
        " ",
        tag(
            "span",
            tag("button", "copy", type="button", data_copy=f"{lat:.5f}, {lon:.5f}", hidden=True),
            tag("a", "map", href=map_url, rel="noreferrer", aria_label=f"OpenStreetMap at {said}"),
            tag("a", "geo", href=f"geo:{quote(at, safe=',.-')}", aria_label=f"geo link to {said}"),
        ),
        class_="place",
    )


def _said(lon: float, lat: float) -> str:
    return f"{degrees(lat, 'N', 'S', 1e-4)} {degrees(lon, 'E', 'W', 1e-4)}"
