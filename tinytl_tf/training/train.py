"""The training loop."""

import importlib.util
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from tinytl_tf import data
from tinytl_tf.errors import InputError
from tinytl_tf.progress import Progress
from tinytl_tf.schedules import SCHEDULES
from tinytl_tf.training.evaluate import evaluate
from tinytl_tf.training.experiment import Experiment
from tinytl_tf.training.optimizers import get_optimizer
from tinytl_tf.training.run_folder import RunFolder
from tinytl_tf.training.step import make_train_step

__all__ = ["train"]


def train(config: ConfigDict, workdir: str, *, resume: bool = False) -> dict[str, Any]:
    """Trains a network as a configuration says and leaves checkpoints and a log in a folder.

    A run that was killed and is resumed gives the numbers of one that was not: it goes on after the last whole
    epoch; order and augmentation of the images depend on seed and epoch alone, and the checkpoint holds the
    optimizer's and the dropout's state.

    Args:
        config: a configuration with the keys of `configs/default.py`.
        workdir: the folder of the run, see `RunFolder`.
        resume: go on with the run in the folder; its configuration must be the same.

    Returns:
        The last row of the log, with the best test accuracy as `best_accuracy` and the trained parameters.

    Raises:
        InputError: for a configuration, data or weights that cannot be used, or a loss that is not finite.
    """
    experiment, folder = Experiment(config), RunFolder(workdir)
    splits = experiment.load_data()
    steps = data.steps_per_epoch(splits.train, config.training.batch_size)
    resume = resume and folder.exists
    if resume:
        _check_same(folder.read_run()[0], config)
    else:
        folder.write_run(config, splits.train.class_names)

    model, resolution = experiment.build_model(len(splits.train.class_names))
    print(resolution, flush=True)
    if resume and (folder.path / "last.keras").exists():
        model = folder.load("last")
    else:
        model.compile(get_optimizer(config.training.optimizer))
        folder.write_log([])
    step = make_train_step(
        model, model.trainable_variables, model.optimizer, label_smoothing=config.training.label_smoothing
    )
    start = int(model.optimizer.iterations) // steps
    folder.write_log([row for row in folder.read_log() if row["epoch"] < start])

    write_summary = _tensorboard(workdir)
    with Progress((config.training.epochs - start) * steps, "train") as progress:
        for epoch in range(start, config.training.epochs):
            row = _train_epoch(experiment, splits.train, step, epoch, steps, progress)
            row |= {f"test_{key}": value for key, value in evaluate(model, splits.test).items()}
            best = max((old["test_accuracy"] for old in folder.read_log()), default=-1.0)
            folder.append_log(row)
            write_summary(row)
            if row["test_accuracy"] > best:
                folder.save("best", model)
            folder.save("last", model)
            progress.message(
                f"epoch {epoch + 1}/{config.training.epochs}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.2%}, "
                f"test accuracy {row['test_accuracy']:.2%}"
            )
    rows = folder.read_log()
    best = max(row["test_accuracy"] for row in rows)
    return {**rows[-1], "best_accuracy": best, "trained_parameters": resolution.parameters}


def _train_epoch(
    experiment: Experiment,
    dataset: data.ImageDataset,
    step: Callable,
    epoch: int,
    steps: int,
    progress: Progress,
) -> dict[str, Any]:
    """Trains one epoch; returns the means of its metrics."""
    training = experiment.config.training
    batches = data.train_batches(
        dataset,
        batch_size=training.batch_size,
        image_size=experiment.config.backbone.resolution,
        seed=training.seed,
        epoch=epoch,
        augmentation=experiment.augmentation(),
    )
    rows, seconds = [], []
    for index, (images, labels) in enumerate(batches):
        number = epoch * steps + index
        rate = SCHEDULES[training.schedule](number, training.epochs * steps, training.learning_rate)
        started = time.perf_counter()
        metrics = {key: float(value) for key, value in step(images, labels, np.float32(rate)).items()}
        seconds.append(time.perf_counter() - started)
        if not all(map(math.isfinite, metrics.values())):
            raise InputError(
                f"step {number} of training gave a loss of {metrics['loss']} and a gradient of norm "
                f"{metrics['gradient_norm']}; lower config.training.learning_rate (now {training.learning_rate}) "
                "or look at the images of that step; checkpoints of earlier epochs are whole"
            )
        rows.append(metrics)
        progress.advance(f"loss {metrics['loss']:.4f}")
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    return {"epoch": epoch, "step": (epoch + 1) * steps, "step_ms": 1e3 * float(np.median(seconds)), **means}


def _check_same(old: ConfigDict, new: ConfigDict) -> None:
    before, now = _flat(old.to_dict()), _flat(new.to_dict())
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise InputError(
                f"cannot resume: config.{key} was {before.get(key)!r} and is now {now.get(key)!r}; "
                "use the same config, or another --workdir"
            )


def _flat(config: dict, prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat


def _tensorboard(workdir: str) -> Callable[[dict[str, Any]], None]:
    """Returns a function that writes a row for TensorBoard, which does nothing where it is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return lambda row: None
    writer = tf.summary.create_file_writer(str(workdir))

    def write(row):
        with writer.as_default(step=row["step"]):
            for key, value in row.items():
                tf.summary.scalar(key, value)
        writer.flush()

    return write
