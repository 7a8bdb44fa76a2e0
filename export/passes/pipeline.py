"""The list of passes in order, and the function that runs them."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any

from tinytl_tf.export.passes.drop_graphs import drop_graphs
from tinytl_tf.export.passes.drop_names import drop_names
from tinytl_tf.export.passes.drop_tensors import drop_tensors
from tinytl_tf.export.passes.fuse_biases import fuse_biases
from tinytl_tf.export.passes.inputs_first import inputs_first
from tinytl_tf.export.passes.int8_casts import int8_casts
from tinytl_tf.export.passes.matrix_products import matrix_products
from tinytl_tf.export.passes.micro_operators import micro_operators
from tinytl_tf.export.passes.name_variables import name_variables
from tinytl_tf.export.passes.one_graph import one_graph
from tinytl_tf.export.passes.place_tensors import place_tensors
from tinytl_tf.export.passes.pointwise_products import pointwise_products
from tinytl_tf.export.passes.quantize_casts import quantize_casts
from tinytl_tf.export.passes.quantize_kernels import quantize_kernels
from tinytl_tf.export.passes.reorder import reorder
from tinytl_tf.export.passes.share_forward import share_forward
from tinytl_tf.export.passes.share_kernels import share_kernels
from tinytl_tf.export.passes.split_reads import split_reads
from tinytl_tf.export.passes.transpose_kernels import transpose_kernels
from tinytl_tf.export.passes.zero_variables import zero_variables
from tinytl_tf.memory import planned_peak
from tinytl_tf.tflite.liveness import late_readers
from tinytl_tf.tflite.model import Model

__all__ = ["MICRO_PASSES", "PASSES", "QUANTIZE_KERNELS", "Pass", "pass_names", "run_passes"]

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Pass:
    """A transformation of the flatbuffer.

    Attributes:
        name: Name of the module and function.
        run: Function that modifies the `schema` of a model and returns the number of changes.
        delegate: Whether the pass applies to files that run with XNNPACK. It must not if the pass gives convolutions
            computed kernels or biases, because XNNPACK does not accept these.
        alone: Whether the pass applies to files that run without a delegate.
        always: Whether the pass changes every file that trains. Other passes may find nothing to change, for example
            if only the classifier trains.
    """

    name: str
    run: Callable[[Model], int]
    delegate: bool = True
    alone: bool = True
    always: bool = False


# Passes of a file for LiteRT, in this order.
PASSES: dict[str, Pass] = {
    pass_.name: pass_
    for pass_ in (
        Pass("name_variables", name_variables, always=True),
        Pass("quantize_casts", quantize_casts),
        Pass("fuse_biases", fuse_biases, delegate=False),
        Pass("transpose_kernels", transpose_kernels, delegate=False),
        Pass("share_kernels", share_kernels, alone=False),
        Pass("split_reads", split_reads),
        Pass("reorder", reorder, always=True),
        Pass("inputs_first", inputs_first),
        Pass("drop_names", drop_names, always=True),
    )
}
# Passes of a file for TensorFlow Lite Micro, in this order.
MICRO_PASSES: dict[str, Callable[[Model], int]] = {
    "name_variables": name_variables,
    "zero_variables": zero_variables,
    "micro_operators": micro_operators,
    "int8_casts": int8_casts,
    "fuse_biases": fuse_biases,
    "pointwise_products": pointwise_products,
    "matrix_products": matrix_products,
    "split_reads": split_reads,
    "share_forward": share_forward,
    "drop_graphs": drop_graphs,
    "reorder": functools.partial(reorder, micro=True),
    "drop_names": drop_names,
    "one_graph": one_graph,
    "drop_tensors": drop_tensors,
    "place_tensors": place_tensors,
}
# Not in PASSES, because it changes the results of the file.
QUANTIZE_KERNELS = Pass("quantize_kernels", quantize_kernels)


def pass_names(*, delegate: bool) -> list[str]:
    """Returns the names of the passes for a file that runs with XNNPACK, or without a delegate."""
    return [name for name, pass_ in PASSES.items() if (pass_.delegate if delegate else pass_.alone)]


def run_passes(content: bytes, names: Sequence[str] = tuple(PASSES)) -> tuple[bytes, dict[str, dict[str, Any]]]:
    """Runs passes in the order of `PASSES`.

    A pass is skipped if it would make an operator read an overwritten tensor (see `late_readers`): if a tensor has
    fewer readers, or if arithmetic runs in place, the runtime may overwrite more tensors. A skipped pass is logged as a
    warning. So is a pass that finds nothing to change although it should change every file.

    Args:
        content: A `.tflite` with the signature `train`.
        names: Names of the passes to run; see `pass_names`.

    Returns:
        The new content, and a report. The report has an entry for `"converted"` and for each pass: a dictionary with
        `planned_peak_bytes`, the peak of `train` after the stage, and for passes with `changed`, the number of changes.
    """
    model = Model.from_bytes(content)
    report: dict[str, dict[str, Any]] = {"converted": {"planned_peak_bytes": planned_peak(model).peak_bytes}}
    done: list[Pass] = []
    for pass_ in [pass_ for pass_ in (*PASSES.values(), QUANTIZE_KERNELS) if pass_.name in names]:
        late = _late_readers(model)
        model, changed = _run(model, pass_)
        if _late_readers(model) > late:
            _logger.warning("pass %s is left out: an operator would read an overwritten tensor", pass_.name)
            # Restart from the original file. This is rare; a copy before each pass would take half of the time.
            model, changed = Model.from_bytes(content), 0
            for earlier in done:
                model, _ = _run(model, earlier)
        else:
            done.append(pass_)
            if pass_.always and not changed:
                _logger.warning("pass %s found nothing to change; the converter may write another graph", pass_.name)
        report[pass_.name] = {"planned_peak_bytes": planned_peak(model).peak_bytes, "changed": changed}
    return model.to_bytes(), report


def _run(model: Model, pass_: Pass) -> tuple[Model, int]:
    changed = pass_.run(model)
    return Model(model.schema), changed


def _late_readers(model: Model) -> int:
    return sum(len(late_readers(graph)) for graph in model.graphs)
