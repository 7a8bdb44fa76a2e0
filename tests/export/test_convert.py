"""What a converted file is made of."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import tiny_network
from tests.export.conftest import CASES, WHOLE_CASES
from tinytl_tf import layers
from tinytl_tf.errors import InputError
from tinytl_tf.export import audit, export
from tinytl_tf.export.convert import convert
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.tflite.model import Model


@pytest.fixture(params=WHOLE_CASES)
def case(request):
    return request.param


@pytest.fixture
def file(exported, case):
    return Model.read(exported(*case))


def parameters(scheme):
    return sum(int(np.prod(variable.shape)) for variable in tiny_network.build(scheme).trainable_variables)


def buffers(model):
    """Content of each constant of at least 64 bytes, and the graphs that use it."""
    users = collections.defaultdict(set)
    for graph in model.graphs:
        for tensor in graph.tensors:
            if tensor.is_constant and tensor.bytes >= 64:
                users[tensor.buffer].add(graph.index)
    return {index: (bytes(model.schema.buffers[index].data), graphs) for index, graphs in users.items()}


def test_signatures(file, case):
    scheme, _, batch_size = case
    size, classes, state = tiny_network.RESOLUTION, len(tiny_network.LABELS), parameters(scheme)
    described = {
        name: [
            {key: (tensor.dtype, tensor.shape) for key, tensor in tensors.items()}
            for tensors in (signature.inputs, signature.outputs)
        ]
        for name, signature in file.signatures.items()
    }
    number = ("float32", (1,))
    assert described == {
        "infer": [
            {"image": ("uint8", (1, size, size, 3))},
            {"logits": ("float32", (1, classes)), "probabilities": ("float32", (1, classes))},
        ],
        "train": [
            {
                "image": ("uint8", (batch_size, size, size, 3)),
                "label": ("int32", (batch_size,)),
                "learning_rate": number,
            },
            {"loss": number, "accuracy": number, "applied": ("int32", (1,))},
        ],
        "save": [{}, {"state": ("float32", (state,))}],
        "restore": [{"state": ("float32", (state,))}, {"restored": ("int32", (1,))}],
        "reset": [{}, {"restored": ("int32", (1,))}],
    }


def test_builtin_operators_of_rank_4_and_static_shapes(file, case):
    names = {count.name for count in audit(file)}  # raises for a Flex or custom operator
    assert max(len(tensor.shape) for graph in file.graphs for tensor in graph.tensors) <= 4
    assert not any(graph.dynamic for graph in file.graphs)
    assert ("WHILE" in names) == (case[2] > 1)


def test_variables_are_what_is_trained_its_slots_and_sums(file, case):
    scheme, optimizer, batch_size = case
    slots = len(get_optimizer(optimizer).slots)
    copies = 1 + slots + (batch_size > 1)
    counter = 4 if slots else 0
    assert sum(file.resource_variables.values()) == 4 * copies * parameters(scheme) + counter


def test_no_constant_is_stored_twice_or_full_of_zeros(file):
    contents = [content for content, _ in buffers(file).values()]
    # The trunk has one vector of zeros and one of ones: the norm of a branch, if it was not trained.
    assert len(set(contents)) == len(contents)
    assert sum(len(content) for content in contents if not any(content)) <= 512


def test_reset_has_no_constants_of_its_own(file):
    reset = file.signature("reset").graph
    shared = [graphs for _, graphs in buffers(file).values() if reset in graphs]
    assert shared
    assert all(len(graphs) > 1 for graphs in shared)


@pytest.mark.parametrize("scheme", ["last", "tinytl-b", "tinytl-lb"])
def test_frozen_weights_are_constants(exported, scheme):
    file = Model.read(exported(*next(case for case in CASES if case[0] == scheme)))
    model = tiny_network.build(scheme)
    stored = sum(len(content) for content, _ in buffers(file).values())
    # A frozen kernel that backward crosses is there in two layouts, everything else once.
    assert stored < 4 * (2 * model.count_params()) + 40_000


@keras.saving.register_keras_serializable(package="tests")
class Inverse(keras.layers.Layer):
    def call(self, inputs):
        gram = tf.matmul(inputs, inputs, transpose_a=True)
        return tf.matmul(inputs, tf.linalg.inv(gram + tf.eye(inputs.shape[-1])))

    def compute_output_shape(self, input_shape):
        return input_shape


def user_model(layer):
    inputs = keras.Input((16, 16, 3))
    x = layers.FrozenConv2D(8, 3, strides=2, train=["norm/beta"], name="stem")(keras.layers.Rescaling(1 / 255)(inputs))
    x = layers.GlobalAveragePooling(name="pool")(layer(x))
    return keras.Model(inputs, keras.layers.Dense(3, name="classifier")(x), name="mine")


@pytest.mark.parametrize(
    ("layer", "operator"),
    [
        (keras.layers.MaxPooling2D(name="shrink"), "tf.MaxPoolGrad"),
        (keras.layers.ReLU(6.0, name="clip"), "tf.Relu6Grad"),
        (Inverse(name="whiten"), "tf.MatrixInverse"),
    ],
    ids=["gradient", "activation", "forward"],
)
@pytest.mark.parametrize("batch_size", [1, 2])
def test_an_operator_that_is_not_builtin_is_refused_with_its_layer(tmp_path, layer, operator, batch_size):
    model = user_model(layer)
    with pytest.raises(InputError) as error:
        export(model, tmp_path / "m.tflite", labels=list("abc"), batch_size=batch_size)
    message = str(error.value)
    assert message.startswith(f"expected builtin operators only, got {operator} in layer ")
    assert f"/{layer.name}" in message.split(" (node ")[0]
    assert message.endswith("write the layer with the operations of tinytl_tf.ops")
    assert list(tmp_path.iterdir()) == []


def contents(content):
    """Operators of the graphs, tensors and constants, without the names and places that differ from run to run."""
    model = Model.from_bytes(content)
    graphs = sorted(
        (
            sorted((op.name, op.version) for op in graph.operators),
            sorted((tensor.dtype, tensor.shape) for tensor in graph.tensors),
        )
        for graph in model.graphs
    )
    constants = sorted(b"" if buffer.data is None else bytes(buffer.data) for buffer in model.schema.buffers)
    return sorted(model.signatures), graphs, constants


@pytest.mark.thorough
def test_the_way_of_the_public_converter_leads_to_the_same_file(tmp_path):
    model = user_model(keras.layers.Identity())
    module = TrainableModule(model, model.trainable_variables, optimizer=get_optimizer("adam"), batch_size=2)
    tf.saved_model.save(module, tmp_path, signatures=module.functions)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path), signature_keys=list(module.functions))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    converter.exclude_conversion_metadata = True
    assert contents(convert(module)) == contents(converter.convert())
