"""What `tinytl export --target=android` asks of an export, and the file that it adds for the app."""

import os
import pathlib
from collections.abc import Sequence

from absl import flags

from tinytl_tf import files
from tinytl_tf.errors import InputError

__all__ = ["MAX_PLANNED_MB", "check", "labels_path", "write_labels"]

# Twice what tinytl-lb on EfficientNet-Lite0 with float32 kernels is planned to take (28.5 MB at 96 pixels); files with
# int8 kernels take a third of that or less (RESULTS.md).
MAX_PLANNED_MB = 64.0

_FOLDER = "assets"  # where an app's build looks for files that it does not change


def check(values: flags.FlagValues) -> None:
    """Refuses what does not fit a phone.

    Args:
        values: The flags of `tinytl export`.

    Raises:
        InputError: If the path is not among an app's assets, a system that stops the app would cost the run, or the
            file would need the memory of a computer.
    """
    output = pathlib.Path(os.path.abspath(files.expand(values.output)))
    if output.suffix != ".tflite":
        raise InputError(
            f"expected --output=FOLDER/assets/NAME.tflite for Android, got {values.output}; an app's noCompress goes "
            "by the ending .tflite, and a compressed file cannot be mapped"
        )
    if output.parent.name != _FOLDER:
        raise InputError(
            f"expected --output in a folder named {_FOLDER} for Android, got {values.output}; an app finds a model in "
            f"src/main/{_FOLDER}/NAME.tflite of its module"
        )
    if values["save_optimizer"].present and not values.save_optimizer:
        raise InputError(
            "expected --save_optimizer for Android, which is its default, got --nosave_optimizer; Android stops apps "
            "at any time, and without the optimizer's slots in the state a run cannot go on"
        )
    if values.profile == "fast":
        raise InputError(
            "expected --profile=balanced or --profile=min-memory for Android, got fast, which keeps whole blocks in "
            "memory while it trains; Android ends apps that take much"
        )


def labels_path(output: str) -> pathlib.Path:
    """Returns where the names of the classes are, one in a line: `labels.txt` next to the model."""
    return files.expand(output).with_name("labels.txt")


def write_labels(output: str, labels: Sequence[str]) -> None:
    """Writes the names of the classes for an app that shows them before it opens the model."""
    files.atomic_write_bytes(labels_path(output), "".join(f"{label}\n" for label in labels).encode())
