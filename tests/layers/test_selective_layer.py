"""Which variables are trained, and that the choice survives everything Keras does to a model."""

import keras
import numpy as np
import pytest

from tests.layers.gradients import random
from tinytl_tf.layers import (
    Activation,
    FrozenConv2D,
    FrozenDepthwiseConv2D,
    FrozenNorm,
    GlobalAveragePooling,
    GroupNorm,
    LayerNorm,
    LiteResidual,
    SelectiveLayer,
)
from tinytl_tf.networks.schemes import apply_scheme, get_scheme

LAYERS = [
    FrozenConv2D(8, 3, 2, padding=((1, 0), (0, 1)), epsilon=1e-4, train=["kernel", "norm/beta"], name="a"),
    FrozenDepthwiseConv2D(5, strides=2, padding="valid", epsilon=1e-4, train=["norm/gamma"], name="b"),
    FrozenNorm(epsilon=1e-4, train=["beta"], name="c"),
    FrozenNorm(center=False, train=["gamma"], name="c2"),
    GroupNorm(epsilon=1e-4, gamma_initializer="zeros", train=["gamma"], name="d"),
    GroupNorm(groups=-1, scale=False, train=["beta"], name="d2"),
    LayerNorm(epsilon=1e-4, center=False, train=["gamma"], name="d3"),
    LiteResidual(16, 3, 2, 4, 2.0, train=["pointwise_kernel", "final_norm/beta"], final_norm=True, name="e"),
    LiteResidual(16, 1, global_pool=True, dtype="mixed_float16", name="f"),
    Activation("hard_swish", name="g"),
    Activation("leaky_relu", negative_slope=0.3, name="g2"),
    GlobalAveragePooling(name="h"),
]

# Keras writes its variables through an interface that numpy 2 has deprecated.

BRANCH = ["branch_lite_residual/kernel", "branch_lite_residual/final_norm/gamma"]
CHOSEN = ["stem/kernel", "stem/norm/beta", "depthwise/norm/gamma", *BRANCH]
HEAD = ["classifier/kernel", "classifier/bias"]


def network():
    """A small network whose layers each train something else."""
    images = keras.Input((8, 8, 3))
    x = FrozenConv2D(8, 3, train=["kernel", "norm/beta"], name="stem")(images)
    branch = LiteResidual(8, 3, train=["kernel", "final_norm/gamma"], final_norm=True, name="branch_lite_residual")
    y = FrozenDepthwiseConv2D(3, train=["norm/gamma"], name="depthwise")(Activation("relu6")(x))
    y = keras.layers.Add()([y, branch(x)])
    y = GlobalAveragePooling(name="pool")(y)
    return keras.Model(images, keras.layers.Dense(2, name="classifier")(y))


def trained(model):
    return [variable.path for variable in model.trainable_variables]


