"""The folder of a run: its configuration, checkpoints and log."""

import dataclasses
import json
import pathlib
import zipfile
from typing import Any

import keras
import numpy as np
from ml_collections import ConfigDict

import tinytl_tf.layers  # noqa: F401  registers the layers that a checkpoint names
from tinytl_tf.backbones.kernel_values import whole_values
from tinytl_tf.configs import default
from tinytl_tf.data import Splits
from tinytl_tf.data.classes import check_names
from tinytl_tf.errors import InputError
from tinytl_tf.experiment import Experiment, flat, network_of
from tinytl_tf.files import atomic_write_bytes, expand, most_unpacked, temporary_folder
from tinytl_tf.regular_file import open_regular
from tinytl_tf.strict_json import parse_json, read_json
from tinytl_tf.tasks import get_task
from tinytl_tf.training.checkpoint import Checkpoint

__all__ = ["Run", "RunFolder"]

_LARGEST = 2**28  # bytes of run.json and of the log
CHECKPOINTS = ("best", "last")
BRANCHES = "branches.npz"
ARTIFACTS = ("run.json", "log.jsonl", "best.keras", "last.keras", BRANCHES, "events.out.tfevents.*")
# Values that were fixed before a later version made them settings.
BEFORE = {"backbone.branch_final_norm": True, "data.split": ""}


@dataclasses.dataclass(frozen=True)
class Run:
    """The settings and data that a run started with.

    Attributes:
        config: its configuration.
        class_names: names of the classes or attributes, in the order of the outputs.
        task: task of its labels, a key of `tinytl_tf.tasks.TASKS`.
        fingerprints: `ImageDataset.fingerprint` of each split, by name; None for a run of an older version.
    """

    config: ConfigDict
    class_names: tuple[str, ...]
    task: str
    fingerprints: dict[str, str] | None

    @classmethod
    def of(cls, config: ConfigDict, splits: Splits) -> "Run":
        """Returns the settings and data of a run that starts on `splits`."""
        fingerprints = {name: dataset.fingerprint() for name, dataset in splits.by_name.items()}
        return cls(config, splits.train.class_names, splits.train.task, fingerprints)

    def changed_data(self, splits: Splits) -> str | None:
        """Returns the name of a split that has changed since the run started; None for no change or an older run."""
        if self.fingerprints is None:
            return None
        names = (name for name, data in splits.by_name.items() if self.fingerprints.get(name) != data.fingerprint())
        return next(names, None)


