"""The scheduler never changes a result, and lowers the peak."""

import functools

import numpy as np
import pytest

from tests.export.passes.graphs import results, single_graph
from tests.export.passes.random_graphs import SHAPES, random_model
from tinytl_tf.export.passes import reorder as module
from tinytl_tf.export.passes import run_passes
from tinytl_tf.export.passes.reorder import dependencies, peak_alive, reorder
from tinytl_tf.memory import planned_peak
from tinytl_tf.tflite.liveness import late_readers
from tinytl_tf.tflite.model import Model

CHUNKS, GRAPHS = 10, 10
IMAGES = np.random.default_rng(0).uniform(-2, 2, (3, *SHAPES[0])).astype(np.float32)
CALLS = [call for x in IMAGES for call in (("train", {"x": x}), ("save", {}))]


def in_order(made, order):
    """The same file with the operators of the random graph in another order."""
    model = Model.from_bytes(made.model.to_bytes())
    subgraph = model.schema.subgraphs[made.graph]
    subgraph.operators = [subgraph.operators[i] for i in order]
    return Model(model.schema)


def random_order(before, rng):
    """Any order that respects the dependencies, most often one far from the file's."""
    order, done = [], set()
    while len(order) < len(before):
        ready = [i for i in range(len(before)) if i not in done and before[i] <= done]
        chosen = ready[-1] if rng.random() < 0.5 else ready[rng.integers(len(ready))]
        order.append(chosen)
        done.add(chosen)
    return order


@functools.cache
def expected_of(seed, xnnpack):
    return results(random_model(seed).model, CALLS, xnnpack=xnnpack)


def scheduled(graph):
    return module._Scheduler(graph).run()


def same(left, right):
    return all(np.array_equal(a[name], b[name], equal_nan=True) for a, b in zip(left, right, strict=True) for name in a)


@pytest.mark.parametrize("chunk", [0, *(pytest.param(chunk, marks=pytest.mark.thorough) for chunk in range(1, CHUNKS))])
def test_no_valid_order_changes_a_result_or_a_variable(chunk):
    for seed in range(chunk * GRAPHS, (chunk + 1) * GRAPHS):
        made = random_model(seed)
        graph = made.model.graphs[made.graph]
        orders = {
            "scheduler": scheduled(graph),
            "random": random_order(dependencies(graph), np.random.default_rng(seed)),
        }
        for xnnpack in (False, True):
            expected = expected_of(seed, xnnpack)
            for name, order in orders.items():
                assert same(results(in_order(made, order), CALLS, xnnpack=xnnpack), expected), (seed, name, xnnpack)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_all_passes_together_change_no_result(chunk):
    for seed in range(chunk * GRAPHS, (chunk + 1) * GRAPHS):
        made = random_model(seed)
        if late_readers(made.model.graphs[made.graph]):
            continue  # the runtime computes wrong numbers already, which other passes than `reorder` may mend
        model = Model.from_bytes(run_passes(made.model.to_bytes())[0])
        assert not any(late_readers(graph) for graph in model.graphs)
        for xnnpack in (False, True):
            expected = expected_of(seed, xnnpack)
            assert same(results(model, CALLS, xnnpack=xnnpack), expected), (seed, xnnpack)


def test_the_random_graphs_have_what_the_scheduler_can_break():
    late, graphs = 0, 40
    for seed in range(graphs):
        made = random_model(seed)
        graph = made.model.graphs[made.graph]
        late += bool(late_readers(graph))
        names = {op.name for op in graph.operators}
        assert len(names & {"SUB", "MUL", "DIV", "ADD", "ADD_N", "RESHAPE", "READ_VARIABLE", "ASSIGN_VARIABLE"}) > 3
    assert 0.05 * graphs < late < 0.5 * graphs


@pytest.mark.parametrize("forgotten", ["_add_variables", "_add_overwriting"])
def test_each_kind_of_dependency_is_needed(monkeypatch, forgotten):
    """Without it some order gives other numbers: the random test would see it."""
    monkeypatch.setattr(module, forgotten, lambda graph, before: None)
    wrong = 0
    for seed in range(40):
        made = random_model(seed)
        order = random_order(dependencies(made.model.graphs[made.graph]), np.random.default_rng(seed))
        # Orders that read a variable before CALL_ONCE fills it crash the runtime.
        first = [op.name for op in made.model.graphs[made.graph].operators].count("CALL_ONCE")
        order = [*range(first), *(i for i in order if i >= first)]
        expected = expected_of(seed, False)
        wrong += not same(results(in_order(made, order), CALLS, xnnpack=False), expected)
    assert wrong >= 2


