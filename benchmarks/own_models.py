"""Models as users write them, in the style of tutorials, for `any_keras.py`."""

import keras
import numpy as np

__all__ = ["OWN_MODELS", "hub_model", "randomized"]

_LAYERS = keras.layers


def randomized(model: keras.Model) -> keras.Model:
    """Sets the statistics, scales and shifts of a model's norms to random values."""
    rng = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, _LAYERS.BatchNormalization) and layer.built:
            size = layer.moving_mean.shape
            layer.moving_mean.assign(rng.normal(0, 0.2, size))
            layer.moving_variance.assign(rng.uniform(0.5, 1.5, size))
            if layer.center:
                layer.beta.assign(rng.normal(0, 0.2, size))
            if layer.scale:
                layer.gamma.assign(rng.uniform(0.6, 1.2, size))
    return model


def plain_cnn() -> keras.Model:
    """Three times convolution, norm, activation and pooling; softmax in the last layer."""
    images = keras.Input((64, 64, 3))
    x = _LAYERS.Rescaling(1 / 255)(images)
    for filters in (16, 32, 64):
        x = _LAYERS.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = _LAYERS.MaxPooling2D()(_LAYERS.ReLU()(_LAYERS.BatchNormalization()(x)))
    x = _LAYERS.GlobalAveragePooling2D()(x)
    return keras.Model(images, _LAYERS.Dense(5, activation="softmax", name="predictions")(x), name="plain_cnn")


def sequential() -> keras.Model:
    """A small version of the image classification tutorial of Keras."""
    layers = [keras.Input((64, 64, 3)), _LAYERS.Rescaling(1 / 255)]
    for filters in (16, 32, 64):
        layers += [_LAYERS.Conv2D(filters, 3, padding="same", activation="relu"), _LAYERS.MaxPooling2D()]
    layers += [_LAYERS.Dropout(0.2), _LAYERS.Flatten(), _LAYERS.Dense(64, activation="relu"), _LAYERS.Dense(5)]
    return keras.Sequential(layers, name="sequential")


class _Subclassed(keras.Model):
    """A subclassed model with layers called in `call`."""

    def __init__(self) -> None:
        super().__init__(name="subclassed")
        self.scale = _LAYERS.Rescaling(1 / 255)
        self.convolution, self.norm = _LAYERS.Conv2D(16, 3, 2), _LAYERS.BatchNormalization()
        self.pool, self.dense = _LAYERS.GlobalAveragePooling2D(), _LAYERS.Dense(5)

    def call(self, images, training=False):
        """Returns the logits."""
        x = self.norm(self.convolution(self.scale(images)), training=training)
        return self.dense(self.pool(keras.ops.relu(x)))


def subclassed() -> keras.Model:
    """A subclassed model that was called once."""
    model = _Subclassed()
    model(np.zeros((1, 64, 64, 3), np.float32))
    return model


def nested() -> keras.Model:
    """Two towers whose inner layers have the same names."""

    def tower(name: str) -> keras.Model:
        inputs = keras.Input((32, 32, 3))
        x = _LAYERS.Conv2D(8, 3, strides=2, activation="relu", name="conv")(inputs)
        return keras.Model(inputs, _LAYERS.GlobalAveragePooling2D(name="gap")(x), name=name)

    images = keras.Input((32, 32, 3))
    x = _LAYERS.Rescaling(1 / 255)(images)
    x = _LAYERS.Concatenate()([tower("left")(x), tower("right")(x)])
    return keras.Model(images, _LAYERS.Dense(5, name="kind")(x), name="nested")


def spectrogram() -> keras.Model:
    """A network with one input channel."""
    sounds = keras.Input((96, 64, 1))
    x = sounds
    for filters in (16, 32):
        x = _LAYERS.Conv2D(filters, 3, 2, padding="same", use_bias=False)(x)
        x = _LAYERS.ReLU()(_LAYERS.BatchNormalization()(x))
    return keras.Model(sounds, _LAYERS.Dense(5)(_LAYERS.GlobalAveragePooling2D()(x)), name="spectrogram")


def se_net() -> keras.Model:
    """Squeeze and excitation with SiLU."""
    images = keras.Input((64, 64, 3))
    x = _LAYERS.Conv2D(16, 3, 2, padding="same", use_bias=False)(_LAYERS.Rescaling(1 / 255)(images))
    x = _LAYERS.Activation("silu")(_LAYERS.BatchNormalization()(x))
    gate = _LAYERS.GlobalAveragePooling2D(keepdims=True)(x)
    gate = _LAYERS.Conv2D(16, 1, activation="sigmoid")(_LAYERS.Conv2D(4, 1, activation="silu")(gate))
    x = _LAYERS.BatchNormalization()(_LAYERS.Conv2D(24, 1, use_bias=False)(_LAYERS.Multiply()([x, gate])))
    return keras.Model(images, _LAYERS.Dense(5)(_LAYERS.GlobalAveragePooling2D()(x)), name="se_net")


def two_heads() -> keras.Model:
    """A model with two outputs; an exported file can train only one."""
    images = keras.Input((64, 64, 3))
    x = _LAYERS.ReLU()(_LAYERS.Conv2D(16, 3, 2)(_LAYERS.Rescaling(1 / 255)(images)))
    x = _LAYERS.GlobalAveragePooling2D()(x)
    return keras.Model(images, [_LAYERS.Dense(5, name="kind")(x), _LAYERS.Dense(2, name="color")(x)], name="two_heads")


