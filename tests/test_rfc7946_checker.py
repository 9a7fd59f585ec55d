"""The checker itself: a good document passes, and each violation is found."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers_rfc7946 import findings

GOOD: dict[str, Any] = {
    "type": "FeatureCollection",
    "bbox": [179.0, -17.0, -179.0, 2.0],
    "features": [
        {
            "type": "Feature",
            "id": "a",
            "bbox": [179.0, -17.0, -179.0, -16.0],
            "geometry": {
                "type": "MultiPolygon",
                "coordinates": [
                    [
                        [
                            [179.0, -17.0],
                            [180.0, -17.0],
                            [180.0, -16.0],
                            [179.0, -16.0],
                            [179.0, -17.0],
                        ]
                    ],
                    [
                        [
                            [-180.0, -17.0],
                            [-179.0, -17.0],
                            [-179.0, -16.0],
                            [-180.0, -16.0],
                            [-180.0, -17.0],
                        ]
                    ],
                ],
            },
            "properties": None,
        },
        {
            "type": "Feature",
            "id": 7,
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    [[179.0, 0.0], [179.5, 0.0], [179.5, 2.0], [179.0, 2.0], [179.0, 0.0]],
                    [[179.1, 0.5], [179.2, 0.7], [179.3, 0.5], [179.1, 0.5]],
                ],
            },
            "properties": {"rank": 1},
        },
    ],
}


def test_a_good_document_has_no_finding() -> None:
    assert findings(json.dumps(GOOD)) == []
    assert findings('{"type": "FeatureCollection", "features": []}') == []
    assert findings('{"type": "Point", "coordinates": [1, 2]}') == []


def shell(document: dict[str, Any]) -> list[list[float]]:
    return document["features"][1]["geometry"]["coordinates"][0]


def hole(document: dict[str, Any]) -> list[list[float]]:
    return document["features"][1]["geometry"]["coordinates"][1]


def set_position(document: dict[str, Any], position: list[Any]) -> None:
    shell(document)[1] = position


VIOLATIONS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "crs": (lambda d: d.update(crs={}), "has a crs"),
    "crs in a geometry": (lambda d: d["features"][0]["geometry"].update(crs={}), "has a crs"),
    "unknown type": (lambda d: d["features"][0]["geometry"].update(type="Circle"), "no geometry"),
    "no features": (lambda d: d.pop("features"), "features is no array"),
    "not a feature": (lambda d: d["features"].append({"type": "Point"}), "is no Feature"),
    "no properties": (lambda d: d["features"][0].pop("properties"), "properties is neither"),
    "no geometry": (lambda d: d["features"][0].pop("geometry"), "has no geometry"),
    "id of a kind": (lambda d: d["features"][0].update(id=True), "id is neither"),
    "id twice": (lambda d: d["features"][1].update(id="a"), "there twice"),
    "members of others": (lambda d: d.update(properties={}), "has no properties"),
    "clockwise shell": (lambda d: shell(d).reverse(), "wrong way round"),
    "counter-clockwise hole": (lambda d: hole(d).reverse(), "wrong way round"),
    "open ring": (lambda d: shell(d).pop(), "not closed"),
    "short ring": (lambda d: shell(d).__delitem__(slice(1, 3)), "not 4 or more"),
    "no area": (lambda d: shell(d).__setitem__(slice(1, 4), [[179, 1], [179, 2]]), "no area"),
    "lon out of range": (lambda d: set_position(d, [180.5, 0.0]), "out of range"),
    "lat out of range": (lambda d: set_position(d, [179.5, -91]), "out of range"),
    "four numbers": (lambda d: set_position(d, [179.5, 0, 0, 0]), "2 or 3 numbers"),
    "text": (lambda d: set_position(d, ["179", 0]), "no number"),
    "decimals": (lambda d: set_position(d, [179.12345678, 0]), "more than 7 decimals"),
    "exponent": (lambda d: set_position(d, [179.5, 1e-09]), "more than 7 decimals"),
    "edge over the antimeridian": (lambda d: set_position(d, [-179.5, 0]), "crosses the antim"),
    "bbox of three": (lambda d: d.update(bbox=[1, 2, 3]), "not four numbers"),
    "bbox upside down": (lambda d: d.update(bbox=[179, 2, -179, -17]), "south above north"),
    "bbox too small": (lambda d: d.update(bbox=[179.1, -17, -179, 2]), "longitudes"),
    "bbox too large": (lambda d: d.update(bbox=[178, -17, -179, 2]), "longitudes"),
    "bbox too high": (lambda d: d.update(bbox=[179, -17, -179, 3]), "latitudes"),
    "bbox long way": (lambda d: d.update(bbox=[-180, -17, 180, 2]), "long way round"),
    "bbox decimals": (lambda d: d.update(bbox=[179, -17, -179, 2.00000001]), "decimals"),
    "bbox of nothing": (lambda d: d["features"].clear(), "no positions"),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_each_violation_is_found(name: str) -> None:
    document = copy.deepcopy(GOOD)
    break_it, expected = VIOLATIONS[name]
    break_it(document)
    found = findings(json.dumps(document))
    assert any(expected in finding for finding in found), found


@pytest.mark.parametrize("text", ["", "[]", '{"type": "Point", "coordinates": [NaN, 1]}', "{"])
def test_what_is_no_json_object_is_found(text: str) -> None:
    assert findings(text)
