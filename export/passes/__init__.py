"""Passes on the flatbuffer: each changes the file and nothing that it computes, but for `quantize_kernels`."""

from tinytl_tf.export.passes.pipeline import MICRO_PASSES, PASSES, QUANTIZE_KERNELS, Pass, pass_names, run_passes

__all__ = ["MICRO_PASSES", "PASSES", "QUANTIZE_KERNELS", "Pass", "pass_names", "run_passes"]
