"""Refuses a Keras that runs on another backend than TensorFlow, before Keras is imported.

Importing this module makes the check: Keras chooses its backend once, when it is imported, and a backend that is not
installed ends that import with an error of its own.
"""

import json
import os
import pathlib
import sys

from tinytl_tf.errors import InputError

__all__ = ["require_tensorflow_backend"]


def require_tensorflow_backend() -> None:
    """Raises `InputError` unless Keras runs, or would run, on TensorFlow."""
    backend, source = _chosen_backend()
    if backend != "tensorflow":
        raise InputError(
            f"tinytl_tf needs Keras on TensorFlow, but {source} says {backend!r}; "
            "set KERAS_BACKEND=tensorflow before Python starts"
        )


def _chosen_backend() -> tuple[str, str]:
    """The backend and what chose it, by Keras' own rules."""
    if "keras" in sys.modules:
        return sys.modules["keras"].config.backend(), "the Keras that is imported already"
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"], "KERAS_BACKEND"
    path = pathlib.Path(os.environ.get("KERAS_HOME", "~/.keras"), "keras.json").expanduser()
    try:
        return json.loads(path.read_text()).get("backend", "tensorflow"), str(path)
    except (OSError, ValueError):
        return "tensorflow", "Keras' default"


require_tensorflow_backend()
