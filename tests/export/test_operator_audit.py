import dataclasses

import keras
import pytest
import tensorflow as tf
from ai_edge_litert.schema_py_generated import BuiltinOperator

from tests import tiny_tflite
from tinytl_tf.errors import InputError
from tinytl_tf.export.operator_audit import (
    OperatorCount,
    audit,
    conversion_error,
    layer_of,
    minimum_runtime,
    write_minimum_runtime,
)
from tinytl_tf.tflite.edit import add_operator_code
from tinytl_tf.tflite.model import Model

REMEDY = "the runtime has no such builtin operator; write the layer with the operations of tinytl_tf.ops"
INVERSE = (("invert",), None, ("TFLITE_BUILTINS", "SELECT_TF_OPS"))


def test_lists_operators_with_versions_and_counts():
    model = Model.from_bytes(tiny_tflite.build())
    counts = audit(model)
    assert counts == sorted(counts)
    assert sum(count.count for count in counts) == len(list(model.operators()))
    by_name = {count.name: count for count in counts}
    assert by_name["SOFTMAX"] == OperatorCount("SOFTMAX", version=1, count=1)
    assert by_name["ASSIGN_VARIABLE"].count >= 4  # kernel and bias, by `train` and by `restore`


def test_reads_a_path(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build())
    assert audit(path) == audit(Model.from_bytes(tiny_tflite.build()))


def test_a_reversal_that_older_runtimes_compute_wrongly_is_refused():
    def converted(*axes):
        class Module(tf.Module):
            @tf.function(input_signature=[tf.TensorSpec([2, 3], tf.float32)])
            def __call__(self, x):
                with tf.name_scope("mirror"):
                    for axis in axes:
                        x = tf.reverse(x, axis)
                return x + 1.0

        module = Module()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([module.__call__.get_concrete_function()], module)
        return Model.from_bytes(converter.convert())

    assert {count.name: count.count for count in audit(converted([0], [1]))}["REVERSE_V2"] == 2
    with pytest.raises(
        InputError, match=r"expected a reversal along one axis, got several in layer mirror.*: runtimes up"
    ):
        audit(converted([0, 1]))


def test_oldest_runtime():
    model = Model.from_bytes(tiny_tflite.build())
    model.set_metadata("min_runtime_version", b"1.0.0")  # what was written does not count
    assert minimum_runtime(model) == "2.6.0"  # of variables
    softmax = next(code for code in model.schema.operatorCodes if code.builtinCode == BuiltinOperator.SOFTMAX)
    softmax.version = 3  # of 2.3
    assert minimum_runtime(Model(model.schema)) == "2.6.0"
    add_operator_code(model.schema, "BITWISE_XOR")  # of 2.13, without a use
    assert minimum_runtime(Model(model.schema)) == "2.6.0"
    softmax.builtinCode = BuiltinOperator.ABS
    softmax.version = 5
    assert minimum_runtime(Model(model.schema)) == "2.12.0"
    softmax.version = 99  # of nobody knows when
    assert minimum_runtime(Model(model.schema)) == tf.__version__
    model = Model(model.schema)
    write_minimum_runtime(model)
    again = Model.from_bytes(model.to_bytes())
    assert again.metadata("min_runtime_version") == tf.__version__.encode().ljust(16, b"\0")


def test_refuses_a_flex_operator():
    with pytest.raises(InputError) as error:
        audit(Model.from_bytes(tiny_tflite.build(*INVERSE)))
    assert str(error.value).startswith("expected builtin operators only, got FlexMatrixInverse in layer ")
    assert str(error.value).endswith(f": {REMEDY}")


def test_refuses_a_custom_operator_naming_its_layer():
    model = Model.from_bytes(tiny_tflite.build())
    graph = model.graphs[model.signature("infer").graph]
    position = next(i for i, op in enumerate(graph.operators) if op.name == "SOFTMAX")
    target = graph.tensors[graph.operators[position].outputs[0]]
    renamed = dataclasses.replace(target, name="net/head/Softmax;other/probabilities/Softmax")
    operator = dataclasses.replace(graph.operators[position], name="MySoftmax", is_custom=True)
    changed = dataclasses.replace(
        graph,
        tensors=tuple(renamed if t is target else t for t in graph.tensors),
        operators=(*graph.operators[:position], operator, *graph.operators[position + 1 :]),
    )
    model.graphs = tuple(changed if g is graph else g for g in model.graphs)
    with pytest.raises(InputError) as error:
        audit(model)
    assert str(error.value) == (
        "expected builtin operators only, got MySoftmax in layer other/probabilities "
        f"(tensor other/probabilities/Softmax, graph infer): {REMEDY}"
    )


@pytest.fixture(scope="module")
def failure(tmp_path_factory):
    """Text of the converter's error for a Keras network whose gradients are not builtin."""
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="stem_conv")(images)
    x = keras.layers.ReLU(6.0, name="stem_relu")(x)
    x = keras.layers.MaxPooling2D(name="shrink")(x)
    net = keras.Model(images, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="net")
    bias = net.get_layer("stem_conv").bias.value
    module = tf.Module()
    module.weights = [variable.value for variable in net.weights]

    @tf.function(input_signature=[tf.TensorSpec([2, 8, 8, 3], tf.float32, name="image")])
    def train(image):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(net(image, training=True))
        bias.assign_sub(tape.gradient(loss, bias))
        return {"loss": loss}

    folder = str(tmp_path_factory.mktemp("saved"))
    tf.saved_model.save(module, folder, signatures={"train": train})
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["train"])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    with pytest.raises(Exception, match="ERROR_NEEDS_FLEX_OPS") as error:
        converter.convert()
    return str(error.value)


def test_a_failed_conversion_names_operators_and_keras_layers(failure):
    message = str(conversion_error(failure))
    assert "\n" not in message
    assert message.startswith("expected builtin operators only, got tf.")
    assert message.endswith(f": {REMEDY}")
    assert message.count("tf.MaxPoolGrad in layer net") == 1
    assert message.count("tf.Relu6Grad in layer net") == 1
    assert "/stem_relu" in message
    assert "/shrink" in message
    assert "stem_conv" not in message


def test_another_failed_conversion_keeps_its_first_line():
    assert str(conversion_error("\nNo signatures.\nmore\n")) == "the conversion to LiteRT failed: No signatures."
    assert str(conversion_error("")) == "the conversion to LiteRT failed: no message"


@pytest.mark.parametrize(
    ("node", "layer"),
    [
        ("gradient_tape/while/net_1/stem_relu/Relu6/Relu6Grad", "net_1/stem_relu"),
        ("StatefulPartitionedCall/net/block_1/expand/Conv2D", "net/block_1/expand"),
        ("while/ReluGrad", "ReluGrad"),
        ("PartitionedCall:1", "PartitionedCall:1"),
        ("", ""),
    ],
)
def test_layer_of(node, layer):
    assert layer_of(node) == layer
