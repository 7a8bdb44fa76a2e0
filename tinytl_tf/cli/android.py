"""`tinytl export --target=android`: a file in the assets folder of an app."""

import os
import pathlib
from typing import Any

from absl import flags

from tinytl_tf import files
from tinytl_tf.cli.target import Export, Target
from tinytl_tf.errors import InputError

__all__ = ["MAX_PLANNED_MB", "AndroidTarget"]

# About twice the planned peak of tinytl-lb on EfficientNet-Lite0 with float32 kernels (28.5 MB at 96 pixels); files
# with int8 kernels take a third of that or less (RESULTS.md).
MAX_PLANNED_MB = 64.0

_FOLDER = "assets"  # an app's build packages the files of this folder unchanged


class AndroidTarget(Target):
    """A file in the assets folder of an app, with `labels.txt` next to it."""

    name = "android"
    default_max_planned_mb = MAX_PLANNED_MB
    always_saves_optimizer = True

    def check(self, values: flags.FlagValues) -> None:
        """Rejects flags that are unsuitable for a phone.

        Raises:
            InputError: If the output is not a `.tflite` in a folder named `assets`; if the optimizer's slots are
                excluded from the state, so that a stopped app cannot resume its run; if the profile needs more memory
                than a phone allows; or as the base class does.
        """
        super().check(values)
        output = pathlib.Path(os.path.abspath(files.expand(values.output)))
        if output.suffix != ".tflite":
            raise InputError(
                f"expected --output=FOLDER/assets/NAME.tflite for Android, got {values.output}; an app's noCompress "
                "goes by the ending .tflite, and a compressed file cannot be mapped"
            )
        if output.parent.name != _FOLDER:
            raise InputError(
                f"expected --output in a folder named {_FOLDER} for Android, got {values.output}; an app finds a model "
                f"in src/main/{_FOLDER}/NAME.tflite of its module"
            )
        if values["save_optimizer"].present and not values.save_optimizer:
            raise InputError(
                "expected --save_optimizer for Android, which is its default, got --nosave_optimizer; Android stops "
                "apps at any time, and without the optimizer's slots in the state a run cannot resume"
            )
        if values.profile == "fast":
            raise InputError(
                "expected --profile=balanced or --profile=min-memory for Android, got fast, which keeps whole blocks "
                "in memory while it trains; Android ends apps that take much"
            )

    def written(self, output: str) -> list[pathlib.Path | str]:
        """Returns the paths of the files to write."""
        return [*super().written(output), _labels_path(output)]

    def write(self, values: flags.FlagValues, ready: Export) -> dict[str, Any]:
        """Writes the files, including `labels.txt` for apps that show class names before they open the model."""
        result = super().write(values, ready)
        text = "".join(f"{label}\n" for label in result["labels"])
        files.atomic_write_bytes(_labels_path(values.output), text.encode())
        return result


def _labels_path(output: str) -> pathlib.Path:
    return files.expand(output).with_name("labels.txt")