def regression() -> keras.Model:
    """A model that predicts one number."""
    images = keras.Input((64, 64, 3))
    x = _LAYERS.Conv2D(16, 3, 2, use_bias=False)(_LAYERS.Rescaling(1 / 255)(images))
    x = _LAYERS.GlobalAveragePooling2D()(_LAYERS.ReLU()(_LAYERS.BatchNormalization()(x)))
    return keras.Model(images, _LAYERS.Dense(1)(x), name="regression")


def vit() -> keras.Model:
    """A small vision transformer built from Keras layers."""
    images, size, patch, width = keras.Input((32, 32, 3)), 32, 8, 32
    x = _LAYERS.Conv2D(width, patch, patch)(_LAYERS.Rescaling(1 / 127.5, -1)(images))
    x = _LAYERS.Reshape(((size // patch) ** 2, width))(x)
    for _ in range(2):
        y = _LAYERS.LayerNormalization(epsilon=1e-6)(x)
        x = _LAYERS.Add()([x, _LAYERS.MultiHeadAttention(2, width // 2)(y, y)])
        y = _LAYERS.Dense(2 * width, activation="gelu")(_LAYERS.LayerNormalization(epsilon=1e-6)(x))
        x = _LAYERS.Add()([x, _LAYERS.Dense(width)(y)])
    x = _LAYERS.GlobalAveragePooling1D()(_LAYERS.LayerNormalization(epsilon=1e-6)(x))
    return keras.Model(images, _LAYERS.Dense(5)(x), name="vit")


def group_norm_gelu() -> keras.Model:
    """Group and layer normalization, exact GELU."""
    images = keras.Input((64, 64, 3))
    x = _LAYERS.Conv2D(16, 3, 2, padding="same")(_LAYERS.Rescaling(1 / 255)(images))
    x = _LAYERS.Activation("gelu")(_LAYERS.GroupNormalization(4)(x))
    x = _LAYERS.Activation("gelu")(_LAYERS.LayerNormalization()(_LAYERS.Conv2D(32, 3, 2, padding="same")(x)))
    return keras.Model(images, _LAYERS.Dense(5)(_LAYERS.GlobalAveragePooling2D()(x)), name="group_norm_gelu")


def accelerometer() -> keras.Model:
    """1D convolutions over windows of six sensor channels."""
    windows = keras.Input((128, 6))
    x = windows
    for filters in (16, 32):
        x = _LAYERS.Conv1D(filters, 5, 2, padding="same", use_bias=False)(x)
        x = _LAYERS.ReLU()(_LAYERS.BatchNormalization()(x))
    return keras.Model(windows, _LAYERS.Dense(5)(_LAYERS.GlobalAveragePooling1D()(x)), name="accelerometer")


def transfer(name: str) -> keras.Model:
    """The model of Keras' transfer learning guide: preprocessing, a frozen base, pooling, dropout and softmax."""
    base = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(96, 96, 3))
    base.trainable = False
    x = images = keras.Input((96, 96, 3))
    if name == "MobileNetV2":
        x = _LAYERS.Rescaling(1 / 127.5, -1)(x)
    if name == "ResNet50":
        x = keras.applications.resnet50.preprocess_input(x)
    x = _LAYERS.Dropout(0.2)(_LAYERS.GlobalAveragePooling2D()(base(x, training=False)))
    return keras.Model(images, _LAYERS.Dense(5, activation="softmax")(x), name=f"transfer_{name}")


def hub_model(name: str) -> keras.Model:
    """A small keras-hub backbone with a classifier."""
    from keras_hub import models

    shape = (64, 64, 3)
    backbones = {
        "ResNetBackbone": lambda: models.ResNetBackbone(
            [64], [7], [64, 128], [2, 2], [1, 2], block_type="basic_block", image_shape=shape
        ),
        "VGGBackbone": lambda: models.VGGBackbone([2, 2, 2], [16, 32, 64], image_shape=shape),
        "DenseNetBackbone": lambda: models.DenseNetBackbone([2, 2], growth_rate=16, image_shape=shape),
        "ViTBackbone": lambda: models.ViTBackbone(
            shape, (16, 16), num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64
        ),
    }
    images = keras.Input(shape)
    x = backbones[name]()(_LAYERS.Rescaling(1 / 255)(images))
    x = _LAYERS.GlobalAveragePooling2D()(x) if len(x.shape) == 4 else _LAYERS.GlobalAveragePooling1D()(x)
    return keras.Model(images, _LAYERS.Dense(5)(x), name=name)


OWN_MODELS = {
    "plain_cnn": plain_cnn,
    "sequential": sequential,
    "subclassed": subclassed,
    "nested": nested,
    "spectrogram": spectrogram,
    "se_net": se_net,
    "two_heads": two_heads,
    "regression": regression,
    "vit": vit,
    "group_norm_gelu": group_norm_gelu,
    "accelerometer": accelerometer,
    **{
        f"transfer:{name}": lambda name=name: transfer(name)
        for name in ("MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "ResNet50")
    },
}
