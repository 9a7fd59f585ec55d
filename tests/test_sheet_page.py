"""The contact sheet as a page: whole, self-contained, safe to open, readable."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from georclip.export import as_batch, dumps_hits, read_hits, write_hits
from georclip.export.records import Hits, as_hits
from georclip.export.sheet.answer import luminance
from georclip.export.sheet.markup import clean, foreign, link_of, tag
from georclip.export.style import RAMP, ramp_colour
from tests.helpers_hits import DAY, FIJI, HARBOR, TOWN, make_hit, make_result, make_scene, some_hits
from tests.helpers_sheet import Element, parse

STYLE = Path(__file__).parents[1] / "georclip" / "export" / "sheet" / "style.css"
NASTY = (
    "<script>alert(1)</script>",
    '" onerror="alert(1)" x=\'',
    "</title></style></script><!-- ",
    "a\x00b\x07c\x1b[31m\ud800",
    "&lt;b&gt; &amp; &#60;",
    "\u202egnp.exe \U0001f6f0\ufe0f 東京 Zürich",
    "javascript:alert(1)",
)


def page_of(hits: object) -> Element:
    return parse(dumps_hits(hits, "html"))  # type: ignore[arg-type]


def links(page: Element) -> list[str]:
    return [one.attributes["href"] or "" for one in page.all("a")]


def test_a_page_needs_nothing_else() -> None:
    text = dumps_hits(some_hits(), "html")
    assert text.isascii()
    page = parse(text)
    assert not page.all("link") + page.all("iframe") + page.all("object") + page.all("base")
    for element in page.all():
        for name, value in element.attributes.items():
            assert not name.startswith("on") and name != "style", element
            if name in {"src", "srcset", "href"} and element.name not in {"a"}:
                assert (value or "").startswith("data:image/"), element
    (style,) = page.all("style")
    assert "url(" not in style.text and "@import" not in style.text
    assert not re.search(r"fetch|XMLHttp|import|eval|innerHTML|src\s*=", page.one("script").text)


def test_a_policy_forbids_whatever_is_not_in_the_page() -> None:
    page = page_of(some_hits())
    (policy,) = (
        one.attributes["content"] or ""
        for one in page.all("meta")
        if one.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    for kind in ("style", "script"):
        digest = hashlib.sha256(page.one(kind).text.encode()).digest()
        assert rules[f"{kind}-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"


def test_each_hit_has_a_card_a_mark_and_links() -> None:
    page = page_of(some_hits())
    assert page.one("h1").text == "“harbor with ships”"
    cards = page.all("li", "card")
    marks = page.all("a", "mark")
    assert [one.attributes["id"] for one in cards] == [f"q1-hit-{rank}" for rank in (1, 2, 3)]
    targets = {one.attributes["href"] for one in marks}
    ids = {one.attributes.get("id") for one in page.all()}
    assert {target.removeprefix("#") for target in targets if target} <= ids
    first = cards[0]
    assert "score 0.380" in first.text and "2018-10-13" in first.text
    assert "beaufort.tif" in first.text and "2.56 km" in first.text
    assert "34.71500, -76.68500" in first.text
    found = links(first)
    assert "file:///scenes/beaufort.tif" in found
    assert any(one.startswith("https://www.openstreetmap.org/?mlat=34.71500") for one in found)
    assert "geo:34.71500,-76.68500" in found
    assert "confidence" not in first.text
    assert "http://127.0.0.1:9/fiji%20islands.tif" in links(cards[2])


def test_what_hits_know_of_themselves_is_shown() -> None:
    hits = as_hits(some_hits())
    first, second, third = hits.records
    records = (
        replace(first, confidence=0.875, convincing=True, members=("a", "b")),
        replace(second, confidence=0.2, convincing=False),
        replace(third, confidence=0.1, convincing=False),
    )
    page = page_of(replace(hits, records=records))
    cards = page.all("li", "card")
    assert "confidence 0.88" in cards[0].text
    assert "3 chips" in cards[0].text and "not convincing" not in cards[0].text
    assert "weak" in cards[1].classes and "not convincing" in cards[1].text
    assert len(page.all("a", "weak")) >= 1
    assert not page.all("p", "notice")
    controls = page.one("form").text
    assert "confidence" in controls and "date" in controls and "scene" in controls
    doubtful = tuple(replace(one, convincing=False) for one in records)
    assert "Nothing convincing" in page_of(replace(hits, records=doubtful)).one("p", "notice").text


def test_controls_that_would_do_nothing_are_not_there() -> None:
    assert not page_of(make_result([make_hit(1), make_hit(2, TOWN)])).all("form")
    assert not page_of(make_result([make_hit(1)])).all("form")


def test_an_answer_without_hits_is_a_page_too() -> None:
    page = page_of(make_result([], text="nothing <here>"))
    assert "No hits" in page.one("p", "notice").text
    assert page.one("h1").text == "“nothing <here>”"
    assert not page.all("svg")
    none_passed = replace(make_result(), rows_considered=0)
    assert "no chip passed the filters" in page_of(none_passed).text


def test_each_of_several_questions_has_a_section() -> None:
    asked = ["harbor", "lakes <b>", "nothing here", "harbor"]
    batch = as_batch(
        [
            make_result([make_hit(1), make_hit(2, TOWN)], text=asked[0]),
            make_result([make_hit(1, FIJI)], text=asked[1]),
            make_result([], text=asked[2]),
            make_result([make_hit(1), make_hit(2, TOWN)], text=asked[3]),
        ]
    )
    page = page_of(batch)
    assert page.one("h1").text == "4 questions"
    sections = page.all("section")
    assert [section.one("h2").text for section in sections] == [f"“{one}”" for one in asked]
    assert [len(section.all("li", "card")) for section in sections] == [2, 1, 0, 2]
    assert "No hits" in sections[2].text
    assert [one for one in links(page.one("nav"))] == [f"#q{number}" for number in range(1, 5)]
    ids = [one.attributes["id"] for one in page.all() if one.attributes.get("id")]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", ["hits.geojson", "hits.geojsonseq", "hits.gpkg", "hits.parquet"])
def test_several_questions_come_back_from_files(name: str, tmp_path: Path) -> None:
    batch = as_batch([make_result([make_hit(1)], text=text) for text in ("one", "two", "one")])
    write_hits(batch, tmp_path / name)
    page = page_of(read_hits(tmp_path / name))
    assert [one.text for one in page.all("h2")] == ["“one”", "“two”", "“one”"]


def nasty_hits(text: str) -> Hits:
    scene = make_scene(name=text, uri=text, acquired=DAY)
    hits = as_hits(make_result([make_hit(1, scene=scene), make_hit(2, TOWN)], text=text))
    where = replace(hits.provenance, encoder=text, version=text)
    return replace(hits, provenance=where)


def assert_harmless(text: str) -> None:
    page = page_of(nasty_hits(text))
    plain = page_of(nasty_hits("plain"))
    words = [one.name for one in page.all() if one.name != "wbr"]
    assert [one for one in words if one != "a"] == [
        one.name for one in plain.all() if one.name != "a"
    ]
    assert len(page.all("script")) == 1
    for link in links(page):
        assert link.startswith("#") or urlsplit(link).scheme in {"file", "http", "https", "geo"}
    assert page.one("h1").text == (f"“{clean(text)}”" if text else "Hits")
    assert page.all("li", "card")[0].one("p", "name").text == clean(text)


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_nothing_from_outside_becomes_markup(text: str) -> None:
    assert_harmless(text)


@given(st.text(st.characters(), max_size=30))
def test_no_text_at_all_becomes_markup(text: str) -> None:
    text = text.replace("\r", " ")  # parsers read it as a line's end
    page = parse(str(tag("p", foreign(text), title=text)))
    assert page.text == clean(text)
    assert page.one("p").attributes["title"] == clean(text)
    assert {one.name for one in page.all()} <= {"p", "bdi", "wbr"}


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("/a b/ü.tif", "file:///a%20b/%C3%BC.tif"),
        ("https://example.org/a b.tif?x=1&y=2", "https://example.org/a%20b.tif?x=1&y=2"),
        ("http://example.org/%20.tif", "http://example.org/%20.tif"),
        ("HTTPS://example.org/a.tif", "HTTPS://example.org/a.tif"),
        ("s3://bucket/a.tif", None),
        ("/vsicurl/http://example.org/a.tif", None),
        ("javascript:alert(1)", None),
        ("JaVaScRiPt://%0aalert(1)", None),
        ("data:text/html,hello", None),
        ("vbscript:x", None),
        ("relative.tif", None),
        ("", None),
        ("https://[broken", None),
        ("http:///nowhere", None),
    ],
)
def test_only_files_and_web_addresses_are_linked(uri: str, wanted: str | None) -> None:
    assert link_of(uri) == wanted


def contrast(one: str, other: str) -> float:
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def palettes() -> list[dict[str, str]]:
    """The light and the dark one."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE.read_text(), re.DOTALL)[:2]
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks]


