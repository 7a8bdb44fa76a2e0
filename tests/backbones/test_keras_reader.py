"""Each layer of Keras that a network has a counterpart of, or is called as it is, against Keras' own model."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.backbones.keras_models import L, assert_taken_over, chain
from tinytl_tf.backbones.describe import describe
from tinytl_tf.backbones.from_keras import from_keras
from tinytl_tf.errors import InputError


def relu(x):
    """Called as Keras' own, and something else."""
    return 3 * ops.relu(x)


class Block(L.Layer):
    """A layer of one's own around a norm, which is not told whether it trains, with parts that have no names."""

    def __init__(self, filters, **options):
        super().__init__(**options)
        self.filters = filters
        self.convolution, self.norm = L.Conv2D(filters, 3, padding="same"), L.BatchNormalization()

    def call(self, x):
        return ops.relu(self.norm(self.convolution(x)))

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


class Wrapped(L.Layer):
    """A layer whose configuration does not make it again."""

    def __init__(self, layer, **options):
        super().__init__(**options)
        self.layer = layer

    def call(self, x):
        return self.layer(x)


def conv(filters=8, size=3, **options):
    return L.Conv2D(filters, size, **options)


def norm(**options):
    return L.BatchNormalization(epsilon=1e-2, **options)


def flat():
    return L.Reshape((-1, 8))


