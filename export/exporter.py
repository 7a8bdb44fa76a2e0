"""The exporter: writes a trainable `.tflite` and its manifest from a Keras model."""

import numbers
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tinytl_tf.data import CENTRAL_FRACTION
from tinytl_tf.device import MicroModel
from tinytl_tf.errors import InputError
from tinytl_tf.export.build import build_file, build_micro_file, with_int8_kernels
from tinytl_tf.export.contract import check_kernels, check_labels, check_model, scheme_of
from tinytl_tf.export.inputs import PLAIN_DATA, check_array_facts, input_kind, random_arrays
from tinytl_tf.export.manifest import describe
from tinytl_tf.export.micro import check_shared, check_target, micro_facts
from tinytl_tf.export.micro_header import header, header_paths, source
from tinytl_tf.export.micro_module import MicroModule
from tinytl_tf.export.native_log import quiet_unless_verbose
from tinytl_tf.export.packing import state_entries
from tinytl_tf.export.parity import LITERT, check_parity, check_quantized, random_photos
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.export.spare_classes import with_spare_classes
from tinytl_tf.files import atomic_write_bytes, expand, refuse_existing, require_room, temporary_folder
from tinytl_tf.memory import planned_peak
from tinytl_tf.optimizers import Optimizer, get_optimizer
from tinytl_tf.profiles import FROZEN_WEIGHTS, get_profile
from tinytl_tf.schedules import DEFAULT_SCHEDULE, SCHEDULES
from tinytl_tf.tasks import Task, get_task
from tinytl_tf.tflite.inputs import ARRAY, INPUTS
from tinytl_tf.tflite.manifest import (
    LABELS_ENTRY,
    DataSettings,
    Manifest,
    embedded_labels,
    frozen_sha256,
    manifest_path,
)
from tinytl_tf.tflite.model import Model

__all__ = ["check_arguments", "check_rate", "check_spare", "export", "with_labels", "written_files"]

PARITY_STEPS = 4


