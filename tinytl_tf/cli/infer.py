"""Prints the predictions of an exported .tflite for photos: the most likely classes, or the predicted numbers.

A folder selects all photos in it. For a model that takes float arrays, give .npy files instead.

Examples:
  tinytl infer --model=flowers.tflite rose.jpg tulip.jpg
  tinytl infer --model=flowers.tflite --state=mine.tinytl --top=1 photos/
"""

import contextlib
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from tinytl_tf import data, files
from tinytl_tf.cli import runner
from tinytl_tf.cli.runtime_flags import define_prefix_flag, define_runtime_flags, load_model, open_coral
from tinytl_tf.data.array_dataset import as_array
from tinytl_tf.data.arrays import read_array
from tinytl_tf.data.folder import IMAGE_SUFFIXES
from tinytl_tf.device.coral import is_coral
from tinytl_tf.device.results import InferResult
from tinytl_tf.device.trainable_model import TrainableModel
from tinytl_tf.errors import InputError

__all__ = []

FIRST = ("model", "state", "top")  # in --help

WORDS = "photos"  # the flag that collects positional arguments


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("model", None, "An exported .tflite, or a coral.json.", flag_values=values, required=True)
    flags.DEFINE_string("state", None, "State file for --model, .tinytl.", flag_values=values)
    flags.DEFINE_list("photos", [], "Photos or folders; also as positional arguments.", flag_values=values)
    flags.DEFINE_integer("top", 3, "Number of classes to print.", lower_bound=1, flag_values=values)
    define_prefix_flag(values)
    define_runtime_flags(values)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    if not values.photos:
        raise InputError("expected photos, got none; give their paths after the flags")
    with contextlib.ExitStack() as stack:
        model, answer = _opened(values, stack)
        suffixes = (".npy",) if model.input_name == "array" else IMAGE_SUFFIXES
        paths = [path for word in values.photos for path in _listed(files.expand(word), suffixes)]
        if values.state is not None:
            model.restore(values.state)
        names = model.class_names or tuple(map(str, range(model.num_classes)))
        answers = []
        for path in paths:
            result = answer(path)
            figures = dict(zip(names, result.probabilities.tolist(), strict=True))
            print(f"{path}: {_line(figures, model.task.name, values.top)}", flush=True)
            answers.append({"photo": str(path), "answer": figures})
    return {"task": model.task.name, "answers": answers}


def _opened(
    values: flags.FlagValues, stack: contextlib.ExitStack
) -> tuple[TrainableModel, Callable[[pathlib.Path], InferResult]]:
    """Returns the model that loads the state, and a function that returns the prediction for a file."""
    if is_coral(values.model):
        whole = open_coral(values, stack)
        return whole.suffix, lambda path: whole.infer(data.photo(path, whole.suffix))
    runner.refuse_unused(values, ("prefix_command",), "with a .tflite, which is complete; give a coral.json")
    model = load_model(values)
    if model.input_name == "array":
        return model, lambda path: model.infer(as_array(read_array(path), str(path)))
    return model, model.infer


def _listed(path: pathlib.Path, suffixes: Sequence[str]) -> list[pathlib.Path]:
    """Returns a file itself, or the files with these suffixes in a folder."""
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if one.suffix.lower() in suffixes and not one.name.startswith("."))
    if not found:
        raise InputError(f"expected files of {', '.join(suffixes)} in {path}, got none; give their folder")
    return found


def _line(figures: dict[str, float], task: str, top: int) -> str:
    if task == "regression":
        return ", ".join(f"{name} {value:.6g}" for name, value in figures.items())
    ordered = sorted(figures.items(), key=lambda item: -item[1])[:top]
    return ", ".join(f"{name} {value:.1%}" for name, value in ordered)


if __name__ == "__main__":
    sys.exit(runner.run_command("infer", sys.argv[1:]))
