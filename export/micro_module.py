"""The single graph of a file for TensorFlow Lite Micro, as a function of a `tf.Module`."""

import itertools
import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from tinytl_tf.export.signatures import LARGEST, TrainableModule, magnitude_of
from tinytl_tf.optimizers import Optimizer
from tinytl_tf.profiles import PROFILES, Profile
from tinytl_tf.tasks import UNUSED, get_task
from tinytl_tf.tflite.micro_contract import COMMANDS, GRAPH

__all__ = ["MicroModule"]


class MicroModule(TrainableModule):
    """A network with training and inference in one graph, selected by a command.

    TensorFlow Lite Micro runs only the first graph of a file and does not support signatures. The inputs and outputs
    are listed in `tinytl_tf.tflite.micro_contract`. Those that a command does not use may have any content.

    | command | inputs | effect | outputs |
    |---|---|---|---|
    | `infer` | `image` | | `logits` |
    | `accumulate` | `image`, `label` | adds the gradient of one image | `loss`, `accuracy`, `logits`, `applied` |
    | `apply` | `learning_rate` | one step with the mean gradient, then clears the sums | `applied` |
    | `forget` | | clears the sums | `applied` |
    | `save` | | | `state` |
    | `restore` | `state` | replaces the state, clears the sums | `applied` |
    | `reset` | | restores the exported state, clears the sums | `applied` |

    `applied` is 0 if nothing was changed. `apply` returns 0 if any image since the sums were cleared had a label out of
    range or a loss or gradient that is not finite, if no image was processed, or if the rate is not finite. `restore`
    returns 0 for a state that training cannot produce. `accumulate` returns 0 from the first image that makes the sums
    invalid. A sequence of `accumulate` commands and one `apply` equals the signature `train` for a batch of the same
    images.

    Args:
        model: as for `TrainableModule`.
        variables: as for `TrainableModule`.
        optimizer: as for `TrainableModule`.
        task: as for `TrainableModule`.
        spare_classes: as for `TrainableModule`.
        label_smoothing: as for `TrainableModule`.
        save_optimizer: as for `TrainableModule`.
        profile: as for `TrainableModule`.

    Attributes:
        functions: the graph, by its name in the converter, as a `tf.function`.
    """

    def __init__(
        self,
        model: keras.Model,
        variables: Sequence[keras.Variable],
        *,
        optimizer: Optimizer,
        task: str = "classification",
        spare_classes: int = 0,
        label_smoothing: float = 0.0,
        save_optimizer: bool = False,
        profile: Profile = PROFILES["micro"],
    ) -> None:
        super().__init__(
            model,
            variables,
            optimizer=optimizer,
            batch_size=1,
            task=task,
            spare_classes=spare_classes,
            label_smoothing=label_smoothing,
            save_optimizer=save_optimizer,
            profile=profile,
        )
        self.sums = [tf.Variable(value, trainable=False) for value in self.trained]
        # Number of added gradients, and the sum of their magnitudes: not finite if any gradient was not finite.
        self.count = tf.Variable([0.0], trainable=False)
        self.magnitude = tf.Variable([0.0], trainable=False)
        (restored,) = self.functions["restore"].input_signature
        signature = {
            "image": tf.TensorSpec([1, *model.input_shape[1:]], tf.uint8, "image"),
            "label": tf.TensorSpec(get_task(task).label_shape(1, self._classes), get_task(task).label_dtype, "label"),
            "learning_rate": tf.TensorSpec([1], tf.float32, "learning_rate"),
            "command": tf.TensorSpec([1], tf.int32, "command"),
            "state": restored,
        }
        self.functions = {GRAPH: tf.function(self._run, autograph=False, input_signature=list(signature.values()))}

    def _run(self, image, label, learning_rate, command, state):
        command = command[0]

        def when(name, run, otherwise):
            return tf.cond(tf.equal(command, COMMANDS[name]), run, otherwise)

        def nothing():
            return tf.constant([0])

        def no_answer():
            return tf.constant([0.0]), tf.constant([0.0]), tf.constant([0]), self._no_logits(image)

        # The state is read first and written last; in between, its memory holds the tensors of training.
        restored = when("restore", lambda: self._restore(state)["restored"], nothing)
        reset = when("reset", lambda: self._reset()["restored"], nothing)
        forgotten = when("forget", self._forget, nothing)
        logits = when("infer", lambda: self._infer(image)["logits"], lambda: self._no_logits(image))
        loss, accuracy, added, own_logits = when("accumulate", lambda: self._accumulate(image, label), no_answer)
        applied = when("apply", lambda: self._apply_sums(learning_rate), nothing)
        saved = when("save", lambda: self._save()["state"], lambda: tf.fill(state.shape, learning_rate[0]))
        return {
            "loss": loss,
            "accuracy": accuracy,
            "applied": restored + reset + forgotten + added + applied,
            "logits": logits + own_logits,
            "state": saved,
        }

    def _no_logits(self, image):
        return tf.zeros([1, self._classes])

    def _accumulate(self, image, label):
        loss, right, gradients, logits = self._gradients(image, label)
        in_range = self._objective.valid(label, self._classes)
        if self._spare_classes:  # a label without a class
            in_range &= tf.reduce_sum(loss) < -UNUSED / 2
        begun = self.count.read_value() > 0.0
        for total, gradient in zip(self.sums, gradients, strict=True):
            # Not a product with zero: the old values may not be finite.
            total.assign(tf.where(begun, total.read_value(), 0.0) + gradient)
        spoilt = (1.0 - tf.cast(in_range, tf.float32)) * (2.0 * LARGEST)
        own = tf.reduce_sum(tf.abs(loss)) + magnitude_of(gradients) + spoilt
        magnitude = tf.where(begun, self.magnitude.read_value(), 0.0) + own
        self.magnitude.assign(magnitude)
        self.count.assign(tf.where(begun, self.count.read_value(), 0.0) + 1.0)
        return loss, right, tf.cast(magnitude < LARGEST, tf.int32), logits

    def _apply_sums(self, learning_rate):
        count, magnitude = self.count.read_value(), self.magnitude.read_value()
        possible = (count > 0.0) & (self._largest_rate(learning_rate) + magnitude < LARGEST)
        share = 1.0 / tf.maximum(count, 1.0)
        # As functions, so that each use reads the sum separately.
        gradients = [lambda total=total: total.read_value() * share for total in self.sums]
        applied = tf.cond(
            tf.reshape(possible, []), lambda: self._apply(gradients, learning_rate), lambda: tf.constant([0])
        )
        self._forget()
        return applied

    def _magnitude_of_state(self, state):
        # In pieces of the size of a variable: magnitudes of the whole state would need as much memory as the state.
        piece = max(math.prod(value.shape) for value in self.state)
        starts = range(0, state.shape[0], piece)
        return magnitude_of([tf.slice(state, [start], [min(piece, state.shape[0] - start)]) for start in starts])

    def _parts_of_state(self, state):
        # Not SPLIT, which needs the memory of all parts at once.
        sizes = [math.prod(value.shape) for value in self.state]
        starts = itertools.accumulate(sizes, initial=0)
        return [tf.slice(state, [start], [size]) for start, size in zip(starts, sizes, strict=False)]

    def _forget(self):
        self.count.assign([0.0])
        return tf.constant([1])

    def _forget_slots(self):
        self._forget()
        super()._forget_slots()
