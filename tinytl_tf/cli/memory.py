"""Reports how much memory training needs, by one of three accounts. Do not compare figures across accounts.

--account=paper computes the memory as the TinyTL paper counts it for a network and a scheme (--scheme=all: for each
scheme), and the parts that the paper leaves out. No network is built or run.

--account=planned computes the memory of a signature from the .tflite, as LiteRT plans it without a delegate: the peak,
the live tensors at the peak, and the expected growth of a process. --plot draws the live tensors over the operators.

--account=measured runs the signature, and `infer` if the file has it, each in a fresh process, and reports the growth
of the process and the time of a step. If the file has all signatures that a client needs, it also reports the growth
of a process that runs both inference and training, as clients do. With --data, it also reports the growth of a
process that does the work of `tinytl adapt` on these images, which includes image decoding. Linux only.

MB are 10^6 bytes.

Examples:
  tinytl memory --account=paper --backbone=proxyless_mobile --scheme=all --batch_size=8
  tinytl memory --account=planned --model=model.tflite --plot=timeline.png
  tinytl memory --account=measured --model=model.tflite --threads=2 --noxnnpack
  tinytl memory --account=measured --model=model.tflite --data=photos/
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf import files
from tinytl_tf.cli import runner
from tinytl_tf.cli.runtime_flags import define_api_flag, define_position_flag
from tinytl_tf.device.opening import open_file
from tinytl_tf.errors import InputError
from tinytl_tf.memory import (
    measure,
    measure_adapt,
    measure_client,
    paper_account,
    plan_timeline,
    planned_growth,
    planned_peak,
)
from tinytl_tf.memory.paper import RESNET50
from tinytl_tf.memory.picture import draw_timeline
from tinytl_tf.networks.schemes import SCHEMES
from tinytl_tf.optimizers import OPTIMIZERS
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime import THREADS

_INFER_STEPS = 10
_OF_A_CLIENT = {"infer", "train", "save", "restore"}
_ALL = "all"
_FLAGS = {
    "paper": ("backbone", "width", "scheme", "resolution", "batch_size", "classes", "optimizer"),
    "planned": ("model", "signature", "threads", "xnnpack", "plot"),
    "measured": ("model", "signature", "threads", "xnnpack", "api", "give_back", "data", "classes_by_position"),
}
# Column keys of the paper account, and their titles.
_COLUMNS = {
    "scheme": "scheme",
    "total_mb": "total MB",
    "parameters_mb": "parameters",
    "activations_mb": "activations",
    "gradients_mb": "+ gradients",
    "slots_mb": "+ slots",
    "group_norm_mb": "+ group norm",
    "honest_mb": "= honest MB",
}


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    flags.DEFINE_enum("account", "planned", list(_FLAGS), "The account.", flag_values=values)
    flags.DEFINE_string("backbone", "mobilenet_v2", "Name of the network (paper).", flag_values=values)
    flags.DEFINE_float("width", 1.0, "Width multiplier of the network (paper).", flag_values=values)
    flags.DEFINE_enum("scheme", "tinytl-lb", [*SCHEMES, _ALL], "Update scheme (paper).", flag_values=values)
    flags.DEFINE_integer("resolution", 224, "Input size in pixels (paper).", flag_values=values)
    flags.DEFINE_integer("batch_size", 8, "Images per step (paper).", flag_values=values)
    flags.DEFINE_integer("classes", 102, "Number of classes (paper).", flag_values=values)
    flags.DEFINE_enum("optimizer", "sgd", list(OPTIMIZERS), "Optimizer, for its slots (paper).", flag_values=values)
    flags.DEFINE_string("model", None, "The .tflite file (planned, measured).", flag_values=values)
    flags.DEFINE_string("signature", "train", "The signature (planned, measured).", flag_values=values)
    flags.DEFINE_integer("threads", THREADS, "Threads (planned, measured).", lower_bound=1, flag_values=values)
    flags.DEFINE_boolean(
        "xnnpack",
        None,
        "Use XNNPACK (measured); default: the manifest's.",
        flag_values=values,
    )
    define_api_flag(values)
    flags.DEFINE_boolean(
        "give_back",
        True,
        "Return unused memory to the system, as `tinytl adapt` does (measured).",
        flag_values=values,
    )
    flags.DEFINE_string("data", None, "Images, as for `tinytl adapt` (measured).", flag_values=values)
    define_position_flag(values)
    flags.DEFINE_string("plot", None, "Write a plot of the timeline to this .png (planned).", flag_values=values)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    account = values.account
    _refuse_foreign_flags(values)
    if account == "paper":
        return {"account": account, **_paper(values)}
    if values.model is None:
        raise InputError(f"expected --model=FILE, the .tflite for --account={account}, got none; export one first")
    opened = open_file(values.model, trust=True)  # the file only runs in separate processes
    result = {"account": account, "model": values.model, "signature": values.signature}
    result |= _planned(values) if account == "planned" else _measured(values, opened.xnnpack)
    width = max(len(key) for key in result)
    for key, value in result.items():
        if key != "timeline":
            print(f"{key:<{width}}  {_text(value)}")
    return result


def _refuse_foreign_flags(values: flags.FlagValues) -> None:
    """Rejects flags that belong to other accounts."""
    own = _FLAGS[values.account]
    for name in dict.fromkeys(name for names in _FLAGS.values() for name in names):
        if name not in own and values[name].present:
            accounts = " or ".join(account for account, names in _FLAGS.items() if name in names)
            raise InputError(
                f"--{name} belongs to --account={accounts}, got --account={values.account}; leave one of them out"
            )


def _paper(values: flags.FlagValues) -> dict[str, Any]:
    names = [values.scheme]
    if values.scheme == _ALL:
        names = [name for name, scheme in SCHEMES.items() if values.backbone != RESNET50 or not scheme.lite_residual]
    rows = [_paper_row(values, name) for name in names]
    setting = {name: values[name].value for name in _FLAGS["paper"] if name != "scheme"}
    print(", ".join(f"{name} {value}" for name, value in setting.items()))
    print("  ".join(f"{title:>12s}" for title in _COLUMNS.values()))
    for row in rows:
        print("  ".join(f"{row[key] if key == 'scheme' else _text(row[key]):>12s}" for key in _COLUMNS))
    return setting | ({"rows": rows} if values.scheme == _ALL else rows[0])


def _paper_row(values: flags.FlagValues, scheme: str) -> dict[str, Any]:
    account = paper_account(
        values.backbone,
        scheme,
        resolution=values.resolution,
        batch_size=values.batch_size,
        classes=values.classes,
        width=values.width,
        optimizer=values.optimizer,
    )
    return {
        "scheme": scheme,
        "total_mb": account.total_bytes / 1e6,
        "parameters_mb": account.parameters_bytes / 1e6,
        "activations_mb": account.activations_bytes / 1e6,
        "gradients_mb": account.gradients_bytes / 1e6,
        "slots_mb": account.slots_bytes / 1e6,
        "group_norm_mb": account.group_norm_bytes / 1e6,
        "honest_mb": account.honest_bytes / 1e6,
    }


def _planned(values: flags.FlagValues) -> dict[str, Any]:
    if values.plot is not None:
        if not values.plot.endswith(".png"):
            raise InputError(f"expected --plot=FILE.png, got {values.plot!r}; the picture is a PNG")
        files.refuse_existing(values.plot, values.overwrite)
    model, options = Model.read(values.model), {"num_threads": values.threads}
    plan = planned_peak(model, values.signature, **options)
    growth = planned_growth(model, values.signature, file_bytes=os.path.getsize(values.model), **options)
    timeline = plan_timeline(model, values.signature, **options)
    top = max(timeline, key=lambda moment: moment.total_bytes)
    if values.plot is not None:
        title = f"{os.path.basename(values.model)}, {values.signature}, {values.threads} thread(s), no delegate"
        picture = draw_timeline(timeline, title=title, peak_bytes=plan.peak_bytes)
        files.atomic_write_bytes(values.plot, picture)
    return {
        "threads": values.threads,
        "delegate": "none",
        "peak_mb": plan.peak_bytes / 1e6,
        "arena_mb": plan.arena_bytes / 1e6,
        "heap_mb": plan.heap_bytes / 1e6,
        "arenas_mb": {name: size / 1e6 for name, size in plan.arenas.items()},
        "alive_mb": top.total_bytes / 1e6,
        "alive_at": f"{top.graph} {top.position} {top.operator}",
        "composition_mb": _megabytes(top.bytes),
        "growth_mb": growth.growth_bytes / 1e6,
        "growth_parts_mb": _megabytes(growth.parts),
        "variables_mb": sum(model.resource_variables.values()) / 1e6,
        "constants_mb": model.constant_bytes / 1e6,
        "dynamic_tensors": list(plan.dynamic),
        "timeline": [
            {"graph": m.graph, "position": m.position, "operator": m.operator, **_megabytes(m.bytes)} for m in timeline
        ],
    }


def _measured(values: flags.FlagValues, default: bool) -> dict[str, Any]:
    """Measures the memory that a client needs, with the manifest's settings unless a flag overrides them."""
    if values.data is None:
        runner.refuse_unused(values, ("classes_by_position",), "without --data, whose classes they are")
    xnnpack = default if values.xnnpack is None else values.xnnpack
    options = {"xnnpack": xnnpack, "api": values.api, "give_back": values.give_back}
    step = measure(values.model, values.signature, num_threads=values.threads, **options)
    signatures, infer, client = set(Model.read(values.model).signatures), None, {}
    if "infer" in signatures:
        infer = measure(values.model, "infer", steps=_INFER_STEPS, num_threads=values.threads, **options)
    if values.give_back and signatures >= _OF_A_CLIENT:
        growth = measure_client(values.model, num_threads=values.threads, xnnpack=xnnpack, api=values.api)
        client = {"client_growth_mb": growth / 1e6}
    return {
        "threads": values.threads,
        **options,
        "growth_mb": step.growth_bytes / 1e6,
        **client,
        **({} if values.data is None else {"adapt_growth_mb": _adapt(values, xnnpack) / 1e6}),
        "first_step_ms": step.first_step_ms,
        "step_ms_median": step.step_ms_median,
        "infer_ms_median": infer and infer.step_ms_median,
    }


def _adapt(values: flags.FlagValues, xnnpack: bool) -> int:
    if not values.give_back:
        raise InputError("expected --data without --nogive_back: adapt always gives memory back")
    options = {"num_threads": values.threads, "xnnpack": xnnpack, "api": values.api}
    return measure_adapt(values.model, values.data, by_position=values.classes_by_position, **options)


def _megabytes(sizes: dict[str, int]) -> dict[str, float]:
    return {name: size / 1e6 for name, size in sizes.items()}


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return str(value)


if __name__ == "__main__":
    sys.exit(runner.run_command("memory", sys.argv[1:]))
