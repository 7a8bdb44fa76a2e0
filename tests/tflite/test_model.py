import subprocess
import sys

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import QuantizationParametersT

from tests import tiny_models, tiny_tflite
from tests.export.passes.graphs import single_graph
from tinytl_tf.errors import InputError
from tinytl_tf.tflite.edit import add_operator_code
from tinytl_tf.tflite.graph import Graph, Operator, Tensor
from tinytl_tf.tflite.liveness import Lifetime, lifetimes, shared_buffers
from tinytl_tf.tflite.model import Model

KERNEL_BYTES = 9 * tiny_models.CHANNELS * tiny_models.FILTERS * 4


@pytest.fixture(scope="module")
def model():
    return Model.from_bytes(tiny_models.build())


def test_signatures(model):
    assert set(model.signatures) == {"infer", "train", "train_sliced", "nothing"}
    train = model.signature("train")
    image = train.inputs["image"]
    size = tiny_models.SIZE
    assert image.shape == (tiny_models.BATCH, size, size, tiny_models.CHANNELS)
    assert (image.dtype, image.bytes) == ("float32", 4 * tiny_models.BATCH * size * size * tiny_models.CHANNELS)
    assert not image.is_constant
    assert image.index in model.graphs[train.graph].inputs
    assert train.outputs["total"].shape == (tiny_models.FILTERS,)
    assert model.signature("nothing").inputs == {}


def test_operators_and_nested_graphs(model):
    graph = model.graphs[model.signature("train").graph]
    names = [op.name for op in graph.operators]
    assert names[:2] == ["CALL_ONCE", "VAR_HANDLE"]
    assert "ASSIGN_VARIABLE" in names
    loop = graph.operators[names.index("WHILE")]
    condition, body = (model.graphs[i] for i in loop.nested)
    assert [op.name for op in condition.operators] == ["LESS"]
    assert {"GATHER", "CONV_2D", "TANH", "READ_VARIABLE"} <= {op.name for op in body.operators}
    convolution = next(op for op in body.operators if op.name == "CONV_2D")
    assert (convolution.options.strideH, convolution.is_custom, convolution.version >= 1) == (1, False, True)
    assert body.tensors[convolution.inputs[1]].is_constant


def test_constants_and_variables(model):
    size, tensor = model.constants()[0]
    assert size == KERNEL_BYTES
    assert sorted(tensor.shape) == [3, 3, tiny_models.CHANNELS, tiny_models.FILTERS]
    assert model.constant_bytes == sum(size for size, _ in model.constants()) >= KERNEL_BYTES
    assert model.resource_variables == {"bias": 4 * tiny_models.FILTERS}
    assert model.metadata("min_runtime_version")
    assert model.metadata("author") is None


def test_flex_operators_are_custom():
    model = Model.from_bytes(tiny_tflite.build(("invert",), operators=("TFLITE_BUILTINS", "SELECT_TF_OPS")))
    assert [(op.name, op.is_custom) for _, op in model.operators()] == [("FlexMatrixInverse", True)]


def test_dynamic_and_dropped_tensors(model):
    planned = model.graphs[model.signature("train").graph]
    loop = next(op for op in planned.operators if op.name == "WHILE")
    assert not planned.dynamic
    assert {planned.tensors[i].shape for i in planned.dropped if planned.tensors[i].bytes} == {
        model.signature("train").inputs["image"].shape
    }
    sliced = model.graphs[model.signature("train_sliced").graph]
    loop = next(op for op in sliced.operators if op.name == "WHILE")
    assert sliced.dynamic == set(loop.outputs)


def test_written_file_runs_as_before(model, tmp_path):
    path = tmp_path / "copy.tflite"
    model.write(path)
    again = Model.read(path)
    assert [(g.name, g.inputs, g.outputs, g.tensors) for g in again.graphs] == [
        (g.name, g.inputs, g.outputs, g.tensors) for g in model.graphs
    ]
    image = np.random.default_rng(0).random(model.signature("infer").inputs["image"].shape, np.float32)
    interpreters = [Interpreter(model_content=tiny_models.build()), Interpreter(model_path=str(path))]
    before, after = [i.get_signature_runner("infer")(image=image) for i in interpreters]
    np.testing.assert_array_equal(before["gram"], after["gram"])
    np.testing.assert_array_equal(before["mean"], after["mean"])


