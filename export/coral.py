"""The export for Coral boards: an int8 prefix for the Edge TPU compiler, and a suffix that trains on the CPU."""

import dataclasses
import hashlib
import os
import sys
from collections.abc import Sequence

import keras
import numpy as np

from tinytl_tf.backbones.split import SplitModel, dequantizing, split_model
from tinytl_tf.data import CENTRAL_FRACTION
from tinytl_tf.device.prefix_runner import PrefixRunner
from tinytl_tf.errors import InputError, ParityError
from tinytl_tf.export.build import build_file
from tinytl_tf.export.contract import check_labels, check_model, scheme_of
from tinytl_tf.export.exporter import PARITY_STEPS, check_arguments, check_rate, check_spare, export, with_labels
from tinytl_tf.export.int8 import convert_int8, require_one_scale
from tinytl_tf.export.manifest import describe
from tinytl_tf.export.native_log import quiet_unless_verbose
from tinytl_tf.export.packing import state_entries
from tinytl_tf.export.parity import check_parity, random_photos
from tinytl_tf.export.rebake_map import rebake_map
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.export.spare_classes import with_spare_classes
from tinytl_tf.files import atomic_write_bytes, refuse_existing, require_room, temporary_folder
from tinytl_tf.layers import FrozenConv2D
from tinytl_tf.networks.spec import CLASSIFIER
from tinytl_tf.networks.variables import branch_of, variable_spec
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.profiles import get_profile
from tinytl_tf.schedules import DEFAULT_SCHEDULE
from tinytl_tf.tflite.coral_manifest import PART_NAMES, CoralManifest, Quantized, coral_files
from tinytl_tf.tflite.edge_tpu import lint
from tinytl_tf.tflite.manifest import DataSettings, Manifest, frozen_sha256
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.snr import snr_db

__all__ = ["CoralExport", "export_coral", "run_int8"]

LEAST_SNR_DB = 10.0  # of the features; below it, quantization has lost too much for a suffix to learn
_MOST_SNR_DB = 200.0  # reported if the outputs are equal
_JUDGED = 16  # photos to measure the signal to noise on


@dataclasses.dataclass(frozen=True)
class CoralExport:
    """Result of an export for a Coral board.

    Attributes:
        coral: Content of `coral.json`.
        suffix: Manifest of the file that trains on features.
        model: Manifest of the file with the complete network.
    """

    coral: CoralManifest
    suffix: Manifest
    model: Manifest


