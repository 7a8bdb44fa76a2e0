"""Test accuracy of update schemes trained in Keras, and of exported files trained in LiteRT from the same start.

Commands (data and weights are not part of the package):
    python benchmarks/accuracy.py --config=flowers17 --data=oxford_flowers17_128.npz --weights=mobilenet_v2.h5
    python benchmarks/accuracy.py --config=cifar10 --data=cifar10_32_15k.npz --weights=mobilenet_v2.h5
    python benchmarks/accuracy.py --config=flowers17 --data=... --weights=... --device --frozen_weights=float32,int8
    python benchmarks/accuracy.py --config=flowers17 --data=... --weights=... --branch_weights=branches.npz
    python benchmarks/accuracy.py --config=flowers17 --data=... --weights=... --network=efficientnet_lite0

Each run is a separate `tinytl` command. Finished runs are kept in --workdir and not repeated; interrupted runs are
resumed. Prints a row for each scheme: the accuracy after the last epoch for each seed, the mean and the standard
deviation, in percent. With --device, prints the accuracy of `tinytl train` and of `tinytl adapt` on the same images in
the same order. With --branch_weights, schemes that train lite residuals get a second row that starts from these
weights. --rates replaces the learning rate of a scheme, for example full=3e-5; by default, the config's rate is used,
or the scheme's default if the config has none. Results in Keras are also appended to the file --rows, which can be kept
without --workdir: runs with a row are not repeated. Several of these commands may run at the same time.
`accuracy_tables.py` makes tables and a plot from all rows.
"""

import hashlib
import importlib
import json
import pathlib
import statistics
import subprocess
import sys

import accuracy_rows
from absl import app, flags
from ml_collections import ConfigDict

from tinytl_tf.networks.schemes import SCHEMES, get_scheme

