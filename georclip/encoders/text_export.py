"""Torch text towers to files that `text_tower` reads: CLIP's, and the starter's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from georclip.encoders.bundle import (
    TEXT_FILE,
    VOCABULARY_FILE,
    TextShape,
    TokenizerKind,
)
from georclip.encoders.compact_text import TextTower as CompactText
from georclip.encoders.file_records import write_file
from georclip.encoders.words import WordTokenizer
from georclip.errors import EncoderError

if TYPE_CHECKING:
    from georclip.encoders.clip import OpenClipEncoder
    from georclip.encoders.text_tower import Rows

MIN_COSINE_HALF = 0.999
"""Between torch's embeddings and those of weights that are stored as fp16."""
MIN_COSINE_FULL = 0.99999
"""The same for float32. GELU and its quick fit are as near as 0.9996, and must not pass."""
_SEED = 20240229
_CHECKED = 16
_CHECKED_WORDS = (
    "a harbor with many ships, farmland and lakes near the river; dense houses: 12 storage tanks, "
    "an airport's planes, a road junction (viaduct), green forest, bare land & beach"
).split()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextExport:
    """A text tower on its way into a file.

    Attributes:
        weights: By the names that `text_tower` reads, in the precision to be stored.
        shape: Of the tower.
        tokenizer: How sentences become ids.
        vocabulary: Its words, or its merges.
        context_length: Most ids in a sentence.
        embed: Sentences to vectors, (sentences, dim), by torch in float32: what the file is
            checked against.
        least_cosine: To what `embed` gives, at least.
        sentences: To check it on.
    """

    weights: dict[str, Tensor]
    shape: TextShape
    tokenizer: TokenizerKind
    vocabulary: tuple[str, ...]
    context_length: int
    embed: Callable[[Sequence[str]], Rows]
    least_cosine: float
    sentences: tuple[str, ...]

    def write(self, folder: Path) -> tuple[str, ...]:
        """Write weights and vocabulary; returns the names of the files.

        Raises:
            OSError: They cannot be written.
        """
        kept = {name: value.detach().cpu().contiguous() for name, value in self.weights.items()}
        write_file(folder / TEXT_FILE, save(kept))
        write_file(folder / VOCABULARY_FILE, ("\n".join(self.vocabulary) + "\n").encode())
        return TEXT_FILE, VOCABULARY_FILE


def export_compact(tower: CompactText, tokenizer: WordTokenizer) -> TextExport:
    """The starter's text tower, as fp16."""
    state = tower.state_dict()
    weights = {
        "words": state["words.weight"],
        "places": state["places"],
        **_affine(state, "norm", "norm"),
        **_affine(state, "projection", "projection"),
    }
    for number in range(len(tower.layers)):
        for name, own in (
            ("norm_attention", "norm_attention"),
            ("query_key_value", "query_key_value"),
            ("merge", "merge"),
            ("norm_mlp", "norm_mlp"),
            ("widen", "mlp.0"),
            ("narrow", "mlp.2"),
        ):
            weights |= _affine(state, f"layers.{number}.{own}", f"layers.{number}.{name}")

    def embed(sentences: Sequence[str]) -> Rows:
        ids = torch.from_numpy(np.stack([tokenizer.encode(text).ids for text in sentences]))
        with torch.inference_mode():
            rows: Rows = tower(ids.to(state["places"].device)).float().cpu().numpy()
        return rows

    layers: Any = tower.layers
    known = [word for word in tokenizer.words if tokenizer.encode(word).known]
    return TextExport(
        weights={name: value.half() for name, value in weights.items()},
        shape=TextShape(
            layers=len(layers), heads=layers[0].heads, pooling="mean", activation="gelu"
        ),
        tokenizer="words",
        vocabulary=tokenizer.words,
        context_length=tokenizer.context_length,
        embed=embed,
        least_cosine=MIN_COSINE_HALF,
        sentences=_sentences(known),
    )


