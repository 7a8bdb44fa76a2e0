"""Which depths a classifier should read, and whether their features need a norm.

Trains only a linear classifier, on features that the frozen network computes once from unaugmented images. The features
are the network's own and the pooled outputs of some places. Prints the test accuracy in percent, as the mean of
--seeds, for each choice of places and norm:

* `none`: the features as they are.
* `layer`: each place's features minus their mean, divided by their deviation, for each image.
* `standard`: minus the mean and divided by the deviation of the training images, for each channel.

Command:
    python benchmarks/feature_depths.py --data=flowers17=oxford_flowers17_128.npz,cifar10=cifar10_32_15k.npz \
        --weights=mobilenet_v2_1.0_224.h5
"""

import importlib

import keras
import numpy as np
from absl import app, flags

from tinytl_tf import data
from tinytl_tf.backbones import build
from tinytl_tf.backbones.describe import describe
from tinytl_tf.networks.late import late_places
from tinytl_tf.schedules import cosine
from tinytl_tf.training import Experiment, make_optimizer, make_train_step

_DATA = flags.DEFINE_list("data", None, "CONFIG=FILE,...: configurations and their data sets.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", None, "Pre-trained weights of MobileNetV2 1.0.", required=True)
_RESOLUTION = flags.DEFINE_integer("resolution", 96, "Input size in pixels.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-3, "Learning rate of the classifier, with Adam.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "Number of seeds, from 0.")
BATCH_SIZE = 8
NORMS = {
    "none": lambda values, train: values,
    "layer": lambda values, train: (values - values.mean(1, keepdims=True)) / (values.std(1, keepdims=True) + 1e-3),
    "standard": lambda values, train: (values - train.mean(0)) / (train.std(0) + 1e-3),
}


def main(_) -> None:
    """Prints the table."""
    print(f"| set | places | features | {' | '.join(NORMS)} |\n|---|---|---|{'---|' * len(NORMS)}")
    for item in _DATA.value:
        name, _, path = item.partition("=")
        config = importlib.import_module(f"tinytl_tf.configs.{name}").get_config().unlock()
        config.data.name = path
        splits = Experiment(config).load_data()
        model = build("mobilenet_v2", classes=2, resolution=_RESOLUTION.value, weights=_WEIGHTS.value)
        spec = describe(model)
        train, test = (features_of(model, spec.places, dataset) for dataset in (splits.train, splits.test))
        *blocks, last = spec.places
        choices = {
            "none": (),
            "every third block": blocks[::-3][::-1],
            "late": late_places(spec)[:-1],
            "all": blocks,
        }
        for label, places in choices.items():
            chosen = (*places, last)
            width = sum(train[place].shape[1] for place in chosen)
            cells = []
            for norm in NORMS.values():
                inputs = [
                    np.concatenate([norm(own[place], train[place]) for place in chosen], 1) for own in (train, test)
                ]
                accuracies = [
                    accuracy(*inputs, splits, config.training.epochs, seed=seed) for seed in range(_SEEDS.value)
                ]
                cells.append(f"{100 * np.mean(accuracies):.1f}")
            print(f"| {name} | {label} | {width} | {' | '.join(cells)} |", flush=True)


def features_of(model: keras.Model, places: tuple[str, ...], dataset: data.ImageDataset) -> dict[str, np.ndarray]:
    """Returns the pooled output of each place for all images."""
    spec = describe(model)
    network = keras.Model(model.input, [model.get_layer(spec.place(place).output).output for place in places])
    parts = []
    for images, _ in data.eval_batches(dataset, batch_size=32, image_size=_RESOLUTION.value):
        outputs = (output.numpy() for output in network(images.astype(np.float32), training=False))
        parts.append([output.mean((1, 2)) if output.ndim == 4 else output for output in outputs])
    return dict(zip(places, map(np.concatenate, zip(*parts, strict=True)), strict=True))


def accuracy(train: np.ndarray, test: np.ndarray, splits: data.Splits, epochs: int, *, seed: int) -> float:
    """Returns the test accuracy of a linear classifier, 0 to 1."""
    keras.utils.set_random_seed(seed)
    classifier = keras.Sequential([keras.layers.Dense(len(splits.train.class_names))])
    classifier.build(train.shape)
    step = make_train_step(classifier, classifier.trainable_variables, make_optimizer("adam"))
    rng, count = np.random.default_rng(seed), len(train) // BATCH_SIZE
    for epoch in range(epochs):
        order = rng.permutation(len(train))[: count * BATCH_SIZE].reshape(count, BATCH_SIZE)
        for index, chosen in enumerate(order):
            rate = cosine(epoch * count + index, epochs * count, _LEARNING_RATE.value)
            step(train[chosen], splits.train.labels[chosen], np.float32(rate))
    return float(np.mean(classifier(test).numpy().argmax(1) == splits.test.labels))


if __name__ == "__main__":
    app.run(main)
