"""Flags shared by the commands that run an exported file with LiteRT."""

import contextlib
import shlex
from typing import TYPE_CHECKING

from absl import flags

from tinytl_tf.cli import runner
from tinytl_tf.errors import InputError
from tinytl_tf.tflite.manifest import Manifest, manifest_path
from tinytl_tf.tflite.runtime import APIS, THREADS

if TYPE_CHECKING:
    from tinytl_tf.data import CachedFeatures
    from tinytl_tf.device import TrainableModel
    from tinytl_tf.device.coral import CoralModel

__all__ = [
    "define_api_flag",
    "define_features_flags",
    "define_position_flag",
    "define_prefix_flag",
    "define_runtime_flags",
    "load_model",
    "open_coral",
    "open_model",
]


def define_runtime_flags(values: flags.FlagValues) -> None:
    """Defines --runtime, --threads, --xnnpack, --api and --trust."""
    flags.DEFINE_enum(
        "runtime",
        "litert",
        ["litert", "micro"],
        "Runtime for the file; micro: TensorFlow Lite Micro, as on a microcontroller.",
        flag_values=values,
    )
    flags.DEFINE_integer("threads", THREADS, "Threads of LiteRT.", lower_bound=1, flag_values=values)
    flags.DEFINE_boolean(
        "xnnpack", None, "Use XNNPACK: faster, but takes more memory; default: the manifest's.", flag_values=values
    )
    define_api_flag(values)
    flags.DEFINE_boolean(
        "trust", False, "Load a .tflite without its manifest; damage is then not detected.", flag_values=values
    )


def define_api_flag(values: flags.FlagValues) -> None:
    """Defines --api."""
    flags.DEFINE_enum(
        "api",
        "interpreter",
        list(APIS),
        "LiteRT API to use; with compiled_model, XNNPACK takes less memory.",
        flag_values=values,
    )


def define_position_flag(values: flags.FlagValues) -> None:
    """Defines --classes_by_position."""
    flags.DEFINE_boolean(
        "classes_by_position",
        False,
        "Match classes to outputs by position instead of by name: for a file without class names.",
        flag_values=values,
    )


def load_model(values: flags.FlagValues) -> "TrainableModel":
    """Loads the file of `--model` with the settings of the flags."""
    from tinytl_tf.device import MicroModel, TrainableModel

    if values.runtime == "micro":
        runner.refuse_unused(
            values,
            ("threads", "xnnpack", "api", "trust"),
            "with --runtime=micro, which has one thread and needs the manifest",
        )
        return MicroModel(values.model)
    if manifest_path(values.model).exists() and Manifest.read(values.model).micro:
        raise InputError(f"{values.model} is for TensorFlow Lite Micro; give --runtime=micro")
    return TrainableModel(
        values.model, num_threads=values.threads, xnnpack=values.xnnpack, api=values.api, trust=values.trust
    )


def define_features_flags(values: flags.FlagValues) -> None:
    """Defines --features_cache, --features_cache_mb and --prefix_command."""
    flags.DEFINE_string(
        "features_cache",
        None,
        "With a coral.json: folder for cached image features; default: a temporary folder.",
        flag_values=values,
    )
    flags.DEFINE_integer("features_cache_mb", 512, "Limit of that folder in MB.", lower_bound=1, flag_values=values)
    define_prefix_flag(values)


def define_prefix_flag(values: flags.FlagValues) -> None:
    """Defines --prefix_command."""
    flags.DEFINE_string(
        "prefix_command",
        None,
        "With a coral.json: command line of a program that runs the prefix, quoted as in a shell; see "
        "prefix_runner.py.",
        flag_values=values,
    )


def open_coral(values: flags.FlagValues, stack: contextlib.ExitStack) -> "CoralModel":
    """Loads the `coral.json` of `--model`, and prints which device or program runs the prefix.

    Args:
        values: The flags of the command, including those of `define_prefix_flag` and `define_runtime_flags`.
        stack: Ends the process that runs the prefix.
    """
    from tinytl_tf.device.coral import CoralModel

    runner.refuse_unused(values, ("trust",), "with a coral.json, which guards its files")
    model = CoralModel(
        values.model,
        prefix_command=None if values.prefix_command is None else _words(values.prefix_command),
        num_threads=values.threads,
        xnnpack=values.xnnpack,
        api=values.api,
    )
    stack.callback(model.close)
    where = "by another program" if values.prefix_command else "an Edge TPU" if model.on_accelerator else "the CPU"
    print(f"prefix up to {model.manifest.split}: {where}", flush=True)
    return model


def open_model(
    values: flags.FlagValues, stack: contextlib.ExitStack
) -> tuple["TrainableModel", "CachedFeatures | None"]:
    """Loads the file of `--model`, a `.tflite` or a `coral.json`.

    Args:
        values: The flags of the command, including those of `define_features_flags`.
        stack: Closes the feature cache and ends the process that runs the prefix.

    Returns:
        The model to train, and the source of its features: None for a `.tflite`.
    """
    from tinytl_tf.device.coral import is_coral

    if not is_coral(values.model):
        names = ("features_cache", "features_cache_mb", "prefix_command")
        runner.refuse_unused(values, names, "with a .tflite, which has no signature for features; give a coral.json")
        return load_model(values), None
    model = open_coral(values, stack)
    limit_bytes = values.features_cache_mb * 2**20
    return model.suffix, stack.enter_context(model.features(values.features_cache, limit_bytes=limit_bytes))


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise InputError(
            f"expected --prefix_command in words as a shell has them, got {command!r:.80}: {error}"
        ) from error
