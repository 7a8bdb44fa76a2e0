"""The training loop."""

import contextlib
import importlib.util
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from tinytl_tf import data
from tinytl_tf.errors import InputError, TrainingDiverged
from tinytl_tf.experiment import Experiment, flat
from tinytl_tf.files import refuse_existing, require_room
from tinytl_tf.progress import Progress
from tinytl_tf.schedules import SCHEDULES
from tinytl_tf.training.evaluation import make_evaluate
from tinytl_tf.training.folder_lock import folder_lock
from tinytl_tf.training.frozen_features import frozen_features, frozen_until
from tinytl_tf.training.optimizers import make_optimizer
from tinytl_tf.training.run_folder import Run, RunFolder
from tinytl_tf.training.step import make_train_step

__all__ = ["train"]


def train(config: ConfigDict, workdir: str, *, resume: bool = False) -> dict[str, Any]:
    """Trains a network as a configuration says and leaves checkpoints and a log in a folder.

    A run that was killed and is resumed gives the numbers of one that was not: it goes on after the last whole
    epoch; order and augmentation of the images depend on seed and epoch alone, dropout on seed and step, and the
    checkpoint holds the optimizer's state.

    Args:
        config: a configuration with the keys of `configs/default.py`.
        workdir: the folder of the run, see `RunFolder`.
        resume: go on with the run in the folder; its configuration must be the same.

    Returns:
        The last row of the log, with the number and test accuracy of the best epoch, see `RunFolder`, and the
        trained parameters.

    Raises:
        InputError: for a configuration, data or weights that cannot be used, or a folder that another training uses.
        TrainingDiverged: for a loss that is not finite.
    """
    folder = RunFolder(workdir)
    refuse_existing(folder.path / "run.json", overwrite=True)
    experiment = Experiment(config)
    with folder_lock(folder.path):
        return _train(experiment, folder, resume)


def _train(experiment: Experiment, folder: RunFolder, resume: bool) -> dict[str, Any]:
    config = experiment.config
    splits = experiment.load_data()
    class_names, task = splits.train.class_names, splits.train.task
    steps = data.steps_per_epoch(splits.train, config.training.batch_size)
    print(splits.describe(), flush=True)
    run = Run.of(config, splits)
    resume = resume and folder.exists
    if resume:
        _check_same(folder.read_run(), run, splits)

    if resume and (folder.path / "last.keras").exists():
        model, resolution = experiment.adopt(folder.load("last"))
    else:
        model, resolution = experiment.build_model(len(class_names))
        if config.training.cache_features:
            frozen_until(model)  # refused before an older run in the folder is removed
        model.compile(make_optimizer(config.training.optimizer))
        folder.start(run)
    print(resolution, flush=True)
    require_room(folder.path / "last.keras", 3 * 4 * model.count_params())  # best, last and the next one
    start = _go_back(folder, int(model.optimizer.iterations), steps)
    _set_dropout(model, start * steps)

    with contextlib.ExitStack() as stack:
        trained, features = model, None
        if config.training.cache_features:
            trained, features = stack.enter_context(frozen_features(model, folder.path))
            print(f"features of {'x'.join(map(str, features.shape))} are computed once for each image", flush=True)
        step = make_train_step(
            trained,
            model.trainable_variables,
            model.optimizer,
            task=task,
            label_smoothing=config.training.label_smoothing,
        )
        fraction, size = config.data.central_fraction, config.backbone.resolution
        evaluate = make_evaluate(trained, task, central_fraction=fraction, features=features, image_size=size)
        rows = _train_epochs(experiment, splits, model, folder, step, evaluate, start, features)
    best = max(rows, key=_merit)  # the first of equals, as the checkpoint
    return {
        **rows[-1],
        "best_epoch": best["epoch"],
        "best_accuracy": best["test_accuracy"],
        "trained_parameters": resolution.parameters,
    }


