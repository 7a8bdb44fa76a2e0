"""The passes in their order, and how they are run."""

import functools
from collections.abc import Callable, Sequence

from tinytl_tf.export.passes.drop_names import drop_names
from tinytl_tf.export.passes.fuse_biases import fuse_biases
from tinytl_tf.export.passes.name_variables import name_variables
from tinytl_tf.export.passes.quantize_casts import quantize_casts
from tinytl_tf.export.passes.reorder import reorder
from tinytl_tf.export.passes.split_reads import split_reads
from tinytl_tf.export.passes.transpose_kernels import transpose_kernels
from tinytl_tf.memory import planned_peak
from tinytl_tf.tflite.liveness import late_readers
from tinytl_tf.tflite.model import Model

__all__ = ["PASSES", "pass_names", "run_passes"]

# In this order. `quantize_kernels` is none of them: it changes what the file computes.
PASSES: dict[str, Callable[[Model], None]] = {
    pass_.__name__: pass_
    for pass_ in (
        name_variables,
        quantize_casts,
        fuse_biases,
        transpose_kernels,
        split_reads,
        reorder,
        drop_names,
    )
}

# After them convolutions have kernels or biases that are computed, which XNNPACK does not take.
_WITHOUT_DELEGATE = ("fuse_biases", "transpose_kernels")


def pass_names(*, delegate: bool) -> list[str]:
    """Names of the passes for a file that runs with XNNPACK, or without a delegate."""
    return [name for name in PASSES if not (delegate and name in _WITHOUT_DELEGATE)]


def run_passes(content: bytes, names: Sequence[str] = tuple(PASSES)) -> tuple[bytes, dict[str, int]]:
    """Runs passes one after the other, in the order of `PASSES`.

    A pass after which an operator would read what another one overwrote, see `Graph.late_readers`, is left out: fewer
    readers of a tensor, or arithmetic in place, can bring the runtime to overwrite more.

    Args:
        content: a `.tflite` with the signature `train`.
        names: which of them; see `pass_names`.

    Returns:
        The new content, and the planned peak of `train` in bytes at the start (`converted`) and after each pass.
    """
    model = Model.from_bytes(content)
    peaks = {"converted": planned_peak(model).peak_bytes}
    done = []
    for name in [name for name in PASSES if name in names]:
        late = _late_readers(model)
        model = _run(model, name)
        if _late_readers(model) > late:
            # Once more from the start: that is rare, and keeping a copy before each pass would take half the time.
            model = functools.reduce(_run, done, Model.from_bytes(content))
        else:
            done.append(name)
        peaks[name] = planned_peak(model).peak_bytes
    return model.to_bytes(), peaks


def _run(model: Model, name: str) -> Model:
    PASSES[name](model)
    return Model(model.schema)


def _late_readers(model: Model) -> int:
    return sum(len(late_readers(graph)) for graph in model.graphs)
