"""A small network with weights like those of a trained network, its data, and the same network in plain TensorFlow."""

import functools
import io
import pathlib
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict
from PIL import Image

from tests import made
from tinytl_tf import backbones
from tinytl_tf.backbones import Architecture, Block
from tinytl_tf.backbones.kernel_values import pair_values
from tinytl_tf.backbones.scheme import apply_scheme
from tinytl_tf.configs import default
from tinytl_tf.export.packing import state_order
from tinytl_tf.export.parity import random_photos
from tinytl_tf.layers import LiteResidual
from tinytl_tf.networks.schemes import get_scheme
from tinytl_tf.networks.variables import describe_variable
from tinytl_tf.training import make_optimizer, make_train_step

RESOLUTION = 64
LABELS = ("gray", "red", "green", "blue")
TINTS = np.array([[0.9, 0.9, 0.9], [1, 0.8, 0.8], [0.8, 1, 0.8], [0.8, 0.8, 1]])
ARCHITECTURE = Architecture(
    name="tiny_network",
    stem_filters=8,
    blocks=(
        Block(expand=1, kernel_size=3, filters=8, strides=1),
        Block(expand=2, kernel_size=3, filters=16, strides=2),
        Block(expand=2, kernel_size=5, filters=16, strides=1),
        Block(expand=2, kernel_size=5, filters=24, strides=2),
    ),
    head_filters=32,
    activation="relu6",
    pixel_mean=127.5,
    pixel_deviation=127.5,
    norm_epsilon=1e-3,
    imagenet_weights=None,
)


