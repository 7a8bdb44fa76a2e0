"""One number of threads where nobody says another: in all functions and in all commands."""

import importlib
import inspect
import pkgutil

from absl import flags

from tests.modules import module_files
from tinytl_tf import cli
from tinytl_tf.tflite.runtime import THREADS

NAMES = ("threads", "num_threads")


def defaults():
    """Default of each parameter of threads, by the name of its function."""
    found = {}
    for module, _ in module_files():
        for name, item in vars(importlib.import_module(module)).items():
            is_ours = inspect.isfunction(item) or (inspect.isclass(item) and not issubclass(item, Exception))
            if not name.startswith("_") and is_ours and item.__module__ == module:
                parameters = inspect.signature(item).parameters
                found |= {f"{module}.{name}": parameters[key].default for key in NAMES if key in parameters}
    # A number of threads; whether a browser gets several is another question.
    return {name: default for name, default in found.items() if type(default) is int}


def test_every_function_has_the_same_default():
    found = defaults()
    assert {name.rpartition(".")[2] for name in found} == {
        "CoralModel",
        "PrefixRunner",
        "TrainableModel",
        "load_signatures",
        "measure",
        "measure_adapt",
        "measure_client",
        "measure_time_ratio",
        "plan_timeline",
        "planned_growth",
        "planned_peak",
    }
    assert {name: default for name, default in found.items() if default != THREADS} == {}


def test_every_command_has_the_same_default():
    found = {}
    for info in pkgutil.iter_modules(cli.__path__):
        command = importlib.import_module(f"tinytl_tf.cli.{info.name}")
        if hasattr(command, "main") and hasattr(command, "define_flags"):
            values = flags.FlagValues()
            command.define_flags(values, [info.name])
            if "threads" in values and type(values["threads"].default) is int:
                found[info.name] = values["threads"].default
    assert found == dict.fromkeys(("adapt", "evaluate", "infer", "memory", "quickstart"), THREADS)
