"""Refuses unsupported settings of Keras: a different backend, float type or order of an image's axes.

Importing this module runs the check before Keras is imported: Keras chooses its backend once, at import, and fails with
an error of its own if that backend is not installed. Settings may change later, so all code that creates layers checks
them again.
"""

import json
import os
import pathlib
import sys
from typing import Any

from tinytl_tf.errors import InputError

__all__ = ["require_keras_settings"]

_WANTED = {
    "backend": "tensorflow",
    "floatx": "float32",
    "dtype_policy": "float32",
    "image_data_format": "channels_last",
}
_NEEDS = {
    "backend": "Keras on TensorFlow",
    "floatx": "float32",
    "dtype_policy": "float32",
    "image_data_format": "images of channels_last",
}
_IMPORTED = "the Keras that is imported already"
_IN_FILE = ("backend", "floatx", "image_data_format")


def require_keras_settings() -> None:
    """Raises `InputError` unless Keras creates layers on TensorFlow, in float32 and with channels last."""
    import keras

    # Read here and not at import: Keras fixes the policy when it is first read.
    _require(_of_module(keras) | {"dtype_policy": _changeable("dtype_policy", keras.config.dtype_policy().name)})


def _require_at_import() -> None:
    keras = sys.modules.get("keras")
    # While Keras is still being imported, it does not have these functions yet.
    _require(_of_module(keras) if hasattr(keras, "config") else _of_environment())


def _require(settings: dict[str, tuple[Any, str, str]]) -> None:
    """Checks each setting, given as its value, its source, and how to change it."""
    for name, (value, source, remedy) in settings.items():
        if value != _WANTED[name]:
            raise InputError(f"tinytl_tf needs {_NEEDS[name]}, but {source} says {value!r}; {remedy}")


def _of_module(keras: Any) -> dict[str, tuple[Any, str, str]]:
    config, remedy = keras.config, "set KERAS_BACKEND=tensorflow before Python starts"
    return {
        "backend": (config.backend(), _IMPORTED, remedy),
        "floatx": _changeable("floatx", config.floatx()),
        "image_data_format": _changeable("image_data_format", config.image_data_format()),
    }


def _changeable(name: str, value: str) -> tuple[str, str, str]:
    return value, _IMPORTED, f"call keras.config.set_{name}({_WANTED[name]!r}) first"


def _of_environment() -> dict[str, tuple[Any, str, str]]:
    """Returns the settings of a Keras that is not imported yet, by Keras' own rules."""
    path = _settings_path()
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        content = {}
    if not isinstance(content, dict):
        raise InputError(f"expected a JSON object in {path}, got {type(content).__name__}; remove the file")
    settings = {
        name: (content.get(name, _WANTED[name]), str(path), f'write "{name}": "{_WANTED[name]}" there')
        for name in _IN_FILE
    }
    backend, source = content.get("backend", "tensorflow"), str(path)
    if os.environ.get("KERAS_BACKEND"):
        backend, source = os.environ["KERAS_BACKEND"], "KERAS_BACKEND"
    return {**settings, "backend": (backend, source, "set KERAS_BACKEND=tensorflow before Python starts")}


def _settings_path() -> pathlib.Path:
    home = os.environ.get("KERAS_HOME")
    if home is None:
        place = os.path.expanduser("~")
        home = os.path.join(place if os.access(place, os.W_OK) else "/tmp", ".keras")
    return pathlib.Path(home, "keras.json").expanduser()


_require_at_import()
