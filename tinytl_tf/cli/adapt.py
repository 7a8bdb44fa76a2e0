"""Trains an exported .tflite on your images or arrays with LiteRT only, as a phone does, and saves the result.

Prints the accuracy on the test images before and after training. The .tflite is not changed. The result is a small
state file for that .tflite: load it with `tinytl_tf.device.TrainableModel.restore`, or pass it as --state_in.

Examples:
  tinytl adapt --model=model.tflite --data=photos/ --epochs=5 --learning_rate=1e-3 --state_out=mine.tinytl
  tinytl adapt --model=boards/coral.json --data=photos/ --features_cache=features --state_out=mine.tinytl
"""

import contextlib
import dataclasses
import math
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf import data, files
from tinytl_tf.cli import runner
from tinytl_tf.cli.data_flags import define_data_flags, load_data
from tinytl_tf.cli.runtime_flags import define_features_flags, define_position_flag, define_runtime_flags, open_model
from tinytl_tf.data.augmentation import COLORS
from tinytl_tf.device import adapt
from tinytl_tf.device.adaptation import find_new_classes
from tinytl_tf.device.progress_file import best_path, check_paths, progress_path
from tinytl_tf.errors import InputError
from tinytl_tf.schedules import SCHEDULES

__all__ = []

FIRST = ("model", "data", "epochs", "learning_rate", "state_out")  # in --help

_OF_IMAGES = ("augment", "crop", "flip", "color", "central_fraction")


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("model", None, "The exported .tflite, or a coral.json.", flag_values=values, required=True)
    flags.DEFINE_string(
        "data",
        None,
        "Image folder, packed .npz, tfds:NAME, digits or digits-shifted; for arrays: packed .npz or a folder of WAV "
        "files.",
        flag_values=values,
        required=True,
    )
    flags.DEFINE_string("state_out", None, "State file to write, .tinytl.", flag_values=values, required=True)
    flags.DEFINE_string("state_in", None, "State file to start from.", flag_values=values)
    flags.DEFINE_integer("epochs", 5, "Passes over the training images.", lower_bound=1, flag_values=values)
    flags.DEFINE_float(
        "learning_rate",
        None,
        "Learning rate of the first step; default: the manifest's.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "schedule", None, list(SCHEDULES), "Learning rate schedule; default: the manifest's.", flag_values=values
    )
    flags.DEFINE_integer("seed", 0, "Seed of image order and augmentation.", lower_bound=0, flag_values=values)
    flags.DEFINE_integer(
        "train_images", None, "Limit on the number of training images.", lower_bound=1, flag_values=values
    )
    define_data_flags(values)
    flags.DEFINE_boolean("augment", None, "Augment training images; default: the manifest's.", flag_values=values)
    flags.DEFINE_boolean("crop", None, "Random crops; default: the manifest's.", flag_values=values)
    flags.DEFINE_boolean("flip", None, "Random flips; not for letters; default: the manifest's.", flag_values=values)
    flags.DEFINE_enum("color", None, list(COLORS), "Random colors; default: the manifest's.", flag_values=values)
    define_position_flag(values)
    flags.DEFINE_boolean(
        "new_classes", False, "Add new classes of the data to --model, as its spare classes.", flag_values=values
    )
    flags.DEFINE_integer("save_every", 50, "Number of steps between saves.", lower_bound=1, flag_values=values)
    flags.DEFINE_boolean("resume", False, "Resume the interrupted run of --state_out.", flag_values=values)
    define_features_flags(values)
    define_runtime_flags(values)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    with contextlib.ExitStack() as stack:
        return _main(values, stack)


