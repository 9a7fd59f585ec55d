"""An exported image tower in 8-bit integers: calibrated on pictures, its cost measured on others.

Weights of matrix products and full convolutions are rounded to 8 bits, symmetric for each output
channel; what goes into them is quantised between the mean of the pictures' least and greatest
values (the plain post-training scheme of Jacob et al. 2018, arXiv:1712.05877, section 3). Depthwise
convolutions stay as they are: they take little time, and lose most.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as op

from georclip.encoders.bundle import IMAGE_FILES, Bundle, joint_digest, read_bundle, write_bundle
from georclip.encoders.image_tower import IMAGE_BATCH, ImageTower, runtime_core
from georclip.encoders.preprocessing import preprocess, resize
from georclip.errors import EncoderError

LEAST_PICTURES = 32
"""With fewer, neither the ranges nor the cost mean much."""
CALIBRATED = 128
COMPARED = 256
_LAYERS = frozenset({"MatMul", "Convolution"})
_WRAPPERS = frozenset({"Convert", "Reshape"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """What rounding a tower to 8 bits cost and brought.

    Attributes:
        layers: That were rounded.
        pictures: That it was compared on, none of which it was calibrated on.
        least_cosine: Between a picture's embedding before and after.
        mean_cosine: Over all of them.
        before_s: Time a picture took before, s, of that size.
        after_s: ... and takes now.
    """

    layers: int
    pictures: int
    least_cosine: float
    mean_cosine: float
    before_s: float
    after_s: float


def quantise_bundle(source: Path, pixels: npt.NDArray[np.uint8], target: Path) -> Quantised:
    """Copy a folder of exported towers, with its image tower in 8 bits.

    Its vectors are others, and so is its digest: an index never mixes the two.

    Args:
        source: What `exporting.export_towers` wrote.
        pixels: Pictures of the kind that will be indexed, uint8 RGB (n, 3, height, width). Every
            second one calibrates, the others are compared.
        target: Made if missing.

    Raises:
        EncoderError: Too few pictures, or a tower that cannot be read or rounded.
    """
    bundle = read_bundle(source)
    bundle.check_whole()
    if not bundle.has_images:
        raise EncoderError(f"{source} holds a text tower alone: there is nothing to round")
    if len(pixels) < LEAST_PICTURES:
        raise EncoderError(
            f"8 bits are calibrated on at least {LEAST_PICTURES} pictures, not {len(pixels)}"
        )
    spec = bundle.spec
    known = resize(pixels[::2][:CALIBRATED], spec.image_size_px)
    others = resize(pixels[1::2][:COMPARED], spec.image_size_px)
    target.mkdir(parents=True, exist_ok=True)
    for name in bundle.files:
        if name not in IMAGE_FILES:
            shutil.copyfile(source / name, target / name)
    path = source / IMAGE_FILES[0]
    ranges = _ranges(path, preprocess(known, spec.image_size_px, spec.mean, spec.std))
    graph = _rounded(path, ranges)
    with tempfile.TemporaryDirectory(dir=target) as scratch:
        ov.save_model(graph, Path(scratch) / IMAGE_FILES[0], compress_to_fp16=True)
        for name in IMAGE_FILES:
            (Path(scratch) / name).replace(target / name)
    made = write_bundle(
        target,
        spec=replace(spec, weights_sha256=joint_digest(target)),
        tokenizer=bundle.tokenizer,
        context_length=bundle.context_length,
        text=bundle.text,
        names=tuple(bundle.files),
        precision=bundle.precision,
    )
    return _compared(bundle, made, others, len(ranges))


def _compared(
    before: Bundle, after: Bundle, pixels: npt.NDArray[np.uint8], layers: int
) -> Quantised:
    rows, seconds = [], []
    for bundle in (before, after):
        tower = ImageTower(bundle, bundle.spec, bundle.precision)
        tower.encode(pixels[:IMAGE_BATCH])  # compiles
        started = time.perf_counter()
        rows.append(tower.encode(pixels))
        seconds.append((time.perf_counter() - started) / len(pixels))
    cosines = (rows[0] * rows[1]).sum(axis=1)
    return Quantised(
        layers=layers,
        pictures=len(pixels),
        least_cosine=float(cosines.min()),
        mean_cosine=float(cosines.mean()),
        before_s=seconds[0],
        after_s=seconds[1],
    )


def _layers(graph: ov.Model) -> Iterator[tuple[Any, Any]]:
    """Layers with constant weights, each with the constant, in a fixed order."""
    for node in graph.get_ordered_ops():
        if node.get_type_name() in _LAYERS:
            weights = node.input_value(1).get_node()
            while weights.get_type_name() in _WRAPPERS:
                weights = weights.input_value(0).get_node()
            if weights.get_type_name() == "Constant":
                yield node, weights


def _ranges(path: Path, batch: npt.NDArray[np.float32]) -> list[tuple[float, float]]:
    """(low, high) of what goes into each layer: the mean over pictures of their extremes."""
    core = runtime_core()
    graph = core.read_model(path)
    inputs = [node.input_value(0) for node, _ in _layers(graph)]
    if not inputs:
        raise EncoderError(f"{path} has no layer that 8 bits are known for")
    extremes = [
        made.output(0)
        for value in inputs
        for made in (_extreme(op.reduce_min, value), _extreme(op.reduce_max, value))
    ]
    graph.add_outputs(extremes)
    graph.reshape([1, *batch.shape[1:]])
    compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = np.array(
        [
            [float(value) for value in list(compiled(picture[None]).values())[1:]]
            for picture in batch
        ]
    ).mean(axis=0)
    return [(float(low), float(high)) for low, high in found.reshape(-1, 2)]


def _extreme(reduce: Any, value: Any) -> Any:  # noqa: ANN401  OpenVINO types nothing finer
    """A node that holds the least or greatest value of another's output."""
    axes = np.arange(value.get_partial_shape().rank.get_length())
    return reduce(value, op.constant(axes.astype(np.int64)), False)


