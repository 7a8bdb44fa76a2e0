"""Tables of the rows from accuracy.py, with the memory of a training step; and a plot of both.

Prints a table for each network, resolution and batch size: the mean and standard deviation of the test accuracy on each
data set in percent, the number of seeds, and the growth of a fresh process that loads the exported file and runs a
training step with XNNPACK and two threads. The exported file has int8 frozen kernels, profile balanced, Adam, 17
classes, and random weights, on which memory does not depend. The plot shows the rows at 128 px with batches of 8.
Measurements are kept in --memory and not repeated. Run this script when nothing else runs on the machine.

Commands:
    python benchmarks/accuracy_tables.py --rows=benchmarks/accuracy.jsonl --memory=benchmarks/accuracy_memory.jsonl
    python benchmarks/accuracy_tables.py --rows=... --memory=... --picture=accuracy_over_memory.png
"""

import io
import pathlib
import statistics
import subprocess
import sys
import tempfile

import accuracy_rows
from absl import app, flags

from tinytl_tf.files import atomic_write_bytes
from tinytl_tf.memory import measure
from tinytl_tf.networks.schemes import SCHEMES

_ROWS = flags.DEFINE_string("rows", "runs/accuracy/rows.jsonl", "File of finished runs.")
_MEMORY = flags.DEFINE_string("memory", "runs/accuracy/memory.jsonl", "File of measured memory.")
_PICTURE = flags.DEFINE_string("picture", None, "Plot accuracy over memory to this PNG file.")
CLASSES, PROFILE, MEASUREMENTS = 17, "balanced", 3
IN_PICTURE = (128, 8)  # resolution and batch
TABLE = ("network", "resolution", "batch_size")
START = ("scheme", "branches", "features", "learning_rate")
ON_THE_LEFT = ("tinytl-b", "tinytl-l")  # place labels of these left: another scheme takes only slightly more memory


def main(_) -> None:
    """Prints the tables."""
    rows = accuracy_rows.read(_ROWS.value)
    sets = sorted({row["set"] for row in rows}, key=[row["set"] for row in rows].index)
    tables = sorted({tuple(row[key] for key in TABLE) for row in rows})
    points = []
    for table in tables:
        print(f"\n{table[0]}, {table[1]} px, batch {table[2]}\n")
        print(f"| trained | memory MB | {' | '.join(sets)} |\n|---|---|{'---|' * len(sets)}")
        members = [row for row in rows if tuple(row[key] for key in TABLE) == table]
        for start in sorted({tuple(row[key] for key in START) for row in members}, key=_order):
            scheme, branches, features, rate = start
            memory = _memory(dict(zip(TABLE, table, strict=True)) | {"scheme": scheme, "features": features})
            values = {name: _accuracies(members, start, name) for name in sets}
            name = f"`{scheme}`" + (f", {branches} branches" if branches else "")
            name += f", {features} features" if features else ""
            cells = " | ".join(map(_cell, values.values()))
            print(f"| {name}, rate {rate:g} | {memory:.1f} | {cells} |", flush=True)
            if table[1:] == IN_PICTURE:
                points.append((table[0], name, memory, {key: statistics.fmean(v) for key, v in values.items() if v}))
    if _PICTURE.value:
        atomic_write_bytes(_PICTURE.value, _draw(points, sets))


def _order(start: tuple) -> tuple:
    return (list(SCHEMES).index(start[0]), *start[1:])


def _accuracies(rows: list[dict], start: tuple, name: str) -> list[float]:
    return [
        100 * row["test_accuracy"] for row in rows if row["set"] == name and tuple(row[key] for key in START) == start
    ]


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.1f}{spread} ({len(values)})"


def _memory(key: dict) -> float:
    """Returns the growth of a process in MB, measured on the first call."""
    row = accuracy_rows.find(_MEMORY.value, key)
    if row is None:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "step.tflite"
            # In a separate process: TensorFlow would stay in the memory of processes forked from here.
            code = f"import accuracy_tables; accuracy_tables.export_worker({str(path)!r}, **{key!r})"
            subprocess.run([sys.executable, "-c", code], cwd=pathlib.Path(__file__).parent, check=True)
            growth = max(measure(path, steps=1).growth_bytes for _ in range(MEASUREMENTS))
            row = key | {"growth_mb": growth / 1e6, "file_mb": path.stat().st_size / 1e6}
        accuracy_rows.append(_MEMORY.value, row)
    return row["growth_mb"]


def export_worker(path: str, *, network: str, resolution: int, batch_size: int, scheme: str, features: str) -> None:
    """Writes the file to measure, without the parity check of `export`."""
    from network import trainable_module

    from tinytl_tf.export.build import build_file, with_int8_kernels

    options = {"name": network, "optimizer": "adam", "features": features}
    content, _ = build_file(trainable_module(scheme, PROFILE, resolution, CLASSES, batch_size, **options))
    # `full` has no frozen kernels to store as int8.
    atomic_write_bytes(path, content if scheme == "full" else with_int8_kernels(content))


def _draw(points: list[tuple], sets: list[str]) -> bytes:
    """Returns a PNG with a panel for each data set and a color for each network."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(sets), 6), layout="constrained")
    panels = figure.subplots(1, len(sets), squeeze=False)[0]
    most = 1.15 * max(point[2] for point in points)
    flipped = 0.75 * most  # above this memory, the label is on the left
    colors = {name: f"C{number}" for number, name in enumerate(dict.fromkeys(point[0] for point in points))}
    for axes, name in zip(panels, sets, strict=True):
        for network, label, memory, means in points:
            if name in means:
                axes.scatter(memory, means[name], color=colors[network])
                left = memory > flipped or label.split("`")[1] in ON_THE_LEFT
                axes.annotate(
                    label.replace("`", "").replace(" branches", ""),
                    (memory, means[name]),
                    xytext=(-6 if left else 6, 0),
                    color=colors[network],
                    textcoords="offset points",
                    horizontalalignment="right" if left else "left",
                    verticalalignment="center",
                    fontsize=7,
                )
        axes.set(title=name, xlabel="memory of a training step, MB", ylabel="test accuracy, %", xlim=(0, most))
    handles = [panels[0].scatter([], [], color=color, label=network) for network, color in colors.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(colors))
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return content.getvalue()


if __name__ == "__main__":
    app.run(main)
