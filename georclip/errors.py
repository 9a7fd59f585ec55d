"""Every error that georclip raises on purpose.

    GeorclipError
    ├── SceneError              a raster that cannot be opened, understood or read
    ├── EncoderError            a model, checkpoint or device that cannot be used
    ├── IndexFormatError        not an index, or one of a format this version does not know
    ├── IndexCorruptError       an index whose parts contradict each other
    ├── EncoderMismatchError    vectors of two encoders would be mixed
    ├── QueryError              a question that cannot be asked
    ├── ExportError             an answer that cannot be written
    └── CaptionError            captions or their images that cannot be used

A message says what is wrong, where, and what to do about it, in one line. The command line
prints it on stderr and exits with 1; no traceback reaches a user without ``--debug``.
"""


class GeorclipError(Exception):
    """Base of every error that georclip raises on purpose."""


class SceneError(GeorclipError):
    """A raster cannot be opened, understood or read."""


class EncoderError(GeorclipError):
    """A model, checkpoint or device cannot be used."""


class IndexFormatError(GeorclipError):
    """A folder is not an index, or is one of an unknown format."""


class IndexCorruptError(GeorclipError):
    """Parts of an index are missing, damaged or contradict each other."""


class EncoderMismatchError(GeorclipError):
    """An index and an encoder do not belong together."""


class QueryError(GeorclipError):
    """A question cannot be asked as it stands."""


class ExportError(GeorclipError):
    """An answer cannot be written."""


class CaptionError(GeorclipError):
    """A caption file, or the images that it names, cannot be used."""
