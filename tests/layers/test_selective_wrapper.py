"""Another layer inside one whose variables are trained by name."""

import keras
import numpy as np
import pytest

from tinytl_tf.layers import SelectiveWrapper
from tinytl_tf.layers.selective_wrapper import own_names

L = keras.layers


def values(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def network(layer, *shape, **options):
    inputs = keras.Input(shape)
    return keras.Model(inputs, SelectiveWrapper(layer, name="wrapped", **options)(inputs))


def paths(variables):
    return [variable.path for variable in variables]


def test_computes_what_the_layer_does_and_trains_what_is_named():
    dense, x = L.Dense(4, activation="tanh"), values(3, 8)
    model = network(dense, 8, train=["bias"])
    np.testing.assert_array_equal(model(x), dense(x))
    assert paths(model.weights) == ["wrapped/kernel", "wrapped/bias"]
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    kernel = dense.kernel.numpy()
    model.fit(x, values(3, 4), verbose=0)
    np.testing.assert_array_equal(dense.kernel, kernel)
    assert np.abs(dense.bias).min() > 0


def test_a_name_that_the_layer_does_not_have():
    with pytest.raises(ValueError, match="wrapped has no variable 'beta' to train; it has"):
        network(L.Dense(4), 8, train=["beta"])(values(1, 8))


def test_statistics_stay_while_training():
    """Also those of a norm in a layer that is not told whether it trains."""
    block = keras.Sequential([L.Conv2D(4, 3), L.BatchNormalization(), L.Dropout(0.5)])
    model, x = network(block, 6, 6, 3, train=["batch_normalization/beta"]), values(2, 6, 6, 3)
    before = [variable.numpy() for variable in model.variables]
    np.testing.assert_array_equal(model(x, training=True), model(x))
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize("again", ["save", "clone"])
def test_what_is_trained_lasts(tmp_path, again):
    inputs, x = keras.Input((5, 8)), values(2, 5, 8)
    layer = SelectiveWrapper(L.MultiHeadAttention(2, 4), train=["query/bias"], name="wrapped")
    model = keras.Model(inputs, layer(inputs, inputs))
    if again == "save":
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded(x), model(x))
    else:
        loaded = keras.models.clone_model(model)
    assert paths(loaded.weights) == paths(model.weights)
    assert paths(loaded.trainable_variables) == ["wrapped/query/bias"]
    loaded.trainable = False
    assert loaded.trainable_variables == []
    loaded.trainable = True
    assert paths(loaded.trainable_variables) == ["wrapped/query/bias"]


def test_names_do_not_depend_on_what_else_the_process_made():
    def names():
        block = keras.Sequential([L.Dense(3), L.Dense(3), L.Dense(3, name="last_1"), L.BatchNormalization()])
        block.build((None, 3))
        return list(own_names(block))

    assert names() == names()
    assert names()[:6] == ["dense/kernel", "dense/bias", "dense_2/kernel", "dense_2/bias", "last/kernel", "last/bias"]


def test_equal_names_in_a_layer_keep_apart():
    class Twins(L.Layer):
        def __init__(self):
            super().__init__()
            self.parts = [L.Dense(3, name="part") for _ in range(2)]

        def build(self, shape):
            for part in self.parts:
                part.build(shape)

        def call(self, x):
            return self.parts[0](x) + self.parts[1](x)

    model = network(Twins(), 3)
    model(values(1, 3))
    assert paths(model.weights) == [
        f"wrapped/{part}/{name}" for part in ("part", "part_2") for name in ("kernel", "bias")
    ]
    assert paths(model.weights) == paths(model.weights)
