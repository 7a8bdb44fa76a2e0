"""The exporter: a Keras model in, a `.tflite` that trains and its manifest out."""

import os
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tinytl_tf.data import CENTRAL_FRACTION
from tinytl_tf.errors import InputError
from tinytl_tf.export.build import build_file, with_int8_kernels
from tinytl_tf.export.manifest import write_manifest
from tinytl_tf.export.parity import check_parity, check_quantized, random_photos
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.files import atomic_write_bytes, refuse_existing
from tinytl_tf.optimizers import Optimizer, get_optimizer
from tinytl_tf.profiles import FROZEN_WEIGHTS, get_profile
from tinytl_tf.tflite.manifest import manifest_path

__all__ = ["export"]

PARITY_STEPS = 4


def export(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    labels: Sequence[str],
    scheme: str,
    optimizer: str = "sgd",
    batch_size: int = 8,
    label_smoothing: float = 0.0,
    save_optimizer: bool = False,
    frozen_weights: str = "float32",
    profile: str = "balanced",
    photos: tuple[np.ndarray, np.ndarray] | None = None,
    central_fraction: float = CENTRAL_FRACTION,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Writes a `.tflite` that goes on training the model's trainable variables, and its manifest beside it.

    The file has the signatures `train`, `infer`, `save`, `restore` and `reset`, see `TrainableModule`, and builtin
    operators alone. It is written only after it trained like TensorFlow, see `check_parity`.

    Args:
        model: a network of `tinytl_tf.backbones`; its trainable variables are trained on the device.
        path: the file to write; must end in `.tflite`.
        labels: names of the classes, in the order of the outputs.
        scheme: name of the update scheme that was applied, for the manifest.
        optimizer: `"sgd"`, `"momentum"` or `"adam"`.
        batch_size: images of a training step. The memory of a step is that of one image.
        label_smoothing: of the loss, in [0, 1).
        save_optimizer: whether the saved state holds the optimizer's slots too.
        frozen_weights: `"float32"`, or `"int8"` for the kernels of frozen convolutions, see `quantize_kernels`. Such a
            file is first checked with float32, and then against that, see `check_quantized`.
        profile: `"min-memory"`, `"balanced"` or `"fast"`, see `Profile`.
        photos: images `[steps, batch, height, width, 3]` of uint8 and their labels `[steps, batch]` of int32, on
            which int8 is judged; without them made-up ones, on which a trained network is less sure of itself.
        central_fraction: part of an image's side that the model is evaluated on, for the manifest.
        overwrite: whether existing files may be replaced.

    Returns:
        The manifest.

    Raises:
        InputError: for an argument out of range, an operator that is no builtin, or a failed parity check.

    Example:
    >>> apply_scheme(model.weights, get_scheme("tinytl-b"))
    >>> export(model, "flowers.tflite", labels=["daisy", "rose"], scheme="tinytl-b")
    """
    path = pathlib.Path(path)
    rule, profile = get_optimizer(optimizer), get_profile(profile)
    if frozen_weights not in FROZEN_WEIGHTS:
        raise InputError(f"frozen_weights must be one of {', '.join(FROZEN_WEIGHTS)}, got {frozen_weights!r}")
    if path.suffix != ".tflite":
        raise InputError(f"an exported file must end in .tflite, got {path}")
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    if not 0 <= label_smoothing < 1:
        raise InputError(f"label_smoothing must be in [0, 1), got {label_smoothing}")
    classes = model.output_shape[-1]
    if len(labels) != classes:
        raise InputError(f"expected {classes} labels, one for each output of the model, got {len(labels)}")
    if not model.trainable_variables:
        raise InputError("the model has no trainable variable; apply an update scheme first")
    for file in (path, manifest_path(path)):
        refuse_existing(file, overwrite)

    def build(rule: Optimizer) -> tuple[bytes, dict[str, int]]:
        module = TrainableModule(
            model,
            model.trainable_variables,
            optimizer=rule,
            batch_size=batch_size,
            label_smoothing=label_smoothing,
            save_optimizer=save_optimizer,
            profile=profile,
        )
        return build_file(module)

    content, passes = build(rule)
    with tempfile.TemporaryDirectory() as folder:
        draft = pathlib.Path(folder) / path.name
        draft.write_bytes(content)
        made_up = random_photos(PARITY_STEPS, batch_size, model.input_shape[1:3], classes)
        parity = check_parity(
            draft, model, optimizer=optimizer, label_smoothing=label_smoothing, images=made_up[0], labels=made_up[1]
        )
        if frozen_weights == "int8":
            # Adam's steps do not show the gradient that int8 is judged by; those of the same network with SGD do.
            judged = build(get_optimizer("sgd"))[0] if optimizer == "adam" else content
            int8, float32 = pathlib.Path(folder) / "int8.tflite", pathlib.Path(folder) / "float32.tflite"
            int8.write_bytes(with_int8_kernels(judged))
            float32.write_bytes(judged)
            images, true_labels = photos or made_up
            parity["int8"] = check_quantized(
                int8, float32, model.trainable_variables, images=images, labels=true_labels
            )
            content = with_int8_kernels(content)
            draft.write_bytes(content)
        manifest = write_manifest(
            draft,
            backbone=model.name,
            scheme=scheme,
            optimizer=optimizer,
            labels=labels,
            central_fraction=central_fraction,
            profile=profile,
            frozen_weights=frozen_weights,
            passes=passes,
            parity=parity,
        )
        manifest_content = manifest_path(draft).read_bytes()
    manifest_path(path).unlink(missing_ok=True)  # A kill from here on leaves no file with the manifest of another.
    atomic_write_bytes(path, content)
    atomic_write_bytes(manifest_path(path), manifest_content)
    return manifest
