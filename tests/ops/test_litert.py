"""Every op in LiteRT, forward and backward, against eager TensorFlow."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import tensorflow as tf

from tests.litert import convert, describe, run
from tinytl_tf import ops
from tinytl_tf.ops.padding import as_pair


@dataclasses.dataclass(frozen=True)
class Case:
    """`op(x, *constants, *variables, **extra)`; `x` and the variables get gradients."""

    op: Callable
    x: Sequence[int]
    constants: Sequence[Sequence[int]] = ()
    variables: Sequence[Sequence[int]] = ()
    extra: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)


def frozen(x, kernel, **options):
    return Case(lambda x, k: ops.conv2d(x, k, **options), x, constants=[kernel])


def trained(x, kernel, **options):
    return Case(lambda x, k: ops.conv2d(x, k, train_kernel=True, **options), x, variables=[kernel])


def frozen_depthwise(x, size, **options):
    size = as_pair(size)
    return Case(lambda x, k: ops.depthwise_conv2d(x, k, **options), x, constants=[(*size, x[-1], 1)])


def trained_depthwise(x, size, **options):
    op = lambda x, k: ops.depthwise_conv2d(x, k, train_kernel=True, **options)  # noqa: E731
    return Case(op, x, variables=[(*as_pair(size), x[-1], 1)])


SMALL = 600  # Bytes: shapes, paddings, the two matrices of a resize. Every activation here is larger.
EVEN, ODD, BIG = (2, 16, 12, 16), (2, 15, 13, 16), (1, 32, 32, 8)
SIGNAL = (2, 1, 50, 16)
EXPLICIT = ((0, 1), (2, 1))

CASES = {
    "relu": Case(ops.relu, EVEN),
    "relu6": Case(ops.relu6, EVEN),
    "hard_swish": Case(ops.hard_swish, EVEN),
    "affine_shift": Case(ops.affine, EVEN, variables=[(16,)]),
    "affine_scale_shift": Case(ops.affine, EVEN, variables=[(16,), (16,)]),
    "conv_1x1": frozen(EVEN, (1, 1, 16, 24)),
    "conv_1x1_s2_even": frozen(EVEN, (1, 1, 16, 24), strides=2),
    "conv_1x1_s2_odd": frozen(ODD, (1, 1, 16, 24), strides=2),
    "conv_3x3": frozen(EVEN, (3, 3, 16, 24)),
    "conv_3x3_valid": frozen(ODD, (3, 3, 16, 24), padding="valid"),
    "conv_3x3_explicit": frozen(ODD, (3, 3, 16, 24), padding=EXPLICIT),
    "conv_3x3_s2_even": frozen(EVEN, (3, 3, 16, 24), strides=2),
    "conv_3x3_s2_odd": frozen(ODD, (3, 3, 16, 24), strides=2),
    "conv_3x3_s2_valid": frozen(EVEN, (3, 3, 16, 24), strides=2, padding="valid"),
    "conv_3x3_s2_explicit": frozen(EVEN, (3, 3, 16, 24), strides=2, padding=EXPLICIT),
    "conv_5x5_s2_groups4": frozen(EVEN, (5, 5, 4, 24), strides=2, groups=4),
    "conv_7x7": frozen(ODD, (7, 7, 16, 8)),
    "conv_1x7": frozen(ODD, (1, 7, 16, 8)),
    "conv_3x3_s12": frozen(ODD, (3, 3, 16, 8), strides=(1, 2)),
    "conv_3x3_dilation2": frozen(EVEN, (3, 3, 16, 8), dilation=2),
    "conv_3x3_dilation13_valid": frozen(ODD, (3, 3, 16, 8), dilation=(1, 3), padding="valid"),
    "conv_3x3_a_group_each": frozen(EVEN, (3, 3, 1, 16), groups=16),
    "conv_signal": frozen(SIGNAL, (1, 5, 16, 8), strides=(1, 2)),
    "train_conv_1x1": trained(EVEN, (1, 1, 16, 24)),
    "train_conv_1x1_s2": trained(EVEN, (1, 1, 16, 24), strides=2),
    "train_conv_3x3": trained(EVEN, (3, 3, 16, 24)),
    "train_conv_3x3_s2_explicit": trained(EVEN, (3, 3, 16, 24), strides=2, padding=EXPLICIT),
    "train_conv_3x3_stem": trained((2, 32, 32, 3), (3, 3, 3, 16), strides=2),
    "train_conv_3x1_s21": trained(EVEN, (3, 1, 16, 8), strides=(2, 1)),
    "train_conv_3x3_dilation2": trained(EVEN, (3, 3, 16, 8), dilation=2),
    "train_conv_signal": trained(SIGNAL, (1, 5, 16, 8), strides=(1, 2)),
    "train_conv_5x5_groups2": trained(EVEN, (5, 5, 8, 16), groups=2),
    "train_conv_5x5_s2_groups4": trained(EVEN, (5, 5, 4, 24), strides=2, groups=4),
    "train_conv_5x5_s2_groups4_batch1": trained((1, 15, 15, 16), (5, 5, 4, 24), strides=2, groups=4),
}
CASES |= {
    f"depthwise_{size}x{size}_s{strides}_{name}": frozen_depthwise(x, size, strides=strides)
    for size in (3, 5, 7)
    for strides in (1, 2)
    for name, x in {"even": EVEN, "odd": ODD}.items()
}
CASES |= {
    "depthwise_3x3_s2_valid": frozen_depthwise(EVEN, 3, strides=2, padding="valid"),
    "depthwise_1x7": frozen_depthwise(ODD, (1, 7)),
    "depthwise_3x3_s12": frozen_depthwise(ODD, 3, strides=(1, 2)),
    "depthwise_3x3_dilation2": frozen_depthwise(EVEN, 3, dilation=2),
    "depthwise_3x3_dilation13_valid": frozen_depthwise(ODD, 3, dilation=(1, 3), padding="valid"),
    "depthwise_signal": frozen_depthwise(SIGNAL, (1, 5), strides=(1, 2)),
    "train_depthwise_3x3_s12": trained_depthwise(ODD, 3, strides=(1, 2)),
    "train_depthwise_3x3_dilation2": trained_depthwise(EVEN, 3, dilation=2),
    "train_depthwise_signal": trained_depthwise(SIGNAL, (1, 5), strides=(1, 2)),
    "depthwise_3x3_s2_explicit": frozen_depthwise(EVEN, 3, strides=2, padding=EXPLICIT),
}
CASES |= {
    f"train_depthwise_{size}x{size}_s{strides}": trained_depthwise(EVEN, size, strides=strides)
    for size in (3, 5, 7)
    for strides in (1, 2)
}
CASES |= {
    "group_norm": Case(lambda x, *v: ops.group_norm(x, *v, groups=4), EVEN, variables=[(16,), (16,)]),
    "group_norm_frozen": Case(lambda x, *v: ops.group_norm(x, *v, groups=4), EVEN, constants=[(16,), (16,)]),
    "average_pool_even": Case(ops.average_pool, BIG),
    "average_pool_odd": Case(ops.average_pool, (2, 15, 13, 16)),
    "average_pool_3": Case(lambda x: ops.average_pool(x, 3), BIG),
    "average_pool_3_s2_same": Case(lambda x: ops.average_pool(x, 3, 2, "same"), ODD),
    "average_pool_3_s1_same": Case(lambda x: ops.average_pool(x, 3, 1, "same"), EVEN),
    "average_pool_23_s12": Case(lambda x: ops.average_pool(x, (2, 3), (1, 2)), EVEN),
    "average_pool_2_same_odd": Case(lambda x: ops.average_pool(x, 2, padding="same"), ODD),
    "max_pool_2": Case(ops.max_pool, EVEN),
    "max_pool_3_s2": Case(lambda x: ops.max_pool(x, 3, 2), ODD),
    "max_pool_3_s2_same": Case(lambda x: ops.max_pool(x, 3, 2, "same"), EVEN),
    "max_pool_3_s1_same": Case(lambda x: ops.max_pool(x, 3, 1, "same"), EVEN),
    "max_pool_12_s23": Case(lambda x: ops.max_pool(x, (1, 2), (2, 3)), ODD),
    "max_pool_1_s2": Case(lambda x: ops.max_pool(x, 1, 2), EVEN),
    "max_pool_relu": Case(lambda x: ops.max_pool(ops.relu(x), 3, 2, "same"), EVEN),
    "crop": Case(lambda x: ops.crop(x, (1, 0, 2), (9, 12, 8)), EVEN),
    "upsample_2": Case(ops.upsample_nearest, EVEN),
    "upsample_31": Case(lambda x: ops.upsample_nearest(x, (3, 1)), ODD),
    "global_average_pool": Case(ops.global_average_pool, EVEN),
    "global_average_pool_keepdims": Case(lambda x: ops.global_average_pool(x, keepdims=True), EVEN),
    "resize_2x": Case(lambda x: ops.resize_bilinear(x, (16, 16)), (2, 8, 8, 16)),
    "resize_odd": Case(lambda x: ops.resize_bilinear(x, (15, 13)), (2, 7, 6, 16)),
    "resize_down": Case(lambda x: ops.resize_bilinear(x, (7, 5)), (2, 16, 12, 16)),
    "resize_1_pixel": Case(lambda x: ops.resize_bilinear(x, (4, 4)), (2, 1, 1, 16)),
    "cross_entropy": Case(
        lambda x, labels: ops.softmax_cross_entropy(x, labels, label_smoothing=0.1),
        (4, 10),
        extra={"labels": np.int32([0, 3, 9, 3])},
    ),
}

# Sums of up to 1000 terms in another order than TensorFlow's; the largest difference seen is 1.2e-6.
TOLERANCE = 1e-5


def draw(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def training_step(op, constants, variables, extra):
    """A function of `x`, the output's gradient and `extra` that returns values, gradients and updated variables."""

    def step(x, dy, *others):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = op(x, *constants, *variables, **dict(zip(extra, others, strict=True)))
        dx, *gradients = tape.gradient(y, [x, *variables], output_gradients=dy)
        outputs = {"y": y, "dx": dx}
        for i, (variable, gradient) in enumerate(zip(variables, gradients, strict=True)):
            # Without an assignment the converter would make a constant of the variable.
            outputs |= {f"gradient_{i}": gradient, f"updated_{i}": variable.assign_sub(0.01 * gradient)}
        return outputs

    return step


