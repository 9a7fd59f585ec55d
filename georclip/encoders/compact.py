"""The starter's torch towers: a plain residual net for pixels, a small transformer over words.

Plain 3 x 3 convolutions only: on a CPU without bf16 they train several times faster than
depthwise ones. Both towers end in unit vectors, so that what is exported is what is searched.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from georclip.encoders.preprocessing import check_pixels, preprocess
from georclip.encoders.words import WordTokenizer
from georclip.errors import EncoderError, QueryError
from georclip.values import EncoderSpec

LOG_SCALE_START = 2.6593  # ln(1 / 0.07), as in CLIP
LOG_SCALE_MAX = 4.6052  # ln(100): sharper than this, the softmax only learns noise


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactShape:
    """Sizes of both towers.

    Attributes:
        stem_width: Channels after the first convolution.
        widths: Channels of the stages, at 1/4, 1/8, 1/16 and 1/32 of the picture's side.
        depths: Residual blocks per stage.
        dim: Length of an embedding.
        text_width: Channels of the text tower.
        text_layers: Transformer layers.
        text_heads: Attention heads.
        context_length: Most words of a sentence.
    """

    stem_width: int = 32
    widths: tuple[int, ...] = (48, 96, 192, 384)
    depths: tuple[int, ...] = (1, 2, 2, 1)
    dim: int = 256
    text_width: int = 256
    text_layers: int = 2
    text_heads: int = 4
    context_length: int = 32


ARCHITECTURES = {
    "starter-resnet14-w256": CompactShape(),
    "starter-tiny": CompactShape(
        stem_width=8,
        widths=(8, 16, 16, 16),
        depths=(1, 1, 1, 1),
        dim=32,
        text_width=32,
        text_layers=1,
        text_heads=2,
    ),
}
"""Known towers by name; "starter-tiny" learns nothing useful and is there for quick trials."""


def compact_shape(architecture: str) -> CompactShape:
    """Look up the sizes of a named architecture.

    Raises:
        EncoderError: Not one of georclip's own architectures.
    """
    try:
        return ARCHITECTURES[architecture]
    except KeyError:
        known = ", ".join(ARCHITECTURES)
        raise EncoderError(
            f"{architecture!r} is not an architecture of georclip's own; choose one of: {known}"
        ) from None


def _conv_norm(width_in: int, width_out: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width_in, width_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(width_out),
    )


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2016, basic block).

    A shortcut that shrinks averages before it projects, so that no pixel is left out.
    """

    def __init__(self, width_in: int, width_out: int, *, stride: int) -> None:
        super().__init__()
        self.first = _conv_norm(width_in, width_out, stride=stride)
        norm = nn.BatchNorm2d(width_out)
        nn.init.zeros_(norm.weight)  # a block starts as its own shortcut
        self.second = nn.Sequential(nn.Conv2d(width_out, width_out, 3, padding=1, bias=False), norm)
        shortcut: list[nn.Module] = []
        if stride > 1:
            shortcut.append(nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False))
        if width_in != width_out:
            shortcut.append(nn.Conv2d(width_in, width_out, 1, bias=False))
            shortcut.append(nn.BatchNorm2d(width_out))
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, width_in, h, w) -> (batch, width_out, h / stride, w / stride)."""
        branch: Tensor = self.second(F.relu(self.first(maps)))
        return F.relu(branch + self.shortcut(maps))


class ImageTower(nn.Module):
    """Pixels to unit vectors."""

    def __init__(self, shape: CompactShape) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            _conv_norm(3, shape.stem_width, stride=2),
            nn.ReLU(),
            _conv_norm(shape.stem_width, shape.widths[0], stride=2),
            nn.ReLU(),
        ]
        width_in = shape.widths[0]
        for stage, (width, depth) in enumerate(zip(shape.widths, shape.depths, strict=True)):
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(ResidualBlock(width_in, width, stride=stride))
                width_in = width
        self.layers = nn.Sequential(*layers)
        self.projection = nn.Linear(width_in, shape.dim)

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed normalised pictures: float (batch, 3, side, side) -> (batch, dim)."""
        maps = self.layers(pixels)  # (batch, width, side / 32, side / 32)
        return F.normalize(self.projection(maps.mean(dim=(2, 3))), dim=-1)