def graph_of(operators, sizes, outputs, constants=()):
    """A graph of float vectors: `operators` are (name, inputs, outputs), `sizes` in elements, tensor 0 is the input."""
    tensors = [Tensor(i, f"t{i}", (n,), "float32", 4 * n, i in constants, False, i) for i, n in enumerate(sizes)]
    made = [Operator(name, 1, tuple(i), tuple(o), False, (), None) for name, i, o in operators]
    return Graph(0, "hand", tuple(tensors), tuple(made), (0,), tuple(outputs))


def test_equal_vectors_are_stored_once():
    builder, graph = single_graph()
    x = graph.tensor([4, 6])
    y = x
    for _ in range(50):
        y = graph.apply("NEG", y)
    builder.signature("train", graph, {"x": x}, {"y": y})
    model = builder.model()
    scale, zeros = np.linspace(1, 2, 1000, dtype=np.float32), np.zeros(1000, np.int64)
    sizes = []
    for tensors in (model.schema.subgraphs[0].tensors[:1], model.schema.subgraphs[0].tensors):
        for tensor in tensors:
            tensor.quantization = QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = scale, zeros
        sizes.append(len(model.to_bytes()))
    assert sizes[1] - sizes[0] < 50 * 100
    again = Model.from_bytes(model.to_bytes()).schema.subgraphs[0].tensors
    for tensor in again:
        np.testing.assert_array_equal(tensor.quantization.scale, scale)
        np.testing.assert_array_equal(tensor.quantization.zeroPoint, zeros)


def test_lifetimes_of_a_chain_with_a_view_and_arithmetic_in_place():
    graph = graph_of(
        [
            ("EXP", [0], [1]),
            ("RESHAPE", [1, 6], [2]),  # shares 1
            ("MUL", [2, 7], [3]),  # 1 is read by two operators: a buffer of its own
            ("ADD", [3, 7], [4]),  # overwrites 3
            ("SUB", [4, 1], [5]),
        ],
        [8, 8, 8, 8, 8, 8, 1, 8],
        outputs=[5],
        constants=(6, 7),
    )
    assert shared_buffers(graph) == {2: 1, 4: 3}
    assert lifetimes(graph) == {
        0: Lifetime(0, 5),  # inputs stay
        1: Lifetime(0, 4),
        3: Lifetime(2, 4),
        5: Lifetime(4, 5),  # outputs stay
    }


def test_what_is_not_overwritten():
    rows = {
        "input of the graph": ([("ADD", [0, 1], [2]), ("EXP", [2], [3])], [3]),
        "output of the graph": ([("EXP", [0], [2]), ("ADD", [2, 1], [3])], [3]),
        "read twice": ([("EXP", [0], [2]), ("ADD", [2, 2], [3]), ("EXP", [3], [4])], [4]),
        "not arithmetic": ([("EXP", [0], [2]), ("MAXIMUM", [2, 1], [3]), ("EXP", [3], [4])], [4]),
    }
    for name, (operators, outputs) in rows.items():
        assert shared_buffers(graph_of(operators, [8] * 5, outputs, constants=(1,))) == {}, name
    broadcast = graph_of([("EXP", [0], [2]), ("ADD", [2, 1], [3]), ("EXP", [3], [4])], [8, 9, 8, 9, 9], [4], (1,))
    assert shared_buffers(broadcast) == {}
    scalar = graph_of([("EXP", [0], [2]), ("ADD", [2, 1], [3]), ("EXP", [3], [4])], [1] * 5, [4], (1,))
    assert shared_buffers(scalar) == {}


def test_results_that_nobody_reads_stay():
    graph = graph_of([("SPLIT", [0], [1, 2]), ("EXP", [1], [3]), ("EXP", [3], [4])], [8, 4, 4, 4, 4], outputs=[4])
    assert lifetimes(graph)[2] == Lifetime(0, 3)
    assert lifetimes(graph)[1] == Lifetime(0, 1)


def test_missing_file(tmp_path):
    path = tmp_path / "none.tflite"
    with pytest.raises(InputError) as error:
        Model.read(path)
    assert str(error.value) == f"expected a .tflite file at {path}, got: No such file or directory; check the path"


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\0\0\0\0TFL2"])
def test_other_files(tmp_path, content):
    path = tmp_path / "other.tflite"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        Model.read(path)
    assert str(error.value) == (
        f"expected a .tflite file (it has the mark TFL3 at byte 4), got {content[4:8]!r} in {path}; "
        "export the model again"
    )


