"""Hits to GeoJSON, GeoPackage, QGIS project, GeoParquet, CSV and a table."""
