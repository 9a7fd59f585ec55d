"""Hits as one self-contained page: question, maps, chip pictures. Loads rasterio and Pillow."""

from georclip.export.sheet.page import dumps_sheet

__all__ = ["dumps_sheet"]