def aliased(wrong_order, pattern):
    """A product and a MUL that may overwrite what it reads; the MUL comes first in the wrong order.

    Returns:
        The file, and the positions of the two.
    """
    builder, graph = single_graph()
    x = graph.tensor([4, 6])
    kernel = graph.constant(2 * np.eye(6, dtype=np.float32))
    rows = graph.apply("TANH", x)
    left, right = {
        "two readers": lambda: [graph.reshape(rows, [6, 4])] * 2,
        "two views": lambda: [graph.reshape(rows, [6, 4]), rows],
        "view of a view": lambda: _twice(graph, graph.reshape(rows, [24])),
        "view of a product": lambda: _twice(graph, graph.apply("MUL", rows, graph.constant(np.float32([1])))),
    }[pattern]()
    factor = graph.constant(np.full(graph.shape_of(left), 3, np.float32))

    def overwrite():
        return graph.apply("MUL", left, factor)

    def multiply():
        columns = graph.shape_of(right)[-1]
        weights = kernel if columns == 6 else graph.constant(2 * np.eye(4, dtype=np.float32))
        return graph.apply("FULLY_CONNECTED", right, weights, -1)

    first = len(graph.plain.operators)
    if wrong_order:
        product, doubled = overwrite(), multiply()
    else:
        doubled, product = multiply(), overwrite()
    # Behind one more operator: results of a graph do not share buffers.
    outputs = {"product": graph.apply("NEG", product), "doubled": graph.apply("NEG", doubled)}
    builder.signature("train", graph, {"x": x}, outputs)
    return builder.model(), (first, first + 1)


def _twice(graph, source):
    return graph.reshape(source, [6, 4]), graph.reshape(source, [4, 6])


def errors(model):
    x = np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6)
    outputs = results(model, [("train", {"x": x})], xnnpack=False)[0]
    return {
        name: np.abs(outputs[name].ravel() + factor * np.tanh(x).ravel()).max()
        for name, factor in (("product", 3), ("doubled", 2))
    }


SAFE, UNSAFE = ["two readers", "two views"], ["view of a view", "view of a product"]


@pytest.mark.parametrize("pattern", SAFE)
@pytest.mark.parametrize("wrong_order", [False, True])
def test_the_runtime_overwrites_no_tensor_that_it_sees_two_readers_of(pattern, wrong_order):
    model, _ = aliased(wrong_order, pattern)
    assert late_readers(model.graphs[0]) == []
    assert max(errors(model).values()) < 1e-6


@pytest.mark.parametrize("pattern", UNSAFE)
def test_a_swap_of_two_readers_of_one_buffer_silently_gives_wrong_numbers(pattern):
    """LiteRT asks for one reader of the view and of the buffer's owner, and does not see the name between the two."""
    right, (reader, writer) = aliased(wrong_order=False, pattern=pattern)
    assert late_readers(right.graphs[0]) == []
    assert max(errors(right).values()) < 1e-6
    assert reader in dependencies(right.graphs[0])[writer]

    wrong, (writer, reader) = aliased(wrong_order=True, pattern=pattern)
    assert late_readers(wrong.graphs[0]) == [reader]
    assert errors(wrong)["product"] < 1e-6
    assert errors(wrong)["doubled"] > 1
    assert writer in dependencies(wrong.graphs[0])[reader]  # The order of the file counts, even if it is wrong.


@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_every_dependency_is_respected(seed):
    made = random_model(seed, operators=40)
    graph = made.model.graphs[made.graph]
    order = scheduled(graph)
    place = {position: i for i, position in enumerate(order)}
    assert sorted(order) == list(range(len(graph.operators)))
    for position, earlier in enumerate(dependencies(graph)):
        assert all(p < position and place[p] < place[position] for p in earlier)


def test_a_variable_is_read_and_changed_in_the_order_of_the_file():
    builder, graph = single_graph()
    x = graph.tensor([8])
    first, other = graph.handle("first"), graph.handle("other")  # 0, 1
    graph.add("ASSIGN_VARIABLE", [first, x])  # 2
    old = graph.read(first, [8])  # 3
    graph.add("ASSIGN_VARIABLE", [other, x])  # 4
    again = graph.read(graph.handle("first"), [8])  # 5, 6: another handle of the same variable
    graph.add("ASSIGN_VARIABLE", [first, graph.apply("NEG", again)])  # 7, 8
    late = graph.apply("ABS", old)  # 9
    new = graph.read(first, [8])  # 10
    builder.signature("train", graph, {"x": x}, {"late": late, "new": new})
    before = dependencies(builder.model().graphs[0])
    assert before[3] == {0, 2}
    assert before[4] == {1}
    assert before[6] == {2, 5}
    assert before[8] == {0, 2, 3, 6, 7}
    assert before[9] == {3}
    assert before[10] == {0, 8}


def test_lowers_the_peak_of_an_exported_network(converted):
    model = Model.from_bytes(converted("tinytl-lb", "sgd", 8))
    before = planned_peak(model).peak_bytes
    alive = [peak_alive(graph, range(len(graph.operators))) for graph in model.graphs]
    counts = [len(graph.operators) for graph in model.graphs]
    reorder(model)
    model = Model(model.schema)
    assert [len(graph.operators) for graph in model.graphs] == counts
    assert all(
        peak_alive(graph, range(len(graph.operators))) <= most for graph, most in zip(model.graphs, alive, strict=True)
    )
    assert planned_peak(model).peak_bytes < 0.9 * before


def test_a_graph_without_operators_stays_empty():
    builder, graph = single_graph()
    x = graph.tensor([2])
    builder.signature("train", graph, {"x": x}, {"y": x})
    model = builder.model()
    reorder(model)
    assert model.graphs[0].operators == ()