# What a model is made of behind a rescaling, and the kinds of the layers that it is rebuilt with.
CASES = {
    "convolution_with_bias_and_norm": ([conv(strides=2, padding="same"), norm()], "convolution"),
    "convolution_with_bias": ([conv(activation="relu")], "convolution activation"),
    "convolution_and_half_a_norm": ([conv(), norm(scale=False), conv(), norm(center=False)], "convolution norm " * 2),
    "convolution_activation_norm": ([conv(activation="relu6"), norm()], "convolution activation norm"),
    "two_norms": ([norm(), conv(use_bias=False), norm(), norm()], "norm convolution norm"),
    "norm_of_rows": ([conv(), norm(axis=1)], "convolution keras"),
    "rectangles": ([conv(8, (1, 5), strides=(2, 1)), conv(8, (3, 1), dilation_rate=(2, 1))], "convolution " * 2),
    "groups": ([conv(), conv(12, groups=4), norm()], "convolution " * 2),
    "groups_of_one": ([conv(), conv(8, groups=8), norm()], "convolution depthwise"),
    "depthwise": ([L.DepthwiseConv2D(3, 2, padding="same"), norm(), conv()], "depthwise convolution"),
    "depthwise_multiplied": ([L.DepthwiseConv2D(3, depth_multiplier=4), norm()], "convolution"),
    "separable": ([L.SeparableConv2D(8, 3, activation="silu")], "depthwise convolution activation"),
    "separable_multiplied": ([L.SeparableConv2D(8, 3, depth_multiplier=2), norm()], "convolution convolution"),
    "padded": ([L.ZeroPadding2D(((0, 1), (1, 0))), conv(strides=2), norm()], "convolution"),
    "padded_depthwise": ([conv(), L.ZeroPadding2D(2), L.DepthwiseConv2D(5)], "convolution depthwise"),
    "padded_twice": ([L.ZeroPadding2D(1), L.ZeroPadding2D(1), conv(activation="selu")], "keras convolution keras"),
    "padded_pool": ([conv(), L.ZeroPadding2D(1), L.MaxPooling2D(3, 2)], "convolution keras max_pool"),
    "pools": ([conv(), L.MaxPooling2D(2), L.AveragePooling2D((3, 2), 1, "same")], "convolution max_pool average_pool"),
    "upsampled": ([conv(), L.UpSampling2D((2, 1)), conv()], "convolution upsample convolution"),
    "upsampled_smoothly": (
        [conv(), L.UpSampling2D(2, interpolation="bilinear"), conv()],
        "convolution keras convolution",
    ),
    "cropped": (
        [conv(), L.Cropping2D(((1, 0), (2, 1))), flat(), L.Cropping1D((3, 1))],
        "convolution crop reshape crop",
    ),
    "transposed": ([conv(strides=2), L.Conv2DTranspose(8, 3, 2), conv()], "convolution keras convolution"),
    "sequence": (
        [conv(), flat(), L.Conv1D(8, 3, padding="causal"), norm(), L.MaxPooling1D(), L.AveragePooling1D(3, 2)],
        "convolution reshape convolution max_pool average_pool keras",
    ),
    "sequence_depthwise": (
        [conv(), flat(), L.DepthwiseConv1D(3), norm(), L.SeparableConv1D(6, 3), L.GlobalMaxPooling1D()],
        "convolution reshape depthwise depthwise convolution keras",
    ),
    "dense_of_images": (
        [conv(), L.Dense(8, activation="gelu"), L.Dense(6, use_bias=False)],
        "convolution dense activation dense",
    ),
    "flat": ([conv(strides=4), L.Flatten(), L.Dense(8, activation="tanh")], "convolution reshape dense activation"),
    "flat_channels_first": ([conv(strides=4), L.Flatten(data_format="channels_first")], "convolution keras"),
    "layer_norm": ([conv(), L.LayerNormalization(epsilon=1e-2)], "convolution layer_norm"),
    "layer_norm_of_rows": (
        [conv(), L.LayerNormalization(axis=1), L.LayerNormalization(axis=[1, 2])],
        "convolution keras keras",
    ),
    "root_mean_square": ([conv(), L.RMSNormalization()], "convolution keras"),
    "group_norm": ([conv(), L.GroupNormalization(4, epsilon=1e-2, scale=False)], "convolution group_norm"),
    "group_norm_of_rows": ([conv(), L.GroupNormalization(2, axis=1)], "convolution keras"),
    "rescaled_in_the_middle": (
        [conv(4), L.Rescaling([1.0, 2.0, 3.0, 4.0], 0.5), L.Normalization(mean=[0.1] * 4, variance=[2.0] * 4), conv()],
        "convolution rescale rescale convolution",
    ),
    "normalized_rows": ([L.Normalization(1, np.arange(12.0), np.arange(1.0, 13)), conv()], "keras convolution"),
    "relus": (
        [conv(), L.ReLU(6), L.ReLU(negative_slope=0.2), L.LeakyReLU(), conv(activation="leaky_relu")],
        "convolution activation activation activation convolution activation",
    ),
    "odd_relus": ([conv(), L.ReLU(4), L.ReLU(threshold=0.1), L.ReLU(6, 0.1), L.PReLU()], "convolution " + "keras " * 4),
    "softmax_in_the_middle": (
        [conv(), L.Softmax(), L.Softmax(axis=1), conv()],
        "convolution activation keras convolution",
    ),
    "functions_of_ones_own": ([conv(activation=relu), L.Activation(relu)], "convolution keras keras"),
    "only_in_training": (
        [L.RandomFlip(), L.RandomRotation(0.2), conv(), L.SpatialDropout2D(0.5), L.GaussianNoise(1.0), L.Dropout(0.5)],
        "convolution dropout",
    ),
    "whole_images_dropped": ([conv(), L.Dropout(0.5, noise_shape=(None, 1, 1, 1))], "convolution"),
    "moved": ([L.CenterCrop(8, 8), L.Resizing(10, 10), L.RandomCrop(9, 9), conv()], "keras keras keras convolution"),
    "block_of_ones_own": ([conv(), Block(8)], "convolution keras"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_layer_is_rebuilt_or_called(name):
    layers, kinds = CASES[name]
    network = assert_taken_over(chain(*layers))
    spec = _kinds(network)
    assert spec[1 : 1 + len(kinds.split())] == kinds.split()
    assert set(spec[1 + len(kinds.split()) :]) <= {"global_pool", "keras", "dense"}


def _kinds(network):
    return [layer.kind for layer in describe(network).layers]


ACTIVATIONS = (
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "silu",
    "swish",
    "hard_silu",
    "hard_sigmoid",
    "sigmoid",
    "tanh",
    "gelu",
)


def test_activations_that_keep_little():
    network = assert_taken_over(chain(*(conv(6, 1, activation=name) for name in ACTIVATIONS)))
    assert _kinds(network).count("activation") == len(ACTIVATIONS)


def test_operations():
    inputs = keras.Input((12, 12, 3))
    x = conv()(inputs / 127.5 - 1)
    y = ops.relu(x) * ops.sigmoid(x) + ops.softmax(x, axis=1) - ops.silu(x) / 3
    y = ops.concatenate([y * y, x + x], axis=-1)[:, 1:-1, ::2]
    network = assert_taken_over(keras.Model(inputs, L.Dense(4)(ops.mean(y, axis=(1, 2)))))
    assert _kinds(network).count("activation") == 3  # not the softmax of another axis
    assert all(
        name.startswith(("stem", "head", "classifier", "block", "normalize", "image")) for name in _names(network)
    )


def test_pixels_may_be_cropped_before_they_are_rescaled():
    inputs = keras.Input((12, 12, 3))
    x = L.Rescaling(1 / 255)(L.Cropping2D(1)(inputs))
    network = assert_taken_over(keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(conv()(x)))))
    assert _kinds(network)[:4] == ["rescale", "crop", "rescale", "convolution"]  # the first says that files take pixels