@quiet_unless_verbose
def export(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    labels: Sequence[str] | None = None,
    task: str = "classification",
    inputs: str = "",
    meaning: str = "",
    sample_rate: int = 0,
    spare_classes: int = 0,
    optimizer: str = "sgd",
    batch_size: int = 8,
    label_smoothing: float = 0.0,
    save_optimizer: bool = False,
    frozen_weights: str = "float32",
    profile: str = "",
    target: str = "litert",
    state_of: str | os.PathLike | None = None,
    photos: tuple[np.ndarray, np.ndarray] | None = None,
    central_fraction: float | None = None,
    data: DataSettings | None = None,
    learning_rate: float | None = None,
    schedule: str = DEFAULT_SCHEDULE,
    max_planned_bytes: int | None = None,
    overwrite: bool = False,
    verbose: bool = False,
) -> Manifest:
    """Writes a `.tflite` that keeps training the model's trainable variables, and its manifest in the same folder.

    The file has the signatures `train`, `infer`, `save`, `restore` and `reset` (see `TrainableModule`), and only
    builtin operators. It is written only after a check that it trains like TensorFlow; see `check_parity`.

    Args:
        model: A network from `tinytl_tf.backbones`. Its trainable variables are trained on the device.
        path: The file to write; must end in `.tflite`.
        labels: Names of the classes, attributes or predicted numbers, in the order of the outputs. By default, the
            names from the data set that a `Network` was fit to; without these, "0", "1", ....
        task: `"classification"` for one class per image, `"multilabel"` for several attributes, or `"regression"` for
            predicted numbers.
        inputs: Input of the file: `"image"` for photos, or `"array"` for float32 arrays of the model's input shape. By
            default, the file takes photos if the input shape is `(height, width, 3)`, and arrays otherwise.
        meaning: Description of the axes and values of arrays, for readers of the manifest.
        sample_rate: Samples per second of waveforms; see `InputFacts`.
        spare_classes: Number of outputs for classes that are added on the device; see `TrainableModel.add_class`. Only
            for a classification without label smoothing.
        optimizer: `"sgd"`, `"momentum"` or `"adam"`.
        batch_size: Images per training step. A step needs the memory of one image, for any batch size.
        label_smoothing: Label smoothing of the loss, in [0, 1).
        save_optimizer: Whether the saved state includes the optimizer's slots.
        frozen_weights: Type of the frozen kernels, `"float32"` or `"int8"`; see `quantize_kernels`. An int8 file is
            first checked with float32 kernels and then compared with that version; see `check_quantized`.
        profile: `"micro"`, `"min-memory"`, `"balanced"` or `"fast"`; see `Profile`. Empty for the default:
            `"balanced"`, or `"micro"` for TensorFlow Lite Micro.
        target: `"litert"`, or `"micro"` for a single-graph file for TensorFlow Lite Micro; see `MicroModule`. The
            target `"micro"` needs the package `tflite-micro`; its `batch_size` is only a default for clients.
        state_of: An exported file for LiteRT with the same network, classes and optimizer; the new file can use its
            state files. Only for the target `"micro"`.
        photos: Data for comparing predictions and for checking int8 kernels: uint8 images
            `[steps, batch, height, width, 3]` or float32 arrays `[steps, batch, ...]`, and their labels, integers
            `[steps, batch]` or numbers `[steps, batch, attributes]`. By default, random data, on which a trained
            network is less certain.
        central_fraction: Central fraction of each image's side that the model is evaluated on, for the manifest; None
            for 0.875, and for arrays.
        data: How the run's data were split and augmented, for the manifest; by default, the defaults of
            `DataSettings`. Arrays are not cropped, flipped or recolored.
        learning_rate: Default learning rate of the first step on the device, for the manifest; None for the default of
            the scheme and optimizer, see `tinytl_tf.networks.schemes.default_learning_rate`.
        schedule: Default learning rate schedule, for the manifest: `"cosine"` or `"constant"`.
        max_planned_bytes: Limit of the memory that LiteRT plans for a training step; see `planned_peak`. None for no
            limit.
        overwrite: Whether existing files may be replaced.
        verbose: Whether to report progress and the log of TensorFlow's converter on standard error.

    Returns:
        The manifest.

    Raises:
        InputError: If an argument is out of range, if the model cannot be exported, if it needs an operator that is
            not a builtin, or if a training step needs more memory than allowed.
        ParityError: If the file does not train like TensorFlow.

    Example:
        >>> apply_scheme(model, "tinytl-b")  # doctest: +SKIP
        >>> export(model, "flowers.tflite", labels=["daisy", "rose"])  # doctest: +SKIP
    """
    _check_names(path, task=task, optimizer=optimizer, profile=profile, target=target, frozen_weights=frozen_weights)
    path, micro = expand(path), target == "micro"
    profile = profile or ("micro" if micro else "balanced")
    check_target(target, frozen_weights, state_of)
    rule, memory, kind = get_optimizer(optimizer), get_profile(profile), get_task(task)
    fraction = CENTRAL_FRACTION if central_fraction is None else central_fraction
    check_arguments(path, batch_size, label_smoothing, fraction, frozen_weights, spare_classes)
    check_spare(spare_classes, task)
    if label_smoothing and task == "regression":
        raise InputError(f"expected no label_smoothing for a regression, got {label_smoothing}; give 0")
    if data is not None and not isinstance(data, DataSettings):
        raise InputError(f"expected data as DataSettings, got {type(data).__name__}")
    check_rate(learning_rate, schedule)
    _check_limit(max_planned_bytes)
    inputs = input_kind(model, inputs)
    if inputs == ARRAY:
        check_array_facts(model, meaning, sample_rate, central_fraction, data)
    elif meaning or sample_rate:
        raise InputError("expected meaning and sample_rate only for arrays, got them for images; leave them out")
    if micro and (inputs == ARRAY or task == "regression"):
        raise InputError(
            "expected images and a classification or attributes for TensorFlow Lite Micro, got "
            f"{inputs} and {task}; export for LiteRT"
        )
    check_model(model, inputs, task)
    if frozen_weights == "int8":
        check_kernels(model)
    batch_size, label_smoothing = int(batch_size), float(label_smoothing)
    classes, scheme = model.output_shape[-1], scheme_of(model)
    if labels is None:
        labels = getattr(model, "class_names", None) or tuple(map(str, range(classes)))
    labels = check_labels(labels, classes)
    if photos is not None:
        _check_photos(photos, inputs, batch_size, model.input_shape[1:], classes, kind)
    for file in written_files(path, target):
        refuse_existing(file, overwrite)
    model = with_spare_classes(model, spare_classes)
    require_room(path, model.count_params() * (1 if frozen_weights == "int8" else 4))
    state = state_entries(model.trainable_variables, rule, save_optimizer)
    frozen = frozen_sha256({v.path: v.numpy() for v in model.non_trainable_weights})
    if state_of is not None:
        shared = check_shared(state_of, labels, spare_classes, task, optimizer, state, frozen)
    say = _narrator(5 if frozen_weights == "int8" else 4 if micro else 3, verbose)

    def named(content: bytes) -> bytes:
        return with_labels(content, task, labels, spare_classes, inputs=inputs)

    def build(rule: Optimizer) -> tuple[bytes, dict[str, dict[str, object]]]:
        options = {
            "optimizer": rule,
            "task": task,
            "spare_classes": spare_classes,
            "label_smoothing": label_smoothing,
            "save_optimizer": save_optimizer,
            "profile": memory,
        }
        if micro:
            return build_micro_file(MicroModule(model, model.trainable_variables, **options))
        variables = model.trainable_variables
        return build_file(TrainableModule(model, variables, batch_size=batch_size, inputs=inputs, **options))

    say(
        "converting the graph and laying out its arena"
        if micro
        else "converting the signatures and planning their memory"
    )
    content, passes = build(rule)
    quantized = with_int8_kernels(content) if frozen_weights == "int8" else b""  # early, because it may fail
    facts = {
        "labels": labels,
        "spare_classes": spare_classes,
        "task": task,
        "data": data or (PLAIN_DATA if inputs == ARRAY else DataSettings()),
        "learning_rate": learning_rate,
        "schedule": schedule,
        **({"meaning": meaning, "sample_rate": sample_rate} if inputs == ARRAY else {"central_fraction": fraction}),
        "backbone": model.name,
        "scheme": scheme,
        "optimizer": optimizer,
        "label_smoothing": label_smoothing,
        "profile": memory.name,
        "xnnpack": memory.xnnpack,
        "frozen_weights": frozen_weights,
        "state": state,
        "frozen_sha256": frozen,
        "passes": passes,
    }
    if micro:
        say("measuring the memory that TensorFlow Lite Micro needs")
        facts["micro"] = micro_facts(content, shared if state_of is not None else "")
        content = named(content)
    _check_planned(facts["micro"]["arena"]["bytes"] if micro else None, quantized or content, max_planned_bytes)
    with temporary_folder() as folder:
        draft = folder / path.name
        draft.write_bytes(content if micro else named(content))  # the embedded labels include the task
        if micro:
            _write_draft(draft, content, batch_size, facts)
        made_up = (
            random_arrays(model, PARITY_STEPS, batch_size, classes, task)
            if inputs == ARRAY
            else random_photos(PARITY_STEPS, batch_size, model.input_shape[1:3], classes, task)
        )
        where = "TensorFlow Lite Micro" if micro else "LiteRT, with XNNPACK and without"
        say(f"training {PARITY_STEPS} steps in TensorFlow and in {where}")
        parity = check_parity(
            draft,
            model,
            optimizer=optimizer,
            label_smoothing=label_smoothing,
            images=made_up[0],
            labels=made_up[1],
            task=task,
            classes=classes,
            photos=None if photos is None else photos[0][0],
            clients={"micro": MicroModel} if micro else LITERT,
        )
        if frozen_weights == "int8":
            say("storing the frozen kernels as int8")
            # The int8 check needs gradients, which Adam's steps do not reveal. Steps of the same network with SGD do.
            judged = build(get_optimizer("sgd"))[0] if optimizer == "adam" else content
            int8, float32 = folder / "int8.tflite", folder / "float32.tflite"
            int8.write_bytes(named(with_int8_kernels(judged)))
            float32.write_bytes(named(judged))
            images, true_labels = photos or made_up
            say("comparing the gradients of int8 with those of float32")
            parity["int8"] = check_quantized(
                int8, float32, model.trainable_variables, images=images, labels=true_labels
            )
            content = quantized
    say("writing the file and its manifest")
    if not micro:
        content = named(content)
    manifest = describe(content, batch_size=batch_size, parity=parity, **facts)
    manifest_path(path).unlink(missing_ok=True)  # If killed from here on, no file keeps another file's manifest.
    atomic_write_bytes(path, content)
    if micro:
        for file, text in zip(
            header_paths(path), (header(manifest, path.stem), source(manifest, path.stem, content)), strict=True
        ):
            atomic_write_bytes(file, text.encode())
    atomic_write_bytes(manifest_path(path), manifest.to_json().encode())
    return manifest