def _train_epochs(
    experiment: Experiment,
    splits: data.Splits,
    model: keras.Model,
    folder: RunFolder,
    step: Callable,
    evaluate: Callable,
    start: int,
    features: data.CachedFeatures | None,
) -> list[dict[str, Any]]:
    """Trains the epochs from `start` on; returns the rows of the log."""
    config, write_summary = experiment.config, _tensorboard(folder.path)
    steps = data.steps_per_epoch(splits.train, config.training.batch_size)
    with Progress((config.training.epochs - start) * steps, "train") as progress:
        for epoch in range(start, config.training.epochs):
            before = [variable.numpy() for variable in model.trainable_variables]
            row = _train_epoch(experiment, splits.train, step, epoch, steps, progress, features)
            row["update_norm"] = _distance(model.trainable_variables, before)
            for name in ("validation", "test"):
                if name in splits.by_name:
                    row |= {f"{name}_{key}": value for key, value in evaluate(splits.by_name[name]).items()}
            _require_finite(row, row["step"] - 1, config.training.learning_rate)
            best = max(map(_merit, folder.read_log()), default=-math.inf)
            folder.append_log(row)
            write_summary(row)
            if _merit(row) > best:
                folder.save("best", model)
            folder.save("last", model)
            progress.message(
                f"epoch {epoch + 1}/{config.training.epochs}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.2%}, "
                f"test accuracy {row['test_accuracy']:.2%}"
            )
    return folder.read_log()


def _merit(row: dict[str, Any]) -> float:
    """What the best epoch is chosen by; never by the test images, whose accuracy would be too good."""
    return row.get("validation_accuracy", -row["loss"])


def _train_epoch(
    experiment: Experiment,
    dataset: data.ImageDataset,
    step: Callable,
    epoch: int,
    steps: int,
    progress: Progress,
    features: data.CachedFeatures | None,
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
        central_fraction=experiment.config.data.central_fraction,
        features=features,
    )
    rows, seconds = [], []
    for index, (images, labels) in enumerate(batches):
        number = epoch * steps + index
        rate = SCHEDULES[training.schedule](number, training.epochs * steps, training.learning_rate)
        started = time.perf_counter()
        metrics = {key: float(value) for key, value in step(images, labels, np.float32(rate)).items()}
        seconds.append(time.perf_counter() - started)
        _require_finite(metrics, number, training.learning_rate)
        rows.append(metrics)
        progress.advance(f"loss {metrics['loss']:.4f}")
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    return {"epoch": epoch, "step": (epoch + 1) * steps, "step_ms": 1e3 * float(np.median(seconds)), **means}


def _distance(variables: Sequence[keras.Variable], before: Sequence[np.ndarray]) -> float:
    """Euclidean norm of what an epoch changed."""
    changes = [variable.numpy() - old for variable, old in zip(variables, before, strict=True)]
    return math.sqrt(sum(float(np.vdot(change, change)) for change in changes))


def _require_finite(metrics: dict[str, float], step: int, learning_rate: float) -> None:
    bad = [f"{key} {value}" for key, value in metrics.items() if not math.isfinite(value)]
    if bad:
        raise TrainingDiverged(
            f"step {step} of training gave {', '.join(bad)}; lower config.training.learning_rate (now "
            f"{learning_rate}) or look at the images of that step; checkpoints of earlier epochs are whole"
        )


def _check_same(before: Run, now: Run, splits: data.Splits) -> None:
    """Refuses to go on with another configuration or other data."""
    names = {"classes": "the list of classes", "task": "the task of the labels"}
    old = flat(before.config) | {"classes": before.class_names, "task": before.task}
    new = flat(now.config) | {"classes": now.class_names, "task": now.task}
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            raise InputError(
                f"cannot resume: {names.get(key, f'config.{key}')} was {old.get(key)!r} and is now {new.get(key)!r}; "
                "use the same config and data, or train in another folder"
            )
    changed = before.changed_data(splits)
    if changed:
        raise InputError(
            f"cannot resume: the {changed} images are not those of the run: names, sizes or labels of files have "
            "changed; use the same data, or another folder"
        )


def _go_back(folder: RunFolder, iterations: int, steps: int) -> int:
    """Cuts the log to the epochs that the checkpoint has seen; returns their number."""
    start = iterations // steps
    rows = [row for row in folder.read_log() if row["epoch"] < start]
    if [row["step"] for row in rows] != list(range(steps, iterations + 1, steps)):
        raise InputError(
            f"cannot resume: the checkpoint took {iterations} steps, which log.jsonl and epochs of {steps} steps do "
            "not tell; the number of training images or the log has changed; train again without resuming"
        )
    folder.write_log(rows)
    return start


def _set_dropout(model: keras.Model, step: int) -> None:
    """Lets dropout draw what it draws at a step; Keras leaves the counts of random generators out of a checkpoint."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
            state = layer.seed_generator.state
            state.assign([int(state[0]), step])


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