class TextLayer(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, words: Tensor, away: Tensor) -> Tensor:
        """Mix words of a sentence.

        Args:
            words: (batch, words, width).
            away: (batch, 1, 1, words), 0 for a word, very negative for padding.

        Returns:
            (batch, words, width).
        """
        batch, count, width = words.shape
        mixed = self.query_key_value(self.norm_attention(words))
        mixed = mixed.reshape(batch, count, 3, self.heads, width // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)  # (batch, heads, words, part)
        scores = query @ key.transpose(-2, -1) * (width // self.heads) ** -0.5 + away
        heard = scores.softmax(dim=-1) @ value
        words = words + self.merge(heard.transpose(1, 2).reshape(batch, count, width))
        output: Tensor = words + self.mlp(self.norm_mlp(words))
        return output


class TextTower(nn.Module):
    """Word ids to unit vectors; id 0 is padding."""

    def __init__(self, shape: CompactShape, vocabulary_size: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary_size, shape.text_width)
        self.places = nn.Parameter(torch.randn(shape.context_length, shape.text_width) * 0.01)
        nn.init.normal_(self.words.weight, std=0.04)
        self.layers = nn.ModuleList(
            TextLayer(shape.text_width, shape.text_heads) for _ in range(shape.text_layers)
        )
        self.norm = nn.LayerNorm(shape.text_width)
        self.projection = nn.Linear(shape.text_width, shape.dim)

    def forward(self, ids: Tensor) -> Tensor:
        """Embed sentences: int64 (batch, words) -> (batch, dim)."""
        there = (ids != 0).to(self.places.dtype)  # (batch, words)
        away = (1.0 - there)[:, None, None, :] * -1e4
        words = self.words(ids) + self.places[: ids.shape[1]]
        for layer in self.layers:
            words = layer(words, away)
        weights = there[:, :, None]
        mean = (self.norm(words) * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)
        return F.normalize(self.projection(mean), dim=-1)


class CompactTowers(nn.Module):
    """Both towers and the learned temperature."""

    def __init__(self, architecture: str, vocabulary_size: int) -> None:
        super().__init__()
        shape = compact_shape(architecture)
        self.image = ImageTower(shape)
        self.text = TextTower(shape, vocabulary_size)
        self.log_scale = nn.Parameter(torch.tensor(LOG_SCALE_START))

    @property
    def scale(self) -> Tensor:
        """Inverse temperature, held under 100."""
        return self.log_scale.clamp(max=LOG_SCALE_MAX).exp()


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
    described = {**asdict(spec), "vocabulary": tokenizer.words}
    metadata = {
        key: json.dumps(value) for key, value in described.items() if key != "weights_sha256"
    }
    tensors = {
        name: (value.half() if half and value.is_floating_point() else value).contiguous()
        for name, value in towers.state_dict().items()
    }
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata=metadata)
    partial.chmod(0o644)  # safetensors makes it private
    partial.replace(path)


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
    def spec(self) -> EncoderSpec:
        """What decides its embeddings."""
        return self._spec

    @property
    def device(self) -> str:
        """Where it runs, for people."""
        return f"{self._device} (torch)"

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

    def _ids(self, text: str) -> npt.NDArray[np.int64]:
        encoded = self._tokenizer.encode(text)
        if not encoded.known:
            near = [near for word in encoded.unknown for near in self._tokenizer.nearest(word)]
            hint = f"; nearest known words: {', '.join(near)}" if near else ""
            raise QueryError(f"no word of {text!r} is known to {self._spec.name}{hint}")
        return encoded.ids
