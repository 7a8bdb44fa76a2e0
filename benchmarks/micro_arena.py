"""Memory of training on a microcontroller: the arena as reported by TensorFlow Lite Micro, flash, state, and paper.

KB are 1024 bytes. The arena is measured on x86-64, which has 8-byte pointers. Weights are random: sizes do not depend
on them. The script does not train, and does not run the parity check of `export`.

Commands:
    python benchmarks/micro_arena.py --json=micro.json
    python benchmarks/micro_arena.py --cases=mobilenet_v2:0.35:96:10:tinytl-b
"""

import json
import pathlib

from absl import app, flags

from tinytl_tf.backbones import build
from tinytl_tf.backbones.scheme import apply_scheme
from tinytl_tf.export.build import build_micro_file
from tinytl_tf.export.micro_module import MicroModule
from tinytl_tf.memory import paper_account
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.schemes import get_scheme, restrict
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime.micro_arena import measure_arena

CASES = flags.DEFINE_list(
    "cases",
    [
        "mobilenet_v2:0.35:96:10:tinytl-b",
        "mobilenet_v2:0.35:96:10:tinytl-b:block_3",
        "mobilenet_v2:0.35:96:10:last",
        "mcunet_5fps:1:128:17:tinytl-b",
        "mcunet_5fps:1:128:17:tinytl-lb",
        "mcunet_5fps:1:128:17:last",
    ],
    "backbone:width:pixels:classes:scheme of each case, optionally with :place for the first place to train biases of; "
    "a scheme such as last+late has a classifier that reads late features.",
)
OPTIMIZER = flags.DEFINE_string("optimizer", "sgd", "The device's optimizer.")
JSON = flags.DEFINE_string("json", None, "Write the rows to this file.")
COLUMNS = ("arena_kb", "tensors_kb", "variables_kb", "records_kb", "flash_kb", "state_kb", "paper_kb", "operators")


def main(argv: list[str]) -> None:
    """Prints the table."""
    print("| case |", " | ".join(COLUMNS), "|")
    rows = []
    for case in CASES.value:
        rows.append({"case": case, **_measure(*case.split(":"))})
        print(f"| {case} |", " | ".join(f"{rows[-1][name]:.0f}" for name in COLUMNS), "|", flush=True)
        if JSON.value:
            pathlib.Path(JSON.value).write_text(json.dumps(rows, indent=2))


def _measure(backbone: str, width: str, pixels: str, classes: str, scheme: str, first: str = "") -> dict[str, float]:
    scheme, _, features = scheme.partition("+")
    table = get_scheme(scheme)
    sizes = {"classes": int(classes), "resolution": int(pixels), "width": float(width)}
    model = build(backbone, **sizes, **table.branches, feature_places=features, weights=None)
    if first:
        places = from_table(backbone, **sizes).places
        table = restrict(table, biases=places[places.index(first) :])
    apply_scheme(model, table)
    content, _ = build_micro_file(
        MicroModule(model, model.trainable_variables, optimizer=get_optimizer(OPTIMIZER.value))
    )
    file, arena = Model.from_bytes(content), measure_arena(content)
    variables = sum(file.resource_variables.values())
    paper = paper_account(backbone, scheme, batch_size=1, optimizer=OPTIMIZER.value, **sizes)
    return {
        "arena_kb": arena.bytes / 1024,
        "tensors_kb": arena.head_bytes / 1024,
        "variables_kb": variables / 1024,
        "records_kb": (arena.tail_bytes - variables) / 1024,
        "flash_kb": len(content) / 1024,
        "state_kb": 4 * sum(v.numpy().size for v in model.trainable_variables) / 1024,
        "paper_kb": paper.total_bytes / 1024,
        "operators": sum(len(graph.operators) for graph in file.graphs),
    }


if __name__ == "__main__":
    app.run(main)
