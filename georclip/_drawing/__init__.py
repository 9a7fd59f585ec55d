"""Paints the demo scene: a fictional coast seen from above. Used by `georclip.testing` only."""
