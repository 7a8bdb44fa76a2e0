"""The training loop for a selection of variables, its checkpoints and its log."""

from tinytl_tf import keras_backend  # noqa: F401, before anything imports Keras
from tinytl_tf.experiment import Experiment
from tinytl_tf.training.distribution import DISTRIBUTIONS, Distribution
from tinytl_tf.training.evaluation import evaluate, make_evaluate
from tinytl_tf.training.loop import train
from tinytl_tf.training.optimizers import make_optimizer
from tinytl_tf.training.pretraining import pretrain
from tinytl_tf.training.run_folder import RunFolder
from tinytl_tf.training.step import make_train_step

__all__ = [
    "DISTRIBUTIONS",
    "Distribution",
    "Experiment",
    "RunFolder",
    "evaluate",
    "make_optimizer",
    "make_evaluate",
    "make_train_step",
    "pretrain",
    "train",
]
