"""Measures a Coral export on flowers: accuracy with an int8 prefix, cost of an epoch, noise of a rebaked file.

Command (data and weights are not part of the package):
    python benchmarks/coral.py --data=oxford_flowers17_128.npz --weights=mobilenet_v2_1.0_224.h5 --split=head

Trains the suffix three times from the same start with different orders of the images, in Keras on float features and in
LiteRT on the int8 features of the prefix. Both cache the features. Both use flips, Adam with a cosine schedule, batches
of 8, label smoothing 0.1 and no dropout. Also measures an epoch of a file that trains all biases of the network on
decoded images, and the second epoch on cached features. Times are CPU seconds of the process, so that other work on the
machine does not count.
"""

import itertools
import json
import pathlib
import statistics
import time

import numpy as np
from absl import app, flags

from tinytl_tf import data, state
from tinytl_tf.cli import coral as coral_flags
from tinytl_tf.configs import flowers17
from tinytl_tf.device import TrainableModel, adapt
from tinytl_tf.device.coral import CoralModel
from tinytl_tf.device.prefix_runner import PrefixRunner
from tinytl_tf.device.rebake import rebake
from tinytl_tf.experiment import Experiment
from tinytl_tf.export.build import build_file
from tinytl_tf.export.coral import export_coral, run_int8
from tinytl_tf.export.int8 import convert_int8
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.schedules import SCHEDULES
from tinytl_tf.tflite.snr import snr_db
from tinytl_tf.training import make_evaluate, make_optimizer, make_train_step
from tinytl_tf.training.frozen_features import frozen_features

