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
from tinytl_tf.data.reason import reason
from tinytl_tf.divergence import has_diverged
from tinytl_tf.errors import InputError, TrainingDiverged, WorkerLost
from tinytl_tf.experiment import Experiment, flat
from tinytl_tf.figures import EvaluateResult
from tinytl_tf.files import refuse_existing, require_room
from tinytl_tf.locks import output_lock
from tinytl_tf.networks.branches import BRANCHES
from tinytl_tf.networks.schemes import ResolvedScheme
from tinytl_tf.networks.variables import variable_spec
from tinytl_tf.progress import Progress
from tinytl_tf.schedules import warmed_up
from tinytl_tf.tasks import get_task
from tinytl_tf.training.distribution import Distribution
from tinytl_tf.training.evaluation import make_evaluate
from tinytl_tf.training.frozen_features import frozen_features, frozen_until
from tinytl_tf.training.optimizers import make_optimizer
from tinytl_tf.training.precision import require_precision
from tinytl_tf.training.run_folder import Run, RunFolder
from tinytl_tf.training.step import make_train_step
from tinytl_tf.training.teacher import Teacher

__all__ = ["train"]


def train(
    config: ConfigDict, workdir: str, *, resume: bool = False, distribution: Distribution | None = None
) -> dict[str, Any]:
    """Trains the network that a configuration describes, and writes checkpoints and a log to a folder.

    A run that was killed and resumed produces the same numbers as an uninterrupted run: it continues after the last
    save (`training.saves_per_epoch` sets the number of saves); the order and augmentation of images depend only on seed
    and epoch, dropout depends only on seed and step, and the checkpoint includes the optimizer's state.

    Args:
        config: a configuration with the keys of `configs/default.py`.
        workdir: the folder of the run; see `RunFolder`.
        resume: whether to continue the run in the folder; its configuration must be the same.
        distribution: the devices; None for one device. With several workers, each calls this function with the same
            arguments, and the first one writes the folder.

    Returns:
        The last row of the log, with the index and the test accuracy (None without test images) of the best epoch (see
        `RunFolder`), and with the number of trained parameters.

    Raises:
        InputError: If the configuration, the data or the weights are invalid; or if another run uses the folder.
        TrainingDiverged: If a loss is not finite; or if it is far above the loss of a guess; see
            `tinytl_tf.divergence`.
        WorkerLost: If another worker has ended; start all workers again with `resume`.
    """
    folder = RunFolder(workdir)
    refuse_existing(folder.path / "run.json", overwrite=True)
    experiment, distribution = Experiment(config), distribution or Distribution()
    distribution.require_batch(config.training.batch_size)
    require_precision(config.training.precision)
    if config.training.cache_features and distribution.devices > 1:
        raise InputError(
            f"expected config.training.cache_features on one device, got {distribution.devices}; leave one of them out"
        )
    try:
        lock = output_lock(folder.path, folder=True) if distribution.is_first else contextlib.nullcontext()
        with lock:
            return _train(experiment, folder, resume, distribution)
    except tf.errors.OpError as error:
        if distribution.workers == 1:
            raise
        raise WorkerLost(
            f"expected {distribution.workers} workers, one has ended or cannot be reached ({reason(error)}); start all "
            "of them again with resume=True"
        ) from error


