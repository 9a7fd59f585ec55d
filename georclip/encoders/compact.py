"""The starter's towers in torch, as files and as an `Encoder`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open

from georclip.encoders.compact_shapes import compact_shape
from georclip.encoders.compact_towers import CompactTowers
from georclip.encoders.contexts import beyond_context
from georclip.encoders.preprocessing import check_pixels, preprocess
from georclip.encoders.saving import write_weights
from georclip.encoders.words import WordTokenizer
from georclip.errors import EncoderError, QueryError
from georclip.values import EncoderSpec


def write_compact(
    path: Path,
    towers: CompactTowers,
    spec: EncoderSpec,
    tokenizer: WordTokenizer,
    *,
    half: bool = False,
) -> None:
    """Write towers as .safetensors whose metadata, all JSON texts, says how to load them.

    Args:
        path: Replaced whole, or not at all.
        towers: Both towers.
        spec: Its architecture must be one of georclip's own; weights_sha256 is not written.
        tokenizer: Its vocabulary goes into the metadata.
        half: Store fp16, half the size.
    """
    write_weights(path, towers.state_dict(), spec, vocabulary=tokenizer.words, half=half)


def read_compact(path: Path) -> tuple[CompactTowers, EncoderSpec, WordTokenizer]:
    """Read what `write_compact` wrote, as float32 in evaluation mode.

    Raises:
        EncoderError: The file cannot be read or is no checkpoint of georclip's own towers.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        digest = sha256(path.read_bytes()).hexdigest()
    except (OSError, SafetensorError) as error:
        raise EncoderError(f"cannot read the weights {path}: {error}") from error
    try:
        known = {key: json.loads(text) for key, text in metadata.items()}
        ground = known["ground_size_m"]
        spec = EncoderSpec(
            name=known["name"],
            architecture=known["architecture"],
            activation=known["activation"],
            weights_sha256=digest,
            dim=known["dim"],
            image_size_px=known["image_size_px"],
            mean=_three(known["mean"]),
            std=_three(known["std"]),
            ground_size_m=None if ground is None else _three(ground),
            licence=known["licence"],
        )
        shape = compact_shape(spec.architecture)
        tokenizer = WordTokenizer(known["vocabulary"], shape.context_length)
        towers = CompactTowers(spec.architecture, len(tokenizer))
        towers.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise EncoderError(
            f"{path} holds no towers of georclip's own ({error!r}); "
            "name its architecture with --model if it belongs to another"
        ) from error
    return towers.eval().requires_grad_(requires_grad=False), spec, tokenizer


def _three(values: list[float]) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third


class TorchCompactEncoder:
    """The starter's towers in torch, as an `Encoder`: what training starts from and exports."""

    def __init__(
        self, towers: CompactTowers, spec: EncoderSpec, tokenizer: WordTokenizer, device: str
    ) -> None:
        self._towers = towers.to(device).eval()
        self._spec = spec
        self._tokenizer = tokenizer
        self._device = device

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> TorchCompactEncoder:
        """Open a .safetensors file.

        Raises:
            EncoderError: It holds no towers of georclip's own.
        """
        towers, spec, tokenizer = read_compact(Path(path))
        return cls(towers, spec, tokenizer, device)

    @property
    def towers(self) -> CompactTowers:
        """Both, in evaluation mode."""
        return self._towers

    @property
    def tokenizer(self) -> WordTokenizer:
        """Its vocabulary."""
        return self._tokenizer

    @property
    def spec(self) -> EncoderSpec:
        """What decides its embeddings."""
        return self._spec

    @property
    def device(self) -> str:
        """Where it runs, for people."""
        return f"{self._device} (torch)"

    @property
    def on_cpu(self) -> bool:
        """Whether it runs on a CPU."""
        return self._device == "cpu"

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Embed uint8 RGB (n, 3, height, width) as unit vectors (n, dim)."""
        check_pixels(pixels)
        ready = preprocess(pixels, self._spec.image_size_px, self._spec.mean, self._spec.std)
        with torch.inference_mode():
            vectors = self._towers.image(torch.from_numpy(ready).to(self._device))
        return np.asarray(vectors.cpu().numpy(), dtype=np.float32)

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed sentences as unit vectors (n, dim).

        Raises:
            QueryError: A sentence holds no known word.
        """
        rows = [self._ids(text) for text in texts]
        with torch.inference_mode():
            vectors = self._towers.text(torch.from_numpy(np.stack(rows)).to(self._device))
        return np.asarray(vectors.cpu().numpy(), dtype=np.float32)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words of `text` that the vocabulary does not hold."""
        return self._tokenizer.encode(text).unknown

    def unread(self, text: str) -> str:
        """The end of `text` that is cut off, being more than the tower reads; "" if none is."""
        return beyond_context(text, self._tokenizer.count, self._tokenizer.context_length)

    def _ids(self, text: str) -> npt.NDArray[np.int64]:
        encoded = self._tokenizer.encode(text)
        if not encoded.known:
            near = [near for word in encoded.unknown for near in self._tokenizer.nearest(word)]
            hint = f"; nearest known words: {', '.join(near)}" if near else ""
            raise QueryError(f"no word of {text!r} is known to {self._spec.name}{hint}")
        return encoded.ids
