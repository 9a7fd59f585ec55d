"""What `import georclip` gives."""

from georclip.api.index import Index
from georclip.api.keeping import verify_index
from georclip.api.opening import create_index, open_index
from georclip.api.result import SearchResult

__all__ = ["Index", "SearchResult", "create_index", "open_index", "verify_index"]
