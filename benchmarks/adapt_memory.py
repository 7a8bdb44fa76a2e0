"""Growth of a whole run of `adapt` over real photos against the measured account of one signature.

Command:
    python benchmarks/adapt_memory.py --data=photos/ FILE.tflite ...

For each file a fresh process loads it, evaluates, trains an epoch and evaluates again, as `tinytl adapt` does, with the
decoding of photos and its threads. Prints a row for each: the size of the model's input, the highest resident memory
over that before the model was loaded, the measured account of `train`, both in MB (10^6 bytes), their difference in
percent of the account, and whether it is within 20 %. The account is of `train` alone; a run also infers, and decodes
photos ahead of the step. Linux only.
"""

import json
import pathlib
import subprocess
import sys

from absl import app, flags

from tinytl_tf import data
from tinytl_tf.device import TrainableModel, adapt
from tinytl_tf.memory import measure
from tinytl_tf.memory.peak_growth import PeakGrowth
from tinytl_tf.tflite.runtime import THREADS, import_api

_DATA = flags.DEFINE_string("data", None, "Image folder or another data set.", required=True)
_EPOCHS = flags.DEFINE_integer("epochs", 1, "Passes over the training images.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", THREADS, "Threads of LiteRT.", lower_bound=1)
_WORKER = flags.DEFINE_boolean("worker", False, "Measure in this process; for the script itself.")
WITHIN = 0.2
TIMES = 3  # the median of so many processes counts: threads that decode come and go


def run_worker(path: str) -> None:
    """Adapts in this process; prints its growth."""
    import_api("interpreter")  # before the growth is measured, as in the account
    splits = data.load(_DATA.value)
    growth = PeakGrowth()
    model = TrainableModel(path, num_threads=_THREADS.value)
    adapt(model, splits, epochs=_EPOCHS.value, by_position=model.class_names is None)
    print(json.dumps({"growth_bytes": growth.bytes(), "size": model.image_size, "xnnpack": model.xnnpack}))


def adapted(path: str) -> dict:
    """What a fresh process needed: the median of a few."""
    argv = [sys.executable, __file__, f"--data={_DATA.value}", f"--epochs={_EPOCHS.value}"]
    argv += [f"--threads={_THREADS.value}", "--worker", path]
    results = []
    for _ in range(TIMES):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise app.UsageError(done.stderr.strip().splitlines()[-1])
        results.append(json.loads(done.stdout.splitlines()[-1]))
    return sorted(results, key=lambda result: result["growth_bytes"])[TIMES // 2]


def main(argv: list[str]) -> None:
    """Prints the table."""
    if _WORKER.value:
        run_worker(argv[1])
        return
    if len(argv) < 2:
        raise app.UsageError("expected .tflite files")
    width = max(len(pathlib.Path(path).name) for path in argv[1:])
    print(f"{'file':<{width}}", *(f"{title:>9s}" for title in ("pixels", "xnnpack", "adapt", "account", "%", "within")))
    for path in argv[1:]:
        result = adapted(path)
        options = {"num_threads": _THREADS.value, "xnnpack": result["xnnpack"]}
        account = sorted(measure(path, **options).growth_bytes for _ in range(TIMES))[TIMES // 2]
        more = result["growth_bytes"] / account - 1.0
        cells = ["x".join(map(str, result["size"])), "yes" if result["xnnpack"] else "no"]
        cells += [f"{result['growth_bytes'] / 1e6:.1f}", f"{account / 1e6:.1f}", f"{100 * more:+.1f}"]
        cells += ["yes" if abs(more) <= WITHIN else "no"]
        print(f"{pathlib.Path(path).name:<{width}}", *(f"{cell:>9s}" for cell in cells), flush=True)


if __name__ == "__main__":
    app.run(main)
