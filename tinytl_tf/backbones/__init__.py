"""Networks built from tables of blocks or from Keras models, and their pre-trained weights."""

from tinytl_tf import keras_backend  # noqa: F401, before anything imports Keras
from tinytl_tf.backbones.branch_weights import BranchCard, describe_branches, read_branch_card, save_branches
from tinytl_tf.backbones.builder import build, check_network, network_spec
from tinytl_tf.backbones.centroids import round_kernels
from tinytl_tf.backbones.features import feature_network
from tinytl_tf.networks.architectures import ARCHITECTURES, Architecture, Block

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Block",
    "BranchCard",
    "build",
    "check_network",
    "describe_branches",
    "feature_network",
    "network_spec",
    "read_branch_card",
    "round_kernels",
    "save_branches",
]
