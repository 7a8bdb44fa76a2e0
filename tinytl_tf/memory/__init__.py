"""Accounts of memory: the paper's, from tables of blocks; planned, from the file alone; measured, from a process."""

from tinytl_tf.memory.measured import MeasuredMemory, measure
from tinytl_tf.memory.paper import PaperAccount, paper_account
from tinytl_tf.memory.planned import PlannedMemory, planned_peak

__all__ = ["MeasuredMemory", "PaperAccount", "PlannedMemory", "measure", "paper_account", "planned_peak"]
