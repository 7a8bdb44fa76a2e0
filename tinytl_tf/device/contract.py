"""The signatures that a file has to have before anything of it runs."""

import os
from collections.abc import Callable, Mapping

import numpy as np

from tinytl_tf.errors import InputError
from tinytl_tf.tasks import TASKS

__all__ = ["check_contract"]

# Signature -> inputs and outputs: name -> (type, shape). Equal letters are equal sizes.
_IMAGE = ("H", "W", 3)
_CONTRACT = {
    "infer": (
        {"image": ("uint8", (1, *_IMAGE))},
        {"logits": ("float32", (1, "C")), "probabilities": ("float32", (1, "C"))},
    ),
    "train": (
        {"image": ("uint8", ("B", *_IMAGE)), "learning_rate": ("float32", (1,))},  # and the label, by the task
        {"loss": ("float32", (1,)), "accuracy": ("float32", (1,)), "applied": ("int32", (1,))},
    ),
    "save": ({}, {"state": ("float32", ("N",))}),
    "restore": ({"state": ("float32", ("N",))}, {"restored": ("int32", (1,))}),
}


def check_contract(
    path: str | os.PathLike, runners: Mapping[str, Callable], task: str | None
) -> tuple[str, dict[str, int]]:
    """Checks signatures, names, types and shapes.

    Args:
        path: The file, for the errors.
        runners: Name of each signature -> the function that `load_signatures` gives.
        task: What the file or its manifest says, or None; then the type of the labels decides.

    Returns:
        The task, and the sizes that the letters of the contract stand for.

    Raises:
        InputError: If something is missing, unknown or of another type or shape, or of contract 1.
    """
    train = runners["train"].get_input_details() if "train" in runners else {}
    if "learning_rate" in train and len(train["learning_rate"]["shape_signature"]) == 0:
        raise InputError(
            f"{path} has signatures of contract 1, whose numbers of rank 0 end a process on ARM; export it again "
            "with this version of tinytl_tf"
        )
    missing = [name for name in _CONTRACT if name not in runners]
    if missing:
        raise InputError(
            f"{path} has the signatures {sorted(runners)}, expected {', '.join(missing)} too; "
            "export it with `tinytl export`"
        )
    task = task or _task_of(train)
    label = (TASKS[task].label_dtype, TASKS[task].label_shape("B", "C"))
    sizes = {}
    for signature, (inputs, outputs) in _CONTRACT.items():
        inputs = inputs | {"label": label} if signature == "train" else inputs
        runner = runners[signature]
        for expected, actual in ((inputs, runner.get_input_details()), (outputs, runner.get_output_details())):
            for name in sorted(expected.keys() | actual.keys()):
                _check_tensor(f"{path}: {signature}.{name}", expected.get(name), actual.get(name), sizes)
    return task, sizes


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