def written_files(path: str | os.PathLike, target: str) -> tuple[pathlib.Path, ...]:
    """Returns the files that an export writes: the file, its manifest, and for `"micro"` the C header and source.

    Example:
        >>> [file.name for file in written_files("flowers.tflite", "litert")]
        ['flowers.tflite', 'flowers.manifest.json']
    """
    return (expand(path), manifest_path(path), *(header_paths(path) if target == "micro" else ()))


def _write_draft(path: pathlib.Path, content: bytes, batch_size: int, facts: dict[str, Any]) -> None:
    """Writes a preliminary manifest next to a file. The checks need it to open the file."""
    manifest = describe(content, batch_size=batch_size, parity={}, **facts)
    atomic_write_bytes(manifest_path(path), manifest.to_json().encode())


def _narrator(stages: int, verbose: bool):
    """Returns a function that reports the next stage of the export."""
    numbers = iter(range(1, stages + 1))

    def say(what: str) -> None:
        if verbose:
            print(f"export {next(numbers)}/{stages}: {what}", file=sys.stderr, flush=True)

    return say


def with_labels(
    content: bytes, task: str, labels: Sequence[str], spare_classes: int = 0, *, inputs: str = "image"
) -> bytes:
    """Stores the labels in the file, for clients without the manifest. Arguments are those of `embedded_labels`."""
    model = Model.from_bytes(content)
    model.set_metadata(LABELS_ENTRY, embedded_labels(task, labels, spare_classes, inputs=inputs))
    return model.to_bytes()


