"""One raster in, chips out; knows no models."""