_DATA = flags.DEFINE_string("data", None, "The data set.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", None, "Pre-trained weights.", required=True)
_SPLIT = flags.DEFINE_string("split", "head", "First place of the suffix.")
_SCHEME = flags.DEFINE_string("scheme", "tinytl-b", "Update scheme.")
_EPOCHS = flags.DEFINE_integer("epochs", 9, "Epochs.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "Number of image orders; 0 to only measure times.", lower_bound=0)
_STEPS = flags.DEFINE_integer("steps", 12, "Timed steps of the complete file.")
_WORKDIR = flags.DEFINE_string("workdir", "runs/coral", "Folder for files and features.")
FLIPS = data.Augmentation(crop=False, flip=True)
RATE, BATCH_SIZE, SMOOTHING = 1e-3, 8, 0.1


def configure():
    """Returns the configuration, with the scheme restricted to the suffix."""
    config = flowers17.get_config()
    config.scheme, config.data.name, config.backbone.weights = _SCHEME.value, _DATA.value, _WEIGHTS.value
    config.backbone.dropout, config.augmentation.crop = 0.0, False
    coral_flags.restrict(config, _SPLIT.value)
    return config


def train_in_keras(model, suffix, features, splits, seed: int) -> float:
    """Trains the suffix on float features in Keras; returns the test accuracy."""
    size, epochs = model.input_shape[1], _EPOCHS.value
    variables = model.trainable_variables
    step = make_train_step(suffix, variables, make_optimizer("adam"), label_smoothing=SMOOTHING)
    per_epoch, steps = data.steps_per_epoch(splits.train, BATCH_SIZE), itertools.count()
    options = {"batch_size": BATCH_SIZE, "image_size": size, "seed": seed, "augmentation": FLIPS, "features": features}
    for epoch in range(epochs):
        for batch in data.train_batches(splits.train, epoch=epoch, **options):
            step(*batch, np.float32(SCHEDULES["cosine"](next(steps), epochs * per_epoch, RATE)))
    return make_evaluate(suffix, features=features, image_size=size)(splits.test).accuracy


def time_whole(splits, folder: pathlib.Path) -> float:
    """Returns the CPU seconds of an epoch of the file that trains all biases, estimated from some of its steps."""
    model, _ = Experiment(whole_config()).build_model(len(splits.train.class_names))
    rule = get_optimizer("adam")
    content, _ = build_file(TrainableModule(model, model.trainable_variables, optimizer=rule, batch_size=BATCH_SIZE))
    path = folder / "all_biases.tflite"
    path.write_bytes(content)
    device = TrainableModel(path)
    options = {"batch_size": BATCH_SIZE, "image_size": model.input_shape[1], "seed": 0, "epoch": 0}
    batches = data.train_batches(splits.train, augmentation=FLIPS, workers=1, **options)
    seconds, started = [], time.process_time()
    for images, labels in itertools.islice(batches, _STEPS.value + 2):
        device.train(images, labels, RATE)
        seconds.append(time.process_time() - started)
        started = time.process_time()
    return statistics.median(seconds[2:]) * data.steps_per_epoch(splits.train, BATCH_SIZE)


def whole_config():
    """Returns the configuration with the unrestricted scheme."""
    config = configure()
    config.biases, config.lite_residuals = (), ()
    return config


def time_cached(coral: CoralModel, features, splits, epoch: int) -> float:
    """Returns the CPU seconds of an epoch on features. From the second epoch, nearly all features are cached."""
    options = {"batch_size": BATCH_SIZE, "image_size": coral.suffix.image_size, "seed": 0, "workers": 1}
    started = time.process_time()
    plain = data.Augmentation(crop=False, flip=False)
    for batch in data.train_batches(splits.train, epoch=epoch, augmentation=plain, features=features, **options):
        coral.suffix.train(*batch, RATE)
    return time.process_time() - started


def rebaked_noise(model, coral_path: pathlib.Path, state_path: pathlib.Path, splits, photos) -> tuple[float, float]:
    """Returns the signal to noise on the test images of the rebaked file and of a newly quantized network."""
    output = coral_path.with_name("rebaked_int8.tflite")
    rebake(coral_path, state_path, output, list(photos), overwrite=True)
    state.load_state(model, state_path, coral_path.with_name("suffix_train.tflite"))
    images = np.concatenate(
        [batch for batch, _ in data.eval_batches(splits.test, batch_size=32, image_size=model.input_shape[1])]
    )
    expected = np.asarray(model.predict(images.astype(np.float32), batch_size=32, verbose=0))
    runner = PrefixRunner(output)
    integers = np.stack([runner(image) for image in images]).astype(np.float64)
    rebaked = (integers - runner.output["zero_point"]) * runner.output["scale"]
    fresh = run_int8(convert_int8(model, photos), images)[0].floats()
    return snr_db(expected, rebaked), snr_db(expected, fresh)


def main(_) -> None:
    """Prints a row."""
    experiment = Experiment(configure())
    folder = pathlib.Path(_WORKDIR.value) / _SPLIT.value
    folder.mkdir(parents=True, exist_ok=True)
    splits = experiment.load_data()
    model, _ = experiment.build_model(len(splits.train.class_names))
    photos = experiment.plain_batches(splits.train, 1, coral_flags.CALIBRATION_IMAGES)[0][:, 0]
    path = folder / "model.tflite"
    result = export_coral(
        model,
        path,
        split=_SPLIT.value,
        calibration=photos,
        labels=splits.train.class_names,
        optimizer="adam",
        batch_size=BATCH_SIZE,
        label_smoothing=SMOOTHING,
        **experiment.client_settings("adam"),
        overwrite=True,
        verbose=True,
    )
    coral_path = path.with_name("coral.json")
    start = [variable.numpy() for variable in model.trainable_variables]
    figures = {"split": _SPLIT.value, "features": result.coral.features.shape, "snr_db": result.coral.snr_db}
    figures["lint"] = result.coral.lint
    with frozen_features(model, folder) as (suffix, features):
        figures["keras"] = []
        for seed in range(_SEEDS.value):
            for variable, value in zip(model.trainable_variables, start, strict=True):
                variable.assign(value)
            figures["keras"].append(100 * train_in_keras(model, suffix, features, splits, seed))
            print(figures["keras"], flush=True)
    for variable, value in zip(model.trainable_variables, start, strict=True):
        variable.assign(value)
    coral = CoralModel(coral_path)
    with coral.features(folder / "features") as features:
        figures["litert"] = []
        for seed in range(_SEEDS.value):
            coral.suffix.reset()
            options = {"epochs": _EPOCHS.value, "learning_rate": RATE, "seed": seed, "augmentation": FLIPS}
            ended = adapt(coral.suffix, splits, features=features, **options)
            figures["litert"].append(100 * ended.accuracy_after)
            print(figures["litert"], flush=True)
            if seed == 0:
                coral.suffix.save(folder / "adapted.tinytl")
    with coral.features(folder / "timed") as features:
        figures["epochs_s"] = [time_cached(coral, features, splits, epoch) for epoch in range(3)]
    print(f"epochs on features, s: {figures['epochs_s']}", flush=True)
    figures["whole_epoch_s"] = whole = time_whole(splits, folder)
    first, second, _ = figures["epochs_s"]
    print("| split | KB of features | epoch of the whole, s | first, s | second, s | second / whole |")
    print(
        f"| {_SPLIT.value} | {np.prod(figures['features']) / 1e3:.1f} | {whole:.1f} | {first:.1f} | {second:.2f} | "
        f"{second / whole:.1%} |",
        flush=True,
    )
    if _SEEDS.value:
        figures["rebaked_db"], figures["fresh_db"] = rebaked_noise(
            model, coral_path, folder / "adapted.tinytl", splits, photos
        )
        keras, litert = (statistics.fmean(figures[name]) for name in ("keras", "litert"))
        print("| split | Keras % | LiteRT % | rebaked, fresh dB |")
        print(
            f"| {_SPLIT.value} | {keras:.1f} | {litert:.1f} | {figures['rebaked_db']:.2f}, {figures['fresh_db']:.2f} |"
        )
    (folder / "figures.json").write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    app.run(main)