@quiet_unless_verbose
def export_coral(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    split: str,
    calibration: np.ndarray,
    labels: Sequence[str],
    task: str = "classification",
    spare_classes: int = 0,
    optimizer: str = "sgd",
    batch_size: int = 8,
    label_smoothing: float = 0.0,
    save_optimizer: bool = False,
    profile: str = "balanced",
    central_fraction: float = CENTRAL_FRACTION,
    data: DataSettings | None = None,
    learning_rate: float | None = None,
    schedule: str = DEFAULT_SCHEDULE,
    overwrite: bool = False,
    verbose: bool = False,
) -> CoralExport:
    """Writes the files of a network that is split into an int8 prefix and a suffix that trains.

    The folder of `path` gets the complete network and its manifest, as written by `export`, and these files:

    * `prefix_int8.tflite` takes int8 pixels (the uint8 value minus 128) and returns int8 features.
    * `suffix_train.tflite`, with its manifest, has the signatures of `TrainableModule` and takes these features.
    * `model_int8.tflite` is the complete network in int8, for `rebake` to write learned values into. It is written
      only if nothing but biases and the classifier train, and without spare classes.
    * `coral.json` describes the files and is written last; see `CoralManifest`.

    States of the suffix have the same parts as states of the complete network.

    Nothing is compiled. The prefix is checked with the rules of `tinytl_tf.tflite.edge_tpu`, and compared with the
    float network.

    Args:
        model: A network from `tinytl_tf.backbones`. Its trained variables must be after the split.
        path: The file to write for the complete network; must end in `.tflite`.
        split: Name of the first place of the suffix; see `split_places`.
        calibration: Photos to measure quantization ranges with, uint8 `[n, height, width, 3]`.
        labels: See `export`.
        task: See `export`.
        spare_classes: See `export`.
        optimizer: See `export`.
        batch_size: See `export`.
        label_smoothing: See `export`.
        save_optimizer: See `export`.
        profile: See `export`.
        central_fraction: See `export`.
        data: See `export`.
        learning_rate: See `export`.
        schedule: See `export`.
        overwrite: Whether existing files may be replaced.
        verbose: See `export`.

    Returns:
        The manifests.

    Raises:
        InputError: If an argument is out of range, if the prefix would contain trained variables, or if the compiler is
            known to reject the prefix. Nothing is written.
        ParityError: If a file does not compute the same as TensorFlow. Nothing is written.

    Example:
        >>> photos = np.stack(images)  # doctest: +SKIP
        >>> export_coral(model, "boards/a.tflite", split="block_13", calibration=photos, labels=names)  # doctest: +SKIP
    """
    check_arguments(path, batch_size, label_smoothing, central_fraction, "float32", spare_classes)
    check_spare(spare_classes, task)
    check_rate(learning_rate, schedule)
    paths = coral_files(path)
    if paths["model"].name in PART_NAMES.values():
        raise InputError(
            f"expected another name than {paths['model'].name} for the complete file: a part has this name"
        )
    for file in paths.values():
        refuse_existing(file, overwrite)
    check_model(model)
    require_one_scale(model)
    scheme, names = scheme_of(model), check_labels(labels, model.output_shape[-1])
    rule, memory = get_optimizer(optimizer), get_profile(profile)
    wide = with_spare_classes(model, spare_classes)
    parts = split_model(wide, split)
    _refuse_branches(parts)

    def say(what: str) -> None:
        if verbose:
            print(f"export: {what}", file=sys.stderr, flush=True)

    say(f"quantizing the layers before {split}, by {len(calibration)} photos")
    prefix = convert_int8(parts.prefix, calibration)
    findings = lint(Model.from_bytes(prefix))
    refused = [finding.text for finding in findings if finding.refuses]
    if refused:
        raise InputError(f"the Edge TPU's compiler would refuse the prefix: {refused[0]}; split at another place")
    judged = calibration[:_JUDGED]
    features, image = run_int8(prefix, judged)
    snr = {"prefix": _ratio(features, parts.prefix, judged)}
    if not snr["prefix"] >= LEAST_SNR_DB:
        raise ParityError(
            f"int8 check failed: signal to noise of the features is {snr['prefix']:.1f} dB against float (at least "
            f"{LEAST_SNR_DB:.0f}); nothing was written; calibrate with more photos, or split at an earlier place"
        )
    whole, tensors = b"", {}
    if not spare_classes and _can_rebake(
        wide
    ):  # with spare classes, the bias of an unused output, -10000, would use up the int8 range
        say("quantizing the whole network")
        whole = convert_int8(wide, calibration)
        tensors = rebake_map(wide, Model.from_bytes(whole))
        snr["int8"] = _ratio(run_int8(whole, judged)[0], wide, judged)

    say(f"converting the layers behind it, and training {PARITY_STEPS} steps in TensorFlow and in LiteRT")
    suffix = dequantizing(parts.suffix, features.scale, features.zero_point)
    module = TrainableModule(
        suffix,
        suffix.trainable_variables,
        optimizer=rule,
        batch_size=batch_size,
        task=task,
        spare_classes=spare_classes,
        label_smoothing=float(label_smoothing),
        save_optimizer=save_optimizer,
        profile=memory,
        inputs="features",
    )
    content, passes = build_file(module)
    made_up, its_labels = random_photos(PARITY_STEPS, batch_size, model.input_shape[1:3], len(names), task)
    made_up = run_int8(prefix, made_up.reshape(-1, *model.input_shape[1:]))[0].values
    with temporary_folder() as folder:
        draft = folder / "suffix.tflite"
        draft.write_bytes(content)
        parity = check_parity(
            draft,
            suffix,
            optimizer=optimizer,
            label_smoothing=float(label_smoothing),
            images=made_up.reshape(PARITY_STEPS, batch_size, *made_up.shape[1:]),
            labels=its_labels,
            task=task,
            classes=len(names),
        )
    content = with_labels(content, task, names, spare_classes)
    settings = data or DataSettings()
    # Random crops and colors make a new image each time, so that features could not be cached.
    suffix_settings = dataclasses.replace(settings, crop=False, color="none")
    suffix_manifest = describe(
        content,
        image_size=model.input_shape[1:3],
        labels=names,
        spare_classes=spare_classes,
        task=task,
        data=suffix_settings,
        learning_rate=learning_rate,
        schedule=schedule,
        central_fraction=central_fraction,
        backbone=model.name,
        scheme=scheme,
        optimizer=optimizer,
        label_smoothing=float(label_smoothing),
        profile=memory.name,
        xnnpack=memory.xnnpack,
        frozen_weights="float32",
        state=state_entries(suffix.trainable_variables, rule, save_optimizer),
        frozen_sha256=frozen_sha256({v.path: v.numpy() for v in wide.non_trainable_weights}),
        passes=passes,
        parity=parity,
    )
    for file in paths.values():
        require_room(file, len(prefix) + len(whole) + 2 * len(content))
    paths["coral"].unlink(missing_ok=True)  # If killed from here on, no coral.json lists mismatched files.
    model_manifest = export(
        model,
        path,
        labels=names,
        task=task,
        spare_classes=spare_classes,
        optimizer=optimizer,
        batch_size=batch_size,
        label_smoothing=label_smoothing,
        save_optimizer=save_optimizer,
        profile=profile,
        central_fraction=central_fraction,
        data=settings,
        learning_rate=learning_rate,
        schedule=schedule,
        overwrite=overwrite,
        verbose=verbose,
    )
    contents = {"prefix": prefix, "suffix": content, **({"int8": whole} if whole else {})}
    atomic_write_bytes(paths["suffix_manifest"], suffix_manifest.to_json().encode())
    for part, its_content in contents.items():
        atomic_write_bytes(paths[part], its_content)
    if not whole:
        paths["int8"].unlink(missing_ok=True)  # left from an earlier export
    manifest = CoralManifest(
        split=split,
        files={part: paths[part].name for part in (*contents, "model")},
        sha256={part: hashlib.sha256(its).hexdigest() for part, its in contents.items()}
        | {"model": model_manifest.sha256},
        image=image,
        features=Quantized(tuple(features.values.shape[1:]), features.scale, features.zero_point),
        calibration_images=len(calibration),
        snr_db=snr,
        lint=tuple(finding.text for finding in findings),
        rebake=tensors,
    )
    manifest.write(paths["coral"])
    return CoralExport(manifest, suffix_manifest, model_manifest)


