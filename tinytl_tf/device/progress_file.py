"""How far an adaptation is, in a file of its own, so that a run that was stopped goes on where it was."""

import dataclasses
import glob
import json
import os
import pathlib
from typing import Any

from tinytl_tf import files
from tinytl_tf.errors import InputError

__all__ = ["AdaptProgress", "best_path", "progress_path", "read_progress", "remove_progress", "write_progress"]

_VERSION = 2  # 1 did not count the epochs that were validated


@dataclasses.dataclass
class AdaptProgress:
    """What an adaptation has done.

    Attributes:
        settings: What the numbers depend on; a run goes on with the same ones only.
        before: Accuracy and loss on the test images before the first step.
        steps: One row for each step: loss, accuracy, whether it was applied, milliseconds.
        best: Accuracy on the validation images after the best epoch, or None.
        validated: Epochs whose end was judged by the validation images.
        state: Name of the state file of this step, in the same folder.
    """

    settings: dict[str, Any]
    before: tuple[float, float]
    steps: list[tuple[float, float, bool, float]]
    best: float | None = None
    validated: int = 0
    state: str = ""


def progress_path(state_path: str | os.PathLike) -> pathlib.Path:
    """Where the progress of the run is kept that is going to write a state file."""
    path = files.expand(state_path)
    return path.with_name(f"{path.name}.progress.json")


def best_path(state_path: str | os.PathLike) -> pathlib.Path:
    """Where the state of the epoch is kept that is best on the validation images."""
    path = files.expand(state_path)
    return path.with_name(f"{path.stem}.best{path.suffix}")


def write_progress(path: pathlib.Path, progress: AdaptProgress) -> None:
    """Replaces the file; the state that it names has to be written before."""
    text = json.dumps({"version": _VERSION, **dataclasses.asdict(progress)}) + "\n"
    files.atomic_write_bytes(path, text.encode())


def read_progress(path: pathlib.Path, settings: dict[str, Any]) -> AdaptProgress:
    """Reads how far a run was.

    Args:
        path: See `progress_path`.
        settings: Those of the run that wants to go on.

    Raises:
        InputError: If there is no such file, it is damaged, or of a run with other settings.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("version") != _VERSION:
            raise ValueError("another version")
        values["before"] = tuple(values["before"])
        values["steps"] = [tuple(row) for row in values["steps"]]
        progress = AdaptProgress(**values)
        named = pathlib.Path(progress.state).name
        if named != progress.state:
            raise ValueError("a state in another folder")
    except FileNotFoundError as error:
        raise InputError(f"there is no run to go on with: {path} does not exist; start it without resuming") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({type(error).__name__}); start the run again") from error
    for key in sorted(settings.keys() | progress.settings.keys()):
        now, then = json.loads(json.dumps(settings.get(key))), progress.settings.get(key)
        if now != then:
            raise InputError(
                f"cannot go on: {key} was {then!r:.80} and is now {now!r:.80}; use the same, or start the run again"
            )
    return progress


def remove_progress(path: pathlib.Path) -> None:
    """Removes the progress and the states of a run that is done, or is not to be gone on with."""
    path.unlink(missing_ok=True)
    stem = path.name.removesuffix(".progress.json")
    for state in path.parent.glob(f"{glob.escape(stem)}.step-*"):
        state.unlink(missing_ok=True)
