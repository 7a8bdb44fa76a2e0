"""Writes a .tflite that keeps training on a device, from a finished run or from pre-trained weights.

The file is checked before it is written: it must use builtin operators only, and its training steps must match
TensorFlow's. A manifest with labels, signatures, sizes and the results of these checks is written to the same folder.

Examples:
  tinytl export --workdir=runs/digits --output=digits.tflite
  tinytl export --config=digits --scheme=tinytl-b --output=start.tflite
  tinytl export --workdir=runs/digits --state=mine.tinytl --state_model=digits.tflite --output=learned.tflite
  tinytl export --workdir=runs/digits --target=micro --output=firmware.tflite
  tinytl export --workdir=runs/digits --target=android --output=export/android/sample/src/main/assets/model.tflite
"""

import dataclasses
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf import files
from tinytl_tf.cli import coral, runner
from tinytl_tf.cli.android import MAX_PLANNED_MB, AndroidTarget
from tinytl_tf.cli.coral import CoralTarget
from tinytl_tf.cli.export_source import ExportSource
from tinytl_tf.cli.micro import MicroTarget
from tinytl_tf.cli.target import Export, Target
from tinytl_tf.cli.train import define_config, refuse_continue, set_config
from tinytl_tf.errors import InputError
from tinytl_tf.networks.schemes import SCHEMES
from tinytl_tf.optimizers import OPTIMIZERS
from tinytl_tf.profiles import FROZEN_WEIGHTS, PROFILES
from tinytl_tf.state import load_state, read_class_names, read_variables
from tinytl_tf.tflite.manifest import Manifest

__all__ = []

FIRST = ("workdir", "output", "scheme", "target", "frozen_weights")  # in --help

TARGETS = {target.name: target for target in (Target(), AndroidTarget(), CoralTarget(), MicroTarget())}


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    define_config(values, argv)
    flags.DEFINE_string("workdir", None, "Folder of a `tinytl train` run; or give --config.", flag_values=values)
    flags.DEFINE_enum("checkpoint", "last", ["best", "last"], "Checkpoint of the run.", flag_values=values)
    flags.DEFINE_string("output", None, "The .tflite to write.", flag_values=values, required=True)
    flags.DEFINE_enum(
        "target",
        "file",
        list(TARGETS),
        "android: writes to an app's assets folder, with labels.txt, and rejects settings unsuitable for a phone. "
        "coral: an int8 prefix for the Edge TPU compiler, a suffix that trains on its features, and a file of the "
        "complete network. micro: for TensorFlow Lite Micro, with a C header and the file as a C array.",
        flag_values=values,
    )
    coral.define_flags(values)
    flags.DEFINE_enum(
        "scheme", None, list(SCHEMES), "Update scheme on the device; default: the run's.", flag_values=values
    )
    flags.DEFINE_enum("optimizer", "sgd", list(OPTIMIZERS), "The device's optimizer.", flag_values=values)
    flags.DEFINE_integer("batch_size", 8, "Images per step on the device.", lower_bound=1, flag_values=values)
    flags.DEFINE_float("label_smoothing", 0.0, "Label smoothing of the device's loss, in [0, 1).", flag_values=values)
    flags.DEFINE_enum(
        "frozen_weights", "float32", list(FROZEN_WEIGHTS), "Type of the frozen kernels.", flag_values=values
    )
    flags.DEFINE_enum(
        "profile",
        "balanced",
        list(PROFILES),
        "min-memory: small channel tiles, for use without XNNPACK; balanced: larger tiles, for use with XNNPACK; fast: "
        "no tiles.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "spare_classes", 0, "Number of classes that can be added on the device.", lower_bound=0, flag_values=values
    )
    flags.DEFINE_boolean("save_optimizer", False, "Keep the optimizer's slots in the state.", flag_values=values)
    flags.DEFINE_float(
        "max_planned_mb",
        None,
        "Fail if the planned memory of a training step exceeds this; default: "
        f"{MAX_PLANNED_MB:g} for android, otherwise no limit.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "state_of", None, "With --target=micro: an exported .tflite to share state files with.", flag_values=values
    )
    flags.DEFINE_string("state", None, "State file of a device, to start the new file from.", flag_values=values)
    flags.DEFINE_list("rename", [], "OLD=NEW,...: renames classes in the new file.", flag_values=values)
    flags.DEFINE_string("state_model", None, "The .tflite that --state was saved from.", flag_values=values)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    target = TARGETS[values.target]
    _check_flags(values, target)
    if values.state is not None:
        read_variables(values.state, values.state_model)  # before anything slow

    runner.import_tensorflow()
    from tinytl_tf.experiment import drop_useless_rate_factors
    from tinytl_tf.export.exporter import check_arguments, check_spare
    from tinytl_tf.export.spare_classes import with_spare_classes
    from tinytl_tf.training import Experiment

    source = ExportSource.of(values)
    config = source.config
    if values.scheme not in (None, config.scheme):
        config.scheme = values.scheme
        config.biases = config.kernels = config.branches = config.lite_residuals = ()
        if source.run is not None:  # its network is the run's, and the run's rate that of another scheme
            config.backbone.branch_weights, config.training.learning_rate = "", 0.0
        drop_useless_rate_factors(config)
    target.restrict(values, config)
    experiment = Experiment(config)
    check_arguments(
        values.output,
        values.batch_size,
        values.label_smoothing,
        config.data.central_fraction,
        values.frozen_weights,
        values.spare_classes,
    )
    splits = source.load_data(experiment, target.needs_photos(values))
    class_names, task = source.labels(splits)
    check_spare(values.spare_classes, task)
    if source.run is not None and splits is not None:
        source.require_same(splits, target.remedy_for_other_data)

    def make_model(experiment: Experiment) -> Any:
        return source.make_model(experiment, len(class_names))[0]

    config, facts = target.choose(values, config, splits, make_model)
    experiment = Experiment(config)
    model, resolved, origin = source.make_model(experiment, len(class_names))
    print(origin, end="", flush=True)
    print(resolved, flush=True)
    if source.checkpoint is not None:
        facts["checkpoint"] = dataclasses.asdict(source.checkpoint)
    if values.state is not None:
        _check_classes(values.state_model, class_names, task)
        class_names = read_class_names(values.state, values.state_model)
        model = with_spare_classes(model, len(class_names) - model.output_shape[-1])
        load_state(model, values.state, values.state_model)
        print(f"the trained variables are those of {values.state}", flush=True)
    ready = Export(model, experiment, splits, _renamed(class_names, values.rename), task)
    return {**target.write(values, ready), **facts}