class RunFolder:
    """Reads and writes a run.

    | file | content |
    |---|---|
    | `run.json` | the configuration, the names of the classes, the task and the fingerprints of the data |
    | `last.keras` | model and optimizer at the last save; a run resumes from here |
    | `best.keras` | the same after the best epoch (see below) |
    | `log.jsonl` | a line of JSON for each save: one in each epoch, unless the configuration sets more |
    | `branches.npz` | only for `tinytl pretrain`: the trained branches; see `backbones.branch_weights` |

    The best epoch has the highest validation accuracy or, without validation images, the lowest training loss. The test
    images never influence this choice.

    Every file is replaced atomically, so that a killed run leaves complete files. `keras.models.load_model` opens the
    checkpoints, once `tinytl_tf.layers` is imported.

    Args:
        path: the folder; created by the first write.
    """

    def __init__(self, path: str | pathlib.Path) -> None:
        self.path = expand(path)

    @property
    def exists(self) -> bool:
        """Whether the folder holds a run."""
        return (self.path / "run.json").exists()

    def start(self, run: Run) -> None:
        """Removes the files of an older run and writes `run.json` and an empty log.

        `run.json` is removed first and written last: a folder without it does not hold a run, even after a kill.
        """
        for pattern in ARTIFACTS:
            for path in self.path.glob(pattern):
                path.unlink()
        self.write_log([])
        content = {
            "config": json.loads(run.config.to_json()),
            "class_names": list(run.class_names),
            "task": run.task,
            "data": run.fingerprints,
        }
        atomic_write_bytes(self.path / "run.json", (json.dumps(content, indent=2) + "\n").encode())

    def read_run(self) -> Run:
        """Returns the settings and data that the run started with.

        A key that a later version added gets its default, or its value in `BEFORE`.

        Raises:
            InputError: if the folder holds no run or a damaged run.
        """
        path = self.path / "run.json"
        if not path.is_file():
            raise InputError(f"{self.path} holds no run (no run.json); give the folder that `tinytl train` wrote")
        damage = f"{path} is damaged; train again without resuming"
        try:
            run = read_json(path, _LARGEST)
            config = default.get_config()
            config.update_from_flattened_dict(BEFORE | flat(ConfigDict(run["config"])))
            task = get_task(run.get("task", "classification")).name
            names, fingerprints = run["class_names"], run.get("data")
            if not isinstance(names, list) or check_names(names) != tuple(names) or not names:
                raise ValueError("class_names")
            if fingerprints is not None and not all(isinstance(text, str) for text in fingerprints.values()):
                raise ValueError("data")
        except OSError as error:
            raise InputError(f"expected to read {path}, got: {error.strerror}; check its permissions") from error
        except Exception as error:  # ml_collections raises its own
            raise InputError(damage) from error
        Experiment(config)
        return Run(config, tuple(names), task, fingerprints)

    def save(self, name: str, model: keras.Model) -> None:
        """Writes the checkpoint `name`, with the optimizer that the model was compiled with."""
        with temporary_folder(self.path) as folder:
            path = folder / "model.keras"
            model.save(path)
            atomic_write_bytes(self.path / f"{name}.keras", path.read_bytes())

    def load(self, name: str) -> keras.Model:
        """Returns the model of a checkpoint.

        Raises:
            InputError: if there is no such checkpoint; if it cannot be read; or if it is not the network of the run.
        """
        if name not in CHECKPOINTS:
            raise InputError(f"unknown checkpoint {name!r}; choose one of {', '.join(CHECKPOINTS)}")
        path = self.path / f"{name}.keras"
        if not path.is_file():
            raise InputError(f"{path} does not exist; the run has not finished an epoch yet")
        run = self.read_run()
        try:
            _require_bounded(path)
            model = keras.models.load_model(path)
        except Exception as error:  # Keras, zipfile and h5py each raise their own
            raise InputError(f"{path} cannot be read ({type(error).__name__}); train again without resuming") from error
        problem = _misfit(model, run)
        if problem:
            raise InputError(f"{path} is not the network of the run: {problem}; train again without resuming")
        return model

    def checkpoint(self, name: str, model: keras.Model) -> Checkpoint:
        """Returns when a checkpoint was saved.

        Args:
            name: `"best"` or `"last"`.
            model: model from `load`.
        """
        epochs, optimizer = self.read_run().config.training.epochs, getattr(model, "optimizer", None)
        if optimizer is None:
            return Checkpoint(name, None, None, epochs)
        step = int(optimizer.iterations.numpy())
        try:
            rows = self.read_log()
        except InputError:  # the checkpoint is complete without its log
            rows = []
        epoch = next((row["epoch"] + 1 for row in rows if row["step"] == step and row["ends_epoch"]), None)
        return Checkpoint(name, step, epoch, epochs)

    def append_log(self, row: dict[str, Any]) -> None:
        """Adds a line to the log; replaces the complete file, so that no line is truncated."""
        self.write_log([*self.read_log(), row])

    def read_log(self) -> list[dict[str, Any]]:
        """Returns the rows of the log.

        Raises:
            InputError: if the log is damaged.
        """
        path = self.path / "log.jsonl"
        if not path.exists():
            return []
        try:
            with open_regular(path) as stream:
                *lines, rest = stream.read(_LARGEST).decode().split("\n")
            rows = [parse_json(line) for line in lines]
            if rest:
                raise ValueError("a line that was cut short")
            for row in rows:
                row.setdefault("ends_epoch", "test_accuracy" in row)  # rows of older runs lack it
                _require_row(row)
            return rows
        except OSError as error:
            raise InputError(f"expected to read {path}, got: {error.strerror}; check its permissions") from error
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged; train again without resuming") from error

    def write_log(self, rows: list[dict[str, Any]]) -> None:
        """Replaces the log."""
        atomic_write_bytes(self.path / "log.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())


def _require_row(row: dict[str, Any]) -> None:
    """Raises ValueError, KeyError or TypeError for a row without the figures that a run resumes from."""
    counts = [row["epoch"], row["step"]]
    if any(type(count) is not int or count < 0 for count in counts) or type(row["ends_epoch"]) is not bool:
        raise ValueError("counts")
    figures = [row["loss"], *(row[name] for name in ("validation_accuracy", "test_accuracy") if name in row)]
    if any(type(figure) not in (int, float) for figure in figures):
        raise TypeError("figures")


def _require_bounded(path: pathlib.Path) -> None:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > most_unpacked(path):
                raise ValueError("it unpacks to far more than it is")


def _misfit(model: Any, run: Run) -> str | None:
    """Returns how a model differs from the network of a run, or None."""
    options, classes = run.config.backbone, len(run.class_names)
    inputs, outputs = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    expected = (None, options.resolution, options.resolution, 3), (None, classes)
    if (inputs, outputs) != expected:
        return f"expected inputs and outputs of shapes {expected}, got {(inputs, outputs)}"
    values = whole_values(model.weights)
    for variable in network_of(run.config, classes=classes).variables:
        size = np.size(values.get(variable.path, ()))
        if size != variable.size:
            return f"expected {variable.path} of {variable.size} values, got {size or 'none'}"
    bad = (path for path, value in values.items() if not np.isfinite(value).all())
    return next((f"{path} has values that are not finite" for path in bad), None)
