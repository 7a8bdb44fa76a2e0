"""Compares the growth of a complete run of `adapt` on real photos with that of a client and of a training step.

Command:
    python benchmarks/adapt_memory.py --data=photos/ FILE.tflite ...

Prints a row for each file: the size of the model's input; the growth of a fresh process that runs the steps of `tinytl
adapt` (`measure_adapt`); the growth of a process that runs inference and training (`measure_client`); the difference
between the two in percent; and the growth of a process that only runs `train` (`measure`). Growth is in MB (10^6
bytes). A run of `adapt` also decodes photos. Linux only.
"""

import pathlib
import statistics

from absl import app, flags

from tinytl_tf.device import TrainableModel
from tinytl_tf.memory import measure, measure_adapt, measure_client
from tinytl_tf.tflite.runtime import THREADS

_DATA = flags.DEFINE_string("data", None, "Image folder or other data set.", required=True)
_THREADS = flags.DEFINE_integer("threads", THREADS, "Threads of LiteRT.", lower_bound=1)
TIMES = 3  # number of processes for the median; figures vary, because decoding threads start and end


def main(argv: list[str]) -> None:
    """Prints the table."""
    if len(argv) < 2:
        raise app.UsageError("expected .tflite files")
    width = max(len(pathlib.Path(path).name) for path in argv[1:])
    print(f"{'file':<{width}}", *(f"{title:>9s}" for title in ("pixels", "xnnpack", "adapt", "client", "%", "train")))
    for path in argv[1:]:
        model = TrainableModel(path)
        options = {"num_threads": _THREADS.value, "xnnpack": model.xnnpack}
        by_position = model.class_names is None
        runs = [measure_adapt(path, _DATA.value, by_position=by_position, **options) for _ in range(TIMES)]
        clients = [measure_client(path, **options) for _ in range(TIMES)]
        steps = [measure(path, **options).growth_bytes for _ in range(TIMES)]
        run, client, step = (statistics.median(growths) for growths in (runs, clients, steps))
        cells = ["x".join(map(str, model.image_size)), "yes" if model.xnnpack else "no"]
        cells += [f"{run / 1e6:.1f}", f"{client / 1e6:.1f}", f"{100 * (run / client - 1):+.1f}", f"{step / 1e6:.1f}"]
        print(f"{pathlib.Path(path).name:<{width}}", *(f"{cell:>9s}" for cell in cells), flush=True)


if __name__ == "__main__":
    app.run(main)