def save_and_load(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_configuration_round_trips(layer):
    config = layer.get_config()
    copy = type(layer).from_config(config)
    assert copy.get_config() == config
    x = random((1, 9, 8, 8), dtype="float32")
    assert copy(x).shape == layer(x).shape == layer.compute_output_shape(x.shape)
    names = [[v.path for v in each.trainable_variables] for each in (layer, copy)]
    assert names[0] == names[1]
    assert layer.get_config() == config, "building keeps the configuration"


def test_only_the_named_variables_are_trained():
    model = network()
    assert trained(model) == [*CHOSEN, *HEAD]
    assert len(model.trainable_variables) + len(model.non_trainable_variables) == len(model.variables)


@pytest.mark.parametrize("change", ["as built", "scheme", "train set", "layer off", "off and on"])
def test_trainability_and_weights_survive_saving_and_cloning(change, tmp_path):
    model = network()
    if change == "scheme":
        apply_scheme(model.weights, get_scheme("tinytl-lb"))
        assert "depthwise/norm/beta" in trained(model)
        assert "stem/kernel" not in trained(model)
    elif change == "train set":
        model.get_layer("stem").train = ["norm/gamma"]
        assert trained(model) == ["stem/norm/gamma", *CHOSEN[2:], *HEAD]
    elif change == "layer off":
        model.get_layer("stem").trainable = False
        assert trained(model) == [*CHOSEN[2:], *HEAD]
    elif change == "off and on":
        model.trainable = False
        assert trained(model) == []
        assert not any(variable.trainable for variable in model.weights)
        model.trainable = True
        assert trained(model) == [*CHOSEN, *HEAD]
    for variable in model.weights:
        variable.assign(random(variable.shape, 3, "float32"))

    clone = keras.models.clone_model(model)
    assert trained(clone) == trained(model)
    loaded = save_and_load(model, tmp_path)
    assert trained(loaded) == trained(model)
    assert [v.path for v in loaded.weights] == [v.path for v in model.weights]
    for mine, his in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(mine, his)
    images = random((2, 8, 8, 3), dtype="float32")
    np.testing.assert_array_equal(loaded(images), model(images))


def test_choice_survives_saving_while_switched_off(tmp_path):
    model = network()
    model.trainable = False
    loaded = save_and_load(model, tmp_path)
    assert trained(loaded) == []
    loaded.trainable = True
    assert trained(loaded) == [*CHOSEN, *HEAD]


def test_a_frozen_base_is_frozen_in_the_model_around_it():
    base = network()
    model = keras.Sequential([base, keras.layers.Dense(3, name="top")])
    model.build((None, 8, 8, 3))
    base.trainable = False
    assert [path.rpartition("/")[-1] for path in trained(model)] == ["kernel", "bias"]
    assert all("top" in path for path in trained(model))
    base.trainable = True
    assert trained(model)[: len(CHOSEN)] == CHOSEN


def test_works_inside_keras_sequential(tmp_path):
    model = keras.Sequential(
        [FrozenConv2D(8, 3, train=["norm/beta"]), LiteResidual(8, train=["kernel"]), GlobalAveragePooling()]
    )
    images = random((2, 8, 8, 3), dtype="float32")
    expected = model(images)
    assert [path.split("/", 2)[-1] for path in trained(model)] == ["norm/beta", "kernel"]
    loaded = save_and_load(model, tmp_path)
    assert [path.rpartition("/")[-1] for path in trained(loaded)] == ["beta", "kernel"]
    np.testing.assert_array_equal(loaded(images), expected)


def test_train_may_be_set_before_the_layer_is_built():
    layer = FrozenConv2D(8, 3, name="conv")
    layer.train = ["norm/beta"]
    layer.build((None, 4, 4, 3))
    assert trained(layer) == ["conv/norm/beta"]


def test_an_unknown_name_changes_nothing():
    layer = FrozenConv2D(8, 3, train=["norm/beta"], name="conv")
    layer.build((None, 4, 4, 3))
    message = (
        "conv has no variable 'bias' to train; it has "
        "['kernel', 'norm/beta', 'norm/gamma', 'norm/moving_mean', 'norm/moving_variance']"
    )
    with pytest.raises(ValueError) as error:
        layer.train = ["kernel", "bias"]
    assert str(error.value) == message
    assert trained(layer) == ["conv/norm/beta"]
    with pytest.raises(ValueError) as error:
        FrozenConv2D(8, 3, train=["bias"], name="conv").build((None, 4, 4, 3))
    assert str(error.value) == message


def test_a_string_is_no_list_of_names():
    with pytest.raises(ValueError) as error:
        FrozenNorm(train="beta")
    assert str(error.value) == "train must be a list of names, got the string 'beta'; write ['beta']"


def test_a_subclass_has_to_create_its_variables():
    with pytest.raises(NotImplementedError, match="SelectiveLayer must define build_variables"):
        SelectiveLayer().build((None, 4, 4, 3))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_computes_in_half_with_float32_variables(policy):
    images = random((2, 8, 8, 16), dtype="float32")
    keras.utils.set_random_seed(0)
    for make in (
        lambda dtype: FrozenConv2D(8, 3, 2, train=["kernel", "norm/gamma", "norm/beta"], dtype=dtype),
        lambda dtype: FrozenDepthwiseConv2D(3, strides=2, train=["norm/beta"], dtype=dtype),
        lambda dtype: LiteResidual(8, 3, train=["kernel", "final_norm/gamma"], final_norm=True, dtype=dtype),
    ):
        half, full = make(policy), make("float32")
        half(images), full(images)
        for mine, his in zip(half.weights, full.weights, strict=True):
            mine.assign(np.abs(random(mine.shape, 1, "float32")) if "variance" in mine.path else random(mine.shape, 1))
            his.assign(mine)
            assert mine.dtype == "float32"
        y, expected = half(images), full(images)
        assert y.dtype == policy.removeprefix("mixed_")
        # bfloat16 has 8 bits: a few roundings of 0.4 % each, added up over three operations.
        np.testing.assert_allclose(np.asarray(y, "float32"), expected, rtol=0, atol=0.05 * np.abs(expected).max())
