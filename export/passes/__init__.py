"""Passes on the flatbuffer: each changes the file's schema and nothing that it computes."""

from collections.abc import Callable

from tinytl_tf.export.passes.casts import quantize_casts
from tinytl_tf.export.passes.kernels import quantize_kernels
from tinytl_tf.export.passes.reads import split_reads
from tinytl_tf.export.passes.reorder import reorder
from tinytl_tf.export.passes.sums import split_sums
from tinytl_tf.flatbuffer import Model

__all__ = ["PASSES", "run_passes"]

PASSES: dict[str, Callable[[Model], None]] = {
    "quantize_kernels": quantize_kernels,
    "split_sums": split_sums,
    "quantize_casts": quantize_casts,
    "split_reads": split_reads,
    "reorder": reorder,
}


def run_passes(model: Model, names: tuple[str, ...] = tuple(PASSES)) -> Model:
    """Runs passes in the order of `PASSES` and returns the new file."""
    for name in PASSES:
        if name in names:
            PASSES[name](model)
            model = Model(model.schema)
    return model
