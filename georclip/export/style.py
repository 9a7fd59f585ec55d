"""How hits look in QGIS: outlines graduated by score over a dark casing, labelled by rank.

Hits of several questions carry their question beside the rank.

Elements follow what QGIS 3.22 writes; they go into a GeoPackage (QML) and into a project.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from xml.etree import ElementTree as ET

_NOT_XML = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ud800-\\udfff\\ufffe\\uffff]")
QGIS_VERSION = "3.22.0"

RAMP = ("#c33d80", "#e16462", "#f79044", "#fdb42f", "#f0f921")
"""Upper part of matplotlib's "plasma": evenly perceived, told apart by colour-blind people,
and light enough to stand out from its casing. Last: best."""

_WIDTHS_MM = (0.5, 0.5, 0.6, 0.75, 0.9)
"""The better, the wider, so that colour does not speak alone."""

_CASING = "15,15,15,190"
_CASING_MM = 0.6
_LABEL_CORNER = "closest_point(boundary($geometry), make_point(x_min($geometry), y_max($geometry)))"


RANK_LABEL = '"rank"'
QUESTION_LABEL = '"rank" || \' \' || "query"'
"""Where hits answer several questions, each of which has a rank 1."""


def hits_qml(scores: Sequence[float], *, label: str) -> str:
    """Write the style of a layer of hits.

    Args:
        scores: Of all hits; their range is what the colours cover.
        label: QGIS's expression for what is written on a hit.

    Returns:
        A QML document.
    """
    return document(renderer(scores), labeling(label))


def ramp_colour(score: float, scores: Sequence[float]) -> str:
    """The colour of a hit, as `hits_qml` grades it.

    Args:
        score: Of the hit.
        scores: Of all hits that are shown together.

    Returns:
        "#rrggbb".
    """
    classes = _classes(scores)
    place = next((at for at, (_, upper, _) in enumerate(classes) if score <= upper), -1)
    return RAMP[len(RAMP) - len(classes) + place] if place >= 0 else RAMP[-1]


def outline_qml(*, colour: str, width_mm: float) -> str:
    """Write a style that draws all features with one outline.

    Args:
        colour: "#rrggbb".
        width_mm: Of the line, on paper.

    Returns:
        A QML document.
    """
    element = ET.Element("renderer-v2", {"type": "singleSymbol", "symbollevels": "0"})
    symbols = ET.SubElement(element, "symbols")
    symbols.append(_outline("0", colour, width_mm))
    return document(element)


def to_text(element: ET.Element, doctype: str) -> str:
    """Serialise a document with its doctype, as QGIS does."""
    ET.indent(element, " ")
    text = _NOT_XML.sub("", ET.tostring(element, encoding="unicode"))
    return f"{doctype}\n{text}\n"


def renderer(scores: Sequence[float]) -> ET.Element:
    """Graduate outlines by score in equal steps; the best hit is drawn last, on top."""
    classes = _classes(scores)
    first = len(RAMP) - len(classes)
    return graduated("score", classes, RAMP[first:], _WIDTHS_MM[first:])


def graduated(
    attribute: str,
    classes: Sequence[tuple[float, float, str]],
    colours: Sequence[str],
    widths_mm: Sequence[float],
) -> ET.Element:
    """Graduate outlines; those of a lower rank are drawn later, on top.

    Args:
        attribute: What is graduated.
        classes: Lower bound, upper bound and label of each class, ascending.
        colours: "#rrggbb" of each.
        widths_mm: Of the line of each, on paper.
    """
    element = ET.Element(
        "renderer-v2",
        {
            "type": "graduatedSymbol",
            "attr": attribute,
            "graduatedMethod": "GraduatedColor",
            "symbollevels": "0",
            "enableorderby": "1",
            "forceraster": "0",
        },
    )
    ranges = ET.SubElement(element, "ranges")
    symbols = ET.SubElement(element, "symbols")
    drawn = zip(classes, colours, widths_mm, strict=True)
    for number, ((lower, upper, label), colour, width_mm) in enumerate(drawn):
        attributes = {"lower": repr(lower), "upper": repr(upper), "symbol": str(number)}
        ET.SubElement(ranges, "range", {**attributes, "label": label, "render": "true"})
        symbols.append(_outline(str(number), colour, width_mm))
    order = ET.SubElement(element, "orderby")
    clause = ET.SubElement(order, "orderByClause", {"asc": "0", "nullsFirst": "0"})
    clause.text = '"rank"'
    return element


def _classes(scores: Sequence[float]) -> list[tuple[float, float, str]]:
    """Lower bound, upper bound and label of each class, worst first."""
    if not scores or max(scores) - min(scores) < 1e-6:
        shown = f"{scores[0]:.3f}" if scores else ""
        return [(-1.0, 1.0, shown)]
    low, high = min(scores), max(scores)
    step = (high - low) / len(RAMP)
    edges = [low + step * number for number in range(len(RAMP) + 1)]
    edges[0], edges[-1] = low - 1e-6, high + 1e-6  # rounding must not lose the ends
    return [(lower, upper, f"{lower:.3f} – {upper:.3f}") for lower, upper in pairwise(edges)]


def _outline(name: str, colour: str, width_mm: float) -> ET.Element:
    """A fill symbol without fill: a line over a wider, darker one."""
    symbol = ET.Element(
        "symbol",
        {"type": "fill", "name": name, "alpha": "1", "clip_to_extent": "1", "force_rhr": "0"},
    )
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    for line_colour, line_mm in (
        (_CASING, width_mm + _CASING_MM),
        (f"{red},{green},{blue},255", width_mm),
    ):
        layer = ET.SubElement(
            symbol, "layer", {"class": "SimpleLine", "enabled": "1", "locked": "0", "pass": "0"}
        )
        options = {
            "line_color": line_colour,
            "line_width": f"{line_mm:g}",
            "line_width_unit": "MM",
            "line_style": "solid",
            "joinstyle": "miter",
            "capstyle": "square",
        }
        _add_options(layer, options)
    return symbol


def _add_options(layer: ET.Element, options: Mapping[str, str]) -> None:
    """Write a symbol layer's options in today's form, and in that of QGIS before 3.20."""
    today = ET.SubElement(layer, "Option", {"type": "Map"})
    for name, value in options.items():
        ET.SubElement(today, "Option", {"type": "QString", "name": name, "value": value})
        ET.SubElement(layer, "prop", {"k": name, "v": value})


def labeling(label: str) -> ET.Element:
    """Label hits inside the upper left corner; better ones have precedence."""
    element = ET.Element("labeling", {"type": "simple"})
    settings = ET.SubElement(element, "settings", {"calloutType": "simple"})
    text = {
        "fieldName": label,
        "isExpression": "1",
        "fontFamily": "DejaVu Sans",
        "namedStyle": "Bold",
        "fontWeight": "75",
        "fontSize": "11",
        "fontSizeUnit": "Point",
        "textColor": "255,255,255,255",
        "textOpacity": "1",
        "blendMode": "0",
        "multilineHeight": "1",
    }
    style = ET.SubElement(settings, "text-style", text)
    buffer = {
        "bufferDraw": "1",
        "bufferSize": "1",
        "bufferSizeUnits": "MM",
        "bufferColor": "15,15,15,255",
        "bufferOpacity": "0.85",
        "bufferNoFill": "0",
        "bufferJoinStyle": "128",
        "bufferBlendMode": "0",
    }
    ET.SubElement(style, "text-buffer", buffer)
    placement = {
        "placement": "6",  # ordered positions around a point
        "predefinedPositionOrder": "BR,B,R,TR,T,L,BL,TL",
        "dist": "1.2",
        "distUnits": "MM",
        "offsetType": "0",
        "geometryGenerator": _LABEL_CORNER,
        "geometryGeneratorEnabled": "1",
        "geometryGeneratorType": "PointGeometry",
        "priority": "5",
    }
    ET.SubElement(settings, "placement", placement)
    rendering = {"drawLabels": "1", "obstacle": "0", "displayAll": "0", "upsidedownLabels": "0"}
    ET.SubElement(settings, "rendering", rendering)
    settings.append(_better_first())
    return element


def _better_first() -> ET.Element:
    """Where labels collide, the better hit keeps its own: priority 10 for rank 1, 0 from 11 on."""
    element = ET.Element("dd_properties")
    whole = ET.SubElement(element, "Option", {"type": "Map"})
    ET.SubElement(whole, "Option", {"type": "QString", "name": "name", "value": ""})
    named = ET.SubElement(whole, "Option", {"type": "Map", "name": "properties"})
    priority = ET.SubElement(named, "Option", {"type": "Map", "name": "Priority"})
    for kind, name, value in (
        ("bool", "active", "true"),
        ("QString", "expression", 'max(0, 11 - "rank")'),
        ("int", "type", "3"),
    ):
        ET.SubElement(priority, "Option", {"type": kind, "name": name, "value": value})
    ET.SubElement(whole, "Option", {"type": "QString", "name": "type", "value": "collection"})
    return element


def document(*parts: ET.Element) -> str:
    """A style of symbols, and of labels where there are some, as a QML document."""
    labelled = any(part.tag == "labeling" for part in parts)
    categories = "Symbology|Labeling" if labelled else "Symbology"
    element = ET.Element(
        "qgis",
        {
            "version": QGIS_VERSION,
            "styleCategories": categories,
            "labelsEnabled": "1" if labelled else "0",
        },
    )
    element.extend(parts)
    return to_text(element, "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>")