def _check_names(path: object, **names: object) -> None:
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"expected the path of a file, got {path!r:.80}")
    for what, name in names.items():
        if not isinstance(name, str):
            raise InputError(f"expected {what} as the name of one, got {name!r:.80}")


def check_arguments(
    path: str | os.PathLike,
    batch_size: int,
    label_smoothing: float,
    central_fraction: float,
    frozen_weights: str,
    spare_classes: int,
) -> None:
    """Checks the arguments of `export` that do not need a model, so that errors are reported before building one.

    Raises:
        InputError: If an argument is out of range, or if the path does not end in `.tflite`.
    """
    if frozen_weights not in FROZEN_WEIGHTS:
        raise InputError(f"frozen_weights must be one of {', '.join(FROZEN_WEIGHTS)}, got {frozen_weights!r}")
    if pathlib.Path(path).suffix != ".tflite":
        raise InputError(f"an exported file must end in .tflite, got {path}")
    if not isinstance(batch_size, numbers.Integral) or isinstance(batch_size, bool) or batch_size < 1:
        raise InputError(f"batch_size must be a whole number of at least 1, got {batch_size!r:.80}")
    if not _is_number(label_smoothing) or not 0 <= label_smoothing < 1:
        raise InputError(f"label_smoothing must be in [0, 1), got {label_smoothing!r:.80}")
    if not _is_number(central_fraction) or not 0 < central_fraction <= 1:
        raise InputError(f"central_fraction must be above 0 and at most 1, got {central_fraction!r:.80}")
    if not isinstance(spare_classes, numbers.Integral) or isinstance(spare_classes, bool) or spare_classes < 0:
        raise InputError(f"spare_classes must be a whole number of at least 0, got {spare_classes!r:.80}")
    if spare_classes and label_smoothing:
        raise InputError(
            f"expected spare_classes without label_smoothing, got {label_smoothing}: it would spread a share over "
            "outputs that no class has; give 0 for one of them"
        )