def _rounded(path: Path, ranges: list[tuple[float, float]]) -> ov.Model:
    """The graph with weights in 8 bits, and with what goes into them rounded to as many."""
    graph = runtime_core().read_model(path)
    shared: dict[tuple[str, int], Any] = {}  # one value goes into several layers: rounded once
    for (node, constant), extremes in zip(list(_layers(graph)), ranges, strict=True):
        value = node.input_value(0)
        key = value.get_node().get_friendly_name(), value.get_index()
        if key not in shared:
            shared[key] = _rounded_value(value, *extremes)
        node.input(0).replace_source_output(shared[key].output(0))
        shape = list(node.input_value(1).get_shape())
        weights = np.array(constant.data, dtype=np.float32).reshape(shape)
        node.input(1).replace_source_output(_rounded_weights(node, weights).output(0))
    graph.validate_nodes_and_infer_types()
    return graph


def _rounded_value(value: Any, low: float, high: float) -> Any:  # noqa: ANN401
    """256 levels from low to high, moved so that 0 is one of them."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = max((high - low) / 255, 1e-12)
    zero = round(-low / step)
    rank = value.get_partial_shape().rank.get_length()
    first, last = (
        op.constant(np.full([1] * rank, level * step, dtype=np.float32))
        for level in (-zero, 255 - zero)
    )
    return op.fake_quantize(value, first, last, first, last, 256)


def _rounded_weights(node: Any, weights: npt.NDArray[np.float32]) -> Any:  # noqa: ANN401
    """Integers from -127 to 127, times a scale for each output channel."""
    if node.get_type_name() == "Convolution":
        axes: tuple[int, ...] = (1, 2, 3)  # (output, input, height, width)
    else:
        axes = (1,) if node.get_attributes()["transpose_b"] else (0,)
    scale = np.abs(weights).max(axis=axes, keepdims=True) / np.float32(127)
    scale = np.maximum(scale, np.float32(1e-12))
    whole = op.constant(np.rint(weights / scale).astype(np.int8))
    return op.multiply(op.convert(whole, "f32"), op.constant(scale))