@pytest.mark.parametrize(
    ("item", "kinds"),
    [
        (lambda x: x[:, 0], ["crop", "reshape"]),
        (lambda x: x[:, -1:], ["crop"]),
        (lambda x: x[:, 1:-1, ..., 2], ["crop", "reshape"]),
        (lambda x: x[..., -4:], ["crop"]),
        (lambda x: x[:, ::2], ["keras"]),
        (lambda x: x[:, ::-1], ["keras"]),
        (lambda x: x[:, None, 1:], ["keras"]),
        (lambda x: x[:, 2:50], ["crop"]),
    ],
)
def test_items(item, kinds):
    inputs = keras.Input((12, 12, 3))
    y = item(conv()(L.Rescaling(1 / 255)(inputs)))
    network = assert_taken_over(keras.Model(inputs, L.Dense(4)(L.Flatten()(y))))
    start = _kinds(network).index("convolution") + 1
    assert _kinds(network)[start : start + len(kinds)] == kinds


def _names(network):
    return [operation.name for operation in network.operations]


@pytest.mark.parametrize(
    ("activation", "kept"), [("silu", []), ("softmax", ["activation"]), (L.LeakyReLU(0.1), ["activation"])]
)
def test_a_gate_takes_in_the_activation_that_it_can(activation, kept):
    inputs = keras.Input((12, 12, 3))
    x = conv(activation=activation)(L.Rescaling(1 / 255)(inputs))
    squeezed = L.GlobalAveragePooling2D(keepdims=True)(x)
    gates = conv(8, 1, activation="sigmoid")(conv(2, 1, activation="relu")(squeezed))
    model = keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(L.Multiply()([gates, x]))))
    network = assert_taken_over(model)
    gate = next(layer for layer in network.layers if type(layer).__name__ == "Gate")
    assert gate.activation == (None if kept else "silu")


def test_joins():
    inputs = keras.Input((12, 12, 3))
    x = conv()(L.Rescaling(1 / 255)(inputs))
    y = L.Add()([x, conv(padding="same")(x), conv(padding="same")(x)])
    y = L.Multiply()([y, conv(1, 1)(y)])
    y = L.Concatenate(axis=1)([L.Average()([x, y]), L.Subtract()([x, y]), L.Maximum()([x, y])])
    y = L.Add()([y, L.GlobalAveragePooling2D(keepdims=True)(y)])
    assert_taken_over(keras.Model(inputs, L.Dense(4)(L.GlobalMaxPooling2D()(y))))


def test_attention_with_masks():
    inputs = keras.Input((12, 12, 3))
    x = L.Reshape((9, 8))(conv(8, 4, strides=4)(L.Rescaling(1 / 255)(inputs)))
    attention = L.MultiHeadAttention(2, 4, dropout=0.5)
    x = L.Add()([x, attention(x, x, use_causal_mask=True)])
    mask = ops.matmul(x, ops.transpose(x, (0, 2, 1))) > 0
    x = L.Add()([x, L.MultiHeadAttention(2, 4)(x, x, attention_mask=mask)])
    network = assert_taken_over(keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling1D()(x))))
    assert _kinds(network).count("attention") == 2


def test_masked_sequences():
    inputs = keras.Input((6, 5))
    x = L.BatchNormalization()(L.Activation("relu")(L.Dense(5)(L.Masking()(inputs))))
    x = L.GlobalAveragePooling1D()(L.LayerNormalization()(x))
    values = np.random.default_rng(0).normal(size=(2, 6, 5)).astype(np.float32)
    values[0, 3:] = 0
    assert_taken_over(keras.Model(inputs, L.Dense(3)(x)), values)


