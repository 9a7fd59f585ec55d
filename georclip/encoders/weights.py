"""Weights on this machine, and how they get here. No torch; http only where it is needed."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from georclip.encoders.cache import cache_folder, user_cache
from georclip.encoders.registry import ModelEntry, WeightsSource
from georclip.errors import EncoderError

DEFAULT_ENDPOINT = "https://huggingface.co"
_HEX_DIGEST = re.compile("[0-9a-f]{64}")
_log = logging.getLogger("georclip")


def weights_place(entry: ModelEntry) -> Path:
    """Where `fetch_weights` puts a model's weights, and a person may copy them to.

    Raises:
        EncoderError: The model lies in the package.
    """
    return cache_folder() / "weights" / entry.name / _source(entry).file_name


def find_weights(entry: ModelEntry) -> Path | None:
    """A model's weights on this machine: georclip's cache, then the hub's own; None if neither.

    A file that is being downloaded has another name and is not found.
    """
    source = _source(entry)
    folder = weights_place(entry).parent
    names = [Path(name).name for name in source.files] or [source.file_name]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    if source.repo is None:
        return None
    snapshots = _hub_cache() / f"models--{source.repo.replace('/', '--')}" / "snapshots"
    for name in source.files:
        found = [path for path in snapshots.glob(f"*/{name}") if path.is_file()]
        if found:
            return max(found, key=lambda path: path.stat().st_mtime)
    return None


def fetch_weights(entry: ModelEntry) -> Path:
    """Find a model's weights, or download them with a progress bar.

    Raises:
        EncoderError: They cannot be downloaded; the message says where to put them by hand.
    """
    found = find_weights(entry)
    if found is not None:
        return found
    source = _source(entry)
    place = weights_place(entry)
    from georclip.encoders.downloading import download, unpack_checkpoint

    _log.info("fetching the weights of %s (licence: %s)", entry.name, entry.licence)
    try:
        if source.url is not None:
            archive = download(source.url, place.with_suffix(".zip"))
            return unpack_checkpoint(archive, place)
        return _fetch_from_hub(source, place.parent)
    except OSError as error:
        raise EncoderError(
            f"the weights of {entry.name} cannot be fetched from {_origin(source)}: "
            f"{_reason(error)}; copy the file to {place}, or name it with --weights FILE "
            f"--model {entry.name}"
        ) from error


def _fetch_from_hub(source: WeightsSource, folder: Path) -> Path:
    from georclip.encoders.downloading import NotOnServerError, download

    base = f"{_endpoint()}/{source.repo}/resolve/main"
    for name in source.files:
        try:
            return download(f"{base}/{name}", folder / Path(name).name)
        except NotOnServerError:
            _log.debug("%s is not in %s", name, source.repo)
    raise NotOnServerError(f"none of {', '.join(source.files)} is there")


def _source(entry: ModelEntry) -> WeightsSource:
    if entry.weights is None:
        raise EncoderError(f"{entry.name} lies in the package: there is nothing to fetch")
    return entry.weights


def _origin(source: WeightsSource) -> str:
    return source.url or f"{_endpoint()}/{source.repo}"


def _endpoint() -> str:
    """The hub, or the mirror that HF_ENDPOINT names."""
    return os.environ.get("HF_ENDPOINT", DEFAULT_ENDPOINT).rstrip("/")


def _hub_cache() -> Path:
    """Where huggingface_hub keeps files, by its own rules."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return Path(os.environ[variable]).expanduser()
    if os.environ.get("HF_HOME"):
        return Path(os.environ["HF_HOME"]).expanduser() / "hub"
    return user_cache() / "huggingface" / "hub"


def _reason(error: OSError) -> str:
    """The cause in a few words: urllib wraps what the system said."""
    cause = getattr(error, "reason", None) or error
    return str(getattr(cause, "strerror", None) or cause) or type(cause).__name__


def remember_checkpoint(sha256: str, path: Path) -> None:
    """Note where a local checkpoint lies, for searches of the indexes made with it.

    A note that cannot be written is left out: `--weights` names the file then.
    """
    note = _note(sha256)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        scratch = note.with_name(f"{note.name}.{os.getpid()}")
        scratch.write_text(str(path.resolve()) + "\n", encoding="utf-8")
        scratch.replace(note)
    except OSError as error:
        _log.debug("the place of %s is not noted: %s", path, error)


def recall_checkpoint(sha256: str) -> Path | None:
    """Where a local checkpoint was when it was last loaded, or None."""
    if _HEX_DIGEST.fullmatch(sha256) is None:  # an index from somebody else may say anything
        return None
    try:
        text = _note(sha256).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return Path(text) if text else None


def _note(sha256: str) -> Path:
    return cache_folder() / "checkpoints" / f"{sha256}.txt"
