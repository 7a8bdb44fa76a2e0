"""Measures the accuracy of a run's checkpoint in Keras, or of an exported .tflite in LiteRT.

Examples:
  tinytl evaluate --workdir=runs/digits --checkpoint=best
  tinytl evaluate --model=digits.tflite --state=mine.tinytl --data=digits-shifted
"""

import contextlib
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf import data
from tinytl_tf.cli import runner
from tinytl_tf.cli.data_flags import define_data_flags, load_data
from tinytl_tf.cli.runtime_flags import define_features_flags, define_position_flag, define_runtime_flags, open_model
from tinytl_tf.data.classes import match_classes
from tinytl_tf.errors import InputError
from tinytl_tf.figures import EvaluateResult

__all__ = []

FIRST = ("model", "state", "data", "workdir", "checkpoint")  # in --help

_FEATURES = ("features_cache", "features_cache_mb", "prefix_command")
_OF_FILES = ("state", "runtime", "threads", "xnnpack", "api", "trust", "classes_by_position", *_FEATURES)


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("workdir", None, "Folder of a `tinytl train` run; or give --model.", flag_values=values)
    flags.DEFINE_enum("checkpoint", "last", ["best", "last"], "Checkpoint of the run.", flag_values=values)
    flags.DEFINE_string("model", None, "An exported .tflite, or a coral.json.", flag_values=values)
    flags.DEFINE_string("state", None, "State file for --model, .tinytl.", flag_values=values)
    flags.DEFINE_string("data", None, "Data set whose test split is used; default: the run's.", flag_values=values)
    define_data_flags(values)
    define_position_flag(values)
    define_features_flags(values)
    define_runtime_flags(values)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    if (values.workdir is None) == (values.model is None):
        raise InputError("expected either --workdir=FOLDER of a run or --model=FILE.tflite")
    if values.workdir is not None:
        why = "with --workdir, whose checkpoints run in Keras"
        runner.refuse_unused(values, _OF_FILES, why)
    else:
        runner.refuse_unused(values, ("checkpoint",), "with --model, which has no checkpoints")
    result, names, items = _evaluate_run(values) if values.workdir is not None else _evaluate_file(values)
    print(f"accuracy on {result.examples} test {items}: {result.summary()}, loss {result.loss:.4f}")
    print(result.describe(names))
    return {"images": result.examples, **result.to_json(names)}


def _evaluate_run(values: flags.FlagValues) -> tuple[EvaluateResult, Sequence[str], str]:
    runner.import_tensorflow()
    from tinytl_tf.training import Experiment, RunFolder, evaluate

    folder = RunFolder(values.workdir)
    run = folder.read_run()
    config, class_names = run.config, run.class_names
    model = folder.load(values.checkpoint)
    print(folder.checkpoint(values.checkpoint, model), flush=True)
    if values.data is not None:
        config.data.name, config.data.data_dir = values.data, ""
    for name in ("test_images", "central_fraction", "split_seed", "skip_broken", "strict"):
        if values[name].present:
            config.data[name] = values[name].value
    dataset = Experiment(config).load_data(strict_seed=values["split_seed"].present > 0).require_test()
    print(f"test: {dataset.describe()}", flush=True)
    dataset.require_task(run.task)
    outputs = match_classes(
        dataset.class_names,
        class_names,
        len(class_names),
        where=dataset.name,
        complete=run.task == "multilabel",
    )
    result = evaluate(model, dataset, outputs, central_fraction=config.data.central_fraction)
    return result, class_names, dataset.items


def _evaluate_file(values: flags.FlagValues) -> tuple[EvaluateResult, Sequence[str] | None, str]:
    from tinytl_tf.device import evaluate_dataset

    if values.data is None:
        raise InputError("expected --data=NAME with --model: a file does not know its data set")
    if values.central_fraction is not None:
        data.check_central_fraction(values.central_fraction)
    with contextlib.ExitStack() as stack:
        model, features = open_model(values, stack)
        if model.input_name == "array":
            runner.refuse_unused(values, ("central_fraction",), "with a model of arrays, which are taken as they are")
        if values.state is not None:
            model.restore(values.state)
        dataset = load_data(values, model).require_test()
        print(f"test: {dataset.describe()}", flush=True)
        result = evaluate_dataset(
            model,
            dataset,
            by_position=values.classes_by_position,
            central_fraction=values.central_fraction,
            features=features,
        )
    return result, model.class_names, dataset.items


if __name__ == "__main__":
    sys.exit(runner.run_command("evaluate", sys.argv[1:]))
