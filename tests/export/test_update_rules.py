import keras
import numpy as np
import pytest
import tensorflow as tf

from tinytl_tf.errors import InputError
from tinytl_tf.export.update_rules import UPDATE_RULES, get_update_rule
from tinytl_tf.training import OPTIMIZERS, get_optimizer


def test_has_the_optimizers_of_training():
    assert list(UPDATE_RULES) == list(OPTIMIZERS)
    assert all(get_update_rule(name).name == name for name in UPDATE_RULES)


@pytest.mark.parametrize("name", UPDATE_RULES)
def test_equals_keras_over_many_steps_of_any_size(name):
    rule, optimizer = get_update_rule(name), get_optimizer(name)
    rng = np.random.default_rng(0)
    start = rng.normal(size=50).astype(np.float32)
    variable = keras.Variable(start)
    optimizer.build([variable])
    value, slots = tf.constant(start), [tf.zeros(50)] * rule.slots
    for step in range(1, 101):
        gradient = tf.constant(rng.normal(size=50) * 10.0 ** rng.integers(-8, 3, 50), tf.float32)
        rate = np.float32(rng.uniform(1e-4, 1e-2))
        optimizer.learning_rate.assign(rate)
        optimizer.apply([gradient])
        value, slots = rule.update(value, gradient, slots, tf.constant(step, tf.float32), tf.constant(rate))
        np.testing.assert_allclose(value, variable, rtol=1e-5, atol=1e-5)
    assert np.abs(variable - start).max() > 1e-2


def test_unknown():
    with pytest.raises(InputError) as error:
        get_update_rule("lion")
    assert str(error.value) == "unknown optimizer 'lion'; choose one of sgd, momentum, adam"
