import keras
import numpy as np
import pytest
import tensorflow as tf

from tinytl_tf.export.update_rules import update
from tinytl_tf.optimizers import OPTIMIZERS, get_optimizer
from tinytl_tf.training import make_optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_keras_over_many_steps_of_any_size(name):
    row, optimizer = get_optimizer(name), make_optimizer(name)
    rng = np.random.default_rng(0)
    start = rng.normal(size=50).astype(np.float32)
    variable = keras.Variable(start)
    optimizer.build([variable])
    value, slots = tf.constant(start), [tf.zeros(50)] * len(row.slots)
    for step in range(1, 101):
        gradient = tf.constant(rng.normal(size=50) * 10.0 ** rng.integers(-8, 3, 50), tf.float32)
        rate = np.float32(rng.uniform(1e-4, 1e-2))
        optimizer.learning_rate.assign(rate)
        optimizer.apply([gradient])
        value, slots = update(row, value, gradient, slots, tf.constant(step, tf.float32), tf.constant(rate))
        np.testing.assert_allclose(value, variable, rtol=1e-5, atol=1e-5)
    assert np.abs(variable - start).max() > 1e-2