def test_variables_in_layers_of_ones_own_have_paths_that_last():
    def paths():
        return [variable.path for variable in from_keras(chain(conv(name="c"), Block(8, name="own"))).weights]

    first = paths()
    assert first == paths()
    assert {path.partition("own/")[2] for path in first} >= {"conv2d/bias", "batch_normalization/moving_mean"}


def test_statistics_stay_in_layers_of_ones_own():
    network = from_keras(chain(conv(), Block(8), L.SpectralNormalization(conv())))
    before = [variable.numpy() for variable in network.weights]
    network(np.random.default_rng(0).uniform(0, 9, (4, 12, 12, 3)), training=True)
    for variable, value in zip(network.weights, before, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)


def test_a_layer_that_cannot_be_copied_is_shared_with_one_network():
    own = Wrapped(conv(8, padding="same", name="inner"), name="own")
    model = chain(conv(), own)
    network = from_keras(model)
    assert any(variable is own.layer.kernel for variable in network.weights)
    assert from_keras(model).count_params() == network.count_params()
    with pytest.raises(InputError, match="can be copied, got 'own' .*; give it a get_config"):
        from_keras(chain(conv(), own, conv()))


def test_a_configuration_that_gives_another_function_is_not_a_copy():
    """Keras writes down the name of a function, `relu`, which is its own when it is read."""
    model = chain(L.Conv2DTranspose(8, 3, activation=relu), conv())
    inputs = np.ones((1, 12, 12, 3), np.float32)
    np.testing.assert_allclose(from_keras(model)(inputs), model(inputs), rtol=1e-5)


def _shared():
    inputs, layer = keras.Input((12, 12, 3)), conv(3, padding="same", name="twice")
    return keras.Model(inputs, layer(layer(L.Rescaling(1 / 255)(inputs))))


def _shared_norm():
    inputs, layer = keras.Input((12, 12, 3)), norm(name="twice")
    return keras.Model(inputs, layer(conv()(layer(conv()(L.Rescaling(1 / 255)(inputs))))))


def _shared_tower():
    inputs, tower = keras.Input((12, 12, 3)), keras.Sequential([keras.Input((12, 12, 3)), conv()], name="twice")
    return keras.Model(inputs, L.Add()([tower(L.Rescaling(1 / 255)(inputs)), tower(inputs)]))


def _as_in_training(layer):
    inputs = keras.Input((12, 12, 3))
    return keras.Model(inputs, layer(L.Rescaling(1 / 255)(inputs), training=True))


def _parts():
    inputs = keras.Input((12, 12, 3))
    return keras.Model(inputs, L.Add()(ops.split(conv(name="c")(L.Rescaling(1 / 255)(inputs)), 2, axis=-1)))


def _quantized():
    model = chain(conv(), L.Dense(8, name="hidden"))
    model.get_layer("hidden").quantize("int8")
    return model


REFUSED = {
    "shared": (_shared, "called once, got 'twice' twice; give each call"),
    "shared_norm": (_shared_norm, "called once, got 'twice' twice; give each call"),
    "shared_tower": (_shared_tower, "called once, got 'twice' twice; give each call"),
    "training": (lambda: _as_in_training(norm(name="n")), "training=True in the call of 'n'; leave it out"),
    "dropout": (lambda: _as_in_training(L.Dropout(0.5, name="d")), "training=True in the call of 'd'; leave it out"),
    "tower_in_training": (
        lambda: _as_in_training(keras.Sequential([keras.Input((12, 12, 3)), norm()], name="t")),
        "training=True in the call of 't'; leave it out",
    ),
    "several_outputs": (_parts, r"one output, got 'split' \(Split\) of 2; replace it"),
    "half": (lambda: chain(conv(dtype="mixed_float16", name="c")), "float32, got float16 in 'c'; build the model"),
    "quantized": (_quantized, "float32, got int8 in 'hidden'; give the model before quantize"),
    "channels_first": (
        lambda: chain(L.UpSampling2D(2, data_format="channels_first", name="u")),
        "channels_last, got channels_first in 'u'; build the model",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_taken_over_is_named(name):
    make, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        from_keras(make(), classes=3)
