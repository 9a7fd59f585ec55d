"""Pages taken apart, and hits on scenes that a test has made."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from georclip.georeference import Georeference
from georclip.scenes.scene import open_scene
from georclip.values import Hit, Scene, Window
from tests.helpers_hits import make_hit

VOID = {"br", "img", "input", "meta", "wbr"}


@dataclass
class Element:
    """A tag with its attributes, and all text in it."""

    name: str
    attributes: dict[str, str | None]
    text: str = ""
    inside: list[Element] = field(default_factory=list)

    @property
    def classes(self) -> set[str]:
        return set((self.attributes.get("class") or "").split())

    def all(self, name: str = "", class_: str = "") -> list[Element]:
        """What lies in it, at any depth."""
        found: list[Element] = []
        for one in self.inside:
            if (not name or one.name == name) and (not class_ or class_ in one.classes):
                found.append(one)
            found += one.all(name, class_)
        return found

    def one(self, name: str = "", class_: str = "") -> Element:
        (found,) = self.all(name, class_)
        return found


class _Parser(HTMLParser):
    """Refuses tags that do not close in order, and attributes that are given twice."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        element = Element(tag, dict(attrs))
        self.open[-1].inside.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


def parse(page: str) -> Element:
    """The page as a tree; fails where it is not well-formed."""
    parser = _Parser()
    parser.feed(page)
    parser.close()
    assert parser.open == [parser.root]
    return parser.root


def picture_of(source: str | None) -> np.ndarray[Any, Any]:
    """A data URI's pixels: (height, width, 3 or 4)."""
    assert source is not None
    kind, _, data = source.partition(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def hit_on(
    scene: Scene | Path, rank: int, window: tuple[int, int, int, int], **changes: Any
) -> Hit:
    """A hit on a window of a scene, where that lies on the ground."""
    if isinstance(scene, Path):
        scene = open_scene(str(scene))
    place = Georeference(crs=scene.crs, transform=scene.transform)
    col, row, width, height = window
    where = Window(col_off=col, row_off=row, width=width, height=height)
    return make_hit(rank, place.footprint(window), scene=scene, window=where, **changes)
