"""open_clip's towers in torch as an `Encoder`. The only file that imports open_clip."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import open_clip
import torch
from torch import Tensor

from georclip.encoders.checkpoints import State, detect_architecture
from georclip.encoders.clip_text import ClipText
from georclip.encoders.contexts import beyond_context
from georclip.encoders.preprocessing import unit_rows
from georclip.encoders.torch_pictures import TorchPictures, computing
from georclip.errors import EncoderError, QueryError
from georclip.values import EncoderSpec

_TEXT_BATCH = 256
_CPU_TEXT_PART = 32  # small parts are of more equal length, and a core is filled by few sentences
_MAY_BE_MISSING = {"logit_scale", "logit_bias"}  # only training needs them
_QUICK = "-quickgelu"


def split_architecture(architecture: str) -> tuple[str, str]:
    """An open_clip name without its activation, and that activation.

    "ViT-B-32-quickgelu" is ("ViT-B-32", "quickgelu"); "ViT-B-32" is ("ViT-B-32", "gelu").

    Raises:
        EncoderError: open_clip has no such architecture, or it is none of plain CLIP.
    """
    name = architecture.removesuffix(_QUICK)
    config = _config(architecture) or _config(name)
    if config is None:
        near = difflib.get_close_matches(architecture, open_clip.list_models(), n=3, cutoff=0.4)
        hint = f"; near ones: {', '.join(near)}" if near else ""
        raise EncoderError(f"open_clip has no architecture {architecture!r}{hint}")
    if "multimodal_cfg" in config or "hf_model_name" in config["text_cfg"]:
        raise EncoderError(f"{architecture} is no plain CLIP: georclip does not load it")
    quick = architecture.endswith(_QUICK) or config.get("quick_gelu", False)
    return name, "quickgelu" if quick else "gelu"


def architecture_size(architecture: str) -> tuple[int, int]:
    """(dim, image side in px) of an open_clip architecture."""
    config = _known_config(architecture)
    return int(config["embed_dim"]), int(config["vision_cfg"]["image_size"])


def build_model(architecture: str, *, activation: str, image_size_px: int) -> torch.nn.Module:
    """An open_clip model with untrained weights, in evaluation mode.

    Made from its configuration and not by `open_clip.create_model`, which logs to the root logger
    and takes the activation from a tag.
    """
    config = _known_config(architecture)
    config["quick_gelu"] = activation == "quickgelu"
    config["vision_cfg"]["image_size"] = image_size_px
    kind = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
    model: torch.nn.Module = kind(**config)
    return model.eval()


def _config(architecture: str) -> dict[str, Any] | None:
    """What open_clip knows an architecture by, or None.

    open_clip takes "hf-hub:..." and "local-dir:..." too, and reads what they name: a checkpoint or
    an index that says so must not decide what is fetched.
    """
    if ":" in architecture:
        return None
    config: dict[str, Any] | None = open_clip.get_model_config(architecture)
    return config


def _known_config(architecture: str) -> dict[str, Any]:
    config = _config(architecture)
    if config is None:
        raise EncoderError(f"open_clip has no architecture {architecture!r}")
    return config


def load_weights(model: torch.nn.Module, state: State, *, architecture: str, where: str) -> None:
    """Put weights into a model; every tower weight must be there, with its shape.

    Args:
        model: Of `architecture`.
        state: Tensor by name.
        architecture: For the message.
        where: The file, for the message.

    Raises:
        EncoderError: The weights are of another architecture; the message names both.
    """
    found = detect_architecture(state)
    own = model.state_dict()
    missing = [key for key in own if key not in state and key not in _MAY_BE_MISSING]
    wrong = [key for key in own if key in state and own[key].shape != state[key].shape]
    wrong = [key for key in wrong if key not in _MAY_BE_MISSING]
    if missing or wrong or any(key not in own for key in state.keys() - _MAY_BE_MISSING):
        unknown = [key for key in state if key not in own and key not in _MAY_BE_MISSING]
        detail = f"{len(missing)} missing, {len(wrong)} of another shape, {len(unknown)} unknown"
        example = next(iter([*wrong, *missing, *unknown]))
        raise EncoderError(
            f"{where} holds {found or 'no CLIP'}, not {architecture}: {detail} "
            f"(such as {example}); name its architecture with --model"
        )
    model.load_state_dict(
        {key: value for key, value in state.items() if key not in _MAY_BE_MISSING}, strict=False
    )


class ClipTokenizer:
    """Sentences to the ids that an open_clip text tower takes."""

    def __init__(self, architecture: str) -> None:
        """Take an architecture's own tokenizer.

        Raises:
            EncoderError: It is one that would have to be fetched and is not here.
        """
        try:
            self._tokenizer: Any = open_clip.get_tokenizer(architecture)
        except (OSError, ImportError) as error:
            raise EncoderError(f"the tokenizer of {architecture} is not here: {error}") from error
        self._plain = isinstance(self._tokenizer, open_clip.SimpleTokenizer)

    @property
    def context_length(self) -> int:
        """Ids of a sentence, those for its start and end included."""
        return int(self._tokenizer.context_length)

    @property
    def is_plain(self) -> bool:
        """Whether it is CLIP's own, and no other model's."""
        return self._plain

    def merges(self) -> tuple[str, ...]:
        """CLIP's byte pairs, most frequent first: two symbols and a space between."""
        return tuple(" ".join(pair) for pair in self._tokenizer.bpe_ranks)

    @property
    def pads_with_zeros(self) -> bool:
        """Whether the id 0 fills what comes after a sentence's end."""
        return self._plain

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Ids of sentences, cut to what the tower reads: int64 (n, context length)."""
        found: Tensor = self._tokenizer(list(texts))
        return found

    def count(self, text: str) -> int:
        """Ids of a sentence before it is cut, those for its start and end included."""
        if self._plain:
            return len(self._tokenizer.encode(text)) + 2
        return len(self._tokenizer.tokenizer(text)["input_ids"])


def choose_device(asked: str) -> torch.device:
    """The device for "auto", "cpu" or "cuda".

    Raises:
        EncoderError: CUDA was asked for and is not there.
    """
    if asked == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    if asked == "cuda":
        raise EncoderError("--device cuda: torch finds no CUDA GPU here; use --device cpu")
    return torch.device("cpu")


class OpenClipEncoder:
    """An `Encoder` over an open_clip model: on a GPU under autocast, on a CPU in float32."""

    def __init__(
        self,
        model: torch.nn.Module,
        spec: EncoderSpec,
        *,
        device: torch.device,
        batch_size: int | None = None,
        tokenizer: ClipTokenizer | None = None,
    ) -> None:
        self._spec = spec
        self._device = device
        self._model: Any = model.eval().to(device)
        self._pictures = TorchPictures(self._encode, spec, device, batch_size)
        self._tokenizer = tokenizer or ClipTokenizer(spec.architecture)
        self._text = ClipText(model, padded_with_zeros=self._tokenizer.pads_with_zeros)
        self._text_part = _TEXT_BATCH if device.type == "cuda" else _CPU_TEXT_PART

    @property
    def spec(self) -> EncoderSpec:
        """What decides its embeddings."""
        return self._spec

    @property
    def device(self) -> str:
        """Where it runs, for people."""
        if self._device.type == "cuda":
            return f"{self._device} ({torch.cuda.get_device_name(self._device)})"
        return "cpu (torch)"

    @property
    def on_cpu(self) -> bool:
        """Whether it runs on a CPU."""
        return self._device.type == "cpu"

    @property
    def model(self) -> Any:  # noqa: ANN401 - open_clip's classes vary
        """Both towers, as open_clip has them."""
        return self._model

    @property
    def tokenizer(self) -> ClipTokenizer:
        """How sentences become ids."""
        return self._tokenizer

    @property
    def batch_size(self) -> int:
        """Pictures encoded at once; halved when a GPU runs out of memory."""
        return self._pictures.batch_size

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Embed pictures: uint8 RGB (n, 3, height, width) to unit rows, float32 (n, dim).

        Raises:
            EncoderError: `pixels` has another shape or dtype, or one picture alone is too much
                for the GPU.
        """
        return self._pictures.encode(pixels)

    def _encode(self, images: Tensor) -> Tensor:
        """Normalised (n, 3, side, side) to (n, dim)."""
        rows: Tensor = self._model.encode_image(images)
        return rows

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed sentences as they stand: unit rows, float32 (n, dim).

        Raises:
            QueryError: A sentence is empty.
        """
        if any(not text.strip() for text in texts):
            raise QueryError("the question is empty: say in words what to look for")
        out = np.empty((len(texts), self._spec.dim), dtype=np.float32)
        for start in range(0, len(texts), _TEXT_BATCH):
            part = list(texts[start : start + _TEXT_BATCH])
            ids = self._tokenizer.ids(part).to(self._device)  # (batch, context)
            with computing(self._device):
                rows = self._text.rows(ids, part=self._text_part)  # (batch, dim)
            out[start : start + len(part)] = rows.float().cpu().numpy()
        return unit_rows(out)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Nothing is unknown to a vocabulary of word parts."""
        return ()

    def unread(self, text: str) -> str:
        """The end of `text` that is cut off, being more than the tower reads; "" if none is."""
        return beyond_context(text, self._tokenizer.count, self._tokenizer.context_length)
