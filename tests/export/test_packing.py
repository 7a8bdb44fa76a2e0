import keras
import numpy as np
import tensorflow as tf

from tinytl_tf.export.packing import PackedVariables, state_order

RNG = np.random.default_rng(0)


def variables(*shapes):
    return [keras.Variable(RNG.normal(size=shape).astype(np.float32)) for shape in shapes]


def test_vectors_come_first_and_are_one():
    given = variables((2, 3), (4,), (3,), (1, 1, 2, 2))
    packed = PackedVariables(given)
    assert state_order(given) == [given[1], given[2], given[0], given[3]]
    assert [value.shape for value in packed.start] == [(7,), (2, 3), (1, 1, 2, 2)]
    np.testing.assert_array_equal(
        np.concatenate([value.ravel() for value in packed.start]),
        np.concatenate([variable.numpy().ravel() for variable in state_order(given)]),
    )


def test_layers_see_their_parts_and_gradients_go_back_to_the_whole():
    given = variables((3,), (2, 3), (2,))
    packed = PackedVariables(given)
    stored = [tf.constant(value) for value in packed.start]
    with tf.GradientTape() as tape:
        tape.watch(stored)
        with keras.StatelessScope(packed.mapping(stored)):
            y = tf.linalg.matvec(given[1], given[0] ** 2) * given[2]
    gradients = tape.gradient(y, stored)
    with tf.GradientTape() as tape:
        y = tf.linalg.matvec(given[1].value, given[0].value ** 2) * given[2].value
    plain = tape.gradient(y, [variable.value for variable in given])
    np.testing.assert_allclose(gradients[0], np.concatenate([plain[0], plain[2]]), rtol=1e-6)
    np.testing.assert_allclose(gradients[1], plain[1], rtol=1e-6)


def test_factors_are_those_of_what_is_stored_together():
    given = variables((2, 3), (2,), (1,), (3, 1))
    assert PackedVariables(given).rate_factors == [1.0, 1.0, 1.0]
    for variable, factor in zip(given, (0.5, 2.0, 3.0, 1.0), strict=True):
        variable.rate_factor = factor
    vector, *kernels = PackedVariables(given).rate_factors
    assert (vector.tolist(), vector.dtype, kernels) == ([2.0, 2.0, 3.0], np.float32, [0.5, 1.0])
    given[2].rate_factor = 2.0
    assert PackedVariables(given).rate_factors == [2.0, 0.5, 1.0]
    given[2].rate_factor = 3.0
    assert PackedVariables(given, vector_bytes=8).rate_factors == [2.0, 3.0, 0.5, 1.0]


def test_kernels_alone_and_vectors_alone():
    for shapes in ([(2, 3), (3, 1)], [(2,), (5,)]):
        given = variables(*shapes)
        packed = PackedVariables(given)
        mapping = packed.mapping([tf.constant(value) for value in packed.start])
        assert [variable for variable, _ in mapping] == given
        for variable, value in mapping:
            np.testing.assert_array_equal(value, variable.numpy())