@pytest.mark.parametrize("name", CASES)
def test_litert(name):
    convert_and_compare(CASES[name])


def convert_and_compare(case):
    """Returns the file of one training step, whose results are those of TensorFlow."""
    constants = [tf.constant(draw(shape, seed)) for seed, shape in enumerate(case.constants, 1)]
    variables = [tf.Variable(draw(shape, seed)) for seed, shape in enumerate(case.variables, 5)]
    x = draw(case.x, 0)
    dy = draw(case.op(x, *constants, *variables, **case.extra).shape, 9)
    inputs = {"x": x, "dy": dy, **case.extra}
    step = training_step(case.op, constants, variables, case.extra)

    model = convert(step, [tf.TensorSpec(array.shape, array.dtype, name) for name, array in inputs.items()])
    # Without XNNPACK, LiteRT has other convolutions for one thread than for two.
    results = [run(model, inputs, xnnpack=xnnpack, threads=n) for xnnpack, n in ((True, 1), (False, 1), (False, 2))]
    expected = step(*map(tf.constant, inputs.values()))

    for result in results:
        assert result.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(result[key], value, rtol=0, atol=TOLERANCE * np.abs(value).max(), err_msg=key)
    description = describe(model)
    assert description.custom == ()
    assert description.rank <= 4
    largest = max((4 * np.prod(shape) for shape in (*case.constants, *case.variables)), default=0)
    assert description.constants[0] <= max(largest, SMALL)
    return model
