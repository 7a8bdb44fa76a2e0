"""How well measures of contribution rank the true gain of training each target alone.

For each data set, the gain of a target is the decrease of the held-out loss after a short training of the classifier
and this target, compared with the classifier alone at the same learning rate; see `Probe.loss_after_training`. Only
training images are used.
Prints the Spearman rank correlation of each measure with the gain. The measures use the gradients of each target's
variables on batches of two parts of the images, a and b:

* `dot`: dot product of the mean gradients of a and b.
* `square`: squared norm of the mean gradient of a.
* `fisher`: mean over the batches of a of the squared norm, the diagonal of the empirical Fisher information.
* `magnitude`: sum of the absolute values of the mean gradient of a, the first-order gain of a step of Adam; the
  planner's measure.
* `agreement`: sum of the absolute values of a's mean gradient where b's has the same sign, minus that of all others.

Rows are appended to --rows; targets with a row are not measured again.

Command:
    python benchmarks/contribution.py --data=flowers17=oxford_flowers17_128.npz,cifar10=cifar10_32_15k.npz \
        --weights=mobilenet_v2_1.0_224.h5
"""

import importlib

import accuracy_rows
import numpy as np
from absl import app, flags

from tinytl_tf.networks.variables import variable_spec
from tinytl_tf.planning import Probe
from tinytl_tf.planning.plan import KINDS, target_of
from tinytl_tf.training import Experiment

_DATA = flags.DEFINE_list("data", None, "CONFIG=FILE,...: configurations and their data sets.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", None, "Pre-trained weights.", required=True)
_RESOLUTION = flags.DEFINE_integer("resolution", 96, "Input size in pixels.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 3e-4, "Learning rate of all short trainings.")
_EVERY = flags.DEFINE_integer("every", 2, "Measure every so many places of each kind of target.")
_ROWS = flags.DEFINE_string("rows", "runs/contribution.jsonl", "File of measured gains.")
MEASURES = ("dot", "square", "fisher", "magnitude", "agreement")


def main(_) -> None:
    """Measures the gains, and prints the table."""
    print(f"| set | targets | {' | '.join(MEASURES)} |\n|---|---|{'---|' * len(MEASURES)}")
    for item in _DATA.value:
        name, _, path = item.partition("=")
        rows = measure_set(name, path)
        for kinds in (KINDS, *((kind,) for kind in KINDS)):
            own = [row for row in rows if row["kind"] in kinds]
            cells = " | ".join(f"{rank_correlation(own, measure):.2f}" for measure in MEASURES)
            label = "all" if kinds == KINDS else kinds[0]
            print(f"| {name} | {label}, {len(own)} | {cells} |", flush=True)


def measure_set(name: str, path: str) -> list[dict]:
    """Returns a row for each measured target of a data set."""
    config = importlib.import_module(f"tinytl_tf.configs.{name}").get_config().unlock()
    config.data.name, config.backbone.weights = path, _WEIGHTS.value
    config.backbone.resolution = _RESOLUTION.value
    config.training.learning_rate = _LEARNING_RATE.value  # one rate for all, since that of the classifier counts too
    probe = Probe(config, Experiment(config).load_data().train, _RESOLUTION.value)
    measures, alone, rows = measures_of(probe), None, []
    for kind in KINDS:
        whole = [target for target in probe.contributions if target.kind == kind and target.share == 1]
        targets = whole[:: _EVERY.value]
        for target in targets:
            key = {"set": name, "resolution": _RESOLUTION.value, "learning_rate": _LEARNING_RATE.value}
            key |= {"kind": kind, "place": target.place}
            row = accuracy_rows.find(_ROWS.value, key)
            if row is None:
                alone = probe.loss_after_training(()) if alone is None else alone
                row = key | {"gain": alone - probe.loss_after_training({target})} | measures[target]
                accuracy_rows.append(_ROWS.value, row)
            rows.append(row)
    return rows


def measures_of(probe: Probe) -> dict:
    """Returns the value of each measure for each target."""
    variables = [variable for variable in probe.model.trainable_variables if target_of(variable_spec(variable))]
    gradients = probe._make_gradients(variables)
    batches = [gradients([batch]) for batch in probe._left]
    left = [np.mean(own, axis=0) for own in zip(*batches, strict=True)]
    held_out = gradients(probe._held_out)
    result = {target: dict.fromkeys(MEASURES, 0.0) for target in probe.contributions if target.share == 1}
    for index, (variable, a, b) in enumerate(zip(variables, left, held_out, strict=True)):
        own = result[target_of(variable_spec(variable))]
        own["dot"] += float(np.vdot(a, b))
        own["square"] += float(np.vdot(a, a))
        own["fisher"] += float(np.mean([np.vdot(batch[index], batch[index]) for batch in batches]))
        own["magnitude"] += float(np.sum(np.abs(a)))
        own["agreement"] += float(np.sum(a * np.sign(b)))
    return result


def rank_correlation(rows: list[dict], measure: str) -> float:
    """Returns Spearman's rank correlation of a measure with the gain."""
    ranks = [np.argsort(np.argsort([row[key] for row in rows])) for key in ("gain", measure)]
    return float(np.corrcoef(*ranks)[0, 1])


if __name__ == "__main__":
    app.run(main)
