"""A text tower in plain numpy: sentences' ids to unit vectors, with nothing to import or compile.

One sentence through a transformer is a few hundred million multiplications: a tenth of a second,
where a runtime that compiles graphs takes several only to be ready. One file of weights, as
`text_export` writes it, holds CLIP's text tower (Radford et al. 2021, section 2.4: causal, read
off at the end) or the starter's (both directions, mean over words).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from georclip.encoders.bundle import TextShape
from georclip.encoders.preprocessing import unit_rows
from georclip.errors import EncoderError

Rows = npt.NDArray[np.float32]
_EPSILON = np.float32(1e-5)  # of torch's layer norm
_PART = 64
"""Most sentences of one length that go through at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Affine:
    """A linear layer, or the gain and bias of a norm.

    Attributes:
        weight: (out, in), or (width,).
        bias: (out,) or (width,).
    """

    weight: Rows
    bias: Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A pre-norm transformer layer."""

    norm_attention: _Affine
    query_key_value: _Affine
    merge: _Affine
    norm_mlp: _Affine
    widen: _Affine
    narrow: _Affine


class TextTower:
    """A text tower over a file of weights, which are read when they are first needed."""

    def __init__(self, path: Path, shape: TextShape, *, ids: int, words: int, dim: int) -> None:
        """Take a file, and look at what it says that it holds.

        Args:
            path: .safetensors, as `text_export` writes it.
            shape: Of the tower in it.
            ids: Different ids that sentences have.
            words: Most ids of a sentence.
            dim: Length of an embedding.

        Raises:
            EncoderError: It cannot be read, or holds another tower.
        """
        self._path = path
        self._shape = shape
        self._activate: Callable[[Rows], Rows] = (
            quick_gelu if shape.activation == "quickgelu" else gelu
        )
        try:
            opened: Any = safe_open(path, framework="numpy")
            held = {name: opened.get_slice(name) for name in opened.keys()}
            sizes = {name: tuple(one.get_shape()) for name, one in held.items()}
            kinds = {one.get_dtype() for one in held.values()}
            width = sizes["words"][1]
            rows = (max(ids, sizes["words"][0]), max(words, sizes["places"][0]))
            wanted: dict[str, tuple[int, ...]] = {
                "words": (rows[0], width), "places": (rows[1], width),
            }  # fmt: skip
            wanted |= _sizes(shape, width, dim, hidden=sizes["layers.0.widen.bias"][0])
        except (OSError, SafetensorError, LookupError) as error:
            raise EncoderError(f"cannot read the text tower {path}: {error}") from error
        if sizes != wanted or not kinds <= {"F16", "F32"} or width % shape.heads:
            odd = sorted(name for name in sizes | wanted if sizes.get(name) != wanted.get(name))
            raise EncoderError(f"{path} holds another text tower than it says ({odd[:1] or kinds})")
        self._file = opened
        self._words, self._places = held["words"], held["places"]

    def embed(self, sentences: list[npt.NDArray[np.int64]]) -> Rows:
        """Embed sentences.

        Args:
            sentences: Ids of each, int64 (ids,), without padding; at least one sentence.

        Returns:
            float32, (sentences, dim), rows of unit length.
        """
        distinct = {ids.tobytes(): ids for ids in sentences}  # equal ones, equal vectors
        rows: dict[bytes, Rows] = {}
        with np.errstate(over="ignore"):  # of large values, whose limits are right
            for _, alike in groupby(sorted(distinct, key=len), key=len):
                keys = list(alike)
                for start in range(0, len(keys), _PART):
                    part = keys[start : start + _PART]
                    found = self._embed_alike(np.stack([distinct[key] for key in part]))
                    rows.update(zip(part, unit_rows(found), strict=True))
        return np.stack([rows[ids.tobytes()] for ids in sentences])

    def _embed_alike(self, ids: npt.NDArray[np.int64]) -> Rows:
        """Sentences of one length, int64 (sentences, ids), to (sentences, dim)."""
        words = self._look_up(ids) + np.asarray(self._places[: ids.shape[1]], dtype=np.float32)
        for layer in self._layers:
            words = self._mix(words, layer)
        if self._shape.pooling == "end":
            pooled = normalised(words[:, -1], self._norm)
        else:
            pooled = normalised(words, self._norm).mean(axis=1)
        return pooled @ self._projection.weight.T + self._projection.bias

    def _look_up(self, ids: npt.NDArray[np.int64]) -> Rows:
        """The vectors of words: a few rows of the largest table, which is not read as a whole."""
        known, places = np.unique(ids, return_inverse=True)
        rows = [np.asarray(self._words[number : number + 1]) for number in known.tolist()]
        found: Rows = np.concatenate(rows).astype(np.float32)[places.reshape(ids.shape)]
        return found

    def _mix(self, words: Rows, layer: _Layer) -> Rows:
        """One layer: (sentences, words, width) to the same."""
        sentences, count, width = words.shape
        part = width // self._shape.heads
        mixed = linear(normalised(words, layer.norm_attention), layer.query_key_value)
        mixed = mixed.reshape(sentences, count, 3, self._shape.heads, part)
        query, key, value = mixed.transpose(2, 0, 3, 1, 4)  # (sentences, heads, words, part) each
        scores = query @ key.transpose(0, 1, 3, 2) * np.float32(1 / math.sqrt(part))
        if self._shape.pooling == "end":
            ahead = np.triu(np.ones((count, count), dtype=bool), k=1)
            scores = np.where(ahead, np.float32(-np.inf), scores)
        heard = softmax(scores) @ value
        words = words + linear(
            heard.transpose(0, 2, 1, 3).reshape(sentences, count, width), layer.merge
        )
        wide = self._activate(linear(normalised(words, layer.norm_mlp), layer.widen))
        return words + linear(wide, layer.narrow)

    @cached_property
    def _layers(self) -> tuple[_Layer, ...]:
        return tuple(
            _Layer(
                norm_attention=self._affine(f"layers.{number}.norm_attention"),
                query_key_value=self._affine(f"layers.{number}.query_key_value"),
                merge=self._affine(f"layers.{number}.merge"),
                norm_mlp=self._affine(f"layers.{number}.norm_mlp"),
                widen=self._affine(f"layers.{number}.widen"),
                narrow=self._affine(f"layers.{number}.narrow"),
            )
            for number in range(self._shape.layers)
        )

    @cached_property
    def _norm(self) -> _Affine:
        return self._affine("norm")

    @cached_property
    def _projection(self) -> _Affine:
        return self._affine("projection")

    def _affine(self, name: str) -> _Affine:
        return _Affine(weight=self._tensor(f"{name}.weight"), bias=self._tensor(f"{name}.bias"))

    def _tensor(self, name: str) -> Rows:
        try:
            found = self._file.get_tensor(name)
        except SafetensorError as error:
            raise EncoderError(f"the text tower {self._path} is damaged: {error}") from error
        return np.asarray(found, dtype=np.float32)


def _sizes(shape: TextShape, width: int, dim: int, *, hidden: int) -> dict[str, tuple[int, ...]]:
    """The shapes of all weights but the tables of words and places."""
    found: dict[str, tuple[int, ...]] = {
        "norm.weight": (width,), "norm.bias": (width,),
        "projection.weight": (dim, width), "projection.bias": (dim,),
    }  # fmt: skip
    for number in range(shape.layers):
        for name, out, into in (
            ("query_key_value", 3 * width, width),
            ("merge", width, width),
            ("widen", hidden, width),
            ("narrow", width, hidden),
        ):
            found[f"layers.{number}.{name}.weight"] = (out, into)
            found[f"layers.{number}.{name}.bias"] = (out,)
        for name in ("norm_attention", "norm_mlp"):
            found |= {f"layers.{number}.{name}.{part}": (width,) for part in ("weight", "bias")}
    return found


def linear(rows: Rows, layer: _Affine) -> Rows:
    """(..., in) to (..., out): one product, where numpy would make one for each sentence."""
    flat = rows.reshape(-1, rows.shape[-1]) @ layer.weight.T
    out: Rows = flat.reshape(*rows.shape[:-1], -1) + layer.bias
    return out


def normalised(rows: Rows, norm: _Affine) -> Rows:
    """Layer norm over the last axis."""
    away = rows - rows.mean(axis=-1, keepdims=True)
    spread = np.sqrt(np.square(away).mean(axis=-1, keepdims=True) + _EPSILON)
    out: Rows = away / spread * norm.weight + norm.bias
    return out


def softmax(scores: Rows) -> Rows:
    """Over the last axis."""
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Rows = raised / raised.sum(axis=-1, keepdims=True)
    return shares


def gelu(values: Rows) -> Rows:
    """X times the normal distribution's function (Hendrycks and Gimpel 2016), not its tanh fit."""
    half = np.float32(0.5)
    return values * half * (1 + error_function(values * np.float32(math.sqrt(0.5))))


def quick_gelu(values: Rows) -> Rows:
    """OpenAI's approximation: x times the sigmoid of 1.702 x."""
    out: Rows = values / (1 + np.exp(np.float32(-1.702) * values))
    return out


def error_function(values: Rows) -> Rows:
    """erf, to 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26): numpy has none."""
    steps = 1 / (1 + np.float32(0.3275911) * np.abs(values))
    total = np.zeros_like(values)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        total = np.asarray((total + np.float32(factor)) * steps, dtype=np.float32)
    out: Rows = np.copysign(1 - total * np.exp(-values * values), values)
    return out
