"""Trains, saves, restores and resets a file in the runtime of the Python that runs this script. Only needs numpy.

Usage: python worker.py RUNTIME MODEL.tflite BATCHES.npz RESULT.json

RUNTIME is ai_edge_litert or tflite_runtime. Works on Python 3.7 and newer.
"""

import importlib
import json
import sys

import numpy as np

RATE = 1e-3


def load(module, path):
    kind = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = module.Interpreter(model_path=path, experimental_op_resolver_type=kind, num_threads=1)
    return {name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()}


def main(runtime, model, batches, result):
    module = importlib.import_module(runtime + ".interpreter")
    arrays = np.load(batches)
    run = load(module, model)
    taken = next(name for name in run["infer"].get_input_details())  # image, or features
    start = run["save"]()["state"]
    losses, applied = [], []
    rates = arrays["rates"] if "rates" in arrays else np.full(len(arrays["images"]), RATE, np.float32)
    for images, labels, rate in zip(arrays["images"], arrays["labels"], rates):  # noqa: B905, Python 3.7 has no strict
        given = {taken: images, "label": labels, "learning_rate": np.array([rate], np.float32)}
        outputs = run["train"](**given)
        losses.append(float(outputs["loss"][0]))
        applied.append(int(outputs["applied"][0]))
    state = run["save"]()["state"]
    image = arrays["images"][0][:1]
    logits = run["infer"](**{taken: image})["logits"]
    other = load(module, model)
    restored = int(other["restore"](state=state)["restored"][0])
    run["reset"]()
    report = {
        "losses": losses,
        "applied": applied,
        "moved": int(np.sum(state != start)),
        "restored": restored,
        "same_logits": bool(np.array_equal(other["infer"](**{taken: image})["logits"], logits)),
        "same_state": bool(np.array_equal(other["save"]()["state"], state)),
        "reset": bool(np.array_equal(run["save"]()["state"], start)),
        "logits": logits[0].tolist(),
    }
    with open(result, "w") as stream:
        json.dump(report, stream)


if __name__ == "__main__":
    main(*sys.argv[1:])