_CONFIG = flags.DEFINE_string("config", "flowers17", "Name of a file in configs/.")
_DATA = flags.DEFINE_string("data", None, "The data set.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", None, "Pre-trained weights.", required=True)
_SCHEMES = flags.DEFINE_list("schemes", ["last", "tinytl-b", "tinytl-lb"], "Update schemes.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "Number of seeds, from 0.")
_NETWORK = flags.DEFINE_string("network", "mobilenet_v2", "The network, with width 1.0.")
_RESOLUTION = flags.DEFINE_integer("resolution", 128, "Input size in pixels.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Images per training step.")
_BRANCHES = flags.DEFINE_string("branch_weights", None, "Pre-trained branches, for a second row of tinytl-l and -lb.")
_BRANCHES_NAME = flags.DEFINE_string("branches_name", "pre-trained", "Name of these branches in rows and tables.")
_FEATURES = flags.DEFINE_enum("features", "", ["", "late"], "Places that the classifier reads, too.")
_RATES = flags.DEFINE_list("rates", [], "SCHEME=RATE,...: learning rates to use instead of the defaults.")
_DEVICE = flags.DEFINE_boolean("device", False, "Also train the exported file with LiteRT.")
_FROZEN_WEIGHTS = flags.DEFINE_list("frozen_weights", ["float32"], "With --device: types of frozen kernels.")
_WORKDIR = flags.DEFINE_string("workdir", "runs/accuracy", "Folder of the runs.")
_ROWS = flags.DEFINE_string("rows", "runs/accuracy/rows.jsonl", "File of finished runs in Keras.")
FROZEN = {  # flags of `tinytl export`
    "float32": ["--frozen_weights=float32"],
    "int8": ["--frozen_weights=int8"],
    "k-means": ["--frozen_weights=float32", "--config.backbone.kernel_centroids=256"],  # the paper's kind of 8 bits
}
flags.register_validator(
    "frozen_weights", lambda kinds: set(kinds) <= set(FROZEN), f"expected some of {', '.join(FROZEN)}"
)
flags.register_validator(
    "schemes", lambda schemes: set(schemes) <= set(SCHEMES), f"expected some of {', '.join(SCHEMES)}"
)
CONFIGS = pathlib.Path(__file__).resolve().parent.parent / "configs"


def tinytl(command: str, result: pathlib.Path, *options: str) -> dict:
    """Runs a command of `tinytl` unless its result exists, and returns the result."""
    if not result.exists():
        result.parent.mkdir(parents=True, exist_ok=True)
        again = "--resume" if command == "train" else "--overwrite"
        program = [sys.executable, "-m", f"tinytl_tf.cli.{command}", f"--json={result}", again, *options]
        with open(result.with_suffix(".log"), "w", encoding="utf-8") as log:
            subprocess.run(program, check=True, stdout=log, stderr=log)
    return json.loads(result.read_text())


def config() -> ConfigDict:
    """Returns the configuration of --config."""
    return importlib.import_module(f"tinytl_tf.configs.{_CONFIG.value}").get_config()


def rate_of(scheme: str) -> str:
    """Returns the learning rate of a scheme: from --rates, the config, or its default."""
    given = dict(item.split("=") for item in _RATES.value).get(scheme)
    return given or f"{config().training.learning_rate or get_scheme(scheme).learning_rate:g}"


def run_folder(scheme: str, seed: int, branch_weights: str | None = None) -> pathlib.Path:
    """Returns the folder for a run and its files."""
    start = f"{_BRANCHES_NAME.value}-{_digest(branch_weights)}" if branch_weights else None
    size = f"{_RESOLUTION.value}px-{_BATCH_SIZE.value}"
    name = "-".join(filter(None, [scheme, start, _FEATURES.value, rate_of(scheme), size, str(seed)]))
    return pathlib.Path(_WORKDIR.value) / _CONFIG.value / _NETWORK.value / name


def config_flags(scheme: str, seed: int, branch_weights: str | None = None) -> list[str]:
    """Returns the flags that `train` and `export` share."""
    return [
        f"--config={CONFIGS / _CONFIG.value}.py",
        f"--config.scheme={scheme}",
        f"--config.training.seed={seed}",
        f"--config.training.batch_size={_BATCH_SIZE.value}",
        f"--config.data.name={_DATA.value}",
        f"--config.backbone.name={_NETWORK.value}",
        f"--config.backbone.weights={_WEIGHTS.value}",
        f"--config.backbone.resolution={_RESOLUTION.value}",
        f"--config.backbone.branch_weights={branch_weights or ''}",
        f"--config.backbone.feature_places={(_FEATURES.value,) if _FEATURES.value else ()}",
        f"--config.training.learning_rate={rate_of(scheme)}",
    ]


def train(scheme: str, seed: int, branch_weights: str | None = None) -> float:
    """Returns the test accuracy of a run in Keras, in percent; adds it to the rows."""
    key = {
        "set": _CONFIG.value,
        "network": _NETWORK.value,
        "resolution": _RESOLUTION.value,
        "batch_size": _BATCH_SIZE.value,
        "scheme": scheme,
        "branches": _branches(scheme, branch_weights),
        "features": _FEATURES.value,
        "learning_rate": float(rate_of(scheme)),
        "epochs": config().training.epochs,
        "seed": seed,
    }
    if branch_weights:
        key["branches_sha256"] = _digest(branch_weights)
    row = accuracy_rows.find(_ROWS.value, key)
    if row is None:
        folder = run_folder(scheme, seed, branch_weights)
        command = [f"--workdir={folder / 'run'}", *config_flags(scheme, seed, branch_weights)]
        result = tinytl("train", folder / "train.json", *command)
        names = ("trained_parameters", "test_accuracy", "test_loss", "step_ms")
        row = key | {name: result[name] for name in names}
        accuracy_rows.append(_ROWS.value, row)
    return 100 * row["test_accuracy"]


def _branches(scheme: str, branch_weights: str | None) -> str:
    """Returns the name of a row's initial lite residuals, or an empty string without them."""
    if not get_scheme(scheme).lite_residual:
        return ""
    return _BRANCHES_NAME.value if branch_weights else "fresh"


def _digest(branch_weights: str) -> str:
    """Returns the start of a branch file's digest, to distinguish different files with the same --branches_name."""
    path = pathlib.Path(branch_weights)
    if branch_weights == "pretrained":
        from tinytl_tf.backbones.branch_weights import shipped_path  # slow: imports Keras

        path = shipped_path(_NETWORK.value, 1.0)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def rows() -> list[tuple[str, str | None]]:
    """Returns the scheme and the branch file of each row."""
    found = []
    for scheme in _SCHEMES.value:
        found.append((scheme, None))
        if _BRANCHES.value and get_scheme(scheme).lite_residual:
            found.append((scheme, _BRANCHES.value))
    return found


def _label(scheme: str, branch_weights: str | None) -> str:
    return f"{scheme}, {_BRANCHES_NAME.value}" if branch_weights else scheme


def adapt(scheme: str, seed: int, branch_weights: str | None, frozen_weights: str) -> float:
    """Exports the start of a run, trains it in LiteRT in the same way, and returns the test accuracy in percent."""
    folder = run_folder(scheme, seed, branch_weights)
    training, data, augmentation = (config()[name] for name in ("training", "data", "augmentation"))
    model = folder / f"start-{frozen_weights}.tflite"
    tinytl(
        "export",
        folder / f"export-{frozen_weights}.json",
        f"--output={model}",
        f"--optimizer={training['optimizer']}",
        f"--batch_size={_BATCH_SIZE.value}",
        f"--label_smoothing={training['label_smoothing']}",
        *config_flags(scheme, seed, branch_weights),
        *FROZEN[frozen_weights],
    )
    images = [f"--{key}={data[key]}" for key in ("train_images", "test_images") if data[key]]
    result = tinytl(
        "adapt",
        folder / f"adapt-{frozen_weights}.json",
        f"--model={model}",
        f"--data={_DATA.value}",
        f"--state_out={folder / f'adapted-{frozen_weights}.tinytl'}",
        f"--epochs={training['epochs']}",
        f"--learning_rate={rate_of(scheme)}",
        f"--seed={seed}",
        f"--crop={augmentation['crop']}",
        f"--flip={augmentation['flip']}",
        f"--color={augmentation['color']}",
        *images,
    )
    return 100 * result["accuracy_after"]


def main(_) -> None:
    """Prints the table."""
    if _DEVICE.value:
        weights = _FROZEN_WEIGHTS.value
        print("| scheme | seed | Keras |" + "".join(f" LiteRT {name} |" for name in weights))
        print("|---|---|---|" + "---|" * len(weights))
        for scheme, branch_weights in rows():
            for seed in range(_SEEDS.value):
                start = (scheme, seed, branch_weights)
                figures = [train(*start), *(adapt(*start, name) for name in weights)]
                cells = "".join(f"{figure:.1f} | " for figure in figures)
                print(f"| {_label(scheme, branch_weights)} | {seed} | {cells}", flush=True)
        return
    print("| scheme | seeds | mean | standard deviation |\n|---|---|---|---|")
    for scheme, branch_weights in rows():
        values = [train(scheme, seed, branch_weights) for seed in range(_SEEDS.value)]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        seeds = ", ".join(f"{value:.1f}" for value in values)
        print(
            f"| {_label(scheme, branch_weights)} | {seeds} | {statistics.fmean(values):.1f} | {spread:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    app.run(main)
