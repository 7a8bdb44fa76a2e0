import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tests import tiny_models
from tinytl_tf.errors import InputError
from tinytl_tf.memory import measure, planned, planned_peak
from tinytl_tf.memory.layout import graph_slots, lay_out
from tinytl_tf.tflite.liveness import shared_buffers
from tinytl_tf.tflite.model import Model

IMAGE = tiny_models.SIZE**2 * tiny_models.CHANNELS * 4
FEATURES = tiny_models.SIZE**2 * tiny_models.FILTERS * 4
PATCHES = tiny_models.SIZE**2 * 9 * tiny_models.CHANNELS * 4


@pytest.fixture(scope="module")
def model():
    return Model.from_bytes(tiny_models.build())


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("planned") / "model.tflite"
    path.write_bytes(tiny_models.build())
    return path


def runtime_addresses(model, signature, num_threads):
    """Where the runtime put the tensors of a signature's graph, by index."""
    interpreter = Interpreter(
        model_content=tiny_models.build(),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        num_threads=num_threads,
    )
    inputs = {name: np.zeros(t.shape, t.dtype) for name, t in model.signature(signature).inputs.items()}
    interpreter.get_signature_runner(signature)(**inputs)
    graph = model.graphs[model.signature(signature).graph]
    addresses = {}
    for tensor in graph.tensors:
        if tensor.shape and tensor.dtype != "resource" and tensor.index not in graph.dropped:
            view = interpreter._interpreter.tensor(interpreter, tensor.index, graph.index)
            addresses[tensor.index] = view.ctypes.data
    return addresses


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("signature", ["infer", "train"])
def test_every_tensor_lies_where_the_runtime_puts_it(model, signature, num_threads):
    graph = model.graphs[model.signature(signature).graph]
    slots, _ = graph_slots(graph, set(), num_threads)
    offsets = {slot.tensor: slot.offset for slot in lay_out(slots) if slot.tensor is not None}
    addresses = runtime_addresses(model, signature, num_threads)
    # Pieces of one size and one operator are placed in an order that the runtime leaves open; here the tiny ones are.
    compared = sorted(i for i in offsets.keys() & addresses.keys() if graph.tensors[i].bytes > 1000)
    start = addresses[compared[0]] - offsets[compared[0]]
    assert {i: addresses[i] - start for i in compared} == {i: offsets[i] for i in compared}
    assert len(compared) >= 1 + 6 * (signature == "infer")

    shared = shared_buffers(graph)
    assert {i: addresses[i] for i in shared if i in addresses} == {
        i: addresses[owner] for i, owner in shared.items() if i in addresses
    }
    assert shared


def test_scratch_depends_on_the_number_of_threads(model):
    one, two = planned_peak(model, "infer", num_threads=1), planned_peak(model, "infer", num_threads=2)
    kernel = 9 * tiny_models.CHANNELS * tiny_models.FILTERS * 4
    assert one.heap_bytes == PATCHES + kernel  # of the transposed convolution
    assert two.heap_bytes == one.heap_bytes + kernel
    assert one.arena_bytes - two.arena_bytes > 0
    assert one.peak_bytes == one.arena_bytes + one.heap_bytes


def test_loop_adds_the_arenas_of_condition_and_body(model):
    plan = planned_peak(model, "train", num_threads=1)  # with more, a convolution keeps no patches
    graph, initial_values, condition, body = plan.arenas.values()
    assert plan.arena_bytes == sum(plan.arenas.values())
    assert initial_values == 0
    assert condition < 1000
    assert tiny_models.BATCH * IMAGE <= graph < tiny_models.BATCH * IMAGE + 1000
    assert IMAGE + FEATURES + PATCHES <= body <= IMAGE + 4 * FEATURES + PATCHES
    assert plan.dynamic == ()


def test_tensors_that_can_not_be_planned_are_named(model):
    plan = planned_peak(model, "train_sliced")
    assert any("slice" in name.lower() for name in plan.dynamic)
    assert plan.heap_bytes >= IMAGE


@pytest.mark.parametrize("signature", ["infer", "train", "train_sliced"])
def test_agrees_with_the_growth_of_a_process(model, path, signature):
    options = {"num_threads": 1, "xnnpack": False, "steps": 1}
    overhead = measure(path, "nothing", **options).growth_bytes
    growth = measure(path, signature, **options).growth_bytes - overhead
    plan = planned_peak(model, signature, num_threads=1).peak_bytes
    assert growth == pytest.approx(plan, rel=0.1, abs=2e6)


def test_unknown_signature(model):
    with pytest.raises(InputError) as error:
        planned_peak(model, "fit")
    assert str(error.value) == (
        "expected one of the signatures of the file (infer, nothing, train, train_sliced), got 'fit'"
    )


def test_an_arena_that_grows_is_there_twice(model, monkeypatch):
    monkeypatch.setattr(planned, "arena_growth", lambda slots: [0, 100, 120] if slots else [0])
    assert planned_peak(model, "infer").arena_bytes == 200
    monkeypatch.setattr(planned, "arena_growth", lambda slots: [0, 20, 120] if slots else [0])
    assert planned_peak(model, "infer").arena_bytes == 120
