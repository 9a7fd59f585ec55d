"""What every exporter writes: one record a hit, made from a search or read from a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

import georclip
from georclip.export.asked import question_member
from georclip.values import Hit, Query, Scene, SearchResult, Term

if TYPE_CHECKING:
    from shapely import MultiPolygon, Polygon

Kind = Literal["int", "float", "bool", "text", "texts", "time"]
Property = int | float | str | list[str] | None

PROPERTIES: Mapping[str, Kind] = {
    "rank": "int",
    "score": "float",
    "rank_score": "float",
    "confidence": "float",
    "scene": "text",
    "uri": "text",
    "scene_id": "text",
    "acquired": "time",
    "col_off": "int",
    "row_off": "int",
    "width": "int",
    "height": "int",
    "scale": "float",
    "gsd_m": "float",
    "valid_fraction": "float",
    "chip_id": "text",
    "convincing": "bool",
    "members": "texts",
}
"""A hit's properties in the order in which they are written, and what each holds."""

_MANY: Mapping[str, Kind] = {"query": "text", **PROPERTIES}
"""The same where hits answer several questions."""

OPTIONAL = frozenset({"confidence", "acquired", "convincing"})
"""Properties that may be null."""

ABSENT = frozenset({"convincing", "members"})
"""Properties that files of earlier versions do not have."""

_DECIMALS = 7
"""Of scores and sizes in text formats: what float32 holds."""


