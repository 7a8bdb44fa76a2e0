"""Chooses where to split a network for a Coral board: the best measured accuracy within a measured memory budget."""

import bisect
import dataclasses
import itertools
from collections.abc import Callable

import keras
import numpy as np
from ml_collections import ConfigDict

from tinytl_tf import data
from tinytl_tf.backbones.split import dequantizing, split_model
from tinytl_tf.errors import InputError
from tinytl_tf.experiment import network_of
from tinytl_tf.export.build import build_file
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.files import temporary_folder
from tinytl_tf.memory import measure
from tinytl_tf.networks.spec import CLASSIFIER, HEAD, NetworkSpec
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.profiles import Profile
from tinytl_tf.training import Experiment, make_optimizer, make_train_step
from tinytl_tf.training.objectives import get_objective

__all__ = ["SplitOutcome", "SplitTrial", "candidates", "choose_split"]

EPOCHS = 4  # training epochs for each split that fits
HELD_OUT = 4  # one of this many training images in each class is held out for evaluation
MOST_IMAGES = 800  # most images for training and evaluation together
_BATCH = 32


@dataclasses.dataclass(frozen=True)
class SplitTrial:
    """A measured split.

    Attributes:
        place: name of the first place of the suffix.
        growth_bytes: memory growth of a process that loads the suffix and runs a training step.
        accuracy: accuracy on held-out training images, 0 to 1; None if the split does not fit the budget.
    """

    place: str
    growth_bytes: int
    accuracy: float | None = None


@dataclasses.dataclass(frozen=True)
class SplitOutcome:
    """The chosen split.

    Attributes:
        config: configuration with its scheme restricted to the places from the split on.
        place: name of the first place of the suffix.
        trials: all measured splits, from the input to the output.
    """

    config: ConfigDict
    place: str
    trials: tuple[SplitTrial, ...]


def candidates(config: ConfigDict) -> list[str]:
    """Returns the places to try as splits: the head, the classifier, and blocks at which the architecture changes.

    A block is tried if its output shape or its kernel sizes differ from those of the previous block. Only places that
    one tensor enters are tried.

    Example:
        >>> from tinytl_tf.configs import default
        >>> candidates(default.get_config())
        ['block_1', 'block_3', 'block_6', 'block_10', 'block_13', 'block_16', 'head', 'classifier']
    """
    spec = network_of(config)
    rows = [(spec.shape(spec.place(name).output), _kernel_sizes(spec, name)) for name in spec.blocks]
    pairs = zip(spec.blocks[1:], itertools.pairwise(rows), strict=True)
    firsts = [name for name, (before, after) in pairs if before != after]
    found = [*firsts, *(name for name in spec.places if name == HEAD), CLASSIFIER]
    return [name for name in found if spec.boundary(name)]


def _kernel_sizes(spec: NetworkSpec, block: str) -> set[tuple[int, ...]]:
    return {layer.kernel_size for layer in spec.layers_of(block) if layer.kernel_size}


