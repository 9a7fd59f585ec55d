"""index.json: what an index is, readable by people and by other versions.

The manifest names the format, the encoder and the plan, and lists the immutable files with
their sizes and checksums. What is in the index is decided by the catalog alone: its
transaction is the commit point, and it holds the segments' checksums too. A kill between the
catalog's commit and the manifest's rename leaves a list that lags, which harms nobody and is
put right when the index is next opened for writing. Entries that this version does not know
are kept and ignored.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from georclip.errors import IndexCorruptError, IndexFormatError
from georclip.index.files import FileRecord, Layout, write_atomically
from georclip.printable import printable
from georclip.values import ChipPlan, EncoderSpec

FORMAT = 1
"""Version of the folder's layout that this code writes, and the newest that it reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The contents of index.json.

    Attributes:
        encoder: What made every vector of the index.
        plan: How scenes are cut, as asked when the index was made.
        files: Immutable files of the index, by name.
        unknown: Entries of other versions, kept as they are.
    """

    encoder: EncoderSpec
    plan: ChipPlan
    files: tuple[FileRecord, ...] = ()
    unknown: Mapping[str, Any] = field(default_factory=dict)


def read_manifest(layout: Layout) -> Manifest:
    """Read index.json.

    Raises:
        IndexFormatError: There is no index here, or one of a newer format.
        IndexCorruptError: The file is damaged.
    """
    if not layout.manifest.is_file():
        raise IndexFormatError(f"{layout.root} is no index; {_why_none(layout)}")
    try:
        entries = json.loads(layout.manifest.read_bytes())
        version = int(entries.pop("format"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(layout, error) from error
    if version > FORMAT:
        raise IndexFormatError(
            f"{layout.root} has index format {version}, and this georclip reads up to {FORMAT}; "
            f"use a georclip that knows index format {version} (pip install -U georclip)"
        )
    try:
        return Manifest(
            encoder=encoder_from_json(entries.pop("encoder")),
            plan=plan_from_json(entries.pop("plan")),
            files=tuple(
                FileRecord(name=name, bytes=int(entry["bytes"]), sha256=str(entry["sha256"]))
                for name, entry in entries.pop("files").items()
            ),
            unknown=entries,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(layout, error) from error


def write_manifest(layout: Layout, manifest: Manifest) -> None:
    """Write index.json atomically, files in order of their names."""
    files = sorted(manifest.files, key=lambda record: record.name)
    entries = {
        "format": FORMAT,
        "encoder": dataclasses.asdict(manifest.encoder),
        "plan": dataclasses.asdict(manifest.plan),
        "files": {file.name: {"bytes": file.bytes, "sha256": file.sha256} for file in files},
        **manifest.unknown,
    }
    text = json.dumps(entries, indent=2, ensure_ascii=False) + "\n"
    write_atomically(layout.manifest, text.encode())


def with_segment_files(manifest: Manifest, files: Iterable[FileRecord]) -> Manifest:
    """The manifest with its list of segments' files replaced; other files stay listed."""
    others = tuple(file for file in manifest.files if not file.name.startswith("segments/"))
    listed = sorted((*others, *files), key=lambda record: record.name)
    return dataclasses.replace(manifest, files=tuple(listed))


def with_file(manifest: Manifest, file: FileRecord) -> Manifest:
    """The manifest with a file listed, instead of what it said of that name."""
    listed = (*without_file(manifest, file.name).files, file)
    ordered = sorted(listed, key=lambda record: record.name)
    return dataclasses.replace(manifest, files=tuple(ordered))


def without_file(manifest: Manifest, name: str) -> Manifest:
    """The manifest with a file no longer listed."""
    others = tuple(file for file in manifest.files if file.name != name)
    return dataclasses.replace(manifest, files=others)


def encoder_from_json(entry: Mapping[str, Any]) -> EncoderSpec:
    """An encoder's description from what `dataclasses.asdict` and JSON made of it.

    An index may come from anywhere, and its texts go to terminals: what is not printable is "?".
    """
    ground = entry["ground_size_m"]
    return EncoderSpec(
        name=printable(entry["name"]),
        architecture=printable(entry["architecture"]),
        activation=printable(entry["activation"]),
        weights_sha256=printable(entry["weights_sha256"]),
        dim=int(entry["dim"]),
        image_size_px=int(entry["image_size_px"]),
        mean=_three(entry["mean"]),
        std=_three(entry["std"]),
        ground_size_m=None if ground is None else _three(ground),
        licence=printable(entry["licence"]),
    )


def plan_from_json(entry: Mapping[str, Any]) -> ChipPlan:
    """A chip plan from what `dataclasses.asdict` and JSON made of it."""
    return ChipPlan(
        size=float(entry["size"]),
        unit=entry["unit"],
        overlap=float(entry["overlap"]),
        scales=tuple(float(scale) for scale in entry["scales"]),
        min_valid_fraction=float(entry["min_valid_fraction"]),
    )


def _three(values: Iterable[Any]) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third


def _why_none(layout: Layout) -> str:
    if layout.root.exists() and not layout.root.is_dir():
        return "it is a file: name the index's folder with -i"
    return f"make one with `georclip index SCENE -i {layout.root}`, or name another with -i"


def _damaged(layout: Layout, error: Exception) -> IndexCorruptError:
    reason = " ".join(str(error).split())
    return IndexCorruptError(
        f"{layout.manifest} is damaged ({type(error).__name__}: {reason}); "
        "restore it from a copy, or index the scenes again into a new folder"
    )
