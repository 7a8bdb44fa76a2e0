"""The Python clients of an exported model, which need LiteRT or its Micro runtime, and numpy, but not TensorFlow."""

from tinytl_tf.device.adapt_settings import AdaptSettings
from tinytl_tf.device.adaptation import AdaptResult, adapt
from tinytl_tf.device.evaluation import evaluate, evaluate_dataset
from tinytl_tf.device.micro import MicroModel
from tinytl_tf.device.results import InferResult, TrainResult
from tinytl_tf.device.state_file import SavedState, read_state, write_state
from tinytl_tf.device.trainable_model import TrainableModel
from tinytl_tf.figures import EvaluateResult

__all__ = [
    "AdaptResult",
    "AdaptSettings",
    "EvaluateResult",
    "InferResult",
    "MicroModel",
    "TrainResult",
    "TrainableModel",
    "adapt",
    "evaluate",
    "evaluate_dataset",
    "SavedState",
    "read_state",
    "write_state",
]
