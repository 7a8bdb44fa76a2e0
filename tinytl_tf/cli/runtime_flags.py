"""Flags of the commands that run an exported file with LiteRT."""

from typing import TYPE_CHECKING

from absl import flags

from tinytl_tf.cli import runner
from tinytl_tf.errors import InputError
from tinytl_tf.tflite.manifest import Manifest, manifest_path
from tinytl_tf.tflite.runtime import APIS, THREADS

if TYPE_CHECKING:
    from tinytl_tf.device import TrainableModel

__all__ = ["define_api_flag", "define_position_flag", "define_runtime_flags", "load_model"]


def define_runtime_flags(values: flags.FlagValues) -> None:
    """Defines --runtime, --threads, --xnnpack and --api."""
    flags.DEFINE_enum(
        "runtime",
        "litert",
        ["litert", "micro"],
        "What runs the file; micro: TensorFlow Lite Micro, as on a microcontroller.",
        flag_values=values,
    )
    flags.DEFINE_integer("threads", THREADS, "Threads of LiteRT.", lower_bound=1, flag_values=values)
    flags.DEFINE_boolean(
        "xnnpack", None, "Use XNNPACK: faster, more memory; default: see the manifest.", flag_values=values
    )
    define_api_flag(values)


def define_api_flag(values: flags.FlagValues) -> None:
    """Defines --api."""
    flags.DEFINE_enum(
        "api",
        "interpreter",
        list(APIS),
        "LiteRT's interface; with compiled_model, XNNPACK takes less memory.",
        flag_values=values,
    )


def define_position_flag(values: flags.FlagValues) -> None:
    """Defines --classes_by_position."""
    flags.DEFINE_boolean(
        "classes_by_position",
        False,
        "Match classes to outputs by their position, not by name: for a file without names.",
        flag_values=values,
    )


def load_model(values: flags.FlagValues) -> "TrainableModel":
    """Loads the file of --model as the flags say."""
    from tinytl_tf.device import MicroModel, TrainableModel

    if values.runtime == "micro":
        runner.refuse_unused(values, ("threads", "xnnpack", "api"), "with --runtime=micro, which has one thread")
        return MicroModel(values.model)
    if manifest_path(values.model).exists() and Manifest.read(values.model).micro:
        raise InputError(f"{values.model} is for TensorFlow Lite Micro; give --runtime=micro")
    return TrainableModel(values.model, num_threads=values.threads, xnnpack=values.xnnpack, api=values.api)
