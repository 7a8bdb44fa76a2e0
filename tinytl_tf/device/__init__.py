"""The Python clients of an exported model: LiteRT or its Micro runtime, and numpy, but no TensorFlow."""

from tinytl_tf.device.adaptation import AdaptResult, adapt, evaluate_dataset
from tinytl_tf.device.evaluation import evaluate
from tinytl_tf.device.micro import MicroModel
from tinytl_tf.device.results import EvaluateResult, InferResult, TrainResult
from tinytl_tf.device.state_file import SavedState, read_state, write_state
from tinytl_tf.device.trainable_model import TrainableModel

__all__ = [
    "AdaptResult",
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