def _ratio(got: "Int8Results", model: keras.Model, photos: np.ndarray) -> float:
    expected = np.asarray(model(photos.astype(np.float32), training=False))
    return round(min(snr_db(expected, got.floats()), _MOST_SNR_DB), 2)


@dataclasses.dataclass(frozen=True)
class Int8Results:
    """Outputs of an int8 file: int8 `values` `[n, ...]`, with their scale and zero point."""

    values: np.ndarray
    scale: float
    zero_point: int

    def floats(self) -> np.ndarray:
        """Returns the dequantized values as float32."""
        return (self.values.astype(np.float32) - self.zero_point) * np.float32(self.scale)


def run_int8(content: bytes, images: np.ndarray) -> tuple[Int8Results, Quantized]:
    """Runs a file from `convert_int8` on the CPU.

    Args:
        content: The `.tflite`.
        images: uint8 `[n, height, width, 3]`.

    Returns:
        The outputs for all images, and the quantization of the file's input.
    """
    with temporary_folder() as folder:
        file = folder / "int8.tflite"
        file.write_bytes(content)
        runner = PrefixRunner(file)
        values = np.stack([runner(image) for image in images])
    image = Quantized(tuple(runner.input["shape"]), runner.input["scale"], runner.input["zero_point"])
    return Int8Results(values, runner.output["scale"], runner.output["zero_point"]), image


def _refuse_branches(parts: SplitModel) -> None:
    """Rejects branches in the prefix: their norm does not run on the accelerator, nor do the operators after it."""
    branches = [layer.name for layer in parts.prefix.layers if branch_of(layer.name)]
    if branches:
        raise InputError(
            f"expected no lite residual before the split at {parts.place!r}, got {branches[0]}: its norm does not run "
            "on an Edge TPU; split at an earlier place, or train with lite_residuals from there on only"
        )


def _can_rebake(model: keras.Model) -> bool:
    """Whether a network trains only the biases of convolutions and the classifier, which an int8 file can store."""
    known = (FrozenConv2D, keras.layers.Dense)
    convolutions = all(isinstance(layer, known) for layer in model.layers if layer.weights)
    own = [layer for layer in model.layers if isinstance(layer, FrozenConv2D)]
    convolutions &= not any(layer.groups > 1 or layer.kernel_rest is not None for layer in own)
    trained = map(variable_spec, model.trainable_variables)
    return convolutions and all(v.place == CLASSIFIER or v.role in ("bias", "shift") for v in trained)