def export_clip(encoder: OpenClipEncoder) -> TextExport:
    """The text tower of an open_clip model, in the precision of its weights.

    Raises:
        EncoderError: It is not built as CLIP's own.
    """
    model, tokenizer = encoder.model, encoder.tokenizer
    odd = _oddity(model) or ("" if tokenizer.is_plain else "another tokenizer than CLIP's")
    if odd:
        raise EncoderError(f"the text tower of {encoder.spec.architecture} has {odd}")
    state = {name: value.float() for name, value in model.state_dict().items()}

    def embed(sentences: Sequence[str]) -> Rows:
        """In float32, also where the encoder itself takes fewer digits."""
        ids = tokenizer.ids(list(sentences)).to(state["positional_embedding"].device)
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            with torch.inference_mode():
                rows: Rows = model.encode_text(ids).float().cpu().numpy()
        finally:
            torch.set_float32_matmul_precision(before)
        return rows

    blocks = model.transformer.resblocks
    projection = state["text_projection"].T  # (dim, width)
    weights = {
        "words": state["token_embedding.weight"],
        "places": state["positional_embedding"],
        **_affine(state, "ln_final", "norm"),
        "projection.weight": projection,
        "projection.bias": torch.zeros(len(projection), device=projection.device),
    }
    for number in range(len(blocks)):
        own = f"transformer.resblocks.{number}."
        for name, theirs in (
            ("norm_attention", "ln_1"),
            ("merge", "attn.out_proj"),
            ("norm_mlp", "ln_2"),
            ("widen", "mlp.c_fc"),
            ("narrow", "mlp.c_proj"),
        ):
            weights |= _affine(state, own + theirs, f"layers.{number}.{name}")
        weights[f"layers.{number}.query_key_value.weight"] = state[f"{own}attn.in_proj_weight"]
        weights[f"layers.{number}.query_key_value.bias"] = state[f"{own}attn.in_proj_bias"]
    return TextExport(
        weights=weights,
        shape=TextShape(
            layers=len(blocks),
            heads=blocks[0].attn.num_heads,
            pooling="end",
            activation="quickgelu" if encoder.spec.activation == "quickgelu" else "gelu",
        ),
        tokenizer="clip",
        vocabulary=tokenizer.merges(),
        context_length=tokenizer.context_length,
        embed=embed,
        least_cosine=MIN_COSINE_FULL,
        sentences=_sentences(_CHECKED_WORDS),
    )


def _oddity(model: Any) -> str:  # noqa: ANN401 - open_clip's classes vary
    """What a model's text tower has that CLIP's own has not, or ""."""
    needed = ("transformer", "token_embedding", "positional_embedding", "ln_final", "attn_mask")
    if not all(hasattr(model, name) for name in needed) or model.attn_mask is None:
        return "other parts than CLIP's"
    if getattr(model, "text_pool_type", "") != "argmax":
        return "another pooling than CLIP's"
    if not isinstance(getattr(model, "text_projection", None), Tensor):
        return "another projection than CLIP's"
    for block in model.transformer.resblocks:
        plain = isinstance(block.ln_1, nn.LayerNorm) and isinstance(
            block.attn, nn.MultiheadAttention
        )
        if not plain or [*block.ls_1.parameters(), *block.ls_2.parameters()]:
            return "other layers than CLIP's"
    return ""


def _affine(state: dict[str, Tensor], own: str, name: str) -> dict[str, Tensor]:
    return {f"{name}.{part}": state[f"{own}.{part}"] for part in ("weight", "bias")}


def _sentences(words: Sequence[str]) -> tuple[str, ...]:
    """Seeded sentences of 1 to 12 words."""
    rng = np.random.default_rng(_SEED)
    drawn = (rng.choice(np.array(words), size=1 + number % 12) for number in range(_CHECKED))
    return tuple(" ".join(one) for one in drawn)
