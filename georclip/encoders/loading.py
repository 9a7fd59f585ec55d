"""From a name, a file or an index's record to an encoder that runs here."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from georclip.encoders import registry
from georclip.encoders.registry import STARTER, ModelEntry
from georclip.encoders.weights import (
    fetch_weights,
    find_weights,
    recall_checkpoint,
    remember_checkpoint,
)
from georclip.errors import EncoderError, EncoderMismatchError
from georclip.values import EncoderSpec

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder
    from georclip.encoders.checkpoints import Checkpoint

AUTO = "auto"
STARTER_FOLDER = Path(__file__).parent / "starter"
ACTIVATIONS = ("gelu", "quickgelu")
DEVICES = ("auto", "cpu", "cuda")

_log = logging.getLogger("georclip")


def load_encoder(
    model: str = AUTO,
    *,
    weights: str | Path | None = None,
    activation: str | None = None,
    device: str = "auto",
    batch_size: int | None = None,
) -> Encoder:
    """Load an encoder by name, or from a local checkpoint.

    Args:
        model: "auto" (RemoteCLIP ViT-B-32 where torch and its weights are here, else the
            starter), a name of the registry, or, with `weights`, an open_clip architecture.
        weights: A .pt or .safetensors checkpoint, or a folder of exported towers.
        activation: "gelu" or "quickgelu", against what registry or checkpoint say.
        device: "auto", "cpu" or "cuda".
        batch_size: Pictures encoded at once; None chooses.

    Raises:
        EncoderError: It cannot be loaded; the message says what to do.
    """
    check_choices(activation, device)
    if weights is not None:
        encoder = _load_local(Path(weights), model, activation, device, batch_size)
    else:
        name = _choose() if model == AUTO else model
        encoder = _load_named(name, activation, device, batch_size)
    _log.info("encoder: %s on %s", encoder.spec.name, encoder.device)
    return encoder


def load_for_index(
    spec: EncoderSpec,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    batch_size: int | None = None,
) -> Encoder:
    """Load the encoder that made an index: the same weights, set up in the same way.

    A local checkpoint is looked for where it was when the index was made (a record in the user's
    cache); `weights` names it where it lies now.

    Args:
        spec: As the index holds it.
        weights: The checkpoint, where it is a local one that has moved.
        device: "auto", "cpu" or "cuda".
        batch_size: Pictures encoded at once; None chooses.

    Raises:
        EncoderMismatchError: What is here has other weights than those that made the index.
        EncoderError: It cannot be loaded here; the message says what is missing.
    """
    check_choices(None, device)
    if weights is not None:
        path = Path(weights)
    elif spec.name == STARTER:
        path = STARTER_FOLDER
    elif spec.name in registry.MODELS:
        require_torch(spec.name)
        path = fetch_weights(registry.get(spec.name))
    else:
        path = _recalled(spec)
    encoder = _load_with_spec(path, spec, device, batch_size)
    _log.debug("encoder: %s on %s", spec.name, encoder.device)
    return encoder


def torch_is_here() -> bool:
    """Whether torch and open_clip are installed; neither is imported."""
    try:
        return all(importlib.util.find_spec(name) for name in ("torch", "open_clip"))
    except (ImportError, ValueError):  # a module set to None, or without a spec
        return False


def _choose() -> str:
    """What "auto" means here, said through the logger."""
    best = registry.BEST_COMMON
    if not torch_is_here():
        _log.info(
            "model: %s, the one in the box; for %s: "
            'pip install "georclip[torch]", then georclip models fetch %s',
            STARTER, best, best,
        )  # fmt: skip
        return STARTER
    if find_weights(registry.get(best)) is None:
        _log.info(
            "model: %s, the one in the box; for %s: georclip models fetch %s", STARTER, best, best
        )
        return STARTER
    _log.info("model: %s, its weights are on this machine (--model starter: the small one)", best)
    return best


def _load_named(name: str, activation: str | None, device: str, batch_size: int | None) -> Encoder:
    entry = _entry(name)
    if entry.name == STARTER:
        if activation is not None:
            raise EncoderError(f"{STARTER} has its own activation: leave --activation out")
        return _load_bundle(STARTER_FOLDER, device)
    require_torch(entry.name)
    path = fetch_weights(entry)
    from georclip.encoders.checkpoints import read_checkpoint

    checkpoint = read_checkpoint(path)
    spec = EncoderSpec(
        name=entry.name,
        architecture=entry.architecture,
        activation=activation or entry.activation,
        weights_sha256=checkpoint.sha256,
        dim=entry.dim,
        image_size_px=entry.image_size_px,
        mean=entry.mean,
        std=entry.std,
        ground_size_m=entry.ground_size_m,
        licence=entry.licence,
    )
    return _open_clip_encoder(checkpoint, spec, device, batch_size)


def _load_local(
    path: Path, model: str, activation: str | None, device: str, batch_size: int | None
) -> Encoder:
    """An encoder from a person's own file or folder."""
    encoder: Encoder
    if path.is_dir():
        if path.resolve().name == STARTER:
            raise EncoderError(f"{path} is called as georclip's own model is: rename the folder")
        from georclip.encoders.bundle import BOTH_TOWERS, read_bundle

        if not read_bundle(path).has_images:  # before an index is made that nothing can be put into
            raise EncoderError(
                f"{path} holds a text tower alone: it answers questions, and embeds no picture; "
                f"{BOTH_TOWERS}"
            )
        encoder = _load_bundle(path, device, name=path.resolve().name)
        sha256 = encoder.spec.weights_sha256
    else:
        _require_file(path)
        require_torch(path.name)
        from georclip.encoders.checkpoints import read_checkpoint, read_metadata
        from georclip.encoders.local import checkpoint_spec

        metadata = read_metadata(path)
        if (metadata.architecture or model).startswith(f"{STARTER}-"):
            encoder = _compact_encoder(path, device)
        else:
            checkpoint = read_checkpoint(path)
            spec = checkpoint_spec(checkpoint, model=model, activation=activation)
            encoder = _open_clip_encoder(checkpoint, spec, device, batch_size)
        sha256 = encoder.spec.weights_sha256
    remember_checkpoint(sha256, path)
    return encoder


