"""Named models: what they are, where their weights come from, and on what terms.

Facts were taken from the models' own repositories and loading code; what could not be checked
says so in `note`. Ground sizes are estimates from the data that a model was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

from georclip.encoders.preprocessing import CLIP_MEAN, CLIP_STD, HALF, Triple
from georclip.errors import EncoderError

STARTER = "starter"
BEST_COMMON = "remoteclip-vit-b-32"
"""What `--model auto` prefers where it can run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSource:
    """Where a model's weights are to be had.

    Attributes:
        repo: Repository on the Hugging Face hub, or None.
        files: File names in that repository, the first that exists is taken.
        url: A plain address instead of a repository, or None. A .zip holds one .pt file.
    """

    repo: str | None = None
    files: tuple[str, ...] = ()
    url: str | None = None

    @property
    def file_name(self) -> str:
        """Name that the weights have on this machine."""
        if self.url is not None:
            return self.url.rsplit("/", 1)[-1].removesuffix(".zip") + ".pt"
        return self.files[0].rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One model of the registry.

    Attributes:
        name: What people type.
        architecture: open_clip's name, or "starter" for the model in the box.
        weights: Where they come from; None for the model in the box.
        activation: "gelu" or "quickgelu" ("relu6" for the starter's image tower).
        dim: Length of an embedding.
        licence: Terms of the weights, one line.
        source: Who made it, where.
        note: What is unverified, or good to know.
        image_size_px: Side of the square that the image tower takes, px.
        mean: Subtracted from RGB in [0, 1].
        std: Divides what is left.
        ground_size_m: (low, typical, high) ground side of training images, m, or None.
    """

    name: str
    architecture: str
    weights: WeightsSource | None
    activation: str
    dim: int
    licence: str
    source: str
    note: str = ""
    image_size_px: int = 224
    mean: Triple = field(default=CLIP_MEAN)
    std: Triple = field(default=CLIP_STD)
    ground_size_m: Triple | None = None


_REMOTECLIP_NOTE = (
    "quickgelu is a default that awaits proof: the authors' two loading scripts disagree "
    "(--activation gelu tries the other); ground size is an estimate"
)
_GEORSCLIP_NOTE = "licence is the repository's, the weights state none; ground size is an estimate"
_SKYCLIP_NOTE = (
    "activation follows the weights it was tuned from (unverified); ground size is an estimate"
)
_OPEN_CLIP_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_SKYSCRIPT = "https://opendatasharing.s3.us-west-2.amazonaws.com/SkyScript/ckpt/"


def _remoteclip(architecture: str, dim: int) -> ModelEntry:
    return ModelEntry(
        name=f"remoteclip-{architecture.lower()}",
        architecture=architecture,
        weights=WeightsSource(
            repo="chendelong/RemoteCLIP", files=(f"RemoteCLIP-{architecture}.pt",)
        ),
        activation="quickgelu",
        dim=dim,
        licence="none found with the weights: ask their authors before other than research use",
        source="Liu et al. 2023, github.com/ChenDelong1999/RemoteCLIP",
        note=_REMOTECLIP_NOTE,
        ground_size_m=(50.0, 250.0, 2000.0),
    )


def _georsclip(architecture: str, dim: int, activation: str) -> ModelEntry:
    return ModelEntry(
        name=f"georsclip-{architecture.lower()}",
        architecture=architecture,
        weights=WeightsSource(repo="Zilun/GeoRSCLIP", files=(f"ckpt/RS5M_{architecture}.pt",)),
        activation=activation,
        dim=dim,
        licence="MIT (of the repository)",
        source="Zhang et al. 2023 (RS5M), github.com/om-ai-lab/RS5M",
        note=_GEORSCLIP_NOTE,
        ground_size_m=(50.0, 300.0, 2000.0),
    )


def _skyclip(architecture: str, dim: int, file: str, activation: str) -> ModelEntry:
    return ModelEntry(
        name=f"skyclip-{architecture.lower()}",
        architecture=architecture,
        weights=WeightsSource(url=f"{_SKYSCRIPT}{file}.zip"),
        activation=activation,
        dim=dim,
        licence="MIT (of the repository)",
        source="Wang et al. 2024 (SkyScript), github.com/wangzhecheng/SkyScript",
        note=_SKYCLIP_NOTE,
        ground_size_m=(50.0, 300.0, 3000.0),
    )


def _openai(architecture: str, dim: int, repo: str) -> ModelEntry:
    return ModelEntry(
        name=f"openai-{architecture.lower()}",
        architecture=architecture,
        weights=WeightsSource(repo=repo, files=_OPEN_CLIP_FILES),
        activation="quickgelu",
        dim=dim,
        licence="MIT",
        source="Radford et al. 2021, github.com/openai/CLIP",
        note="everyday photographs: a baseline, not a model for scenes",
    )


def _laion(architecture: str, dim: int, repo: str, scale: tuple[Triple, Triple]) -> ModelEntry:
    return ModelEntry(
        name=f"laion-{architecture.lower()}",
        architecture=architecture,
        weights=WeightsSource(repo=repo, files=_OPEN_CLIP_FILES),
        activation="gelu",
        dim=dim,
        licence="MIT",
        source="Cherti et al. 2023, github.com/mlfoundations/open_clip",
        note="everyday photographs: a baseline, not a model for scenes",
        mean=scale[0],
        std=scale[1],
    )


_STARTER = ModelEntry(
    name=STARTER,
    architecture=STARTER,
    weights=None,
    activation="relu6",
    dim=256,
    licence="see its licence note",
    source="trained from ImageNet's EfficientNet-lite0 by georclip's own `georclip train`",
    image_size_px=160,
    mean=HALF,
    std=HALF,
)

_ENTRIES = (
    _STARTER,
    _remoteclip("RN50", 1024),
    _remoteclip("ViT-B-32", 512),
    _remoteclip("ViT-L-14", 768),
    _georsclip("ViT-B-32", 512, "quickgelu"),
    _georsclip("ViT-H-14", 1024, "gelu"),
    _skyclip("ViT-B-32", 512, "SkyCLIP_ViT_B32_top50pct", "gelu"),
    _skyclip("ViT-L-14", 768, "SkyCLIP_ViT_L14_top30pct_filtered_by_CLIP_laion_RS", "quickgelu"),
    _openai("RN50", 1024, "timm/resnet50_clip.openai"),
    _openai("ViT-B-32", 512, "timm/vit_base_patch32_clip_224.openai"),
    _openai("ViT-L-14", 768, "timm/vit_large_patch14_clip_224.openai"),
    _laion("ViT-B-32", 512, "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", (CLIP_MEAN, CLIP_STD)),
    _laion("ViT-L-14", 768, "laion/CLIP-ViT-L-14-laion2B-s32B-b82K", (HALF, HALF)),
)

MODELS = MappingProxyType({entry.name: entry for entry in _ENTRIES})
"""Every named model, the one in the box first."""


def get(name: str) -> ModelEntry:
    """Look a model up.

    Raises:
        EncoderError: No model has that name; the names there are are listed.
    """
    entry = MODELS.get(name.lower())
    if entry is None:
        raise EncoderError(f"no model is called {name!r}; there are: {', '.join(MODELS)}")
    return entry
