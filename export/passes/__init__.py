"""Passes on the flatbuffer. They change the file but not its results, except for `quantize_kernels`."""

from tinytl_tf.export.passes.pipeline import MICRO_PASSES, PASSES, QUANTIZE_KERNELS, Pass, pass_names, run_passes

__all__ = ["MICRO_PASSES", "PASSES", "QUANTIZE_KERNELS", "Pass", "pass_names", "run_passes"]