def _train(experiment: Experiment, folder: RunFolder, resume: bool, distribution: Distribution) -> dict[str, Any]:
    config, is_first = experiment.config, distribution.is_first
    splits = experiment.load_data()
    splits.train.require_classes(2)
    class_names, task = splits.train.class_names, splits.train.task
    steps = data.steps_per_epoch(splits.train, config.training.batch_size)
    print(splits.describe(), flush=True)
    run = Run.of(config, splits)
    resume = resume and folder.exists
    if resume:
        _check_same(folder.read_run(), run, splits)

    goes_on = resume and (folder.path / "last.keras").exists()
    # Only variables are created in the scope: saving a model there would create variables that other workers lack.
    with distribution.strategy.scope():
        if goes_on:
            model, resolution = experiment.adopt(folder.load("last"))
        else:
            model, resolution, origin = _start(experiment, folder, class_names, task)
            model.compile(make_optimizer(config.training.optimizer))
        teacher = None
        if config.training.distillation:
            network = experiment.build_teacher()
            teacher = Teacher(network, config.training.teacher_scale, config.training.distillation)
    if config.training.cache_features:
        frozen_until(model)  # may raise an error, before an older run in the folder is removed
    if not goes_on:
        print(origin, end="", flush=True)
    if is_first and not goes_on:
        folder.start(run)
    print(resolution, flush=True)
    training = config.training
    print(f"learning rate {training.learning_rate:g}, {training.optimizer}, {training.schedule}", flush=True)
    if is_first:
        require_room(folder.path / "last.keras", 3 * 4 * model.count_params())  # best, last and the next one
    ends = _ends(steps, config.training.saves_per_epoch)
    iterations = _iterations(model, config, steps)
    start = len([end for epoch in range(iterations // steps + 1) for end in ends if epoch * steps + end <= iterations])
    if is_first:
        _go_back(folder, iterations, steps, ends)
    _set_dropout(model, iterations)

    if start == training.epochs * len(ends):
        print(f"all {training.epochs} epochs of this run are done", flush=True)

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
            weight_decay=config.training.weight_decay,
            clip_norm=config.training.clip_norm,
            precision=config.training.precision,
            teacher=teacher,
            strategy=distribution.strategy,
        )
        fraction, size = config.data.central_fraction, config.backbone.resolution
        evaluate = make_evaluate(trained, task, central_fraction=fraction, features=features, image_size=size)
        _train_parts(experiment, splits, model, folder, step, evaluate, start, features, distribution)
    distribution.wait()
    rows = folder.read_log()
    best = max(rows, key=_merit)  # the first of equal epochs, as for the checkpoint
    return {
        **rows[-1],
        "best_epoch": best["epoch"],
        "best_accuracy": best.get("test_accuracy"),
        "trained_parameters": resolution.parameters,
    }


def _start(
    experiment: Experiment, folder: RunFolder, class_names: Sequence[str], task: str
) -> tuple[keras.Model, ResolvedScheme, str]:
    """Returns the network for the first step, its resolved scheme, and a line about the origin of its weights."""
    if not experiment.config.training.continue_from:
        model, resolution = experiment.build_model(len(class_names))
        return model, resolution, experiment.describe_branches(model)
    before = RunFolder(experiment.config.training.continue_from)
    if before.path.resolve() == folder.path.resolve():
        raise InputError(
            f"expected config.training.continue_from as the folder of another run, got {before.path}, which the new "
            "run would replace; give another folder, or resume=True for an interrupted run"
        )
    trained = before.load("last")
    _check_continues(before.read_run(), trained, experiment.config, class_names, task)
    origin = f"continues from {before.path}, {before.checkpoint('last', trained)}\n"
    model, resolved = experiment.adopt(trained)
    if model is not trained:
        origin += f"{BRANCHES[experiment.scheme().branch].title} are new: their output starts at zero\n"
    return model, resolved, origin


def _check_continues(run: Run, trained: keras.Model, config: ConfigDict, class_names: Sequence[str], task: str) -> None:
    """Refuses to continue training the network of a run with different labels or as a different network."""
    if (run.class_names, run.task) != (tuple(class_names), task):
        raise InputError(
            f"expected data with the labels of the run that is continued, {run.task} of {', '.join(run.class_names)}, "
            f"got {task} of {', '.join(class_names)}; use such data, or train from pre-trained weights"
        )
    kinds = {variable_spec(variable).branch for variable in trained.weights}
    free = {key for kind, branch in BRANCHES.items() if kind not in kinds for key in branch.config_keys.values()}
    for key in sorted(set(config.backbone.keys()) - free):  # settings of branches that will be added may differ
        old, new = run.config.backbone[key], config.backbone[key]
        if old != new:
            raise InputError(
                f"expected config.backbone.{key}={old!r} as in the run that is continued, got {new!r}; leave it so"
            )


def _train_parts(
    experiment: Experiment,
    splits: data.Splits,
    model: keras.Model,
    folder: RunFolder,
    step: Callable,
    evaluate: Callable,
    start: int,
    features: data.CachedFeatures | None,
    distribution: Distribution,
) -> None:
    """Trains the parts of epochs from index `start` on, and adds a row to the log after each part."""
    config = experiment.config
    write_summary = _tensorboard(folder.path) if distribution.is_first else None
    steps, epochs = data.steps_per_epoch(splits.train, config.training.batch_size), config.training.epochs
    ends = _ends(steps, config.training.saves_per_epoch)
    with Progress(epochs * steps - int(model.optimizer.iterations.numpy()), "train") as progress:
        for part in range(start, epochs * len(ends)):
            epoch, place = divmod(part, len(ends))
            before = [variable.numpy() for variable in model.trainable_variables]
            steps_of_part = ([0, *ends][place], ends[place])
            row = _train_part(experiment, splits.train, step, epoch, steps_of_part, progress, features, distribution)
            if not distribution.is_first:
                continue
            row["update_norm"] = _distance(model.trainable_variables, before)
            row["ends_epoch"] = place == len(ends) - 1
            if row["ends_epoch"]:
                row |= _evaluate(splits, evaluate)
            _require_sound(row, splits.train, config.training)
            best = max(map(_merit, folder.read_log()), default=-math.inf)
            folder.append_log(row)
            write_summary(row)
            if _merit(row) > best:
                folder.save("best", model)
            folder.save("last", model)
            at = f", step {row['step']} of {epochs * steps}" if not row["ends_epoch"] else ""
            if "test_accuracy" in row:
                at = f", test accuracy {row['test_accuracy']:.2%}"
            progress.message(f"epoch {epoch + 1}/{epochs}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.2%}{at}")


def _evaluate(splits: data.Splits, evaluate: Callable[..., EvaluateResult]) -> dict[str, Any]:
    """Returns the figures of the validation and test images, if any, for a row of the log."""
    row = {}
    for name in ("validation", "test"):
        if name in splits.by_name:
            dataset = splits.by_name[name]
            figures = evaluate(dataset).to_json(dataset.class_names)
            row |= {f"{name}_{key}": value for key, value in figures.items()}
    return row


def _require_sound(row: dict[str, Any], dataset: data.ImageDataset, training: ConfigDict) -> None:
    """Raises `TrainingDiverged` for a log row with the numbers of a diverged training run."""
    numbers = {key: value for key, value in row.items() if isinstance(value, float)}
    _require_finite(numbers, row["step"] - 1, training.learning_rate)
    if not row["ends_epoch"]:
        return
    names = [name for name in ("validation_loss", "test_loss") if name in row]
    guess = get_task(dataset.task).guess_loss(len(dataset.class_names))
    # A loss that is in part a distance of features has a scale of its own.
    for name in names or ([] if training.distillation else ["loss"]):
        if has_diverged(None, row[name], guess):
            raise TrainingDiverged(
                f"the training has diverged: the {name.replace('_', ' ')} of epoch {row['epoch'] + 1} is "
                f"{row[name]:.4g}, for a guess it is {guess:.4g}; lower config.training.learning_rate (now "
                f"{training.learning_rate}); checkpoints of earlier epochs are intact"
            )


def _ends(steps: int, saves: int) -> list[int]:
    """Steps of an epoch after which a run is saved, in ascending order up to the last step."""
    return sorted({-(-steps * (save + 1) // saves) for save in range(saves)})


def _merit(row: dict[str, Any]) -> float:
    """Score of an epoch, never from the test images: selecting by them would make their accuracy too high."""
    if not row["ends_epoch"]:
        return -math.inf
    return row.get("validation_accuracy", -row["loss"])


def _train_part(
    experiment: Experiment,
    dataset: data.ImageDataset,
    step: Callable,
    epoch: int,
    part: tuple[int, int],
    progress: Progress,
    features: data.CachedFeatures | None,
    distribution: Distribution,
) -> dict[str, Any]:
    """Trains the steps of an epoch from `part[0]` to `part[1]`, exclusive; returns the means of their metrics."""
    training = experiment.config.training
    steps = data.steps_per_epoch(dataset, training.batch_size)
    batches = data.train_batches(
        dataset,
        batch_size=training.batch_size,
        image_size=experiment.config.backbone.resolution * (training.teacher_scale or 1),
        seed=training.seed,
        epoch=epoch,
        augmentation=experiment.augmentation(),
        central_fraction=experiment.config.data.central_fraction,
        start_step=part[0],
        part=(distribution.worker, distribution.workers),
        features=features,
        workers=experiment.config.data.threads,
    )
    rows, seconds = [], []
    started = time.perf_counter()
    for number in range(epoch * steps + part[0], epoch * steps + part[1]):
        images, labels = next(batches)
        rate = warmed_up(
            training.schedule, number, training.epochs * steps, training.learning_rate, training.warmup_steps
        )
        began = time.perf_counter()
        metrics = step(distribution.spread(images), distribution.spread(labels), np.float32(rate))
        metrics = {key: float(value) for key, value in metrics.items()}
        seconds.append(time.perf_counter() - began)
        _require_finite(metrics, number, training.learning_rate)
        rows.append(metrics)
        progress.advance(f"loss {metrics['loss']:.4f}")
    whole = time.perf_counter() - started
    batches.close()
    return {
        "epoch": epoch,
        "step": epoch * steps + part[1],
        "step_ms": 1e3 * float(np.median(seconds)),
        "images_per_second": training.batch_size * len(rows) / whole,
        "waiting": 1 - sum(seconds) / whole,
        **{key: float(np.mean([row[key] for row in rows])) for key in rows[0]},
    }


def _distance(variables: Sequence[keras.Variable], before: Sequence[np.ndarray]) -> float:
    """Euclidean norm of the change of the variables."""
    changes = [variable.numpy() - old for variable, old in zip(variables, before, strict=True)]
    return math.sqrt(sum(float(np.vdot(change, change)) for change in changes))


def _require_finite(metrics: dict[str, float], step: int, learning_rate: float) -> None:
    bad = [f"{key} {value}" for key, value in metrics.items() if not math.isfinite(value)]
    if bad:
        raise TrainingDiverged(
            f"step {step} of training gave {', '.join(bad)}; lower config.training.learning_rate (now "
            f"{learning_rate}) or look at the images of that step; checkpoints of earlier epochs are intact"
        )


def _check_same(before: Run, now: Run, splits: data.Splits) -> None:
    """Refuses to continue with a different configuration or different data."""
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
            f"cannot resume: the {changed} images are not those of the run: content, labels or order has changed; "
            "use the same data, or another folder"
        )


def _iterations(model: keras.Model, config: ConfigDict, steps: int) -> int:
    """Number of steps that the optimizer of a checkpoint has taken."""
    expected, own = type(make_optimizer(config.training.optimizer)), getattr(model, "optimizer", None)
    taken = int(own.iterations.numpy()) if type(own) is expected else -1
    if not 0 <= taken <= config.training.epochs * steps:
        got = type(own).__name__ if taken < 0 else f"{taken} steps"
        raise InputError(
            f"cannot resume: expected a checkpoint with {expected.__name__} after at most "
            f"{config.training.epochs * steps} steps, got {got}; train again without resuming"
        )
    return taken


def _go_back(folder: RunFolder, iterations: int, steps: int, ends: Sequence[int]) -> None:
    """Truncates the log to the steps that the checkpoint includes."""
    rows = [row for row in folder.read_log() if row["step"] <= iterations]
    saves = [epoch * steps + end for epoch in range(iterations // steps + 1) for end in ends]
    expected = [step for step in saves if step <= iterations]
    if [row["step"] for row in rows] != expected or iterations not in (0, *expected):
        raise InputError(
            f"cannot resume: the checkpoint took {iterations} steps, which log.jsonl and epochs of {steps} steps do "
            "not explain; the number of training images or the log has changed; train again without resuming"
        )
    folder.write_log(rows)


def _set_dropout(model: keras.Model, step: int) -> None:
    """Sets dropout to its random numbers for a step; Keras checkpoints do not include the counters of generators."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
            state = layer.seed_generator.state
            state.assign([int(state.numpy()[0]), step])


def _tensorboard(workdir: str) -> Callable[[dict[str, Any]], None]:
    """Returns a function that writes a row for TensorBoard, or does nothing if TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return lambda row: None
    writer = tf.summary.create_file_writer(str(workdir))

    def write(row):
        with writer.as_default(step=row["step"]):
            for key, value in row.items():
                if isinstance(value, int | float):
                    tf.summary.scalar(key, value)
        writer.flush()

    return write
