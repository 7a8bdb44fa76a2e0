"""Passes on the flatbuffer: each changes the file and nothing that it computes."""

from tinytl_tf.export.passes.pipeline import PASSES, pass_names, run_passes

__all__ = ["PASSES", "pass_names", "run_passes"]
