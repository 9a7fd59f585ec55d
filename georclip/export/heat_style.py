"""How a heat map looks in QGIS: clear where the score is low, glowing where it is high.

Elements follow what QGIS 3.22 writes for a single band in pseudocolour.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from georclip.export.style import QGIS_VERSION, to_text

_RAMP = (
    (0.0, "#0d0887", 0),
    (0.2, "#6a00a8", 60),
    (0.4, "#b12a90", 105),
    (0.6, "#e16462", 135),
    (0.8, "#fca636", 155),
    (1.0, "#f0f921", 170),
)
"""matplotlib's "plasma", which is evenly perceived and told apart by colour-blind people: share of
the range, colour, opacity of 255. The scene stays visible below the best."""


def heat_qml(low: float, high: float) -> str:
    """Write the style of a heat map.

    Args:
        low: Score up to which nothing is drawn.
        high: Score of the strongest colour.

    Returns:
        A QML document.
    """
    document = ET.Element("qgis", {"version": QGIS_VERSION, "styleCategories": "Symbology"})
    pipe = ET.SubElement(document, "pipe")
    bounds = {"classificationMin": repr(low), "classificationMax": repr(high)}
    renderer = ET.SubElement(
        pipe,
        "rasterrenderer",
        {
            "type": "singlebandpseudocolor",
            "band": "1",
            "alphaBand": "-1",
            "opacity": "1",
            "nodataColor": "",
            **bounds,
        },
    )
    ET.SubElement(renderer, "rasterTransparency")
    origin = ET.SubElement(renderer, "minMaxOrigin")
    for name, value in (("limits", "None"), ("extent", "WholeRaster"), ("statAccuracy", "Exact")):
        ET.SubElement(origin, name).text = value
    ET.SubElement(renderer, "rastershader").append(_ramp_shader(low, high))
    ET.SubElement(pipe, "brightnesscontrast", {"brightness": "0", "contrast": "0", "gamma": "1"})
    ET.SubElement(pipe, "huesaturation", {"saturation": "0", "grayscaleMode": "0"})
    resampler = {"zoomedInResampler": "bilinear", "zoomedOutResampler": "bilinear"}
    ET.SubElement(pipe, "rasterresampler", {**resampler, "maxOversampling": "2"})
    ET.SubElement(document, "blendMode").text = "0"
    return to_text(document, "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>")


def _ramp_shader(low: float, high: float) -> ET.Element:
    shader = ET.Element(
        "colorrampshader",
        {
            "colorRampType": "INTERPOLATED",
            "classificationMode": "1",
            "clip": "0",
            "minimumValue": repr(low),
            "maximumValue": repr(high),
            "labelPrecision": "3",
        },
    )
    for share, colour, opacity in _RAMP:
        value = low + share * (high - low)
        attributes = {"value": repr(value), "color": colour, "alpha": str(opacity)}
        ET.SubElement(shader, "item", {**attributes, "label": f"{value:.3f}"})
    return shader