def _check_flags(values: flags.FlagValues, target: Target) -> None:
    """Rejects conflicting flags and existing output files before any slow work."""
    if (values.workdir is None) == (values.config is None):
        raise InputError("expected either --workdir=FOLDER of a run or --config=FILE for pre-trained weights")
    if values.config is not None:
        runner.refuse_unused(values, ("checkpoint",), "with --config, which names no run")
        set_config(values)
        refuse_continue(values)
    else:
        runner.refuse_unused(values, ("branch_weights",), "with --workdir, whose run has branches of its own")
    if (values.state is None) != (values.state_model is None):
        raise InputError("expected --state=FILE.tinytl and --state_model=FILE.tflite together, got one of them")
    for other in TARGETS.values():
        if other is not target:
            runner.refuse_unused(values, other.own_flags, f"without --target={other.name}")
    target.check(values)
    for path in target.written(values.output):
        files.refuse_existing(path, values.overwrite)


def _renamed(class_names: Sequence[str], pairs: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of the classes with those of `--rename` in their places."""
    new = {}
    for pair in pairs:
        old, equals, name = pair.partition("=")
        if not equals or old not in class_names or old in new:
            raise InputError(
                f"expected --rename=OLD=NEW,... with classes of {', '.join(class_names)}, each once, got "
                f"{pair!r:.200}; names with a comma cannot be renamed"
            )
        new[old] = name
    return tuple(new.get(name, name) for name in class_names)


def _check_classes(tflite: str, class_names: Sequence[str], task: str) -> None:
    """Raises `InputError` if a state's classifier has a different task, different classes, or another class order."""
    manifest = Manifest.read(tflite)
    if manifest.task != task:
        raise InputError(
            f"expected a network for {manifest.task}, as in {tflite}, got one for {task}; give the run that it was "
            "exported from"
        )
    labels = manifest.labels
    names = tuple(unicodedata.normalize("NFC", name) for name in class_names)
    if labels != names:
        raise InputError(
            f"expected the classes {', '.join(names)} of the network in {tflite}, got {', '.join(labels)}; give the "
            "run that it was exported from"
        )


if __name__ == "__main__":
    sys.exit(runner.run_command("export", sys.argv[1:]))