def check_spare(spare_classes: int, task: str) -> None:
    """Checks that the task allows spare classes. Complements `check_arguments`, once the task is known.

    Raises:
        InputError: If it does not.
    """
    if spare_classes and task != "classification":
        raise InputError(
            f"expected spare_classes for a classification, got {task}: images that were labeled before have no "
            "label for an added output; give 0"
        )


def check_rate(learning_rate: float | None, schedule: str) -> None:
    """Checks the default learning rate and schedule.

    Raises:
        InputError: If the rate is not a finite number above 0, or if the schedule is unknown.
    """
    if learning_rate is not None and (not _is_number(learning_rate) or not 0 < learning_rate < np.inf):
        raise InputError(f"expected a finite learning_rate above 0, got {learning_rate!r:.80}")
    if not isinstance(schedule, str) or schedule not in SCHEDULES:
        raise InputError(f"unknown schedule {schedule!r:.80}; choose one of {', '.join(SCHEDULES)}")


def _check_limit(max_planned_bytes: int | None) -> None:
    """Checks the limit of planned memory.

    Raises:
        InputError: If the limit is not None or an integer of at least 1.
    """
    given = max_planned_bytes
    if given is not None and (not isinstance(given, numbers.Integral) or isinstance(given, bool) or given < 1):
        raise InputError(f"max_planned_bytes must be a whole number of at least 1, or None, got {given!r:.80}")


def _check_planned(arena: int | None, content: bytes, limit: int | None) -> None:
    if limit is None:
        return
    peak = planned_peak(Model.from_bytes(content), "train").peak_bytes if arena is None else arena
    if peak > limit:
        raise InputError(
            f"expected a training step that is planned to take at most {limit / 1e6:.2f} MB, got {peak / 1e6:.2f} MB; "
            "choose fewer pixels, a scheme that trains less, the profile min-memory, or allow more"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _check_photos(
    photos: tuple, inputs: str, batch_size: int, shape: tuple[int, ...], classes: int, task: Task
) -> None:
    """Checks the argument `photos` of `export`."""
    fits = isinstance(photos, tuple) and len(photos) == 2 and all(isinstance(part, np.ndarray) for part in photos)
    label_shape = task.label_shape(batch_size, classes)
    kind = "integers" if task.label_dtype == "int32" else "numbers"
    wanted = (
        f"{INPUTS[inputs]} [steps, {', '.join(map(str, (batch_size, *shape)))}] and {kind} "
        f"[steps, {', '.join(map(str, label_shape))}]"
    )
    if not fits:
        raise InputError(f"expected photos as two arrays, {wanted}, got {type(photos).__name__}")
    images, labels = photos
    shapes = images.shape[1:] == (batch_size, *shape) and labels.shape == (len(images), *label_shape)
    if not shapes or len(images) == 0 or images.dtype != INPUTS[inputs] or labels.dtype.kind not in task.label_kinds:
        got = f"{images.dtype} {list(images.shape)} and {labels.dtype} {list(labels.shape)}"
        raise InputError(f"expected photos as {wanted}, got {got}")
    if not np.isfinite(images).all():
        raise InputError("expected photos as arrays of finite numbers, got one that is not; leave that array out")
    for batch in labels:
        task.check_labels(batch, batch_size, classes)
