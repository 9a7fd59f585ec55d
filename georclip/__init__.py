"""georclip: text-to-place search over satellite and aerial scenes."""

__version__ = "0.1.0"
