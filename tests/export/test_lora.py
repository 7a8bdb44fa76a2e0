"""Files with LoRA train as TensorFlow's own gradients say, and what they learn comes back into the network."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import made, tiny_network
from tinytl_tf.backbones.describe import describe
from tinytl_tf.backbones.from_keras import from_keras
from tinytl_tf.device import TrainableModel
from tinytl_tf.errors import InputError
from tinytl_tf.export import export
from tinytl_tf.export.contract import scheme_of
from tinytl_tf.export.packing import state_order
from tinytl_tf.networks.schemes import apply_scheme, get_scheme
from tinytl_tf.state import average_states, load_state
from tinytl_tf.tflite.manifest import Manifest

LABELS, BATCH, RATE = tiny_network.LABELS, 2, np.float32(0.05)
RANK, ALPHA = 3, 6.0
RUNTIMES = {"xnnpack": True, "without_xnnpack": False}


def transformer():
    """A block of a small ViT behind a 1x1 convolution; the name of one layer is that of a branch."""
    keras.utils.set_random_seed(0)
    images = keras.Input((tiny_network.RESOLUTION, tiny_network.RESOLUTION, 3))
    x = keras.layers.Conv2D(8, 16, strides=16, activation="relu")(keras.layers.Rescaling(1 / 127.5, -1.0)(images))
    x = keras.layers.Reshape((16, 16))(keras.layers.Conv2D(16, 1, name="pointwise")(x))
    y = keras.layers.LayerNormalization()(x)
    x = keras.layers.Add()([x, keras.layers.MultiHeadAttention(2, 8, name="attention")(y, y)])
    y = keras.layers.Dense(32, activation="gelu", name="wide_lora")(keras.layers.LayerNormalization()(x))
    x = keras.layers.Add()([x, keras.layers.Dense(16, name="narrow")(y)])
    return keras.Model(images, keras.layers.GlobalAveragePooling1D()(x), name="transformer")


@functools.cache
def vit():
    """The transformer, and a network of it whose branches are away from zero."""
    base = transformer()
    network = from_keras(base, classes=len(LABELS), lora={"rank": RANK, "alpha": ALPHA}, dropout=0.0)
    rng = np.random.default_rng(0)
    for variable in network.weights:
        if variable.path.endswith("_lora/b"):
            variable.assign(rng.normal(0, 0.2, variable.shape))
    apply_scheme(network.weights, get_scheme("lora"))
    return base, network


def network(name):
    return vit()[1] if name == "vit" else tiny_network.build("lora-b")


def exported(name):
    def write(folder):
        export(network(name), folder / "m.tflite", labels=LABELS, batch_size=BATCH)

    return made.folder(f"lora_{name}", write) / "m.tflite"


def state_of(model):
    return np.concatenate([variable.numpy().ravel() for variable in state_order(model.trainable_variables)])


def changed_kernels(base, network):
    """Kernels of the transformer with LoRA merged in."""
    weights = {variable.path.partition("_")[2].partition("_")[2]: variable for variable in network.weights}
    attention = base.get_layer("attention")
    layers = {"attention_query": attention.query_dense, "attention_value": attention.value_dense}
    layers |= {"wide_lora_2": base.get_layer("wide_lora")}
    layers |= {name: base.get_layer(name) for name in ("pointwise", "narrow")}
    for name, layer in layers.items():
        a, b = (weights[f"{name}_lora/{part}"] for part in "ab")  # behind the place, which is `block_N`
        product = tf.reshape(tf.tensordot(a.value, b.value, 1), layer.kernel.shape)
        yield layer.kernel, layer.kernel + ALPHA / RANK * product


def logits_of_transformer(base, network, images):
    classifier = network.get_layer("classifier")
    with keras.StatelessScope(list(changed_kernels(base, network))):
        features = base(images, training=False)
    return features @ classifier.kernel.value + classifier.bias.value


def test_a_transformer_computes_what_its_merged_kernels_do():
    images = tiny_network.photos(1, 4)[0][0].astype(np.float32)
    # float32 through two blocks; measured 3e-7.
    expected = logits_of_transformer(*vit(), images)
    np.testing.assert_allclose(vit()[1](images), expected, rtol=0, atol=3e-6 * np.abs(expected).max())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_step_of_a_transformer_is_the_gradient_of_kerass_own(runtime):
    base, model = vit()
    images, labels = (part[0] for part in tiny_network.photos(1, BATCH))
    variables = [variable.value for variable in state_order(model.trainable_variables)]
    with tf.GradientTape() as tape:
        logits = logits_of_transformer(base, model, images.astype(np.float32))
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    gradient = np.concatenate([part.numpy().ravel() for part in tape.gradient(loss, variables)])
    device = TrainableModel(exported("vit"), xnnpack=RUNTIMES[runtime])
    result = device.train(images, labels, np.float32(1.0))
    assert result.applied
    assert result.loss == pytest.approx(float(loss), rel=1e-5)
    # Of what a step of rate 1 changes, in float32: 1e-7 of values up to 30 times the gradient.
    difference = state_of(model) - device.state() - gradient
    assert np.linalg.norm(difference) <= 1e-4 * np.linalg.norm(gradient)


@pytest.mark.thorough
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_steps_of_a_convolutional_network_are_those_of_plain_tensorflow(runtime):
    model = tiny_network.build("lora-b")
    plain, batches = (
        tiny_network.PlainTraining(model, "sgd", 0.0),
        list(zip(*tiny_network.photos(4, BATCH), strict=True)),
    )
    start = plain.state()
    losses = [float(plain.step(*batch, RATE)) for batch in batches]
    device = TrainableModel(exported("tiny"), xnnpack=RUNTIMES[runtime])
    results = [device.train(*batch, RATE) for batch in batches]
    np.testing.assert_allclose([result.loss for result in results], losses, rtol=1e-4)
    updates = device.state() - start, plain.state() - start
    assert np.linalg.norm(updates[0] - updates[1]) <= 1e-3 * np.linalg.norm(updates[1])


def test_a_file_says_its_scheme():
    assert scheme_of(network("vit")) == Manifest.read(exported("vit")).scheme == "lora"


def test_what_a_device_learns_comes_back(tmp_path):
    path, (base, trained) = exported("vit"), vit()
    model = keras.models.clone_model(trained)
    model.set_weights(trained.get_weights())
    photo = tiny_network.photos(1, 1)[0][0, 0]
    device = TrainableModel(path)
    for number, batch in enumerate(zip(*tiny_network.photos(2, BATCH), strict=True)):
        device.train(*batch, RATE)
        device.save(tmp_path / f"{number}.tinytl")
    before = model(photo[None].astype(np.float32)).numpy()[0]
    load_state(model, tmp_path / "1.tinytl", path)
    learned = device.infer(photo).logits
    np.testing.assert_allclose(model(photo[None].astype(np.float32)).numpy()[0], learned, rtol=1e-4, atol=1e-5)
    assert np.abs(learned - before).max() > 1e-3
    average_states([tmp_path / "0.tinytl", tmp_path / "1.tinytl"], path, tmp_path / "all.tinytl")
    load_state(model, tmp_path / "all.tinytl", path)
    assert np.abs(model(photo[None].astype(np.float32)).numpy()[0] - learned).max() > 1e-4
    bare = from_keras(base, classes=len(LABELS))
    with pytest.raises(InputError, match=r"_lora/.* got none; build it with its branches$"):
        load_state(bare, tmp_path / "1.tinytl", path)


def test_branches_of_a_transformer_start_as_zero_and_survive_saving(tmp_path):
    base, model = vit()
    images = tiny_network.photos(1, 2)[0][0].astype(np.float32)
    without, fresh = (from_keras(base, classes=len(LABELS), **kinds) for kinds in ({}, {"lora": 2}))
    np.testing.assert_array_equal(fresh(images), without(images))
    model.save(tmp_path / "model.keras")
    loaded, clone = keras.models.load_model(tmp_path / "model.keras"), keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    paths = [variable.path for variable in model.trainable_variables]
    assert len(paths) == 2 * 5 + 2  # A and B of five products, kernel and bias of the classifier
    for other in (loaded, clone):
        np.testing.assert_array_equal(other(images), model(images))
        assert [variable.path for variable in other.trainable_variables] == paths
        assert describe(other) == describe(model)
