"""Measures on the user's images how much training each place of a network contributes."""

import itertools
from collections.abc import Callable, Collection

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from tinytl_tf import data
from tinytl_tf.backbones import feature_network
from tinytl_tf.errors import InputError
from tinytl_tf.experiment import network_of
from tinytl_tf.networks.kernel_options import first_filters
from tinytl_tf.networks.schemes import rate_factor
from tinytl_tf.networks.spec import CLASSIFIER
from tinytl_tf.networks.variables import variable_spec
from tinytl_tf.planning.plan import Plan, Target, all_targets, target_of
from tinytl_tf.schedules import cosine
from tinytl_tf.training import Experiment, make_optimizer, make_train_step
from tinytl_tf.training.objectives import get_objective

__all__ = ["Probe"]

PARTS = 3
# Most batches in a part. With 12, the loss depended on the sampled images by up to 0.13, and so did the chosen
# resolution: 96 px was chosen, which is 3 to 7 points behind 128 px after complete training (MobileNetV2 1.0,
# flowers17).
BATCHES = 36
BATCH_SIZE = 8
HEAD_STEPS = 100
HEAD_LEARNING_RATE = 1e-2
PASSES = 2  # training passes over the first two parts to measure the loss of a plan

Batches = list[tuple[np.ndarray, np.ndarray]]


class Probe:
    """Measures contributions at one resolution, on three parts of the training images with up to 288 images each.

    The classifier is fitted on the first part, on top of the frozen network. The contribution of a target is the sum of
    the absolute values of its gradient on the second part, times its rate factor. Adam's first step moves each value by
    the learning rate against the sign of its gradient, so this is by how much the step lowers the loss, per unit of the
    learning rate. Everything is measured at the start of training, when only the last kernel of a fresh lite residual,
    or the scale of its final norm, has a gradient.

    Args:
        config: configuration; its scheme and places are ignored.
        dataset: training images.
        resolution: height and width of the images, in pixels.

    Attributes:
        model: the network with all branches and the fitted classifier.
        loss: mean loss on the third part with only the classifier fitted.
        contributions: contribution of each target, at least 0: loss per unit of the learning rate.

    Raises:
        InputError: if there are fewer than three images.

    Reference:
        Lin et al., On-Device Training Under 256KB Memory (2022), also choose layers by contribution under a budget, but
        measure contributions by training each layer separately. This needs one gradient instead, and ranks targets as
        such trainings do; `benchmarks/contribution.py` compares it with other measures.
    """

    def __init__(self, config: ConfigDict, dataset: data.ImageDataset, resolution: int) -> None:
        targets = all_targets(network_of(config))
        everything = Plan(resolution, frozenset(targets)).configure(config)
        experiment = Experiment(everything)
        self._classes = len(dataset.class_names)
        self.model, _ = experiment.build_model(self._classes)
        self._config, self._resolution = config, resolution
        self._training = experiment.config.training
        self._task = dataset.task
        self._fitted, self._left, self._held_out = read_parts(dataset, resolution, config.data.central_fraction)
        self._fit_classifier()
        self.loss = self._held_out_loss(self.model)
        variables = [v for v in self.model.trainable_variables if _target(v)]
        gradients = self._make_gradients(variables)
        self.contributions = dict.fromkeys(targets, 0.0)
        for variable, gradient in zip(variables, gradients(self._left), strict=True):
            whole = _target(variable)
            for target in targets:
                if target._replace(share=1.0) == whole:
                    own = gradient[..., : first_filters(gradient.shape[-1], target.share)]
                    self.contributions[target] += rate_factor(variable) * float(np.sum(np.abs(own)))

    def loss_after_training(self, targets: Collection[Target]) -> float:
        """Returns the mean loss on the third part after a short training on the first two parts.

        The network is that of the plan, with a new classifier. The training has `PASSES` epochs, without augmentation,
        at the learning rate of the plan's scheme and with a cosine schedule, as a complete training has.

        Args:
            targets: targets to train in addition to the classifier.
        """
        planned = Experiment(Plan(self._resolution, frozenset(targets)).configure(self._config))
        rate = planned.config.training.learning_rate  # that of the plan's scheme if the user set none
        model, _ = planned.build_model(self._classes)
        step = make_train_step(
            model,
            model.trainable_variables,
            make_optimizer(self._training.optimizer),
            task=self._task,
            label_smoothing=self._training.label_smoothing,
            training=False,
        )
        batches = PASSES * (self._fitted + self._left)
        for index, (images, labels) in enumerate(batches):
            step(images, labels, np.float32(cosine(index, len(batches), rate)))
        return self._held_out_loss(model)

    def _fit_classifier(self) -> None:
        batches = self._fitted
        classifier = self.model.get_layer(CLASSIFIER)
        pool = tf.function(feature_network(self.model))
        features = tf.concat([pool(tf.cast(images, tf.float32)) for images, _ in batches], 0)
        labels = np.concatenate([labels for _, labels in batches])
        for variable in classifier.variables:
            variable.assign(np.zeros(variable.shape))
        step = make_train_step(
            classifier,
            classifier.variables,
            make_optimizer("adam"),
            task=self._task,
            label_smoothing=self._training.label_smoothing,
        )
        for _ in range(HEAD_STEPS):
            step(features, labels, np.float32(HEAD_LEARNING_RATE))

    def _held_out_loss(self, model: keras.Model) -> float:
        @tf.function
        def loss_of(images, labels):
            return self._mean_loss(model, images, labels)

        return float(np.mean([loss_of(*batch) for batch in self._held_out]))

    def _mean_loss(self, model: keras.Model, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        logits = model(tf.cast(images, tf.float32), training=False)
        loss = get_objective(self._task).loss(logits, labels, self._training.label_smoothing)
        return tf.reduce_mean(loss)

    def _make_gradients(self, variables: list[keras.Variable]) -> Callable[[Batches], list[np.ndarray]]:
        watched = [variable.value for variable in variables]

        @tf.function
        def of_batch(images, labels):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(watched)
                mean = self._mean_loss(self.model, images, labels)
            return tape.gradient(mean, watched)

        def mean_gradients(batches):
            sums = [np.zeros(variable.shape, np.float32) for variable in watched]
            for batch in batches:
                sums = [total + part.numpy() for total, part in zip(sums, of_batch(*batch), strict=True)]
            return [total / len(batches) for total in sums]

        return mean_gradients


def read_parts(dataset: data.ImageDataset, resolution: int, central_fraction: float) -> list[Batches]:
    """Returns three lists of batches without augmentation; the lists have no images in common."""
    batch_size = min(BATCH_SIZE, len(dataset) // PARTS)
    if batch_size < 1:
        raise InputError(f"a plan needs at least {PARTS} training images, got {len(dataset)} of {dataset.name}")
    batches = data.train_batches(
        dataset,
        batch_size=batch_size,
        image_size=resolution,
        seed=0,
        epoch=0,
        augmentation=data.Augmentation(crop=False, flip=False),
        central_fraction=central_fraction,
    )
    taken = list(itertools.islice(batches, PARTS * BATCHES))
    return [taken[part::PARTS] for part in range(PARTS)]


def _target(variable: keras.Variable) -> Target | None:
    return target_of(variable_spec(variable))
