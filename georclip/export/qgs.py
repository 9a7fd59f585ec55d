"""The XML of a QGIS project: layers, their order, the CRS and what is shown first.

Written by hand after what QGIS 3.22 writes; QGIS fills in the rest when it opens the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from pyproj import CRS

from georclip.export.geopackage import LAYER
from georclip.export.rasters import RasterLayer
from georclip.export.style import QGIS_VERSION, labeling, renderer, to_text

_CODE = re.compile(r"[A-Za-z]+:[0-9A-Za-z]+")
_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectView:
    """What a project shows when it opens.

    Attributes:
        crs: The project's, an authority code or WKT.
        bounds: (west, south, east, north) in units of `crs`.
        geographic: Whether those units are degrees.
    """

    crs: str
    bounds: tuple[float, float, float, float]
    geographic: bool


def project_xml(
    *,
    title: str,
    package: str,
    scores: Sequence[float],
    label: str,
    rasters: Sequence[RasterLayer],
    view: ProjectView,
) -> str:
    """Write a project: hits on top, scenes below.

    Args:
        title: Shown in the window's title.
        package: File name of the GeoPackage beside the project.
        scores: Of all hits, for the style.
        label: QGIS's expression for what is written on a hit.
        rasters: The scenes, uppermost first.
        view: CRS and bounds.

    Returns:
        The text of a .qgs file.
    """
    root = ET.Element("qgis", {"version": QGIS_VERSION, "projectname": title})
    ET.SubElement(root, "title").text = title
    root.append(_crs("projectCrs", view.crs))
    ids = ["georclip_hits", *(f"georclip_scene_{n}" for n in range(1, len(rasters) + 1))]
    names = [LAYER, *(raster.name for raster in rasters)]
    root.append(_tree(ids, names))
    root.append(_canvas(view))
    layers = ET.SubElement(root, "projectlayers")
    layers.append(_hits_layer(ids[0], package, scores, label))
    for identifier, raster in zip(ids[1:], rasters, strict=True):
        layers.append(_raster_layer(identifier, raster))
    order = ET.SubElement(root, "layerorder")
    for identifier in ids:
        ET.SubElement(order, "layer", {"id": identifier})
    root.append(_properties())
    root.append(_first_view(view))
    return to_text(root, _DOCTYPE)


def _crs(tag: str, crs: str) -> ET.Element:
    """A CRS: QGIS needs the WKT, and shows the authority code where there is one."""
    element = ET.Element(tag)
    element.append(_spatial_reference(crs))
    return element


def _spatial_reference(crs: str) -> ET.Element:
    system = ET.Element("spatialrefsys")
    known = CRS.from_user_input(crs)
    ET.SubElement(system, "wkt").text = known.to_wkt()
    if _CODE.fullmatch(crs):
        ET.SubElement(system, "authid").text = crs
    ET.SubElement(system, "geographicflag").text = str(known.is_geographic).lower()
    return system


def _tree(ids: Sequence[str], names: Sequence[str]) -> ET.Element:
    group = ET.Element("layer-tree-group")
    for identifier, name in zip(ids, names, strict=True):
        attributes = {"id": identifier, "name": name, "checked": "Qt::Checked", "expanded": "0"}
        if identifier == ids[0]:
            attributes["expanded"] = "1"
        ET.SubElement(group, "layer-tree-layer", attributes)
    return group


def _canvas(view: ProjectView) -> ET.Element:
    canvas = ET.Element("mapcanvas", {"name": "theMapCanvas", "annotationsVisible": "1"})
    ET.SubElement(canvas, "units").text = "degrees" if view.geographic else "meters"
    canvas.append(_extent(view.bounds))
    ET.SubElement(canvas, "rotation").text = "0"
    canvas.append(_crs("destinationsrs", view.crs))
    return canvas


def _first_view(view: ProjectView) -> ET.Element:
    """What a project shows first where no canvas was saved with it, and on "zoom to home"."""
    element = ET.Element("ProjectViewSettings", {"UseProjectScales": "0"})
    names = ("xmin", "ymin", "xmax", "ymax")
    bounds = {name: repr(float(value)) for name, value in zip(names, view.bounds, strict=True)}
    extent = ET.SubElement(element, "DefaultViewExtent", bounds)
    extent.append(_spatial_reference(view.crs))
    return element


def _extent(bounds: tuple[float, float, float, float]) -> ET.Element:
    element = ET.Element("extent")
    for name, value in zip(("xmin", "ymin", "xmax", "ymax"), bounds, strict=True):
        ET.SubElement(element, name).text = repr(float(value))
    return element


def _layer(identifier: str, name: str, source: str, provider: str, kind: str) -> ET.Element:
    element = ET.Element("maplayer", {"type": kind, "autoRefreshEnabled": "0"})
    if kind == "vector":
        element.set("geometry", "Polygon")
        element.set("labelsEnabled", "1")
    ET.SubElement(element, "id").text = identifier
    ET.SubElement(element, "datasource").text = source
    ET.SubElement(element, "layername").text = name
    ET.SubElement(element, "provider").text = provider
    return element


def _hits_layer(identifier: str, package: str, scores: Sequence[float], label: str) -> ET.Element:
    source = f"./{package}|layername={LAYER}"
    element = _layer(identifier, LAYER, source, "ogr", "vector")
    element.append(_crs("srs", "EPSG:4326"))
    element.append(renderer(scores))
    element.append(labeling(label))
    return element


def _raster_layer(identifier: str, raster: RasterLayer) -> ET.Element:
    element = _layer(identifier, raster.name, raster.source, "gdal", "raster")
    element.append(_crs("srs", raster.crs))
    pipe = ET.SubElement(element, "pipe")
    pipe.append(_raster_renderer(raster))
    ET.SubElement(pipe, "brightnesscontrast", {"brightness": "0", "contrast": "0", "gamma": "1"})
    ET.SubElement(pipe, "rasterresampler", {"maxOversampling": "2"})
    return element


def _raster_renderer(raster: RasterLayer) -> ET.Element:
    alpha = str(raster.alpha) if raster.alpha is not None else "-1"
    element = ET.Element("rasterrenderer", {"alphaBand": alpha, "opacity": "1"})
    if raster.palette:
        element.set("type", "paletted")
        element.set("band", str(raster.bands[0]))
        entries = ET.SubElement(element, "colorPalette")
        for value, red, green, blue in raster.palette:
            colour = f"#{red:02x}{green:02x}{blue:02x}"
            attributes = {"value": str(value), "color": colour, "alpha": "255", "label": str(value)}
            ET.SubElement(entries, "paletteEntry", attributes)
    elif len(set(raster.bands)) == 1:
        element.set("type", "singlebandgray")
        element.set("grayBand", str(raster.bands[0]))
        element.set("gradient", "BlackToWhite")
        _add_stretch(element, raster, ("contrastEnhancement",))
    else:
        element.set("type", "multibandcolor")
        for name, band in zip(("redBand", "greenBand", "blueBand"), raster.bands, strict=True):
            element.set(name, str(band))
        _add_stretch(
            element,
            raster,
            ("redContrastEnhancement", "greenContrastEnhancement", "blueContrastEnhancement"),
        )
    return element


def _add_stretch(element: ET.Element, raster: RasterLayer, tags: Sequence[str]) -> None:
    """Stretch each band as the encoder saw it; values shown as they are need no element."""
    if raster.stretch is None:
        return
    for tag, (low, high) in zip(tags, raster.stretch, strict=False):
        enhancement = ET.SubElement(element, tag)
        ET.SubElement(enhancement, "minValue").text = repr(low)
        ET.SubElement(enhancement, "maxValue").text = repr(high)
        ET.SubElement(enhancement, "algorithm").text = "StretchToMinimumMaximum"


def _properties() -> ET.Element:
    """Relative paths, and the switch without which a project's CRS stays empty."""
    element = ET.Element("properties")
    system = ET.SubElement(element, "SpatialRefSys")
    ET.SubElement(system, "ProjectionsEnabled", {"type": "int"}).text = "1"
    paths = ET.SubElement(element, "Paths")
    ET.SubElement(paths, "Absolute", {"type": "bool"}).text = "false"
    return element
