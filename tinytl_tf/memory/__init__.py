"""Memory accounting: the paper's, from tables of blocks; planned, from the file only; and measured, in a process."""

from tinytl_tf.memory.growth import PlannedGrowth, planned_growth
from tinytl_tf.memory.measured import MeasuredMemory, measure, measure_adapt, measure_client, measure_time_ratio
from tinytl_tf.memory.paper import PaperAccount, paper_account
from tinytl_tf.memory.planned import PlannedMemory, planned_peak
from tinytl_tf.memory.timeline import Moment, plan_timeline

__all__ = [
    "MeasuredMemory",
    "Moment",
    "PaperAccount",
    "PlannedGrowth",
    "PlannedMemory",
    "measure",
    "measure_adapt",
    "measure_client",
    "measure_time_ratio",
    "paper_account",
    "plan_timeline",
    "planned_growth",
    "planned_peak",
]
