"""Keras' own test of a layer, and masks of sequences, for activations, gates and norms."""

import keras
import numpy as np
import pytest
from keras.src.testing import TestCase

from tinytl_tf.layers import Activation, FrozenNorm, Gate, GroupNorm, LayerNorm

IMAGE, TOKENS, ROWS = (2, 4, 4, 8), (2, 4, 8), (2, 8)
BOTH = {"train": ["gamma", "beta"]}
CASES = {
    "activation": (Activation, {"activation": "silu"}, IMAGE),
    "activation_with_slope": (Activation, {"activation": "leaky_relu", "negative_slope": 0.3}, ROWS),
    "gate": (Gate, {"activation": "hard_swish"}, (IMAGE, (2, 1, 1, 8))),
    "frozen_norm": (FrozenNorm, {**BOTH}, IMAGE),
    "frozen_norm_of_tokens": (FrozenNorm, {"scale": False, "train": ["beta"]}, TOKENS),
    "group_norm": (GroupNorm, {**BOTH}, IMAGE),
    "group_norm_of_rows": (GroupNorm, {"groups": -1, "center": False, "train": ["gamma"]}, ROWS),
    "layer_norm": (LayerNorm, {**BOTH}, TOKENS),
    "layer_norm_without_vectors": (LayerNorm, {"center": False, "scale": False}, IMAGE),
}


class LayerTest(TestCase):
    def runTest(self):  # noqa: N802, the name that unittest calls
        """Takes the place of a test method."""


@pytest.mark.parametrize("name", CASES)
# Of Keras' own call of fit.
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights:UserWarning")
def test_keras_own_test_of_a_layer(name):
    layer, arguments, shape = CASES[name]
    several = isinstance(shape[0], tuple)
    test = LayerTest()
    test.setUp()
    try:
        test.run_layer_test(
            layer,
            init_kwargs=arguments,
            input_shape=shape,
            expected_output_shape=shape[0] if several else shape,
            expected_num_trainable_weights=len(arguments.get("train", ())),
        )
    finally:
        test.tearDown()


@pytest.mark.parametrize("name", ["activation_with_slope", "frozen_norm", "group_norm", "layer_norm"])
def test_a_mask_is_passed_on(name):
    layer, arguments, _ = CASES[name]
    tokens = keras.Input((4,), dtype="int32")
    outputs = layer(**arguments)(keras.layers.Embedding(9, 8, mask_zero=True)(tokens))
    masked = keras.Model(tokens, keras.layers.GlobalAveragePooling1D()(outputs))
    outputs = layer(**arguments)(keras.layers.Embedding(9, 8)(tokens))
    unmasked = keras.Model(tokens, keras.layers.GlobalAveragePooling1D()(outputs))
    unmasked.set_weights(masked.get_weights())
    ids = np.int32([[3, 5, 0, 0]])
    assert not np.allclose(masked(ids), unmasked(ids))
    np.testing.assert_allclose(masked(np.int32([[3, 5, 2, 2]])), unmasked(np.int32([[3, 5, 2, 2]])), atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_the_configuration_holds_all_arguments(name):
    layer, arguments, _ = CASES[name]
    config = layer(**arguments).get_config()
    assert {**config, **arguments} == config
