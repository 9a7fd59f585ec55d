"""Open GeoPackages, projects and heat maps in a headless QGIS, tell what it made of them, and draw.

Run by Debian's own Python, which has QGIS: /usr/bin/python3 tests/qgis_render.py JOB.json
JOB: a list of {"path": FILE.gpkg, FILE.qgz or FILE.tif, "layer": name, "png": FILE or null}; a
raster is drawn over the rasters that "over" lists. One line of JSON per job is printed.
"""

from __future__ import annotations

import json
import os
import sys

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qgis.core import (
    QgsApplication,
    QgsExpression,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize

MESSAGES: list[str] = []


def main() -> None:
    application = QgsApplication([], False)
    application.initQgis()
    application.messageLog().messageReceived.connect(
        lambda message, tag, level: MESSAGES.append(f"{tag}: {message}")
    )
    with open(sys.argv[1], encoding="utf-8") as file:
        jobs = json.load(file)
    for job in jobs:
        MESSAGES.clear()
        told = OPEN[os.path.splitext(job["path"])[1]](job)
        sys.stdout.write(json.dumps(told | {"messages": list(MESSAGES)}) + "\n")
    sys.stdout.flush()
    os._exit(0)  # QGIS crashes on a tidy exit where objects outlive the application


def open_layer(job: dict) -> dict:
    """A layer as dragged into QGIS: no style is asked for."""
    layer = QgsVectorLayer(f"{job['path']}|layername={job['layer']}", job["layer"], "ogr")
    told = {"valid": layer.isValid(), "hits": about_vector(layer)}
    if job["png"]:
        extent = layer.extent()
        extent.scale(1.1)
        draw([layer], layer.crs(), extent, job["png"])
    return told


def open_project(job: dict) -> dict:
    project = QgsProject.instance()
    read = project.read(job["path"])
    layers = project.layerTreeRoot().layerOrder()
    vectors = [layer for layer in layers if isinstance(layer, QgsVectorLayer)]
    rasters = [layer for layer in layers if not isinstance(layer, QgsVectorLayer)]
    told = {
        "valid": read and all(layer.isValid() for layer in layers),
        "order": [layer.name() for layer in layers],
        "crs": project.crs().authid(),
        "title": project.title(),
        "absolute": project.filePathStorage() == 0,
        "hits": about_vector(vectors[0]),
        "rasters": [about_raster(layer) for layer in rasters],
        "extent": list(project.viewSettings().defaultViewExtent().toRectF().getCoords()),
    }
    if job["png"]:
        draw(layers, project.crs(), project.viewSettings().defaultViewExtent(), job["png"])
    return told


def open_raster(job: dict) -> dict:
    """A raster as dragged into QGIS, with the style that lies beside it."""
    layer = QgsRasterLayer(job["path"], "heat", "gdal")
    below = [QgsRasterLayer(path, "scene", "gdal") for path in job.get("over", [])]
    renderer = layer.renderer()
    told = {"raster": about_raster(layer), "extent": rectangle(layer.extent())}
    if renderer and renderer.type() == "singlebandpseudocolor":
        shader = renderer.shader().rasterShaderFunction()
        told["range"] = [renderer.classificationMin(), renderer.classificationMax()]
        told["items"] = [[i.value, i.color.alpha()] for i in shader.colorRampItemList()]
    if job["png"]:
        extent = QgsRectangle(*job["extent"]) if job.get("extent") else layer.extent()
        draw([layer, *below], layer.crs(), extent, job["png"])
    return told


def rectangle(extent) -> list:
    return [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()]


def label_texts(layer: QgsVectorLayer, label: str) -> list:
    """What QGIS makes of an expression on each feature; None where it makes nothing of it."""
    expression, context = QgsExpression(label), QgsExpressionContext()
    context.appendScopes(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    expression.prepare(context)
    texts = []
    for feature in layer.getFeatures():
        context.setFeature(feature)
        value = expression.evaluate(context)
        texts.append(None if expression.hasEvalError() else str(value))
    return texts


def about_vector(layer: QgsVectorLayer) -> dict:
    renderer = layer.renderer()
    graduated = renderer.type() == "graduatedSymbol"
    settings = layer.labeling().settings() if layer.labeling() else None
    text = settings.format() if settings else None  # held, or what it holds is gone
    buffer = text.buffer() if text else None
    counts = [0] * len(renderer.ranges()) if graduated else []
    graded = renderer.classAttribute() if graduated else ""
    scores = [f[graded] for f in layer.getFeatures()] if graduated else []
    for score in scores:
        for number, found in enumerate(renderer.ranges()):
            counts[number] += found.lowerValue() <= score <= found.upperValue()
    return {
        "features": layer.featureCount(),
        "crs": layer.crs().authid(),
        "renderer": renderer.type(),
        "attribute": renderer.classAttribute() if graduated else "",
        "classes": counts,
        "styled": sum(counts) >= len(scores) if graduated else False,
        "labels": layer.labelsEnabled(),
        "label_field": settings.fieldName if settings else "",
        "label_texts": label_texts(layer, settings.fieldName) if settings else [],
        "label_size": text.size() if text else 0,
        "label_buffer": buffer.enabled() if buffer else False,
        "fields": [field.name() for field in layer.fields()],
    }


def about_raster(layer) -> dict:
    renderer = layer.renderer()
    return {
        "valid": layer.isValid(),
        "source": layer.source(),
        "crs": layer.crs().authid(),
        "renderer": renderer.type() if renderer else "",
        "bands": renderer.usesBands() if renderer else [],
    }


def draw(layers, crs, extent, png: str) -> None:
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(crs)
    settings.setOutputSize(QSize(900, 700))
    settings.setOutputDpi(96)
    settings.setExtent(extent)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(png)


OPEN = {".gpkg": open_layer, ".qgz": open_project, ".tif": open_raster}


if __name__ == "__main__":
    main()