def test_texts_stand_out_in_light_and_dark() -> None:
    light, dark = palettes()
    assert set(light) == set(dark)
    for colours in (light, dark):
        for ink in ("ink", "soft", "link"):
            for ground in ("page", "card"):
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        assert contrast(colours["notice-ink"], colours["notice"]) >= 4.5
        assert contrast(colours["soft"], colours["page"]) >= 4.5


def test_ranks_can_be_read_on_every_colour() -> None:
    scores = [0.1, 0.15, 0.2, 0.25, 0.3]
    assert [ramp_colour(score, scores) for score in scores] == list(RAMP)
    assert ramp_colour(0.2, [0.2]) == RAMP[-1]
    page = page_of(
        make_result([make_hit(at + 1, score=score) for at, score in enumerate(reversed(scores))])
    )
    for badge in page.all("h3"):
        (colour,) = (f"#{one.removeprefix('ramp-')}" for one in badge.classes if "ramp-" in one)
        ink = "#16130f" if "dark-ink" in badge.classes else "#ffffff"
        assert contrast(colour, ink) >= 4.5


def test_hits_on_one_spot_keep_a_page(tmp_path: Path) -> None:
    page = page_of(make_result([make_hit(rank, HARBOR) for rank in range(1, 60)]))
    assert len(page.all("li", "card")) == 59
    write_hits(make_result([make_hit(1)]), tmp_path / "sheet.htm")
    assert parse((tmp_path / "sheet.htm").read_text("ascii")).all("li", "card")
