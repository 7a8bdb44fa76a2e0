"""Chooses which places to train within a budget: the contribution and cost of each place, and the search."""

from tinytl_tf import keras_backend  # noqa: F401, before anything imports Keras
from tinytl_tf.planning.account import Account
from tinytl_tf.planning.costs import Costs
from tinytl_tf.planning.growth_account import GrowthAccount
from tinytl_tf.planning.micro_account import MicroAccount
from tinytl_tf.planning.networks import Candidate, Choice, choose_network, read_candidates
from tinytl_tf.planning.plan import Plan, Target
from tinytl_tf.planning.planner import NothingFits, Outcome, Planner, Trial
from tinytl_tf.planning.probe import Probe

__all__ = [
    "Account",
    "Candidate",
    "Choice",
    "Costs",
    "GrowthAccount",
    "MicroAccount",
    "NothingFits",
    "Outcome",
    "Plan",
    "Planner",
    "Probe",
    "Target",
    "Trial",
    "choose_network",
    "read_candidates",
]
