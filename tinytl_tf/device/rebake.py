"""Writes learned values into the int8 file of the complete network, which then runs on the accelerator."""

import dataclasses
import math
import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tinytl_tf import files
from tinytl_tf.device.prefix_runner import TURN, PrefixRunner
from tinytl_tf.device.rebakable import KERNELS, require_rebakable
from tinytl_tf.device.trainable_model import TrainableModel
from tinytl_tf.errors import InputError, ParityError
from tinytl_tf.networks.spec import CLASSIFIER_BIAS, CLASSIFIER_KERNEL
from tinytl_tf.tflite.coral_manifest import CoralManifest
from tinytl_tf.tflite.edge_tpu import lint
from tinytl_tf.tflite.edit import add_buffer
from tinytl_tf.tflite.float_twin import constant, float_twin, quantization_of, set_quantization, tensor_ranges
from tinytl_tf.tflite.graph import Operator
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.snr import snr_db

__all__ = ["MOST_LOSS_DB", "RebakeResult", "rebake"]

MOST_LOSS_DB = 3.0  # maximum loss of signal-to-noise ratio since the export
_LOWEST, _HIGHEST = -128, 127
_LARGEST_BIAS = 2**30  # leaves room in 32 bits for the products that are added to the bias
_KEEP_SCALE = frozenset(["AVERAGE_POOL_2D", "PAD"])  # their outputs have the scale of their inputs


@dataclasses.dataclass(frozen=True)
class RebakeResult:
    """Result of `rebake`.

    Attributes:
        snr_db: Signal-to-noise ratio, in decibels, of the new file's logits against the float network's, over the
            photos.
        exported_snr_db: The same for the exported file, measured during its export.
        photos: Number of photos on which ranges and noise were measured.
        lint: Known reasons why the file may not compile.
    """

    snr_db: float
    exported_snr_db: float
    photos: int
    lint: tuple[str, ...]


def rebake(
    coral: str | os.PathLike,
    state: str | os.PathLike,
    output: str | os.PathLike,
    photos: Iterable[np.ndarray],
    *,
    overwrite: bool = False,
) -> RebakeResult:
    """Writes a copy of the complete int8 network that contains the values learned on the device.

    Each bias is quantized as `round(b / (input scale * filter scale))`, with the scales of its convolution; the
    classifier's kernel is quantized again with a new scale. Because the learned biases shift the activation ranges, a
    float version of the graph measures those ranges again on `photos`. TensorFlow is not needed.

    Args:
        coral: The export's `coral.json`. The files it lists must be in the same folder.
        state: A `.tinytl` file saved from the export's suffix.
        output: The `.tflite` to write. Compile it for the Edge TPU, like the exported `model_int8.tflite`.
        photos: Images, uint8 `[H, W, 3]`, similar to the images that the network will see in use.
        overwrite: Whether an existing file may be replaced.

    Returns:
        A `RebakeResult`, including the signal-to-noise ratio of the int8 outputs against the float outputs.

    Raises:
        InputError: If a file is missing, damaged or from a different export; if the export has no int8 file; or if
            there are no photos or they have the wrong type or shape.
        ParityError: If the signal-to-noise ratio is more than `MOST_LOSS_DB` below that of the exported file; nothing
            is written.

    Example:
        >>> rebake("boards/coral.json", "mine.tinytl", "mine_int8.tflite", photos).snr_db  # doctest: +SKIP
        36.1
    """
    manifest = CoralManifest.read(coral)
    files.refuse_existing(output, overwrite)
    source, suffix = manifest.part(coral, "int8"), manifest.part(coral, "suffix")
    learned, whole = TrainableModel(suffix), TrainableModel(manifest.part(coral, "model"))
    if whole.manifest is None or whole.manifest.state != learned.manifest.state:
        raise InputError(f"expected one state for {suffix.name} and the complete network in {coral}; export both again")
    start, model = _values(learned), Model.read(source)
    require_rebakable(model, manifest, start, f"{source} of {coral}")
    learned.restore(state)
    whole.set_state(learned.state())
    images = [np.asarray(photo) for photo in photos]
    if not images or any(image.dtype != np.uint8 or image.shape != manifest.image.shape for image in images):
        wanted = f"photos, uint8 {list(manifest.image.shape)}"
        raise InputError(f"expected {wanted}, got {len(images)}; give images of the data that the network is for")
    floats = [_pixels(image).astype(np.float32) - manifest.image.zero_point for image in images]
    floats = [image * np.float32(manifest.image.scale) for image in floats]
    content = _rebaked(model, manifest.rebake, start, _values(learned), floats)
    result = _judge(content, images, whole, manifest)
    files.atomic_write_bytes(output, content)
    return result


def _values(model: TrainableModel) -> dict[str, np.ndarray]:
    """The trained variables of a model by path; slots are left out."""
    state, entries = model.state(), [entry for entry in model.manifest.state if not entry.slot]
    return {e.name: state[e.offset : e.offset + math.prod(e.shape)].reshape(e.shape) for e in entries}


def _pixels(image: np.ndarray) -> np.ndarray:
    return image.astype(np.int16) - TURN