@pytest.mark.parametrize("length", [8, 40, 400, 0.5, 0.99])
def test_cut_files(tmp_path, length):
    path, content = tmp_path / "cut.tflite", tiny_tflite.build()
    path.write_bytes(content[: length if length > 1 else int(length * len(content))])
    with pytest.raises(InputError, match=r"^expected an intact .tflite file, got a damaged one: .*cut.tflite \("):
        Model.read(path)


def test_unknown_signature(model):
    with pytest.raises(InputError, match=r"^expected one of the signatures of the file \(.*\), got 'fit'$"):
        model.signature("fit")


def test_needs_no_tensorflow():
    code = (
        "import sys, tinytl_tf.tflite.model, tinytl_tf.memory, tinytl_tf.tflite.manifest;"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_graphs_of_a_signature():
    model = Model.from_bytes(tiny_models.build())
    assert [graph.name for graph in model.graphs_of("train")] == ["train", "NoOp", "while_cond", "while_body"]
    assert [graph.name for graph in model.graphs_of("nothing")] == ["nothing", "NoOp"]
    with pytest.raises(InputError, match="expected one of the signatures of the file"):
        model.graphs_of("fit")


def test_a_scalar_read_from_a_variable_can_not_be_planned():
    model = Model.from_bytes(tiny_models.build_counter())
    graph = model.graphs[model.signature("train").graph]
    read = [op.outputs[0] for op in graph.operators if op.name == "READ_VARIABLE"]
    scalars = {i for i in read if not graph.tensors[i].shape}
    assert graph.dynamic == scalars
    assert len(scalars) < len(read)


def test_vectors_of_other_types_with_the_same_bytes_stay_apart():
    # Shapes are int32, contents bytes, zero points int64: each of these pairs has the same bytes in another length.
    builder, graph = single_graph()
    x = graph.tensor([2, 1])
    one = graph.constant(np.int32([1]))  # as a shape: [1]
    two = graph.constant(np.int32([[2], [1]]))  # as a shape: [2, 1]
    builder.signature("train", graph, {"x": x}, {"y": graph.apply("RESHAPE", x, graph.constant(np.int32([2])))})
    model = builder.model()
    tensors = model.schema.subgraphs[0].tensors
    tensors[x].quantization = QuantizationParametersT()
    tensors[x].quantization.scale, tensors[x].quantization.zeroPoint = np.ones(2, np.float32), np.int64([1 << 32 | 2])
    content = model.to_bytes()
    again = Model.from_bytes(content)
    assert again.graphs[0].tensors == model.graphs[0].tensors
    for tensor, expected in ((one, [1]), (two, [2, 1])):
        data = again.schema.buffers[again.graphs[0].tensors[tensor].buffer].data
        assert np.frombuffer(bytes(data), np.int32).tolist() == expected
    assert again.schema.subgraphs[0].tensors[x].quantization.zeroPoint.tolist() == [1 << 32 | 2]


def test_codes_without_a_use_are_not_written():
    model = Model.from_bytes(tiny_models.build())
    names = [(op.name, op.version) for _, op in model.operators()]
    unused = add_operator_code(model.schema, "BITWISE_XOR")
    model.schema.operatorCodes.insert(0, model.schema.operatorCodes.pop(unused))
    for op in [op for subgraph in model.schema.subgraphs for op in subgraph.operators]:
        op.opcodeIndex += 1
    again = Model.from_bytes(model.to_bytes())
    assert [(op.name, op.version) for _, op in again.operators()] == names
    assert len(again.schema.operatorCodes) == len(set(names))


def test_metadata_is_added_and_replaced():
    model = Model.from_bytes(tiny_models.build())
    oldest = model.metadata("min_runtime_version")
    buffers = len(model.schema.buffers)
    for content in (b"first", b"", '{"labels": ["größer"]}'.encode()):
        model.set_metadata("TINYTL", content)
        assert model.metadata("TINYTL") == content
        model = Model.from_bytes(model.to_bytes())
        assert model.metadata("TINYTL") == content
    assert model.metadata("min_runtime_version") == oldest
    assert len(model.schema.buffers) == buffers + 1
    model.set_metadata("min_runtime_version", b"1.0")
    assert Model.from_bytes(model.to_bytes()).metadata("min_runtime_version") == b"1.0"
    assert "infer" in Interpreter(model_content=model.to_bytes()).get_signature_list()