def _load_with_spec(path: Path, spec: EncoderSpec, device: str, batch_size: int | None) -> Encoder:
    """An encoder from a file, set up as `spec` says, if the file is the one that it names."""
    if path.is_dir():
        encoder: Encoder = _load_bundle(path, device)
        _check_same(encoder.spec, spec, path)
        return encoder
    _require_file(path)
    require_torch(spec.name)
    if spec.architecture.startswith(f"{STARTER}-"):
        encoder = _compact_encoder(path, device)
        _check_same(encoder.spec, spec, path)
        return encoder
    from georclip.encoders.checkpoints import read_checkpoint

    checkpoint = read_checkpoint(path)
    _check_same(replace(spec, weights_sha256=checkpoint.sha256), spec, path)
    return _open_clip_encoder(checkpoint, spec, device, batch_size)


def _check_same(found: EncoderSpec, wanted: EncoderSpec, path: Path) -> None:
    """Vectors may be compared if everything that decides them is equal."""
    if found.weights_sha256 == wanted.weights_sha256:
        named = replace(found, name=wanted.name, licence=wanted.licence)
        if replace(named, ground_size_m=wanted.ground_size_m) == wanted:
            return
    if path == STARTER_FOLDER:
        raise EncoderMismatchError(
            f"the index was made with other {STARTER} weights ({wanted.weights_sha256[:12]}) than "
            f"this georclip has ({found.weights_sha256[:12]}): use the version of georclip that "
            "made it, or index the scenes again into a new folder (-i)"
        )
    raise EncoderMismatchError(
        f"the index was made with {wanted.name} (sha256 {wanted.weights_sha256[:12]}), and {path} "
        f"is another (sha256 {found.weights_sha256[:12]}): name the right file with --weights, "
        "or index the scenes again into a new folder (-i)"
    )


def _recalled(spec: EncoderSpec) -> Path:
    """Where a local checkpoint was last seen."""
    place = recall_checkpoint(spec.weights_sha256)
    if place is not None and place.exists():
        return place
    last = f"it is no longer at {place}" if place else "where it lies is not known here"
    raise EncoderError(
        f"the index was made with a local checkpoint, {spec.name} "
        f"(sha256 {spec.weights_sha256[:12]}), and {last}: name it with --weights FILE or DIR"
    )


def _load_bundle(folder: Path, device: str, *, name: str | None = None) -> Encoder:
    if device == "cuda":
        raise EncoderError(
            f"--device cuda: exported towers such as {STARTER} run on the CPU; leave --device out"
        )
    from georclip.encoders.runtime import RuntimeEncoder

    return RuntimeEncoder.load(folder, name=name)


def _compact_encoder(path: Path, device: str) -> Encoder:
    from georclip.encoders.clip import choose_device
    from georclip.encoders.compact import TorchCompactEncoder, read_compact

    place = str(choose_device(device))
    towers, spec, tokenizer = read_compact(path)
    return TorchCompactEncoder(towers, replace(spec, name=path.name), tokenizer, place)


def _open_clip_encoder(
    checkpoint: Checkpoint, spec: EncoderSpec, device: str, batch_size: int | None
) -> Encoder:
    """Build the model that `spec` names, give it the weights, put it on the device."""
    from georclip.encoders.clip import OpenClipEncoder, build_model, choose_device, load_weights

    place = choose_device(device)  # before the long part
    model = build_model(
        spec.architecture, activation=spec.activation, image_size_px=spec.image_size_px
    )
    load_weights(
        model, checkpoint.state, architecture=spec.architecture, where=str(checkpoint.path)
    )
    return OpenClipEncoder(model, spec, device=place, batch_size=batch_size)


def _entry(name: str) -> ModelEntry:
    entry = registry.MODELS.get(name.lower())
    if entry is not None:
        return entry
    raise EncoderError(
        f"no model is called {name!r}; there are: {', '.join(registry.MODELS)} "
        "(an architecture such as ViT-B-32 needs --weights FILE)"
    )


def require_torch(name: str) -> None:
    """Check that torch is installed.

    Raises:
        EncoderError: It is not.
    """
    if not torch_is_here():
        raise EncoderError(f'{name} needs torch: pip install "georclip[torch]"')


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise EncoderError(f"there are no weights at {path}")


def check_choices(activation: str | None, device: str) -> None:
    """Check what a person said.

    Raises:
        EncoderError: There is no such activation or device.
    """
    if activation is not None and activation not in ACTIVATIONS:
        raise EncoderError(f"an activation is one of {', '.join(ACTIVATIONS)}, not {activation!r}")
    if device not in DEVICES:
        raise EncoderError(f"a device is one of {', '.join(DEVICES)}, not {device!r}")