def _rebaked(
    model: Model,
    tensors: Mapping[str, int],
    start: Mapping[str, np.ndarray],
    values: Mapping[str, np.ndarray],
    images: Sequence[np.ndarray],
) -> bytes:
    """Changes the integers of a file; `start` has the old values of the trained variables, `values` the new values."""
    graph, subgraph = model.graphs[0], model.schema.subgraphs[0]
    convolutions = [op for op in graph.operators if op.name in KERNELS]
    floats = {op.inputs[2]: constant(model.schema, subgraph.tensors[op.inputs[2]]) for op in convolutions}
    for path, index in tensors.items():
        if path == CLASSIFIER_KERNEL:
            floats[index] = values[path].T.astype(np.float64)
        elif path == CLASSIFIER_BIAS:
            floats[index] = values[path].astype(np.float64)
        else:  # the part of the bias that comes from the norm is kept
            floats[index] = floats[index] + (values[path].astype(np.float64) - start[path])
    ranges = tensor_ranges(float_twin(model, floats), images)
    changed = set(tensors.values())
    first = next(i for i, op in enumerate(graph.operators) if changed.intersection(op.inputs))
    joined = _joined(graph.operators)
    for op in graph.operators[first:]:
        source, target = op.inputs[0], op.outputs[0]
        members = joined.get(target, frozenset())
        is_free = members.isdisjoint(graph.inputs)  # the scale of the image stays
        if members and is_free:
            lows, highs = zip(*(ranges[index] for index in members), strict=True)
            for index in members:
                set_quantization(subgraph.tensors[index], *_scale_of(min(lows), max(highs)))
        elif members or op.name in _KEEP_SCALE:
            set_quantization(subgraph.tensors[target], *quantization_of(subgraph.tensors[source]))
        else:
            set_quantization(subgraph.tensors[target], *_scale_of(*ranges[target]))
    for op in convolutions:
        _set_convolution(model, op, floats[op.inputs[2]], floats.get(op.inputs[1]))
    return model.to_bytes()


def _joined(operators: Sequence[Operator]) -> dict[int, frozenset[int]]:
    """Returns, for each tensor that has to share its scale with those it is joined with, all tensors with that scale.

    The inputs and the output of a CONCATENATION have one scale, and so has the source of an operator that keeps it:

        AVERAGE_POOL_2D 3 -> 4, CONCATENATION (4, 5) -> 6: 3, 4, 5 and 6 share a scale
    """
    groups: dict[int, frozenset[int]] = {}
    for op in operators:
        if op.name == "CONCATENATION":
            _join(groups, {*op.inputs, *op.outputs})
    for op in reversed(operators):
        if op.name in _KEEP_SCALE and op.outputs[0] in groups:
            _join(groups, {op.inputs[0], op.outputs[0]})
    for op in operators:
        if op.name in _KEEP_SCALE and op.inputs[0] in groups:
            _join(groups, {op.inputs[0], op.outputs[0]})
    return groups


def _join(groups: dict[int, frozenset[int]], tensors: set[int]) -> None:
    whole = frozenset(tensors).union(*(groups.get(index, ()) for index in tensors))
    groups.update(dict.fromkeys(whole, whole))


def _set_convolution(model: Model, op: Operator, shift: np.ndarray, weights: np.ndarray | None) -> None:
    """Quantizes and stores the bias and, if it is new, the kernel of a convolution."""
    image, kernel, bias = (model.schema.subgraphs[0].tensors[index] for index in op.inputs)
    image_scale, old_scales = quantization_of(image)[0], quantization_of(kernel)[0]
    scales = old_scales if weights is None else np.array([np.abs(weights).max() / _HIGHEST or 1.0])
    # A filter with tiny weights gets a larger scale, so that its bias fits into an integer, as in the converter.
    least = np.abs(shift) / (image_scale * _LARGEST_BIAS)
    scales = np.maximum(scales, least if len(scales) > 1 else least.max())
    if weights is not None or (scales != old_scales).any():
        weights = constant(model.schema, kernel) if weights is None else weights
        others = [axis for axis in range(weights.ndim) if axis != kernel.quantization.quantizedDimension]
        along = scales if len(scales) == 1 else np.expand_dims(scales, others)
        set_quantization(kernel, scales, np.zeros(len(scales)))
        _store(model, kernel, np.round(weights / along).astype(np.int8))
    set_quantization(bias, image_scale * scales, np.zeros(len(scales)))
    integers = np.round(shift / (image_scale * scales))
    _store(model, bias, np.clip(integers, -_LARGEST_BIAS, _LARGEST_BIAS).astype(np.int32))


def _scale_of(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the int8 scale and zero point for a range, which is extended to include zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / (_HIGHEST - _LOWEST) or 1.0
    zero_point = min(max(round(_LOWEST - low / scale), _LOWEST), _HIGHEST)
    return np.array([scale]), np.array([zero_point])


def _store(model: Model, tensor, content: np.ndarray) -> None:
    """Stores a constant in a buffer of its own, because equal constants may share a buffer."""
    tensor.buffer = add_buffer(model.schema, content)


def _judge(
    content: bytes, images: Sequence[np.ndarray], whole: TrainableModel, manifest: CoralManifest
) -> RebakeResult:
    expected = np.stack([whole.infer(image).logits for image in images])
    with files.temporary_folder() as folder:
        path = folder / "rebaked.tflite"
        path.write_bytes(content)
        runner = PrefixRunner(path)
        integers = np.stack([runner(image) for image in images])[:, : expected.shape[1]]
    logits = (integers.astype(np.float64) - runner.output["zero_point"]) * runner.output["scale"]
    ratio, exported = snr_db(expected, logits), manifest.snr_db["int8"]
    if not ratio >= exported - MOST_LOSS_DB:
        raise ParityError(
            f"signal to noise of the rebaked file is {ratio:.1f} dB, of the exported one it was {exported:.1f} (at "
            f"most {MOST_LOSS_DB:.0f} less); nothing was written; give more photos, or quantize the network with the "
            "state again"
        )
    findings = tuple(finding.text for finding in lint(Model.from_bytes(content)))
    return RebakeResult(ratio, exported, len(images), findings)
