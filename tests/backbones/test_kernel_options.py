"""Networks of which shares of kernels are trained: built, loaded with weights of whole kernels, saved, adopted."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import tiny_network
from tinytl_tf import data
from tinytl_tf.backbones import ARCHITECTURES, build
from tinytl_tf.backbones.describe import describe
from tinytl_tf.backbones.from_keras import from_keras
from tinytl_tf.backbones.kernel_values import pair_values, whole_values
from tinytl_tf.backbones.scheme import apply_scheme
from tinytl_tf.errors import InputError
from tinytl_tf.layers import FrozenConv1D, FrozenDense
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.kernel_options import read_kernels, with_kernel_options
from tinytl_tf.training import Experiment

KERNELS = ("block_2:1/4:8bit", "block_3:8bit", "block_0:1/2")


def tiny(**options):
    return build(tiny_network.ARCHITECTURE, classes=4, resolution=64, weights=None, **options)


def copy_values(source, target):
    variables = {variable.path: variable for variable in target.weights}
    for path, value in whole_values(source.weights).items():
        for variable, part in pair_values(variables, path, value):
            variable.assign(part)


def test_a_built_network_is_described_as_its_table():
    spec = with_kernel_options(from_table(tiny_network.ARCHITECTURE, resolution=64, classes=4), read_kernels(KERNELS))
    model = tiny(kernels=KERNELS)
    assert describe(model) == spec
    assert {v.path: tuple(v.shape) for v in model.weights} == {v.path: v.shape for v in spec.variables}
    assert describe(keras.models.clone_model(model)) == spec


def test_values_of_whole_kernels_fit(photos):
    whole, split = tiny_network.build("sparse-update"), tiny(kernels=KERNELS)
    copy_values(whole, split)
    np.testing.assert_allclose(split(photos), whole(photos), rtol=1e-5, atol=1e-5)
    values, expected = whole_values(split.weights), whole_values(whole.weights)
    assert values.keys() == expected.keys()
    for path, value in values.items():
        np.testing.assert_array_equal(value, expected[path])


@pytest.fixture
def photos():
    return tiny_network.photos(1, 2)[0][0].astype(np.float32)


def test_weight_files_have_whole_kernels(narrow_weights):
    options = {"classes": 1000, "resolution": 32, "width": 0.35, "weights": str(narrow_weights)}
    whole, split = (build("mobilenet_v2", **options, kernels=kernels) for kernels in ((), ("block_14:1/8", "head:1/2")))
    assert tuple(split.get_layer("head").kernel_rest.shape) == (1, 1, 112, 640)
    values, expected = whole_values(split.weights), whole_values(whole.weights)
    for path, value in values.items():
        np.testing.assert_array_equal(value, expected[path])


def signal_model():
    inputs = keras.Input((16, 6))
    x = keras.layers.Conv1D(8, 3, padding="same", activation="relu")(inputs)
    for _ in range(2):
        y = keras.layers.Dense(32, activation="relu")(x)
        x = x + keras.layers.Dense(8)(y)
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(x)))


def test_dense_layers_and_signals_of_a_keras_model():
    model = signal_model()
    places = describe(from_keras(model)).places
    network = from_keras(model, kernels=[f"{places[-1]}:1/4", "stem:1/2"])  # compares the outputs with the model's
    layers = {type(layer): layer for layer in network.layers if getattr(layer, "kernel_share", 1) != 1}
    assert layers.keys() == {FrozenDense, FrozenConv1D}
    assert tuple(layers[FrozenDense].kernel.shape) == (8, 8)
    resolved = apply_scheme(network, "sparse-update", kernels=[places[-1]])
    kernels = [v.path for v in resolved.variables if v.path.endswith("kernel") and "classifier" not in v.path]
    assert kernels == [layers[FrozenDense].kernel.path]
    assert describe(keras.models.clone_model(network)) == describe(network)


def test_a_share_of_an_odd_number_of_channels_is_refused():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(9, 3)(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(
        InputError, match=r"a share of whole channels of stem_.*, which has 9, got 0.5; choose one of 1$"
    ):
        from_keras(model, kernels=["stem:1/2"])
    with pytest.raises(InputError, match="the network has no wide kernel at 'block_77'"):
        from_keras(model, kernels=["block_77:1/2"])


def test_a_scheme_takes_the_entries_of_the_network():
    model = tiny(kernels=KERNELS)
    resolved = apply_scheme(model, "sparse-update", kernels=KERNELS)
    assert [tuple(v.shape) for v in resolved.variables if v.path.endswith("/kernel")] == [
        (1, 1, 8, 4),  # `block_0_project`
        (1, 1, 16, 8),
        (1, 1, 16, 32),
        (32, 4),
    ]
    with pytest.raises(InputError, match=r"share=0.5, kept_bits=32\) at 'block_2', got .*share=0.25, kept_bits=8\); "):
        apply_scheme(model, "sparse-update", kernels=["block_2:1/2"])


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, tiny_network.ARCHITECTURE.name, tiny_network.ARCHITECTURE)

    def make(**values):
        config = tiny_network.config(tmp_path / "photos.npz")
        config.update_from_flattened_dict({"scheme": "sparse-update", **values})
        return Experiment(config)

    return make


def test_an_experiment_trains_the_shares_of_its_configuration(experiment):
    model, resolved = experiment(kernels=("block_2:1/4", "block_3")).build_model(4)
    kernels = {v.path: tuple(v.shape) for v in resolved.variables if v.path.endswith("expand/kernel")}
    assert kernels == {"block_2_expand/kernel": (1, 1, 16, 8), "block_3_expand/kernel": (1, 1, 16, 32)}
    assert not model.get_layer("block_2_expand").kernel_rest.trainable


@pytest.mark.parametrize("entry", ["block_2:1/3", "block_9:1/2"])
def test_an_experiment_refuses_other_shares(experiment, entry):
    with pytest.raises(InputError):
        experiment(kernels=(entry,))


def test_a_network_is_adopted_with_other_shares(experiment, photos):
    trained = tiny_network.build("sparse-update", kernels=("block_2:1/2",))
    expected = trained(photos)
    for kernels in (("block_2:1/4", "block_3:1/8:8bit"), ("block_2",), ()):
        model, _ = experiment(kernels=kernels).adopt(trained)
        np.testing.assert_allclose(model(photos), expected, rtol=1e-5, atol=1e-5)
        options = {name: own for name, own in read_kernels(kernels).items() if own.layer_options}
        assert with_kernel_options(from_table(tiny_network.ARCHITECTURE, resolution=64, classes=4), options) == (
            describe(model)
        )
    same, _ = experiment(kernels=("block_2:1/2",)).adopt(trained)
    assert same is trained


@pytest.mark.thorough
def test_gradients_with_inputs_in_8_bits_are_near_the_exact_ones(coral_weights, shared):
    """Real weights and flowers. A value is off by at most 0.4 % of the largest in its image; measured 0.99996."""
    flowers = data.load(shared / "data" / "oxford_flowers17_128.npz").train
    images = np.stack([flowers.image(i) for i in range(4)]).astype(np.float32)
    options = {"classes": 17, "resolution": 128, "weights": str(coral_weights)}
    gradients = []
    for bits in ("", ":8bit"):
        model = build("mobilenet_v2", **options, kernels=[f"block_{number}{bits}" for number in range(10, 17)])
        variables = apply_scheme(model, "sparse-update").variables
        with tf.GradientTape() as tape:
            logits = model(images)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(flowers.labels[:4], logits))
        parts = tape.gradient(loss, [variable.value for variable in variables])
        gradients.append({v.path: part.numpy().ravel() for v, part in zip(variables, parts, strict=True)})
    for path, exact in gradients[0].items():
        short = gradients[1][path]
        if path.endswith("_expand/kernel"):
            cosine = exact @ short / np.linalg.norm(exact) / np.linalg.norm(short)
            assert cosine > 0.9998, path
            assert np.linalg.norm(exact - short) > 1e-4 * np.linalg.norm(exact), path
        else:
            np.testing.assert_array_equal(short, exact, err_msg=path)
