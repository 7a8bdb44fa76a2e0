"""The signatures of an exported file, as functions of a `tf.Module`."""

import functools
import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.export.packing import PackedVariables
from tinytl_tf.export.tiling import TiledNetwork
from tinytl_tf.export.update_rules import update
from tinytl_tf.optimizers import Optimizer
from tinytl_tf.profiles import PROFILES, Profile
from tinytl_tf.tasks import UNUSED, get_task
from tinytl_tf.tflite.inputs import INPUTS
from tinytl_tf.training.objectives import get_objective

__all__ = ["LARGEST", "TrainableModule", "magnitude_of"]

# Larger losses, gradients, rates or states count as diverged. Smaller values keep updates finite: even a restored
# first moment with a second moment of zero moves a weight by at most 1e15 * 1e15 / 1e-7.
LARGEST = 1e15


class TrainableModule(tf.Module):
    """A network with the functions that become the file's signatures.

    | signature | inputs | outputs |
    |---|---|---|
    | `train` | `image` uint8 [B,H,W,3], `label`, `learning_rate` [1] | `loss`, `accuracy`, `applied` int32 |
    | `infer` | `image` uint8 [1,H,W,3] | `logits` [1,C], `probabilities` [1,C] |
    | `save` | | `state` [N] |
    | `restore` | `state` [N] | `restored` int32 |
    | `reset` | | `restored` int32 |

    Tensors are float32 unless noted. Scalars are vectors of size 1, because runtimes on ARM abort the process for
    inputs of rank 0. The label depends on the task: int32 [B] with classes in [0, C), float32 [B,C] with attributes in
    [0, 1], or float32 [B,C] with finite numbers.

    A `train` step changes nothing and returns `applied` 0 if the loss, a gradient or the learning rate is not finite
    (or exceeds 1e15), or if a label is out of range. The same holds if an input array contains a number that is not
    finite, because an activation could hide it from the loss.

    The state contains the trained variables in the order of `state_order`, followed by the slots if they are saved.
    `restore` changes nothing and returns `restored` 0 for a state that training cannot produce: a number that is not
    finite or exceeds 1e15, a negative step count, or a negative second moment. After `reset`, and after `restore` of a
    state without slots, the optimizer's slots start from zero.

    Each variable is updated with its own multiple of the learning rate, a constant in the graph; see
    `schemes.apply_scheme`.

    `train` loops over the images of the batch and adds up their gradients, so it needs the memory of one image. The
    images of a batch are independent in these networks, so the step equals one on the complete batch. Dropout is off.

    Args:
        model: a network from `tinytl_tf.backbones`.
        variables: the Keras variables to train.
        optimizer: a row of `tinytl_tf.optimizers.OPTIMIZERS`.
        batch_size: images per step.
        task: a key of `tinytl_tf.tasks.TASKS`.
        spare_classes: number of outputs at the end that may not have a class yet.
        label_smoothing: label smoothing of the loss.
        save_optimizer: whether the optimizer's slots are part of the state.
        profile: how the network uses tiles and stores masks.
        inputs: a key of `tinytl_tf.tflite.inputs.INPUTS`: `"image"`; `"features"` to replace the images with int8
            [B,...], for the part of a network after a prefix; or `"array"` to replace them with float32 [B,...].

    Attributes:
        functions: the signatures, by name, as `tf.function`s.
        profile: the profile.
    """

    def __init__(
        self,
        model: keras.Model,
        variables: Sequence[keras.Variable],
        *,
        optimizer: Optimizer,
        batch_size: int,
        task: str = "classification",
        spare_classes: int = 0,
        label_smoothing: float = 0.0,
        save_optimizer: bool = False,
        profile: Profile = PROFILES["balanced"],
        inputs: str = "image",
    ) -> None:
        super().__init__()
        self._network = TiledNetwork(model, profile.tile_bytes)
        self._whole = TiledNetwork(model, profile.infer_tile_bytes)
        self._classes = model.output_shape[-1]
        self.profile = profile
        self._objective = get_objective(task)
        self._spare_classes = spare_classes
        self._optimizer = optimizer
        self._label_smoothing = label_smoothing
        # tf.Module does not track Keras 3 variables by itself; untracked variables become NaN in the file.
        self.weights = [variable.value for variable in model.variables]
        self._packed = PackedVariables(variables, profile.vector_bytes)
        self.trained = [tf.Variable(value) for value in self._packed.start]
        # Slots and sums are zeroed before use. Their initial values equal the weights: equal constants are stored once.
        self.slots = [[tf.Variable(value, trainable=False) for _ in optimizer.slots] for value in self.trained]
        # A vector of size 1: after reading a scalar variable, the runtime plans again as if its shape were unknown.
        self.steps = [tf.Variable([0.0], trainable=False)] if optimizer.slots else []
        self.sums = [tf.Variable(value, trainable=False) for value in self.trained if batch_size > 1]
        self._saves_slots = save_optimizer and bool(optimizer.slots)
        self.state = list(self.trained)
        if self._saves_slots:
            self.state += [slot for _, slot in self._slots_in_order()] + self.steps

        image = tf.TensorSpec([batch_size, *model.input_shape[1:]], INPUTS[inputs], inputs)
        one_image = tf.TensorSpec([1, *model.input_shape[1:]], INPUTS[inputs], inputs)
        label_shape = get_task(task).label_shape(batch_size, self._classes)
        label = tf.TensorSpec(label_shape, get_task(task).label_dtype, "label")
        learning_rate = tf.TensorSpec([1], tf.float32, "learning_rate")
        state = tf.TensorSpec([sum(math.prod(value.shape) for value in self.state)], tf.float32, "state")
        self.functions = {
            "train": tf.function(self._train, autograph=False, input_signature=[image, label, learning_rate]),
            "infer": tf.function(self._infer, autograph=False, input_signature=[one_image]),
            "save": tf.function(self._save, autograph=False, input_signature=[]),
            "restore": tf.function(self._restore, autograph=False, input_signature=[state]),
            "reset": tf.function(self._reset, autograph=False, input_signature=[]),
        }

    def _train(self, image, label, learning_rate):
        batch_size = image.shape[0]
        if batch_size == 1:
            loss, accuracy, gradients, _ = self._gradients(image, label)
            magnitude = magnitude_of(gradients)
        else:
            loss, accuracy, magnitude = self._sum_gradients(image, label)
            gradients = self.sums
        # As functions, so that each use reads the sum separately: keeping the result would need additional memory.
        gradients = [functools.partial(_mean, gradient, batch_size) for gradient in gradients]

        in_range = self._objective.valid(label, self._classes)
        if image.dtype == tf.float32:
            in_range &= tf.reduce_sum(tf.abs(image)) < LARGEST
        if self._spare_classes:  # a single image whose label has no class raises the mean loss above this
            in_range &= tf.reduce_sum(loss) < -UNUSED / (2 * batch_size)
        # The sum of magnitudes is below the bound only if all of its terms are, and if none of them is NaN.
        applied = tf.cond(
            in_range & (tf.reduce_sum(tf.abs(loss) + self._largest_rate(learning_rate)) + magnitude < LARGEST),
            lambda: self._apply(gradients, learning_rate),
            lambda: tf.constant([0]),
        )
        return {"loss": loss, "accuracy": accuracy, "applied": applied}

    def _gradients(self, image, label):
        """Returns the loss, the number of correct predictions, the gradients and the logits of a single image."""
        values = [value.read_value() for value in self.trained]
        masks = ops.mask_storage(self.profile.masks, wait=self.profile.xnnpack)
        with masks, tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            with keras.StatelessScope(self._packed.mapping(values)):
                logits = self._network(tf.cast(image, tf.float32))
            loss = self._objective.loss(logits, label, self._label_smoothing)
        right = self._objective.correct(logits, label)
        return loss, right, tape.gradient(loss, values), logits

    def _sum_gradients(self, image, label):
        """Adds up the gradients of a batch in `sums`, in a loop over its images.

        Returns the mean loss, the accuracy and the sum of the magnitudes of all gradients. Computing magnitudes within
        the loop needs the memory of one gradient; after the loop, it would add to the memory of the network.
        """
        # Not a constant: zero tensors would be stored in the file at full size. Derived from a number that is finite in
        # each applied step, and with version 1 operators: ABS of integers would raise the version of all ABS.
        first = tf.cast(image[(0,) * image.shape.rank], tf.float32)
        zero = tf.minimum(first if image.dtype == tf.uint8 else tf.abs(first), 0.0)
        # This branch is always taken. Within it, the zeros share memory with the loop's tensors.
        tf.cond(zero < 1.0, lambda: self._clear_sums(zero), lambda: zero)

        def body(index, loss, correct, magnitude):
            # Not slices: with a tensor as the start, they have no static shape, and the runtime plans each iteration.
            at = tf.reshape(index, [1])
            one_loss, right, gradients, _ = self._gradients(tf.gather(image, at), tf.gather(label, at))
            for total, gradient in zip(self.sums, gradients, strict=True):
                total.assign(total.read_value() + gradient)
            return index + 1, loss + one_loss, correct + right, magnitude + magnitude_of(gradients)

        start = (tf.constant(0), tf.constant([0.0]), tf.constant([0.0]), tf.constant(0.0))
        _, loss, correct, magnitude = tf.while_loop(
            lambda index, *_: index < image.shape[0], body, start, parallel_iterations=1
        )
        return loss / image.shape[0], correct / image.shape[0], magnitude

    def _clear_sums(self, zero):
        for total in self.sums:
            total.assign(tf.fill(total.shape, zero))
        return zero

    def _largest_rate(self, learning_rate):
        """Returns the magnitude of the largest rate of all variables, but at least that of the rate itself."""
        largest = max(float(np.max(factor)) for factor in self._packed.rate_factors)
        return tf.abs(learning_rate) if largest <= 1 else tf.abs(learning_rate) * largest

    def _apply(self, gradients, learning_rate):
        steps = self.steps[0].read_value() if self.steps else tf.constant(0.0)
        started = tf.minimum(steps, 1.0)
        factors = self._packed.rate_factors
        for value, gradient, slots, factor in zip(self.trained, gradients, self.slots, factors, strict=True):
            old = [slot.read_value() * started for slot in slots]
            rate = learning_rate if np.all(factor == 1) else learning_rate * factor
            new_value, new_slots = update(self._optimizer, value.read_value(), gradient(), old, steps + 1.0, rate)
            value.assign(new_value)
            for slot, new in zip(slots, new_slots, strict=True):
                slot.assign(new)
        for counter in self.steps:
            counter.assign(steps + 1.0)
        return tf.constant([1])

    def _infer(self, image):
        with keras.StatelessScope(self._packed.mapping([value.read_value() for value in self.trained])):
            logits = self._whole(tf.cast(image, tf.float32))
        return {"logits": logits, "probabilities": self._objective.probabilities(logits)}

    def _save(self):
        parts = [value.read_value() for value in self.trained]
        if self._saves_slots:
            # Before the first step, a slot has an arbitrary value and counts as zero.
            steps = self.steps[0].read_value()
            started = tf.minimum(steps, 1.0)
            parts += [slot.read_value() * started for _, slot in self._slots_in_order()] + [steps]
        return {"state": tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0)}

    def _restore(self, state):
        possible = self._magnitude_of_state(state) < LARGEST
        if self._saves_slots:
            possible &= self._lowest_slot(state) >= 0.0
        return {"restored": tf.cond(possible, lambda: self._assign(state), lambda: tf.constant([0]))}

    def _lowest_slot(self, state):
        """Returns the minimum of the values in a state that are never negative: the step count and second moments."""
        steps = tf.slice(state, [state.shape[0] - 1], [1])
        lowest = [steps]
        offset = sum(math.prod(value.shape) for value in self.trained)
        for name, slot in self._slots_in_order():
            size = math.prod(slot.shape)
            if name == "second_moment":
                lowest.append(tf.reduce_min(tf.slice(state, [offset], [size]), keepdims=True))
            offset += size
        return tf.reduce_min(tf.concat(lowest, axis=0))

    def _slots_in_order(self):
        """Returns `(name, slot)` in the order of `state_entries`: all vectors together, each kernel separately."""
        vectors = self._packed.vectors
        groups = [self.slots[:vectors], *([slots] for slots in self.slots[vectors:])]
        return [
            (name, slots[index])
            for group in groups
            for index, name in enumerate(self._optimizer.slots)
            for slots in group
        ]

    def _assign(self, state):
        self._forget_slots()
        for value, part in zip(self.state, self._parts_of_state(state), strict=True):
            value.assign(tf.reshape(part, value.shape))
        return tf.constant([1])

    def _magnitude_of_state(self, state):
        return tf.reduce_sum(tf.abs(state))

    def _parts_of_state(self, state):
        return tf.split(state, [math.prod(value.shape) for value in self.state])

    def _reset(self):
        self._forget_slots()
        for value, start in zip(self.trained, self._packed.start, strict=True):
            value.assign(tf.constant(start))
        return {"restored": tf.constant([1])}

    def _forget_slots(self):
        for counter in self.steps:
            counter.assign([0.0])


def magnitude_of(gradients: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the sum of all magnitudes, which is finite only if all of them are."""
    return tf.add_n([tf.reduce_sum(tf.abs(gradient)) for gradient in gradients])


def _mean(total, batch_size):
    """Returns a gradient: the tensor itself for one image, otherwise the mean from the variable that holds the sum."""
    return total if batch_size == 1 else total.read_value() * (1.0 / batch_size)
