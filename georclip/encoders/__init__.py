"""Pixels and text to unit vectors; knows no geography."""
