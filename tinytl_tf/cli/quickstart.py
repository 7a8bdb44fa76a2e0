"""Runs the complete workflow on data that comes with a dependency: train in Keras, export, adapt in LiteRT, measure.

A network with ImageNet weights is trained in Keras on scikit-learn's handwritten digits. Then the domain changes as it
might on a phone: different inks and papers, rotation, and uneven light. The network is exported with three update
schemes, and each file adapts to the new domain in LiteRT on a small labeled set. The command prints a table, and
writes files, states and a plot of the training curves to --workdir.

Example:
  tinytl quickstart
"""

import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf import data, files
from tinytl_tf.cli import runner
from tinytl_tf.curves import plot_history
from tinytl_tf.device import AdaptResult, adapt
from tinytl_tf.pictures import require_matplotlib
from tinytl_tf.tflite.runtime import THREADS

__all__ = []

SCHEMES = ("last", "tinytl-b", "tinytl-lb")
NEW_DOMAIN = "digits-shifted"
TRAIN_IMAGES, TEST_IMAGES = 400, 400
EPOCHS, BATCH_SIZE, LEARNING_RATE = 6, 8, 2e-3
COLUMNS = {
    "scheme": "scheme",
    "accuracy_before": "before",
    "accuracy_after": "after",
    "planned_mb": "planned MB",
    "measured_mb": "measured MB",
    "step_ms": "step ms",
    "file_mb": "file MB",
}


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("workdir", "tinytl_quickstart", "Folder for all written files.", flag_values=values)
    flags.DEFINE_integer("epochs", EPOCHS, "Passes over the new images.", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("threads", THREADS, "Threads of LiteRT.", lower_bound=1, flag_values=values)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    workdir = files.expand(values.workdir)
    files.refuse_existing(workdir, values.overwrite, folder=True)
    require_matplotlib()  # before anything slow
    splits = data.load(NEW_DOMAIN, train_images=TRAIN_IMAGES, test_images=TEST_IMAGES)

    runner.import_tensorflow()
    from tinytl_tf.configs import quickstart
    from tinytl_tf.training import train

    config = quickstart.get_config()
    _say(f"1/3 train {config.backbone.name} with ImageNet weights on {config.data.name} in Keras")
    base = train(config, str(workdir / "base"))
    print(f"{NEW_DOMAIN}\n{splits.describe()}", flush=True)
    rows, results = [], {}
    for scheme in SCHEMES:
        _say(f"2/3 export for {scheme}, adapt to {NEW_DOMAIN} in LiteRT, measure")
        row, results[scheme] = _run_scheme(workdir, scheme, splits, values)
        rows.append(row)
    _say("3/3 results")
    picture = workdir / "curves.png"
    plot_history(results, picture)
    print(f"test accuracy of the base model: {base['test_accuracy']:.1%} on {config.data.name}")
    print(f"the exported files on {NEW_DOMAIN}, {len(splits.train)} images to adapt, {len(splits.test)} to test:")
    print(_table(rows))
    print(
        "planned: the arena that LiteRT lays out for a training step. measured: growth of a fresh process over a "
        f"training step,\nwith XNNPACK and {values.threads} threads. Both in MB of 10^6 bytes for a batch of "
        f"{BATCH_SIZE}, {config.backbone.resolution} px, frozen kernels of int8.\n"
        f"files, states and {picture.name} are in {workdir}"
    )
    return {"base_accuracy": base["test_accuracy"], "new_domain": NEW_DOMAIN, "rows": rows, "picture": picture}


def _run_scheme(
    workdir: pathlib.Path, scheme: str, splits: data.Splits, values: flags.FlagValues
) -> tuple[dict[str, Any], AdaptResult]:
    """Exports the base model with a scheme, adapts the file and measures its memory."""
    from tinytl_tf.device import TrainableModel
    from tinytl_tf.export import export
    from tinytl_tf.memory import measure
    from tinytl_tf.training import Experiment, RunFolder

    folder = RunFolder(workdir / "base")
    run = folder.read_run()
    config, labels = run.config, run.class_names
    config.scheme = scheme
    experiment = Experiment(config)
    model, resolution = experiment.adopt(folder.load("last"))
    print(resolution, flush=True)
    path = workdir / f"{scheme}.tflite"
    manifest = export(
        model,
        path,
        labels=labels,
        optimizer="adam",
        batch_size=BATCH_SIZE,
        label_smoothing=config.training.label_smoothing,
        frozen_weights="int8",
        photos=experiment.plain_batches(experiment.load_data().train, BATCH_SIZE),
        **experiment.client_settings("adam"),
        overwrite=True,
        verbose=True,
    )
    device = TrainableModel(path, num_threads=values.threads)
    result = adapt(
        device,
        splits,
        epochs=values.epochs,
        learning_rate=LEARNING_RATE,
        schedule="cosine",
        seed=0,
        augmentation=experiment.augmentation(),
    )
    device.save(path.with_suffix(".tinytl"))
    measured = measure(path, "train", num_threads=values.threads)
    row = {
        "scheme": scheme,
        "accuracy_before": result.accuracy_before,
        "accuracy_after": result.accuracy_after,
        "planned_mb": manifest.planned_peak_bytes["train"] / 1e6,
        "measured_mb": measured.growth_bytes / 1e6,
        "step_ms": result.step_ms,
        "file_mb": manifest.sizes["file_bytes"] / 1e6,
    }
    return row, result


def _table(rows: Sequence[dict[str, Any]]) -> str:
    lines = ["  ".join(f"{title:>11s}" for title in COLUMNS.values())]
    for row in rows:
        cells = [row["scheme"], f"{row['accuracy_before']:.1%}", f"{row['accuracy_after']:.1%}"]
        cells += [f"{row[key]:.1f}" for key in list(COLUMNS)[3:]]
        lines.append("  ".join(f"{cell:>11s}" for cell in cells))
    return "\n".join(lines)


def _say(text: str) -> None:
    print(f"== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(runner.run_command("quickstart", sys.argv[1:]))
