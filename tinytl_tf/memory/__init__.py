"""Accounts of memory: planned, from the file alone, and measured, from a process that runs it."""

from tinytl_tf.memory.measured import MeasuredMemory, measure
from tinytl_tf.memory.planned import PlannedMemory, planned_peak

__all__ = ["MeasuredMemory", "PlannedMemory", "measure", "planned_peak"]