class Record(Protocol):
    """What is written as one feature or row: its properties are attributes."""

    @property
    def footprint(self) -> Polygon | MultiPolygon:
        """EPSG:4326, split at the date line."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HitRecord:
    """A hit as it is written: the contract's properties, and the footprint.

    Attributes:
        rank: From 1.
        score: Cosine with the stored vector, in [-1, 1].
        rank_score: What rank sorts by.
        confidence: In [0, 1], or None.
        scene: The scene's file name.
        uri: The scene's absolute path or URL.
        scene_id: 16 hex digits.
        acquired: UTC, or None.
        col_off: First column of the window, px.
        row_off: First row of the window, px.
        width: Columns of the window, px.
        height: Rows of the window, px.
        scale: Factor on the plan's chip side.
        gsd_m: Ground metres per pixel at the chip's centre.
        valid_fraction: Share of usable pixels, in [0, 1].
        chip_id: Stable over runs, and unique among hits.
        footprint: EPSG:4326, split at the date line.
        convincing: Whether the confidence is one to rely on, or None.
        members: chip_ids of worse chips that stand for the same object, best first.
        query: The question in words, where hits answer several; else None.
    """

    rank: int
    score: float
    rank_score: float
    confidence: float | None
    scene: str
    uri: str
    scene_id: str
    acquired: datetime | None
    col_off: int
    row_off: int
    width: int
    height: int
    scale: float
    gsd_m: float
    valid_fraction: float
    chip_id: str
    footprint: Polygon | MultiPolygon
    convincing: bool | None = None
    members: tuple[str, ...] = ()
    query: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where hits come from; None or "" where a file does not say.

    Attributes:
        query: The question in words; "" where there were several.
        queries: Several questions in words, in their order, repeats and those without a hit too;
            () where there was one.
        encoder: Name of the encoder.
        rows_considered: Chips that passed the filters and were compared.
        version: The georclip that searched.
        convincing: Whether any hit of one question is; None where no hit has a confidence, and
            where there were several questions.
        question: The question as it can be asked again; None where there were several.
        index: Absolute path of the index that was asked.
    """

    query: str = ""
    queries: tuple[str, ...] = ()
    encoder: str = ""
    rows_considered: int | None = None
    version: str = ""
    convincing: bool | None = None
    question: Query | None = None
    index: str = ""

    def members(self) -> dict[str, Any]:
        """What JSON and tables of metadata say of it."""
        asked: dict[str, Any]
        asked = {"queries": list(self.queries)} if self.queries else {"query": self.query}
        if self.question is not None:
            asked["question"] = question_member(self.question)
        if self.index:
            asked["index"] = self.index
        return {
            **asked,
            "encoder": self.encoder,
            "rows_considered": self.rows_considered,
            "version": self.version,
            **({} if self.convincing is None else {"convincing": self.convincing}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Everything that an exporter may write.

    Attributes:
        records: Best first; of several questions one after the other.
        provenance: Where they come from.
        scenes: The scenes of the hits, each once, best first; () where hits come from a file,
            which knows scenes by uri only.
        read_from: The file that names the scenes; None for a search, whose scenes a person named.
    """

    records: tuple[HitRecord, ...]
    provenance: Provenance
    scenes: tuple[Scene, ...] = ()
    read_from: str | None = None

    @property
    def answers_many(self) -> bool:
        """Whether these are the hits of several questions, which each hit then names."""
        named = (record.query is not None for record in self.records)
        return bool(self.provenance.queries) or any(named)

    @property
    def columns(self) -> Mapping[str, Kind]:
        """The properties that are written, in their order, and what each holds."""
        return _MANY if self.answers_many else PROPERTIES


def as_hits(result: SearchResult | Hits) -> Hits:
    """Turn the answer to a question into what exporters write; `Hits` pass as they are."""
    if isinstance(result, Hits):
        return result
    scenes = {hit.scene.uri: hit.scene for hit in result.hits}
    return Hits(
        records=tuple(_record(hit) for hit in result.hits),
        provenance=Provenance(
            query=describe(result.query),
            encoder=result.encoder.name,
            rows_considered=result.rows_considered,
            version=georclip.__version__,
            convincing=result.convincing,
            question=result.query,
            index=result.index,
        ),
        scenes=tuple(scenes.values()),
    )


def as_batch(results: Sequence[SearchResult]) -> Hits:
    """Put the answers to several questions together: each hit names its question.

    Args:
        results: Of one index, with the same filters, as `search_many` gives them.
    """
    queries = [describe(result.query) for result in results]
    scenes = {hit.scene.uri: hit.scene for result in results for hit in result.hits}
    return Hits(
        records=tuple(
            replace(_record(hit), query=query)
            for query, result in zip(queries, results, strict=True)
            for hit in result.hits
        ),
        provenance=Provenance(
            queries=tuple(queries),
            encoder=results[0].encoder.name if results else "",
            rows_considered=results[0].rows_considered if results else None,
            version=georclip.__version__,
        ),
        scenes=tuple(scenes.values()),
    )


def describe(query: Query) -> str:
    """A question's terms in words, with weights other than 1 as suffixes."""
    return ", ".join(map(_described, query.terms))


_NAMED = {"text": "", "image": "like ", "place": "like the place ", "hit": "like the hit "}


def _described(term: Term) -> str:
    words = _NAMED[term.kind] + term.value
    if term.weight < 0:
        words = f"un{words}" if words != term.value else f"not {words}"
    return words if abs(term.weight) == 1 else f"{words}::{abs(term.weight):g}"


def properties(record: Record, columns: Iterable[str]) -> dict[str, Property]:
    """The properties as JSON and CSV take them: times as text, floats rounded.

    Args:
        record: A hit, say.
        columns: Names of its attributes, as `Hits.columns` has them.

    Returns:
        Name to value, in that order.
    """
    return {name: _plain(getattr(record, name)) for name in columns}


def format_time(instant: datetime | None) -> str | None:
    """RFC 3339 in UTC with "Z"; fractions of a second only where there are some."""
    if instant is None:
        return None
    utc = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    return utc.isoformat().replace("+00:00", "Z")


def joined(texts: Iterable[str]) -> str:
    """Several ids as one text, for tables: parted by blanks."""
    return " ".join(texts)


def _plain(value: float | str | tuple[str, ...] | datetime | None) -> Property:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, tuple):
        return list(value)
    return round(value, _DECIMALS) if isinstance(value, float) else value


def _record(hit: Hit) -> HitRecord:
    chip, scene = hit.chip, hit.scene
    return HitRecord(
        rank=hit.rank,
        score=hit.score,
        rank_score=hit.rank_score,
        confidence=hit.confidence,
        scene=scene.name,
        uri=scene.uri,
        scene_id=chip.scene_id,
        acquired=scene.acquired,
        col_off=chip.window.col_off,
        row_off=chip.window.row_off,
        width=chip.window.width,
        height=chip.window.height,
        scale=chip.scale,
        gsd_m=chip.gsd_m,
        valid_fraction=chip.valid_fraction,
        chip_id=chip.chip_id,
        footprint=chip.footprint,
        convincing=hit.convincing,
        members=hit.members,
    )
