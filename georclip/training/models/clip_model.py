"""open_clip's towers as something that can be trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from georclip.encoders.checkpoints import Checkpoint, State
from georclip.encoders.clip import ClipTokenizer, OpenClipEncoder, build_model, load_weights
from georclip.encoders.clip_text import ClipText
from georclip.encoders.compact_towers import LOG_SCALE_MAX
from georclip.encoders.saving import write_weights
from georclip.training.models.attention import expose_projections, with_file_names
from georclip.training.models.low_rank import merged
from georclip.training.models.recompute import recompute
from georclip.training.trainable import Block
from georclip.values import EncoderSpec

_EMBEDDINGS = ("positional_embedding", "token_embedding.weight")
_TEXT_PART = 64


class ClipModel:
    """An image and a text tower of open_clip's; a `Trainable`."""

    def __init__(self, clip: nn.Module, spec: EncoderSpec, *, trained: bool) -> None:
        """Take a model.

        Args:
            clip: open_clip's.
            spec: What its weights will be loaded as.
            trained: Whether its weights come from a trained model.
        """
        self._clip: Any = clip.train()
        self.hold_temperature()
        if getattr(clip, "logit_bias", None) is not None:
            self._clip.logit_bias.requires_grad = False  # InfoNCE has no use for it
        self._spec = replace(spec, weights_sha256="")
        self._tokenizer = ClipTokenizer(spec.architecture)
        self._started = frozenset(name for name, _ in clip.named_parameters() if trained)
        self._text = ClipText(clip, padded_with_zeros=self._tokenizer.pads_with_zeros)

    @classmethod
    def from_scratch(cls, spec: EncoderSpec) -> ClipModel:
        """Random weights, from torch's generator as it stands."""
        return cls(_build(spec), spec, trained=False)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, spec: EncoderSpec) -> ClipModel:
        """Weights to go on with, the temperature included where the file has it.

        Raises:
            EncoderError: They are of another architecture.
        """
        clip: Any = _build(spec)
        where = str(checkpoint.path)
        load_weights(clip, checkpoint.state, architecture=spec.architecture, where=where)
        if "logit_scale" in checkpoint.state:
            with torch.no_grad():
                clip.logit_scale.copy_(checkpoint.state["logit_scale"].reshape_as(clip.logit_scale))
        return cls(clip, spec, trained=True)

    @property
    def module(self) -> nn.Module:
        """Every weight, the temperature included."""
        clip: nn.Module = self._clip
        return clip

    @property
    def spec(self) -> EncoderSpec:
        """What its weights will be loaded as."""
        return self._spec

    @property
    def any_view_size(self) -> bool:
        """Places in the picture are learnt one by one, in a ResNet's pooling as well."""
        return False

    @property
    def token_limit(self) -> int:
        """Ids that the text tower reads."""
        return self._tokenizer.context_length

    def embed_images(self, pictures: Tensor) -> Tensor:
        """Normalised pictures, float (batch, 3, side, side), to unit vectors (batch, dim)."""
        return F.normalize(self._clip.encode_image(pictures).float(), dim=-1)

    def embed_texts(self, ids: Tensor) -> Tensor:
        """Ids, int64 (batch, words), to unit vectors (batch, dim)."""
        return F.normalize(self._text.rows(ids, part=_TEXT_PART).float(), dim=-1)

    def scale(self) -> Tensor:
        """Inverse temperature."""
        log_scale: Tensor = self._clip.logit_scale
        return log_scale.exp().squeeze()

    def hold_temperature(self) -> None:
        """Bring the temperature back under 100.

        Where the forward pass clamped it, it would have no gradient at the limit, where CLIP's
        own weights start.
        """
        with torch.no_grad():
            self._clip.logit_scale.clamp_(max=LOG_SCALE_MAX)

    def split_words(self, caption: str) -> tuple[str, ...]:
        """Words as written; the tokenizer takes their case away itself."""
        return tuple(caption.split())

    def token_ids(self, text: str) -> npt.NDArray[np.int64]:
        """Ids of a sentence, int64 (context length,)."""
        ids: npt.NDArray[np.int64] = self._tokenizer.ids([text])[0].numpy()
        return ids

    def lengths(self, ids: Tensor) -> Tensor:
        """Ids up to each sentence's end, which is included, or all where the tower needs them."""
        return self._text.lengths(ids)

    def count_tokens(self, text: str) -> int:
        """Ids of a sentence before it is cut."""
        return self._tokenizer.count(text)

    def image_tower(self) -> Block:
        """The image tower."""
        return Block(modules=(self._clip.visual,))

    def text_tower(self) -> Block:
        """The text tower, which lies in parts beside the image tower in most models."""
        if hasattr(self._clip, "text"):
            return Block(modules=(self._clip.text,))
        parts = [
            child
            for name in ("transformer", "token_embedding", "ln_final", "text_projection")
            if isinstance(child := getattr(self._clip, name), nn.Module)
        ]
        own = dict(self._clip.named_parameters(recurse=False))
        loose = [own[name] for name in ("positional_embedding", "text_projection") if name in own]
        return Block(modules=tuple(parts), parameters=tuple(loose))

    def image_blocks(self) -> Sequence[Block]:
        """Patch embedding and layers of a ViT; stem, bottlenecks and pooling of a ResNet."""
        visual = self._clip.visual
        if hasattr(visual, "transformer"):
            loose = dict(visual.named_parameters(recurse=False))
            places = ("class_embedding", "positional_embedding")
            first = Block(
                modules=(visual.conv1, visual.ln_pre),
                parameters=tuple(loose[name] for name in places if name in loose),
            )
            return (first, *(Block(modules=(layer,)) for layer in visual.transformer.resblocks))
        if hasattr(visual, "attnpool"):
            stem = tuple(
                getattr(visual, f"{kind}{n}") for n in (1, 2, 3) for kind in ("conv", "bn")
            )
            rest = (*_bottlenecks(visual), visual.attnpool)
            return (Block(modules=stem), *(Block(modules=(layer,)) for layer in rest))
        return ()

    def started(self) -> frozenset[str]:
        """Names of weights that started from a trained model."""
        return self._started

    def undecayed(self) -> frozenset[str]:
        """The embeddings of words and places."""
        return frozenset(
            name for name, _ in self._clip.named_parameters() if name.endswith(_EMBEDDINGS)
        )

    def save_memory(self) -> None:
        """Compute what lies inside of blocks again for the gradient."""
        self._clip.set_grad_checkpointing(True)
        if hasattr(self._clip.visual, "attnpool"):  # open_clip passes ResNets by
            for layer in _bottlenecks(self._clip.visual):
                recompute(layer)

    def projections(self) -> tuple[str, ...]:
        """Linear layers of attention and MLPs, by name, made such that LoRA reaches them."""
        return expose_projections(self._clip)

    def file_weights(self, state: State) -> State:
        """A state of `module` as files have it."""
        return with_file_names(merged(state))

    def encoder(self, weights: State) -> OpenClipEncoder:
        """An encoder with weights as files have them, on the device that the model is on."""
        device = next(self._clip.parameters()).device
        with torch.random.fork_rng(devices=[]):  # what is built at random must not shift the run
            clip = _build(self._spec)
        clip.load_state_dict(weights)
        return OpenClipEncoder(clip, self._spec, device=device, tokenizer=self._tokenizer)

    def write(self, path: Path, weights: State, *, half: bool) -> None:
        """Write weights, as files have them, under open_clip's names."""
        write_weights(path, weights, self._spec, half=half)


def _bottlenecks(visual: Any) -> list[nn.Module]:  # noqa: ANN401  open_clip's ModifiedResNet
    stages = (visual.layer1, visual.layer2, visual.layer3, visual.layer4)
    return [layer for stage in stages for layer in stage]


def _build(spec: EncoderSpec) -> nn.Module:
    return build_model(
        spec.architecture, activation=spec.activation, image_size_px=spec.image_size_px
    )
