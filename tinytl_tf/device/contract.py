"""The signatures that a file must have before it runs."""

import dataclasses
import os
from collections.abc import Callable, Mapping

import numpy as np

from tinytl_tf.data.augmentation import Augmentation
from tinytl_tf.errors import InputError
from tinytl_tf.tasks import TASKS
from tinytl_tf.tflite.manifest import INPUTS, Manifest, manifest_path

__all__ = ["Contract", "augmentation_of", "check_contract", "check_manifest"]

# Shape of an image; features and arrays have any shape of rank 1 to 3, without the batch.
_IMAGE = ("H", "W", 3)
_ANY = ("D0", "D1", "D2")
# Signature -> inputs and outputs: name -> (type, shape). Equal letters stand for equal sizes. The model's input is
# added later.
_CONTRACT = {
    "infer": (
        {},
        {"logits": ("float32", (1, "C")), "probabilities": ("float32", (1, "C"))},
    ),
    "train": (
        {"learning_rate": ("float32", (1,))},  # and the label, which depends on the task
        {"loss": ("float32", (1,)), "accuracy": ("float32", (1,)), "applied": ("int32", (1,))},
    ),
    "save": ({}, {"state": ("float32", ("N",))}),
    "restore": ({"state": ("float32", ("N",))}, {"restored": ("int32", (1,))}),
}


@dataclasses.dataclass(frozen=True)
class Contract:
    """Task, input and sizes of a file, from its signatures.

    Attributes:
        task: A key of `tinytl_tf.tasks.TASKS`.
        input: Name of the input, a key of `tinytl_tf.tflite.manifest.INPUTS`.
        shape: Shape of one image, `(H, W, 3)`, of its features, or of one array, without the batch.
        batch_size: Images per training step, B.
        outputs: Number of outputs, C.
        state_size: Number of values in the state, N.
    """

    task: str
    input: str
    shape: tuple[int, ...]
    batch_size: int
    outputs: int
    state_size: int


def check_contract(path: str | os.PathLike, runners: Mapping[str, Callable], task: str | None) -> Contract:
    """Checks the signatures of a file: names, types and shapes.

    Args:
        path: Path of the file, for error messages.
        runners: Name of each signature -> its function, from `load_signatures`.
        task: Task from the file or its manifest. With None, the type of the labels determines the task.

    Returns:
        The task, the input, and the sizes.

    Raises:
        InputError: If a signature is missing; if an input or output is missing, is unknown, or has the wrong type or
            shape; or if the signatures are of contract 1.
    """
    train = runners["train"].get_input_details() if "train" in runners else {}
    if "learning_rate" in train and len(train["learning_rate"]["shape_signature"]) == 0:
        raise InputError(
            f"{path} has signatures of contract 1, and their numbers of rank 0 end a process on ARM; export it again "
            "with this version of tinytl_tf"
        )
    missing = [name for name in _CONTRACT if name not in runners]
    if missing:
        raise InputError(
            f"{path} has the signatures {sorted(runners)}, expected {', '.join(missing)} too; "
            "export it with `tinytl export`"
        )
    task = task or _task_of(train)
    taken = next((name for name in INPUTS if name in train), "image")
    letters = _IMAGE if taken == "image" else _ANY[: max(1, len(train[taken]["shape_signature"]) - 1)]
    label = (TASKS[task].label_dtype, TASKS[task].label_shape("B", "C"))
    more = {
        "infer": {taken: (INPUTS[taken], (1, *letters))},
        "train": {taken: (INPUTS[taken], ("B", *letters)), "label": label},
    }
    sizes = {}
    for signature, (inputs, outputs) in _CONTRACT.items():
        inputs = inputs | more.get(signature, {})
        runner = runners[signature]
        for expected, actual in ((inputs, runner.get_input_details()), (outputs, runner.get_output_details())):
            for name in sorted(expected.keys() | actual.keys()):
                _check_tensor(f"{path}: {signature}.{name}", expected.get(name), actual.get(name), sizes)
    shape = tuple(sizes[letter] if isinstance(letter, str) else letter for letter in letters)
    return Contract(task, taken, shape, sizes["B"], sizes["C"], sizes["N"])


def augmentation_of(manifest: Manifest) -> Augmentation:
    """Returns the augmentation of training images from a manifest.

    Raises:
        InputError: If its values are out of range.
    """
    settings, fields = dataclasses.asdict(manifest.data), {field.name for field in dataclasses.fields(Augmentation)}
    return Augmentation(**{name: value for name, value in settings.items() if name in fields})


def check_manifest(path: str | os.PathLike, manifest: Manifest, contract: Contract) -> None:
    """Checks that a manifest agrees with the signatures of its file.

    Args:
        path: The `.tflite`.
        manifest: The manifest of the file.
        contract: The contract of the file's signatures.

    Raises:
        InputError: If a value differs from the signatures; or if the data settings are out of range.
    """
    rows = [("values of the state", manifest.state_size, contract.state_size)]
    if not manifest.micro:  # its batches may have any size
        rows.append(("images in a batch", manifest.batch_size, contract.batch_size))
    rows.append(("as the kind of input", _kind(manifest, contract), contract.input))
    if contract.input == "image":
        rows.append(("pixels of height and width", list(manifest.input.size), list(contract.shape[:2])))
    for name, facts in manifest.inputs.items():
        rows.append((f"as the shape of inputs.{name}", list(facts.shape), list(contract.shape)))
    for what, got, expected in rows:
        if got != expected:
            raise InputError(f"expected {expected} {what} in {manifest_path(path)}, got {got}; export the model again")
    try:
        augmentation_of(manifest)
    except InputError as error:
        raise InputError(f"{manifest_path(path)}: {error}; export the model again") from error


def _kind(manifest: Manifest, contract: Contract) -> str:
    """Kind of input according to the manifest; without `inputs`, it is an image or the features of a prefix."""
    if manifest.inputs:
        return next(iter(manifest.inputs))
    return contract.input if contract.input == "features" else "image"


def _task_of(train: dict[str, dict]) -> str:
    is_float = "label" in train and train["label"]["dtype"] == np.float32
    return "multilabel" if is_float else "classification"


def _check_tensor(where: str, expected: tuple | None, actual: dict | None, sizes: dict[str, int]) -> None:
    if expected is None or actual is None:
        raise InputError(f"{where} is {'missing' if actual is None else 'unknown'}; export it with `tinytl export`")
    dtype, letters = expected
    shape = tuple(int(size) for size in actual["shape_signature"])
    fits = len(shape) == len(letters) and all(
        size > 0 and size == (sizes.setdefault(letter, size) if isinstance(letter, str) else letter)
        for letter, size in zip(letters, shape, strict=True)
    )
    if not fits or actual["dtype"] != np.dtype(dtype):
        wanted = [sizes.get(letter, letter) for letter in letters]
        got = f"{np.dtype(actual['dtype'])} {list(shape)}"
        raise InputError(f"{where}: expected {dtype} {wanted}, got {got}; export it with `tinytl export`")
