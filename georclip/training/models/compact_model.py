"""The starter's towers as something that can be trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from georclip.captions.records import CaptionedImage
from georclip.encoders.checkpoints import State
from georclip.encoders.compact import TorchCompactEncoder, read_compact
from georclip.encoders.compact_image import LiteTower, ResidualTower
from georclip.encoders.compact_shapes import compact_shape
from georclip.encoders.compact_towers import CompactTowers
from georclip.encoders.like_lengths import embed_by_length
from georclip.encoders.saving import write_weights
from georclip.encoders.words import WordTokenizer, normalise
from georclip.training.data.vocabulary import build_vocabulary
from georclip.training.data.wording import PROMPTS, SYNONYMS
from georclip.training.models.imagenet import load_lite0
from georclip.training.models.low_rank import merged
from georclip.training.models.recompute import recompute
from georclip.training.settings import TrainSettings
from georclip.training.trainable import Block
from georclip.values import EncoderSpec

_TEXT_PART = 64
DEFAULT_ARCHITECTURE = "starter-lite0-w256"
_UNCUT = 4096  # words: more than anybody writes


class CompactModel:
    """Both towers of georclip's own, with their vocabulary; a `Trainable`."""

    def __init__(
        self,
        towers: CompactTowers,
        spec: EncoderSpec,
        tokenizer: WordTokenizer,
        *,
        started: frozenset[str] = frozenset(),
    ) -> None:
        self._towers = towers.requires_grad_(requires_grad=True).train()
        self._spec = replace(spec, weights_sha256="")
        self._tokenizer = tokenizer
        self._uncut = WordTokenizer(tokenizer.words, _UNCUT)
        self._started = started

    @classmethod
    def from_scratch(
        cls,
        architecture: str,
        learnt: Sequence[CaptionedImage],
        settings: TrainSettings,
        *,
        name: str,
        image_weights: Path | None = None,
    ) -> CompactModel:
        """New towers, with a vocabulary from the training captions.

        Args:
            architecture: One of georclip's own.
            learnt: Training images.
            settings: Sizes and licence of what will be written.
            name: Of the model that will be written.
            image_weights: EfficientNet-lite0's weights for the image tower; None: random ones.

        Raises:
            EncoderError: No such architecture, or weights that do not fit it.
        """
        shape = compact_shape(architecture)
        phrases = [phrase for group in SYNONYMS for phrase in group]
        words = build_vocabulary(learnt, more=[*PROMPTS, *phrases])
        tokenizer = WordTokenizer(words, shape.context_length)
        towers = CompactTowers(architecture, len(tokenizer))
        started: frozenset[str] = frozenset()
        if image_weights is not None:
            loaded = load_lite0(towers.image, image_weights)
            started = frozenset(f"image.{key}" for key in loaded)
        spec = EncoderSpec(
            name=name,
            architecture=architecture,
            activation=shape.activation,
            weights_sha256="",
            dim=shape.dim,
            image_size_px=settings.image_size_px,
            mean=shape.mean,
            std=shape.std,
            ground_size_m=settings.ground_size_m,
            licence=settings.licence,
        )
        return cls(towers, spec, tokenizer, started=started)

    @classmethod
    def from_weights(cls, path: Path, settings: TrainSettings, *, name: str) -> CompactModel:
        """Towers to go on with; their vocabulary stays.

        Raises:
            EncoderError: The file holds no towers of georclip's own.
        """
        towers, spec, tokenizer = read_compact(path)
        spec = replace(
            spec,
            name=name,
            image_size_px=settings.image_size_px,
            ground_size_m=settings.ground_size_m or spec.ground_size_m,
            licence=settings.licence,
        )
        names = frozenset(key for key, _ in towers.named_parameters())
        return cls(towers, spec, tokenizer, started=names)

    @property
    def module(self) -> nn.Module:
        """Every weight, the temperature included."""
        return self._towers

    @property
    def spec(self) -> EncoderSpec:
        """What its weights will be loaded as."""
        return self._spec

    @property
    def words(self) -> tuple[str, ...]:
        """The vocabulary."""
        return self._tokenizer.words

    @property
    def any_view_size(self) -> bool:
        """Maps of any size are averaged."""
        return True

    @property
    def token_limit(self) -> int:
        """Words that the text tower reads."""
        return self._tokenizer.context_length

    def embed_images(self, pictures: Tensor) -> Tensor:
        """Normalised pictures, float (batch, 3, side, side), to unit vectors (batch, dim)."""
        vectors: Tensor = self._towers.image(pictures)
        return vectors

    def embed_texts(self, ids: Tensor) -> Tensor:
        """Ids, int64 (batch, words), to unit vectors (batch, dim)."""
        return embed_by_length(ids, self.lengths(ids), self._towers.text, part=_TEXT_PART)

    def scale(self) -> Tensor:
        """Inverse temperature."""
        return self._towers.scale

    def hold_temperature(self) -> None:
        """Bring the temperature back under 100."""
        self._towers.hold_temperature()

    def split_words(self, caption: str) -> tuple[str, ...]:
        """Normalised words, as the vocabulary has them."""
        return normalise(caption)

    def token_ids(self, text: str) -> npt.NDArray[np.int64]:
        """Ids of a sentence, int64 (context length,)."""
        return self._tokenizer.encode(text).ids

    def lengths(self, ids: Tensor) -> Tensor:
        """Words of each sentence; ids after the last one are 0."""
        return (ids != 0).sum(dim=1).clamp(min=1)

    def count_tokens(self, text: str) -> int:
        """Known words of a sentence before it is cut."""
        return int(np.count_nonzero(self._uncut.encode(text).ids))

    def image_tower(self) -> Block:
        """The image tower."""
        return Block(modules=(self._towers.image,))

    def text_tower(self) -> Block:
        """The text tower."""
        return Block(modules=(self._towers.text,))

    def image_blocks(self) -> Sequence[Block]:
        """Stem and stages of EfficientNet-lite0; the layers of the residual net."""
        tower = self._towers.image
        if isinstance(tower, LiteTower):
            stem = Block(modules=(tower.body.conv_stem, tower.body.bn1))
            return (stem, *(Block(modules=(stage,)) for stage in tower.body.blocks))
        if isinstance(tower, ResidualTower):
            return tuple(Block(modules=(layer,)) for layer in tower.layers)
        return ()

    def started(self) -> frozenset[str]:
        """Names of weights that started from a trained model."""
        return self._started

    def undecayed(self) -> frozenset[str]:
        """The embeddings of words and places."""
        return frozenset({"text.words.weight", "text.places"})

    def save_memory(self) -> None:
        """Compute what lies inside of stages again for the gradient.

        timm's own checkpointing would show each batch to the batch statistics twice.
        """
        for block in self.image_blocks():
            if len(block.modules) == 1:  # not the stem, whose layers are called one by one
                recompute(block.modules[0])

    def projections(self) -> tuple[str, ...]:
        """Linear layers of both towers, by name; convolutions are left as they are."""
        layers = self._towers.named_modules()
        return tuple(name for name, layer in layers if isinstance(layer, nn.Linear))

    def file_weights(self, state: State) -> State:
        """A state of `module` as files have it."""
        return merged(state)

    def encoder(self, weights: State) -> TorchCompactEncoder:
        """An encoder with weights as files have them, on the device that the model is on."""
        device = self._towers.log_scale.device
        return TorchCompactEncoder(self._filled(weights), self._spec, self._tokenizer, str(device))

    def write(self, path: Path, weights: State, *, half: bool) -> None:
        """Write weights, as files have them."""
        write_weights(path, weights, self._spec, vocabulary=self._tokenizer.words, half=half)

    def _filled(self, weights: State) -> CompactTowers:
        with torch.random.fork_rng(devices=[]):  # what is built at random must not shift the run
            towers = CompactTowers(self._spec.architecture, len(self._tokenizer))
        towers.load_state_dict(weights)
        towers.to(memory_format=torch.channels_last)
        return towers.eval().requires_grad_(requires_grad=False)
