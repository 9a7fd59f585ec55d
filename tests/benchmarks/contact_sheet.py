"""Hits as a picture: one row per question, each chip as the encoder saw it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from georclip.scenes.pixels import PixelReader
from georclip.scenes.raster import open_raster
from georclip.values import Hit, SearchResult

SIDE_PX = 168
LABEL_PX = 34


def write_contact_sheet(results: list[SearchResult], path: Path) -> None:
    """Draw the hits of each result in a row, under its question."""
    columns = max(len(result.hits) for result in results)
    row_px = SIDE_PX + LABEL_PX + 20
    sheet = Image.new("RGB", (columns * (SIDE_PX + 6) + 6, row_px * len(results) + 6), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    for number, result in enumerate(results):
        top = number * row_px + 4
        draw.text((6, top), result.query.terms[0].value, "black", ImageFont.load_default(15))
        for column, hit in enumerate(result.hits):
            left = 6 + column * (SIDE_PX + 6)
            sheet.paste(chip_picture(hit), (left, top + 20))
            label = f"{hit.rank}  {hit.score:.3f}  {hit.chip.gsd_m * hit.chip.window.width:.0f} m"
            draw.text((left, top + 20 + SIDE_PX), label, "black", font)
            draw.text((left, top + 34 + SIDE_PX), hit.scene.name[:26], "gray", font)
    sheet.save(path)


def chip_picture(hit: Hit) -> Image.Image:
    """A hit's pixels, squared."""
    scene, window = hit.scene, hit.chip.window
    width = min(window.width, scene.width - window.col_off)
    height = min(window.height, scene.height - window.row_off)
    shape = (min(height, 2 * SIDE_PX), min(width, 2 * SIDE_PX))
    with open_raster(scene.uri) as dataset:
        reader = PixelReader(dataset, scene.uri, scene.rendering)
        pixels, _ = reader.read_rendered((window.col_off, window.row_off, width, height), shape)
    return Image.fromarray(np.moveaxis(pixels, 0, -1)).resize((SIDE_PX, SIDE_PX))
