"""Cost of an epoch of `tinytl train` with and without --cache_features, if only late places are trained.

Command (data and weights are not part of the package):
    python benchmarks/cache_features.py --data=oxford_flowers17_128.npz --weights=mobilenet_v2_1.0_224.h5

Trains MobileNetV2 1.0 in Keras at 128 px, with flips and batches of 8. Prints a row for each split with the CPU seconds
of an epoch on images, estimated from the median of some steps including image decoding; and of the first, second and
sixth epoch on cached features. Each epoch sees some mirrored images for the first time; the sixth sees very few. Times
are CPU seconds, so that other work on the machine does not count.
"""

import itertools
import pathlib
import statistics
import tempfile
import time

import numpy as np
from absl import app, flags

from tinytl_tf import data
from tinytl_tf.cli.coral import restrict
from tinytl_tf.configs import flowers17
from tinytl_tf.experiment import Experiment
from tinytl_tf.training import make_optimizer, make_train_step
from tinytl_tf.training.frozen_features import frozen_features

_DATA = flags.DEFINE_string("data", None, "The data set.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", None, "Pre-trained weights.", required=True)
_STEPS = flags.DEFINE_integer("steps", 12, "Timed steps on images.")
FLIPS = data.Augmentation(crop=False, flip=True)
CASES = {"head": "tinytl-b", "block_13": "tinytl-b", "classifier": "last"}
BATCH_SIZE, SIZE, EPOCHS = 8, 128, 6


def time_steps(step, batches, count: int) -> list[float]:
    """Returns the CPU seconds of each of `count` steps, after two warm-up steps, including their batches."""
    seconds, started = [], time.process_time()
    for batch in itertools.islice(batches, count + 2):
        step(*batch, np.float32(1e-3))
        seconds.append(time.process_time() - started)
        started = time.process_time()
    return seconds[2:]


def main(_) -> None:
    """Prints the table."""
    print("| trained from | scheme | on images, s | first epoch on features, s | second, s | sixth, s |")
    print("|---|---|---|---|---|---|", flush=True)
    for place, scheme in CASES.items():
        config = flowers17.get_config()
        config.scheme, config.data.name, config.backbone.weights = scheme, _DATA.value, _WEIGHTS.value
        config.augmentation.crop = False
        restrict(config, place)
        experiment = Experiment(config)
        splits = experiment.load_data()
        model, _ = experiment.build_model(len(splits.train.class_names))
        options = {"batch_size": BATCH_SIZE, "image_size": SIZE, "seed": 0, "augmentation": FLIPS, "workers": 1}
        per_epoch = data.steps_per_epoch(splits.train, BATCH_SIZE)
        step = make_train_step(model, model.trainable_variables, make_optimizer("adam"))
        batches = data.train_batches(splits.train, epoch=0, **options)
        plain = statistics.median(time_steps(step, batches, _STEPS.value)) * per_epoch
        with (
            tempfile.TemporaryDirectory() as folder,
            frozen_features(model, pathlib.Path(folder)) as (suffix, features),
        ):
            step = make_train_step(suffix, model.trainable_variables, make_optimizer("adam"))
            cached = []
            for epoch in range(EPOCHS):
                started = time.process_time()
                for batch in data.train_batches(splits.train, epoch=epoch, features=features, **options):
                    step(*batch, np.float32(1e-3))
                cached.append(time.process_time() - started)
        print(
            f"| {place} | {scheme} | {plain:.1f} | "
            + " | ".join(f"{cached[epoch]:.1f}" for epoch in (0, 1, -1))
            + " |",
            flush=True,
        )


if __name__ == "__main__":
    app.run(main)
