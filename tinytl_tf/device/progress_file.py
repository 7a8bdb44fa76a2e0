"""Stores the progress of an adaptation in a file, so that a stopped run can resume.

The file is a line of JSON: the format version, the fields of `AdaptProgress`, the SHA-256 of the state file that these
name, and the SHA-256 of all text before it. Only the bytes that a run has written are accepted.
"""

import dataclasses
import glob
import hashlib
import json
import math
import os
import pathlib
from typing import Any

from tinytl_tf import files
from tinytl_tf.errors import InputError
from tinytl_tf.figures import EvaluateResult
from tinytl_tf.files import sha256
from tinytl_tf.regular_file import open_regular
from tinytl_tf.strict_json import parse_json

__all__ = [
    "AdaptProgress",
    "best_path",
    "check_paths",
    "progress_path",
    "read_progress",
    "remove_progress",
    "step_path",
    "write_progress",
]

_VERSION = 3  # 1 did not count validated epochs; 2 had no checksums
_LARGEST = 2**28  # bytes; a step takes about 60
_MOST_STEPS = 10**7  # in the longest name that is checked
_CHECKSUM = ', "sha256": "{}"}}\n'  # the end of the file


@dataclasses.dataclass
class AdaptProgress:
    """The progress of an adaptation.

    Attributes:
        settings: All settings that the numbers depend on; a run resumes only with the same settings.
        before: Figures for the test images before the first step; None without test images.
        steps: One row for each step: loss, accuracy, whether it was applied, and its time in milliseconds. A loss that
            is not finite is read back as NaN.
        best: Score on the validation images after the best epoch; see `Task.score`. None before the first validation.
        validated: Number of epochs that were evaluated on the validation images.
        state: Name of the state file after the last of these steps, in the same folder.
    """

    settings: dict[str, Any]
    before: EvaluateResult | None
    steps: list[tuple[float, float, bool, float]]
    best: float | None = None
    validated: int = 0
    state: str = ""


def progress_path(state_path: str | os.PathLike) -> pathlib.Path:
    """Returns the path of the progress file of the run that writes a state file."""
    path = files.expand(state_path)
    return path.with_name(f"{path.name}.progress.json")


def step_path(state_path: str | os.PathLike, steps: int) -> pathlib.Path:
    """Returns the path of the state that a run saves after `steps` steps."""
    path = files.expand(state_path)
    return path.with_name(f"{path.name}.step-{steps}")


def best_path(state_path: str | os.PathLike) -> pathlib.Path:
    """Returns the path of the state after the best epoch on the validation images."""
    path = files.expand(state_path)
    return path.with_name(f"{path.stem}.best{path.suffix}")


def check_paths(state_path: str | os.PathLike) -> None:
    """Checks, before any work, that a run can write all of its files.

    These are the final state, the progress file, the per-step states and the best state.

    Args:
        state_path: The state file to write.

    Raises:
        InputError: If a name is too long for the file system; if one of the paths is already a folder, FIFO or device;
            or if the folder is not writable.
    """
    path = files.expand(state_path)
    if not path.name:
        raise InputError(f"expected the path of a state file, got {os.fspath(state_path)!r}; give it a name")
    for name in (path, progress_path(path), step_path(path, _MOST_STEPS), best_path(path)):
        files.refuse_existing(name, overwrite=True)


def write_progress(path: pathlib.Path, progress: AdaptProgress) -> None:
    """Replaces the progress file.

    Args:
        path: Result of `progress_path`.
        progress: The progress to record. Save the state file that it names first.

    Raises:
        InputError: If the state file cannot be read; or if the progress file cannot be written.
    """
    try:
        digest = sha256(path.with_name(progress.state))
    except OSError as error:
        raise InputError(f"expected the state {progress.state} of the run, got: {error.strerror}") from error
    before = None if progress.before is None else progress.before.to_json()
    files.atomic_write_bytes(path, _encode({**dataclasses.asdict(progress), "before": before, "state_sha256": digest}))


def read_progress(path: pathlib.Path, settings: dict[str, Any]) -> AdaptProgress:
    """Reads the progress of a run.

    Args:
        path: Result of `progress_path`.
        settings: Settings of the run to resume.

    Raises:
        InputError: If there is no such file; if it, or the state file that it names, is damaged; or if its settings
            differ.
    """
    try:
        with open_regular(path) as stream:
            content = stream.read(_LARGEST)
        values = parse_json(content)
        version = values.pop("version") if isinstance(values, dict) else None
        if version != _VERSION:
            raise InputError(
                f"expected progress of format version {_VERSION} in {path}, got {version!r:.80}; start the run again"
            )
        del values["sha256"]
        if _encode(values) != content:
            raise ValueError("the checksum differs")
        digest = values.pop("state_sha256")
        values["steps"] = [tuple(math.nan if value is None else value for value in row) for row in values["steps"]]
        values["before"] = None if values["before"] is None else EvaluateResult.from_json(values["before"])
        progress = AdaptProgress(**values)
    except FileNotFoundError as error:
        raise InputError(f"there is no run to resume: {path} does not exist; start it without resuming") from error
    except OSError as error:
        raise InputError(f"expected the progress of a run at {path}, got: {error.strerror}; check the path") from error
    except InputError:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error!s:.80}); start the run again") from error
    for key in sorted(settings.keys() | progress.settings.keys()):
        now, then = json.loads(json.dumps(settings.get(key))), progress.settings.get(key)
        if now != then:
            raise InputError(
                f"cannot resume: {key} was {then!r:.80} and is now {now!r:.80}; use the same, or start the run again"
            )
    _check_state(path.with_name(progress.state), digest)
    return progress


def remove_progress(path: pathlib.Path) -> None:
    """Removes the progress file and the per-step states of a run that has ended or starts again."""
    path.unlink(missing_ok=True)
    stem = path.name.removesuffix(".progress.json")
    for state in path.parent.glob(f"{glob.escape(stem)}.step-*"):
        if state.suffix.removeprefix(".step-").isdigit():  # another name is a file of the user's
            state.unlink(missing_ok=True)


def _encode(values: dict[str, Any]) -> bytes:
    """Returns the bytes of the file: `values`, with the version and a checksum added."""
    text = json.dumps(_finite({"version": _VERSION, **values}))[:-1]
    return (text + _CHECKSUM.format(hashlib.sha256(text.encode()).hexdigest())).encode()


def _finite(value: Any) -> Any:
    """Returns the same value with None for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check_state(path: pathlib.Path, digest: str) -> None:
    try:
        actual = sha256(path)
    except OSError as error:
        raise InputError(
            f"cannot resume: expected the state {path} of the run, got: {error.strerror}; start the run again"
        ) from error
    if actual != digest:
        raise InputError(
            f"cannot resume: {path} is not the state that the run has saved: its checksum differs; start the run again"
        )
