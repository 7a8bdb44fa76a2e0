"""Accuracy after training in the page of `tinytl serve` and with `tinytl adapt`, from the same model and photos.

The script operates the page like a user: it selects a folder with the training photos, presses the button, and saves
the state. The page holds out a quarter of the photos; `tinytl adapt` gets only the remaining photos. `tinytl evaluate
--state` evaluates both states on test photos that neither has seen. A second table compares the page's figures on its
held-out photos with those of `tinytl evaluate` on the same photos and states.

Takes the flags of accuracy.py. --seeds is the number of seeds for `tinytl adapt`; the page uses one seed. Finished runs
are kept in --workdir and not repeated. Data and weights are not part of the package. Needs Node.js and Chromium:
`export/web/ci.sh --apt` installs the requirements.

Command:
    python benchmarks/web_accuracy.py --data=oxford_flowers17_128.npz --weights=mobilenet_v2.h5 --schemes=last,tinytl-b
"""

import json
import pathlib
import shutil
import statistics

import accuracy
import numpy as np
import web_client
from absl import app, flags

_DATA, _WEIGHTS, _SCHEMES, _SEEDS = (flags.FLAGS[name] for name in ("data", "weights", "schemes", "seeds"))
SPLIT_SEED = 0  # split seed of the exports, as in configs/default.py
_WORKDIR = flags.FLAGS["workdir"]
_RESOLUTION = flags.FLAGS["resolution"]
flags.set_default(_RESOLUTION, 96)
_TRAIN_IMAGES = flags.DEFINE_integer("class_images", 60, "Photos per class for the page.", lower_bound=2)
_EPOCHS = flags.DEFINE_integer("epochs", 9, "Passes over the photos.", lower_bound=1)
_RATE = flags.DEFINE_float("learning_rate", 1e-3, "Learning rate of the first step.")


def unpack(archive: str, folder: pathlib.Path) -> None:
    """Writes `photos/` for the page, and the page's training and held-out photos as folders for the commands."""
    shutil.rmtree(folder, ignore_errors=True)
    with np.load(archive) as packed:
        jpeg, offsets, labels, classes = (packed[name] for name in ("jpeg", "offsets", "label", "classes"))
    for label, name in enumerate(classes):
        for position, index in enumerate(np.flatnonzero(labels == label)):
            part = "photos" if position < _TRAIN_IMAGES.value else "data/test"
            path = folder / part / str(name) / f"{position:04d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg[offsets[index] : offsets[index + 1]].tobytes())
    held_out = set(web_client.run("split", folder / "photos", SPLIT_SEED))
    for path in sorted((folder / "photos").rglob("*.jpg")):
        name = path.relative_to(folder / "photos")
        for part in ("held_out/train", "held_out/test") if name.as_posix() in held_out else ("data/train",):
            target = folder / part / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def main(_) -> None:
    """Prints the tables."""
    workdir = pathlib.Path(_WORKDIR.value).resolve() / "web"
    data = workdir / "data"
    if not (data / "held_out").exists():
        unpack(_DATA.value, data)
    rows = [measure(scheme, workdir / scheme, data) for scheme in _SCHEMES.value]
    print(
        "| scheme | before | page | `tinytl adapt`, seeds | mean | page - mean | page: minutes | ms a step |\n|"
        + "---|" * 8
    )
    for row in rows:
        adapted = row["adapted"]
        cells = [
            f"`{row['scheme']}`",
            f"{row['before']:.1f}",
            f"{row['page']:.1f}",
            ", ".join(f"{value:.1f}" for value in adapted),
            f"{statistics.fmean(adapted):.1f}",
            f"{row['page'] - statistics.fmean(adapted):+.1f}",
            f"{row['training']['seconds'] / 60:.1f}",
            row["training"]["facts"]["Time of a step"].removesuffix(" ms"),
        ]
        print(f"| {' | '.join(cells)} |")
    print("\n| scheme | held-out photos | right, page | right, Python | loss, page | loss, Python |\n|" + "---|" * 6)
    for row in rows:
        for when in ("before", "after"):
            ours, theirs = row["training"][when], row["held_out"][when]
            figures = (
                f"{ours['right']:.0f} | {100 * theirs['accuracy']:.0f}",
                f"{ours['loss']:.3f} | {theirs['loss']:.3f}",
            )
            print(f"| `{row['scheme']}` | {when} | {' | '.join(figures)} |")


def measure(scheme: str, folder: pathlib.Path, data: pathlib.Path) -> dict:
    """Exports a start model, trains it in the page and with `tinytl adapt`, and evaluates both results."""
    model, state = folder / "start.tflite", folder / "page.tinytl"
    accuracy.tinytl(
        "export",
        folder / "export.json",
        f"--output={model}",
        *("--optimizer=adam", "--batch_size=8", "--label_smoothing=0.1"),
        *accuracy.config_flags(scheme, 0),
        f"--config.data.name={data / 'data'}",
        f"--config.backbone.resolution={_RESOLUTION.value}",
    )
    result = folder / "training.json"
    if not result.exists():
        arguments = (model, data / "photos", _EPOCHS.value, _RATE.value, state)
        result.write_text(json.dumps(web_client.run("training", *arguments)))
    adapted = [
        accuracy.tinytl(
            "adapt",
            folder / f"adapt-{seed}.json",
            f"--model={model}",
            f"--data={data / 'data'}",
            f"--state_out={folder / f'adapted-{seed}.tinytl'}",
            *(f"--epochs={_EPOCHS.value}", f"--learning_rate={_RATE.value}", f"--seed={seed}"),
        )["accuracy_after"]
        for seed in range(_SEEDS.value)
    ]

    def evaluate(name: str, part: str, *options: str) -> dict:
        result = folder / f"evaluate-{name}.json"
        return accuracy.tinytl("evaluate", result, f"--model={model}", f"--data={data / part}", *options)

    learned = f"--state={state}"
    return {
        "scheme": scheme,
        "training": json.loads(result.read_text()),
        "before": 100 * evaluate("before", "data")["accuracy"],
        "page": 100 * evaluate("page", "data", learned)["accuracy"],
        "adapted": [100 * value for value in adapted],
        "held_out": {
            "before": evaluate("held-before", "held_out"),
            "after": evaluate("held-after", "held_out", learned),
        },
    }


if __name__ == "__main__":
    app.run(main)