def _main(values: flags.FlagValues, stack: contextlib.ExitStack) -> dict[str, Any]:
    if values.learning_rate is not None and not 0.0 < values.learning_rate < math.inf:
        raise InputError(f"expected a finite --learning_rate above 0, got {values.learning_rate}")
    if values.resume and values.state_in is not None:
        raise InputError("expected --resume or --state_in, got both: a run resumes from its own state")
    if values.central_fraction is not None:
        data.check_central_fraction(values.central_fraction)
    check_paths(values.state_out)
    to_resume = values.resume and not values.overwrite and not progress_path(values.state_out).exists()
    if to_resume and files.expand(values.state_out).is_file():
        raise InputError(
            f"nothing to resume: the run that writes {values.state_out} has finished; to train further, give "
            f"--state_in={values.state_out} and another --state_out"
        )
    files.refuse_existing(values.state_out, values.overwrite)
    if progress_path(values.state_out).exists() and not (values.resume or values.overwrite):
        raise InputError(
            f"a run that was to write {values.state_out} was stopped on its way; continue with --resume, or give "
            "--overwrite to start it again"
        )
    if values.new_classes and values.classes_by_position:
        raise InputError("expected --new_classes or --classes_by_position, got both: new classes are known by name")
    model, features = open_model(values, stack)
    if model.input_name == "array":
        runner.refuse_unused(values, _OF_IMAGES, "with a model of arrays, which are taken as they are")
    if values.state_in is not None:
        model.restore(values.state_in)
    splits = load_data(values, model, values.train_images)
    if splits.validation is not None and not values.resume:
        files.refuse_existing(best_path(values.state_out), values.overwrite)
    print(splits.describe(), flush=True)
    augmentation = None if model.input_name == "array" else _augmentation(values, model.augmentation)
    rate = model.default_learning_rate if values.learning_rate is None else values.learning_rate
    schedule = values.schedule or model.schedule
    print(f"learning rate {rate:g}, {schedule}", flush=True)
    if values.new_classes and not values.resume:
        added = find_new_classes(model, splits.train)
        print(f"adding {len(added)} classes{': ' if added else ''}{', '.join(added)}", flush=True)
    try:
        result = adapt(
            model,
            splits,
            epochs=values.epochs,
            learning_rate=rate,
            schedule=schedule,
            seed=values.seed,
            augmentation=augmentation,
            central_fraction=values.central_fraction,
            by_position=values.classes_by_position,
            new_classes=values.new_classes,
            state_path=values.state_out,
            save_every=values.save_every,
            resume=values.resume,
            features=features,
        )
    except KeyboardInterrupt:
        if progress_path(values.state_out).exists():
            print("saved the run's progress; continue with --resume", file=sys.stderr)
        raise
    names = (model.class_names or [str(number) for number in range(model.num_classes)])[: model.num_classes]
    if result.after is not None:
        print(
            f"accuracy on {result.after.examples} test {splits.test.items}: {result.before.summary()} before, "
            f"{result.after.summary()} after\n{result.after.describe(names, result.before)}"
        )
    print(
        f"{result.steps} steps ({result.applied} applied), median {result.step_ms:.1f} ms\n"
        f"state saved to {values.state_out}"
    )
    if features is not None:
        print(f"features: computed for {features.computed} images, found {features.found} times")
    return {
        "model": values.model,
        "data": values.data,
        "state_file": values.state_out,
        "classes": model.class_names,
        "batch_size": model.batch_size,
        "epochs": values.epochs,
        "learning_rate": rate,
        "schedule": schedule,
        "seed": values.seed,
        "augmentation": augmentation and dataclasses.asdict(augmentation),
        "threads": model.num_threads,
        "xnnpack": model.xnnpack,
        "api": model.api,
        **result.to_json(names),
    }


def _augmentation(values: flags.FlagValues, default: data.Augmentation) -> data.Augmentation:
    """Returns the augmentation set by the flags; the manifest's is the default."""
    if values.augment is False:
        given = [name for name in ("crop", "flip", "color") if values[name].present]
        if given:
            raise InputError(f"expected --{given[0]} without --noaugment, which switches everything off")
        return data.Augmentation(crop=False, flip=False)
    chosen = {name: values[name].value for name in ("crop", "flip", "color") if values[name].value is not None}
    return dataclasses.replace(default, **chosen)


if __name__ == "__main__":
    sys.exit(runner.run_command("adapt", sys.argv[1:]))