def photos(steps: int, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Images `[steps, batch, H, W, 3]` and their tint `[steps, batch]`, which can be learnt."""
    images, labels = random_photos(steps, batch_size, (RESOLUTION, RESOLUTION), len(LABELS))
    return (images * TINTS[labels][:, :, None, None]).astype(np.uint8), labels


def write_photos(path: pathlib.Path, images: int) -> pathlib.Path:
    """Writes such images as a packed set."""
    pixels, labels = photos(1, images)
    files = [_jpeg(image) for image in pixels[0]]
    np.savez(
        path,
        jpeg=np.frombuffer(b"".join(files), np.uint8),
        offsets=np.cumsum([0, *map(len, files)]),
        label=labels[0],
        classes=np.array(LABELS),
    )
    return path


def _jpeg(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def overrides(path: pathlib.Path) -> dict:
    """What is changed in `configs/default.py` for a run on such a set, by dotted key."""
    return {
        "scheme": "tinytl-lb",
        "backbone.name": ARCHITECTURE.name,
        "backbone.resolution": RESOLUTION,
        "backbone.weights": "",
        "data.name": str(path),
        "training.epochs": 1,
    }


def config(path: pathlib.Path) -> ConfigDict:
    """The default configuration with the overrides."""
    result = default.get_config()
    result.update_from_flattened_dict(overrides(path))
    return result


def build(scheme: str, *, branch_final_norm: bool = False, **options: Sequence[str]) -> keras.Model:
    """The network with trained weights, ready to train what the scheme says; `options` are `build`'s."""
    values, rng = dict(_trained_values(branch_final_norm)), np.random.default_rng(0)
    model = _untrained(branch_final_norm, **options, **get_scheme(scheme).branches)
    variables = {variable.path: variable for variable in model.weights}
    if options.get("feature_places"):  # a wider classifier, which is new
        del values["classifier/kernel"]
    for path, value in values.items():
        for variable, part in pair_values(variables, path, value) if path in variables else ():
            variable.assign(part)
    for path, variable in variables.items():  # those of LoRA are not among the trained values
        if describe_variable(path).branch and path not in values:
            variable.assign(rng.normal(0, 0.1, variable.shape))
    apply_scheme(model, scheme)
    return model


def _untrained(branch_final_norm: bool, **others: bool | Sequence[str]) -> keras.Model:
    options = {"classes": len(LABELS), "resolution": RESOLUTION, "weights": None}
    return backbones.build(ARCHITECTURE, **options, branch_final_norm=branch_final_norm, **others)


@functools.cache
def _trained_values(branch_final_norm: bool) -> dict[str, np.ndarray]:
    """Weights by path."""
    with np.load(io.BytesIO(_trained_content(branch_final_norm))) as values:
        return dict(values)


@made.once
def _trained_content(branch_final_norm: bool) -> bytes:
    """An `.npz` of the weights by path: true statistics, other vectors away from their start, some steps of all."""
    model, rng = _untrained(branch_final_norm, lite_residual=True), np.random.default_rng(0)
    images, labels = photos(30, 16)
    for layer in model.layers:
        if not hasattr(layer, "norm"):
            continue
        if isinstance(layer, LiteResidual):
            layer.pointwise_kernel.assign(rng.normal(0, 0.1, layer.pointwise_kernel.shape))
            if branch_final_norm:
                layer.final_norm.gamma.assign(rng.uniform(0.2, 0.5, layer.final_norm.gamma.shape))
            continue
        output = keras.Model(model.input, layer.output)(images[0].astype(np.float32)).numpy()
        layer.norm.moving_mean.assign(output.mean((0, 1, 2)))
        layer.norm.moving_variance.assign(output.var((0, 1, 2)))
        layer.norm.gamma.assign(rng.uniform(0.5, 1.5, layer.norm.gamma.shape))
        layer.norm.beta.assign(rng.normal(0.5, 0.5, layer.norm.beta.shape))
    variables = apply_scheme(model, "full").variables
    step = make_train_step(model, variables, make_optimizer("adam"), training=False)
    for batch in zip(images, labels, strict=True):
        step(*batch, np.float32(3e-3))
    stream = io.BytesIO()
    np.savez(stream, **{variable.path: variable.numpy() for variable in model.weights})
    return stream.getvalue()


class PlainTraining:
    """The same network of TensorFlow's own operations, with its native gradients and Keras' optimizer.

    Args:
        model: a network of `build`; only its values are used.
        optimizer: a name.
        label_smoothing: of the loss.
    """

    def __init__(self, model: keras.Model, optimizer: str, label_smoothing: float) -> None:
        variables = state_order(model.trainable_variables)
        self.trained = [keras.Variable(variable.numpy()) for variable in variables]
        self.paths = [variable.path for variable in variables]
        self._weights = {variable.path: variable.numpy() for variable in model.weights}
        self._weights |= dict(zip(self.paths, self.trained, strict=True))
        self._optimizer = make_optimizer(optimizer)
        self._optimizer.build(self.trained)
        self._label_smoothing = label_smoothing
        self._depths = [layer.name for layer in model.layers if layer.name.startswith("depths_")]
        self._standardizes = any(getattr(layer, "weight_standardization", False) for layer in model.layers)

    def state(self) -> np.ndarray:
        """The trained variables in one vector, in the order of an exported file."""
        return np.concatenate([variable.numpy().ravel() for variable in self.trained])

    @tf.function
    def step(self, images: tf.Tensor, labels: tf.Tensor, learning_rate: tf.Tensor) -> tf.Tensor:
        """Takes a step and returns the mean loss before it."""
        with tf.GradientTape() as tape:
            target = tf.one_hot(labels, len(LABELS))
            target = target * (1 - self._label_smoothing) + self._label_smoothing / len(LABELS)
            logits = self._logits(tf.cast(images, tf.float32))
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, logits))
        gradients = tape.gradient(loss, [variable.value for variable in self.trained])
        self._optimizer.learning_rate.assign(learning_rate)
        self._optimizer.apply(gradients)
        return loss

    def _logits(self, x):
        x, outputs = tf.nn.relu6(self._convolve("stem", x / 127.5 - 1, 2)), {}
        for index, block in enumerate(ARCHITECTURE.blocks):
            name, y = f"block_{index}", x
            if block.expand > 1:
                y = tf.nn.relu6(self._convolve(f"{name}_expand", y))
            y = tf.nn.relu6(self._convolve(f"{name}_depthwise", y, block.strides))
            y = self._convolve(f"{name}_project", y)
            if f"{name}_lite_residual/kernel" in self._weights:
                y += self._lite_residual(f"{name}_lite_residual", x, y.shape[1:3], block.strides)
            x = x + y if x.shape == y.shape else y
            outputs[name] = tf.reduce_mean(x, [1, 2])
        x = tf.reduce_mean(tf.nn.relu6(self._convolve("head", x)), [1, 2])
        x = tf.concat([x, *(outputs[name.removeprefix("depths_")] for name in self._depths)], -1)
        return tf.matmul(x, self._weights["classifier/kernel"]) + self._weights["classifier/bias"]

    def _convolve(self, name, x, strides=1):
        parts = [self._weights[path] for path in (f"{name}/kernel", f"{name}/kernel_rest") if path in self._weights]
        kernel = tf.concat(parts, -1)
        if "depthwise" in name:
            y = tf.nn.depthwise_conv2d(x, kernel, [1, strides, strides, 1], "SAME")
        else:
            y = tf.nn.conv2d(x, kernel, strides, "SAME")
        mean, variance, beta, gamma = (
            self._weights[f"{name}/norm/{part}"] for part in ("moving_mean", "moving_variance", "beta", "gamma")
        )
        y = tf.nn.batch_normalization(y, mean, variance, beta, gamma, ARCHITECTURE.norm_epsilon)
        if f"{name}_lora/a" in self._weights:
            y += tf.tensordot(tf.tensordot(x, self._weights[f"{name}_lora/a"], 1), self._weights[f"{name}_lora/b"], 1)
        return y

    def _lite_residual(self, name, x, size, strides):
        kernel, pointwise_kernel = (self._branch_kernel(f"{name}/{part}") for part in ("kernel", "pointwise_kernel"))
        pad = kernel.shape[0] // 2
        pooled = tf.pad(tf.nn.avg_pool2d(x, 2, 2, "VALID"), [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        halves = zip(tf.split(pooled, 2, -1), tf.split(kernel, 2, -1), strict=True)  # no native groups on a CPU
        y = tf.concat([tf.nn.conv2d(part, weights, strides, "VALID") for part, weights in halves], -1)
        y = tf.nn.relu(self._group_norm(f"{name}/norm", y))
        y = tf.nn.conv2d(y, pointwise_kernel, 1, "SAME")
        if f"{name}/final_norm/gamma" in self._weights:
            y = self._group_norm(f"{name}/final_norm", y)
        return tf.image.resize(y, size)

    def _branch_kernel(self, path):
        kernel = tf.convert_to_tensor(self._weights[path])
        if not self._standardizes:
            return kernel
        mean, variance = tf.nn.moments(kernel, [0, 1, 2], keepdims=True)
        count = kernel.shape[0] * kernel.shape[1] * kernel.shape[2]
        return (kernel - mean) / (tf.sqrt(variance * count / (count - 1)) + 1e-5)

    def _group_norm(self, name, x):
        groups = tf.reshape(x, [x.shape[0], *x.shape[1:3], x.shape[3] // 8, 8])
        mean, variance = tf.nn.moments(groups, [1, 2, 4], keepdims=True)
        normalized = (groups - mean) / tf.sqrt(variance + 1e-3)
        return tf.reshape(normalized, x.shape) * self._weights[f"{name}/gamma"] + self._weights[f"{name}/beta"]
