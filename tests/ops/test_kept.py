"""What stays in memory from the forward pass until the backward pass."""

import keras
import pytest
import tensorflow as tf

from tests.ops.autodiff import draw
from tinytl_tf import layers, ops
from tinytl_tf.export.build import build_file
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.profiles import get_profile
from tinytl_tf.tflite.model import Model

IMAGE = (2, 8, 6, 4)
KERNEL = draw([3, 3, 4, 4], "float32", seed=1)
GROUPED = draw([3, 3, 2, 4], "float32", seed=1)
DEPTHWISE = draw([3, 3, 4, 1], "float32", seed=1)
VECTOR = draw([4], "float32", seed=2)
LABELS = tf.constant([0, 3])


def kept(op, *shapes):
    """Returns dtype and shape of each tensor that the backward pass reads and that depends on an argument of `op`.

    This is the view of a `tf.function` with the tape inside, as Keras' `fit` and the exporter have it. An eager tape
    records what happens inside a custom gradient as well, and keeps more.
    """
    found = set()

    def traced(*arguments):
        graph = arguments[0].graph
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            y = op(*arguments)
        forward = list(graph.get_operations())
        active = {argument.op for argument in arguments}
        for operation in forward:  # In the order of creation, inputs first.
            if operation.type != "Shape" and any(tensor.op in active for tensor in operation.inputs):
                active.add(operation)
        backward = [gradient.op for gradient in tape.gradient(y, arguments) if gradient is not None]
        for operation in backward:  # Grows on the way.
            backward += {tensor.op for tensor in operation.inputs}.difference(forward, backward)
        found.update(tensor.ref() for operation in backward for tensor in operation.inputs if tensor.op in active)

    tf.function(traced, autograph=False).get_concrete_function(*(tf.TensorSpec(shape) for shape in shapes))
    return sorted((ref.deref().dtype.name, tuple(ref.deref().shape)) for ref in found)


def inverted_residual(x):
    """The repeated block of the networks here, all of it frozen but the biases."""
    for kernel, op in ((KERNEL, ops.conv2d), (DEPTHWISE, ops.depthwise_conv2d)):
        x = ops.relu6(ops.affine(op(x, kernel), VECTOR))
    return ops.affine(ops.conv2d(x, KERNEL), VECTOR)