def choose_split(
    config: ConfigDict,
    splits: data.Splits,
    *,
    budget_bytes: int,
    restrict: Callable[[ConfigDict, str], None],
    make_model: Callable[[Experiment], keras.Model],
    optimizer: str,
    batch_size: int,
    profile: Profile,
    say: Callable[[str], None] = print,
) -> SplitOutcome:
    """Finds the split with the best accuracy among those whose suffix fits a budget.

    The later a split is, the less memory its suffix needs, so bisection finds the earliest split that fits. From there
    on, each split is trained for a few epochs in Keras, on float features of some training images, and evaluated on
    other training images. If several splits are equally accurate, the last of them is chosen. Test images are not used.

    Args:
        config: configuration of the network and its data; it is not changed.
        splits: the data.
        budget_bytes: largest memory growth allowed for a process that loads the suffix and trains.
        restrict: function that restricts the scheme of a configuration to the places from a given one on; raises
            `InputError` if nothing is trained there.
        make_model: function that returns the network of an experiment, with its scheme applied.
        optimizer: optimizer on the device.
        batch_size: images per training step on the device.
        profile: profile of the file.
        say: prints a progress message.

    Returns:
        The chosen split, and all measured splits.

    Raises:
        InputError: if the scheme trains nothing after any split; or if not even the last split fits, in which case the
            message says how much is missing.
    """
    experiments = {}
    for place in candidates(config):
        own = ConfigDict(config.to_dict())
        try:
            restrict(own, place)
        except InputError:
            continue
        experiments[place] = Experiment(own)
    if not experiments:
        raise InputError(f"scheme {config.scheme} has nothing to train behind any split; choose another scheme")
    places, trials = list(experiments), {}

    def growth(place: str) -> int:
        if place not in trials:
            model = make_model(experiments[place])
            trials[place] = SplitTrial(place, _growth(model, place, optimizer, batch_size, splits.train.task, profile))
            say(f"  split at {place}: training lets a process grow by {trials[place].growth_bytes / 1e6:.1f} MB")
        return trials[place].growth_bytes

    if growth(places[-1]) > budget_bytes:
        missing = (growth(places[-1]) - budget_bytes) / 1e6
        raise InputError(
            f"nothing fits into {budget_bytes / 1e6:g} MB: the last split, at {places[-1]}, needs {missing:.1f} MB "
            "more; raise the budget, or choose smaller images"
        )
    first = bisect.bisect_left(places, True, key=lambda place: growth(place) <= budget_bytes)
    train, held_out = _divide(splits.train)
    for place in places[first:]:
        if growth(place) > budget_bytes:
            continue
        accuracy = _accuracy(make_model(experiments[place]), experiments[place], place, train, held_out)
        trials[place] = dataclasses.replace(trials[place], accuracy=accuracy)
        say(f"  split at {place}: {accuracy:.2%} on {len(held_out)} held-out images after {EPOCHS} epochs")
    measured = tuple(trials[place] for place in places if place in trials)
    best = max(reversed(measured), key=lambda trial: -1.0 if trial.accuracy is None else trial.accuracy)
    return SplitOutcome(ConfigDict(experiments[best.place].config.to_dict()), best.place, measured)


def _growth(model: keras.Model, place: str, optimizer: str, batch_size: int, task: str, profile: Profile) -> int:
    suffix = dequantizing(split_model(model, place).suffix, 1.0, 0)
    module = TrainableModule(
        suffix,
        suffix.trainable_variables,
        optimizer=get_optimizer(optimizer),
        batch_size=batch_size,
        task=task,
        profile=profile,
        inputs="features",
    )
    content, _ = build_file(module)
    with temporary_folder() as folder:
        path = folder / "suffix.tflite"
        path.write_bytes(content)
        return measure(path, steps=1, xnnpack=profile.xnnpack).growth_bytes


def _divide(dataset: data.ImageDataset) -> tuple[data.ImageDataset, data.ImageDataset]:
    """Returns training images and held-out images; both have all classes if there are enough images."""
    order = np.random.default_rng(0).permutation(len(dataset))[:MOST_IMAGES]
    keys = dataset.labels[order] if dataset.task == "classification" else np.zeros(len(order), int)
    ranks = np.zeros(len(order), int)
    for key in np.unique(keys):
        ranks[keys == key] = np.arange(np.sum(keys == key))
    chosen = ranks % HELD_OUT == HELD_OUT - 1
    if not chosen.any() or chosen.all():
        chosen = np.arange(len(order)) % 2 == 1
    if not chosen.any():
        raise InputError(f"{dataset.name} has {len(dataset)} training image; at least 2 are needed to judge a split")
    return dataset.subset(order[~chosen]), dataset.subset(order[chosen])


def _accuracy(
    model: keras.Model,
    experiment: Experiment,
    place: str,
    train: data.ImageDataset,
    held_out: data.ImageDataset,
) -> float:
    parts, config = split_model(model, place), experiment.config
    options = {
        "batch_size": _BATCH,
        "image_size": config.backbone.resolution,
        "central_fraction": config.data.central_fraction,
    }

    def features_of(dataset: data.ImageDataset) -> np.ndarray:
        batches = data.eval_batches(dataset, **options)
        return np.concatenate([np.asarray(parts.prefix(images.astype(np.float32))) for images, _ in batches])

    step = make_train_step(parts.suffix, model.trainable_variables, make_optimizer("adam"), task=train.task)
    features, rng = features_of(train), np.random.default_rng(0)
    batch_size = min(config.training.batch_size, len(train))
    for _ in range(EPOCHS):
        for chosen in np.array_split(rng.permutation(len(train)), len(train) // batch_size):
            step(features[chosen], train.labels[chosen], np.float32(config.training.learning_rate))
    logits = parts.suffix.predict(features_of(held_out), batch_size=_BATCH, verbose=0)
    return float(np.mean(get_objective(train.task).correct(logits, held_out.labels)))
