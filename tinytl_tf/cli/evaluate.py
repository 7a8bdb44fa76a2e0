"""Accuracy of a run's checkpoint, in Keras, or of an exported .tflite with a state, in LiteRT.

Examples:
  tinytl evaluate --workdir=runs/digits --checkpoint=best
  tinytl evaluate --model=digits.tflite --state=mine.tinytl --data=digits-shifted
"""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf import data
from tinytl_tf.cli import runner
from tinytl_tf.cli.runtime_flags import define_runtime_flags, load_model
from tinytl_tf.errors import InputError

__all__ = []

BATCH_SIZE = 32


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("workdir", None, "Folder of a run of `tinytl train`; or give --model.", flag_values=values)
    flags.DEFINE_enum("checkpoint", "last", ["best", "last"], "Which one of the run.", flag_values=values)
    flags.DEFINE_string("model", None, "An exported .tflite.", flag_values=values)
    flags.DEFINE_string("state", None, "State file of --model.", flag_values=values)
    flags.DEFINE_string("data", None, "Data set; default: the run's. Its test split is used.", flag_values=values)
    flags.DEFINE_integer("split_seed", 0, "Test images of a flat folder.", lower_bound=0, flag_values=values)
    flags.DEFINE_integer("test_images", None, "Use only so many test images.", lower_bound=1, flag_values=values)
    flags.DEFINE_float(
        "central_fraction",
        None,
        "Part of an image's side that is evaluated; default: the run's, the manifest's, or 0.875.",
        flag_values=values,
    )
    define_runtime_flags(values)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns what --json holds."""
    if (values.workdir is None) == (values.model is None):
        raise InputError("expected either --workdir=FOLDER of a run or --model=FILE.tflite")
    if values.state is not None and values.model is None:
        raise InputError("expected --state=FILE only with --model=FILE.tflite: a run has its checkpoints")
    result = _evaluate_run(values) if values.workdir is not None else _evaluate_file(values)
    print(f"accuracy on {result['images']} test images: {result['accuracy']:.2%}, loss {result['loss']:.4f}")
    return result


def _evaluate_run(values: flags.FlagValues) -> dict[str, Any]:
    runner.import_tensorflow()
    from tinytl_tf.training import Experiment, RunFolder, evaluate

    folder = RunFolder(values.workdir)
    config, class_names = folder.read_run()
    config.data.test_images = values.test_images or config.data.test_images
    model = folder.load(values.checkpoint)
    if values.central_fraction is not None:
        config.data.central_fraction = values.central_fraction
    splits = Experiment(config).load_data() if values.data is None else _load(values, config.data.central_fraction)
    dataset = splits.test
    _check_classes(dataset, class_names)
    return {"images": len(dataset), **evaluate(model, dataset)}


def _evaluate_file(values: flags.FlagValues) -> dict[str, Any]:
    from tinytl_tf.device import evaluate

    if values.data is None:
        raise InputError("expected --data=NAME with --model: a file does not know its data set")
    model = load_model(values)
    if values.state is not None:
        model.restore(values.state)
    dataset = _load(values, model.central_fraction if values.central_fraction is None else values.central_fraction).test
    if model.class_names is not None:
        _check_classes(dataset, model.class_names)
    result = evaluate(model, data.eval_batches(dataset, batch_size=BATCH_SIZE, image_size=model.image_size))
    return {"images": len(dataset), "accuracy": result.accuracy, "loss": result.loss}


def _load(values: flags.FlagValues, central_fraction: float | None) -> data.Splits:
    return data.load(
        values.data, seed=values.split_seed, test_images=values.test_images, central_fraction=central_fraction
    )


def _check_classes(dataset: data.ImageDataset, class_names: Sequence[str]) -> None:
    if tuple(dataset.class_names) != tuple(class_names):
        raise InputError(
            f"{dataset.name} has the classes {', '.join(dataset.class_names)}, the model has {', '.join(class_names)}; "
            "give data of the same classes"
        )


if __name__ == "__main__":
    sys.exit(runner.run_command("evaluate", sys.argv[1:]))