@pytest.mark.parametrize(
    ("op", "shapes", "expected"),
    {
        "relu": (ops.relu, [IMAGE], [("bool", IMAGE)]),
        "relu6": (ops.relu6, [IMAGE], [("bool", IMAGE)]),
        "hard_swish": (ops.hard_swish, [IMAGE], [("float32", IMAGE)]),
        "leaky_relu": (ops.leaky_relu, [IMAGE], [("bool", IMAGE)]),
        "hard_sigmoid": (ops.hard_sigmoid, [IMAGE], [("bool", IMAGE)]),
        "sigmoid": (ops.sigmoid, [IMAGE], [("float32", IMAGE)]),
        "tanh": (ops.tanh, [IMAGE], [("float32", IMAGE)]),
        "elu": (ops.elu, [IMAGE], [("float32", IMAGE)]),
        "silu": (ops.silu, [IMAGE], [("float32", IMAGE)]),
        "gelu": (ops.gelu, [IMAGE], [("float32", IMAGE)]),
        "gelu_tanh": (ops.gelu_tanh, [IMAGE], [("float32", IMAGE)]),
        "gate": (
            lambda x, g: ops.gate(x, g, ops.silu),
            [IMAGE, [2, 1, 1, 4]],
            [("float32", (2, 1, 1, 4)), ("float32", IMAGE)],
        ),
        "layer norm": (
            lambda x: ops.layer_norm(x, VECTOR, VECTOR),
            [IMAGE],
            [("float32", (2, 8, 6, 1)), ("float32", IMAGE)],
        ),
        "bias": (lambda x, shift: ops.affine(x, shift), [IMAGE, [4]], []),
        "scale and bias": (ops.affine, [IMAGE, [4], [4]], [("float32", (4,)), ("float32", IMAGE)]),
        "frozen conv": (lambda x: ops.conv2d(x, KERNEL), [IMAGE], []),
        "frozen conv, stride 2": (lambda x: ops.conv2d(x, KERNEL, strides=2), [IMAGE], []),
        "frozen grouped conv": (lambda x: ops.conv2d(x, GROUPED, groups=2), [IMAGE], []),
        "frozen dilated conv": (lambda x: ops.conv2d(x, KERNEL, dilation=(1, 2)), [IMAGE], []),
        "frozen dilated depthwise": (lambda x: ops.depthwise_conv2d(x, DEPTHWISE, dilation=2), [IMAGE], []),
        "trained conv": (
            lambda x, k: ops.conv2d(x, k, train_kernel=True),
            [IMAGE, [3, 3, 4, 4]],
            [("float32", IMAGE), ("float32", (3, 3, 4, 4))],
        ),
        "frozen depthwise": (lambda x: ops.depthwise_conv2d(x, DEPTHWISE), [IMAGE], []),
        "frozen depthwise, stride 2": (lambda x: ops.depthwise_conv2d(x, DEPTHWISE, strides=2), [IMAGE], []),
        "trained depthwise": (
            lambda x, k: ops.depthwise_conv2d(x, k, train_kernel=True),
            [IMAGE, [3, 3, 4, 1]],
            [("float32", IMAGE), ("float32", (3, 3, 4, 1))],
        ),
        "group norm": (
            lambda x: ops.group_norm(x, VECTOR, VECTOR, groups=2),
            [IMAGE],
            [("float32", (2, 1, 1, 4)), ("float32", IMAGE)],
        ),
        "average pool": (ops.average_pool, [IMAGE], []),
        "overlapping average pool": (lambda x: ops.average_pool(x, 3, 2, "same"), [IMAGE], []),
        "max pool": (lambda x: ops.max_pool(x, 3, 2, "same"), [IMAGE], [("uint8", (2, 4, 3, 4))]),
        "max pool of one number": (lambda x: ops.max_pool(x, 1, 2), [IMAGE], []),
        "crop": (lambda x: ops.crop(x, (1, 0, 2), (4, 6, 2)), [IMAGE], []),
        "nearest upsampling": (ops.upsample_nearest, [IMAGE], []),
        "global average pool": (ops.global_average_pool, [IMAGE], []),
        "resize": (lambda x: ops.resize_bilinear(x, (16, 12)), [IMAGE], []),
        "cross-entropy": (
            lambda x: ops.softmax_cross_entropy(x, LABELS),
            [[2, 4]],
            [("float32", (2, 4))],
        ),
        "frozen block": (inverted_residual, [IMAGE], [("bool", IMAGE), ("bool", IMAGE)]),
    }.values(),
)
def test_kept(op, shapes, expected):
    assert kept(op, *shapes) == sorted(expected)


def test_tensorflow_itself_keeps_floats():
    """The way of measuring finds what TensorFlow keeps of the same block."""
    plain = kept(lambda x: tf.nn.relu6(tf.nn.conv2d(x, KERNEL, 1, "SAME")), IMAGE)
    assert ("float32", IMAGE) in plain


@pytest.mark.thorough
@pytest.mark.parametrize("profile", ["balanced", "min-memory"])
def test_a_file_keeps_a_byte_of_each_maximum(profile):
    """The order of the operators must not bring forward a float of the index, or a mask of each place in a window."""
    inputs = keras.Input((64, 64, 3))
    x = layers.FrozenConv2D(16, 3, 2, activation="relu", train=["norm/beta"], name="stem")(inputs)
    x = layers.GlobalAveragePooling()(layers.MaxPooling(3, 2, "same")(x))
    model = keras.Model(inputs, keras.layers.Dense(3, name="classifier")(x))
    module = TrainableModule(
        model,
        model.trainable_variables,
        optimizer=get_optimizer("sgd"),
        batch_size=2,
        profile=get_profile(profile),
    )
    graph = max(Model.from_bytes(build_file(module)[0]).graphs, key=lambda graph: len(graph.operators))
    loss = [op.name for op in graph.operators].index("LOG_SOFTMAX")
    before = {output for op in graph.operators[:loss] for output in op.outputs}
    after = {tensor for op in graph.operators[loss:] for tensor in op.inputs}
    kept = [graph.tensors[index] for index in before & after]
    wide = sorted((tensor.dtype, tensor.bytes) for tensor in kept if tensor.bytes >= 1024)
    assert wide == [("uint8", 32 * 32 * 16 // 8), ("uint8", 16 * 16 * 16)]
