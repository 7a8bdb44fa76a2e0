import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema_fb

from tests.export.conftest import WHOLE_CASES
from tests.export.passes.graphs import results, single_graph
from tinytl_tf.errors import InputError
from tinytl_tf.export.build import with_int8_kernels
from tinytl_tf.export.passes import (
    PASSES,
    QUANTIZE_KERNELS,
    Pass,
    pass_names,
    pipeline,
    quantize_kernels,
    run_passes,
    share_kernels,
)
from tinytl_tf.memory import planned_peak
from tinytl_tf.profiles import PROFILES
from tinytl_tf.tflite.edit import add_operator_code
from tinytl_tf.tflite.liveness import late_readers
from tinytl_tf.tflite.model import Model

X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6)


def sum_beside_a_reader(late):
    """A sum of a view of a product that was computed in place; the product is read once more, before it or after it."""
    builder, graph = single_graph()
    x = graph.tensor([4, 6])
    product = graph.apply("MUL", graph.apply("TANH", x), graph.constant(np.float32([1])))
    view = graph.reshape(product, [6, 4])
    other = graph.apply("ABS", graph.reshape(x, [6, 4]))
    outputs = {}

    def read():
        outputs["read"] = graph.apply("ABS", graph.apply("NEG", product))

    if not late:
        read()
    outputs["sum"] = graph.apply("NEG", graph.apply("ADD_N", view, other))
    if late:
        read()
    builder.signature("train", graph, {"x": x}, outputs)
    return builder.model()


def add_in_place(model):
    """Turns ADD_N of two into ADD, which may overwrite one of them."""
    changed = 0
    subgraph = model.schema.subgraphs[0]
    for op, plain in zip(model.graphs[0].operators, subgraph.operators, strict=True):
        if op.name == "ADD_N":
            plain.opcodeIndex = add_operator_code(model.schema, "ADD")
            plain.builtinOptionsType, plain.builtinOptions = (
                schema_fb.BuiltinOptions.AddOptions,
                schema_fb.AddOptionsT(),
            )
            changed += 1
    return changed


def messages(caplog):
    """What the passes log; TensorFlow logs too."""
    return [record.getMessage() for record in caplog.records if record.name == pipeline.__name__]


def names(content):
    return [op.name for op in Model.from_bytes(content).graphs[0].operators]


@pytest.mark.parametrize("late", [False, True])
def test_a_pass_that_would_overwrite_what_is_read_later_is_left_out(late, monkeypatch, caplog):
    monkeypatch.setitem(PASSES, "add_in_place", Pass("add_in_place", add_in_place))
    model = sum_beside_a_reader(late)
    content, report = run_passes(model.to_bytes(), ["add_in_place"])
    assert ("ADD_N" in names(content)) == late
    assert list(report) == ["converted", "add_in_place"]
    assert report["add_in_place"]["changed"] == (0 if late else 1)
    warnings = ["pass add_in_place is left out: an operator would read an overwritten tensor"] if late else []
    assert messages(caplog) == warnings
    for xnnpack in (False, True):
        outputs = results(Model.from_bytes(content), [("train", {"x": X})], xnnpack=xnnpack)[0]
        np.testing.assert_allclose(outputs["read"], np.abs(np.tanh(X)), atol=1e-6)
        np.testing.assert_allclose(outputs["sum"].ravel(), -(np.tanh(X) + np.abs(X)).ravel(), atol=1e-6)


def test_the_pass_left_alone_would_have_given_wrong_numbers():
    model = sum_beside_a_reader(late=True)
    add_in_place(model)
    model = Model(model.schema)
    assert len(late_readers(model.graphs[0])) == 1
    outputs = results(model, [("train", {"x": X})], xnnpack=False)[0]
    assert np.abs(outputs["read"] - np.abs(np.tanh(X))).max() > 0.5


def test_no_pass_is_the_file_itself():
    content = sum_beside_a_reader(late=True).to_bytes()
    peak = planned_peak(Model.from_bytes(content)).peak_bytes
    assert run_passes(content, []) == (content, {"converted": {"planned_peak_bytes": peak}})


def test_passes_run_in_their_own_order_and_report_their_peaks(converted):
    content = converted("tinytl-lb", "sgd", 8)
    result, report = run_passes(content, list(reversed(PASSES)))
    assert list(report) == ["converted", *PASSES]
    peaks = {name: entry["planned_peak_bytes"] for name, entry in report.items()}
    assert peaks["converted"] == planned_peak(Model.from_bytes(content)).peak_bytes
    assert peaks["drop_names"] == planned_peak(Model.from_bytes(result)).peak_bytes
    assert peaks["drop_names"] < 0.9 * peaks["converted"]
    assert result == run_passes(content)[0]


@pytest.mark.parametrize("case", WHOLE_CASES)
def test_nothing_is_read_late_in_an_exported_network(exported, converted, case):
    for model in (Model.from_bytes(converted(*case)), Model.read(exported(*case))):
        assert not any(late_readers(graph) for graph in model.graphs)


@pytest.mark.thorough
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_every_pass_of_a_profile_finds_something_in_a_real_network(converted, profile, monkeypatch, caplog):
    monkeypatch.setattr(quantize_kernels, "SMALLEST", 64)  # the kernels of the tiny network are small
    monkeypatch.setattr(share_kernels, "SMALLEST", 256)
    names = [*pass_names(delegate=profile.xnnpack), QUANTIZE_KERNELS.name]
    _, report = run_passes(converted("tinytl-lb", "sgd", 8, profile.name), names)
    assert list(report) == ["converted", *names]
    assert [name for name in names if not report[name]["changed"]] == []
    assert messages(caplog) == []


@pytest.mark.parametrize("always", [False, True])
def test_a_pass_that_finds_nothing_where_it_should_is_reported(always, monkeypatch, caplog):
    monkeypatch.setitem(PASSES, "idle", Pass("idle", lambda model: 0, always=always))
    content = sum_beside_a_reader(late=True).to_bytes()
    again, report = run_passes(content, ["idle"])
    assert again == content
    assert report["idle"]["changed"] == 0
    warning = "pass idle found nothing to change; the converter may write another graph"
    assert messages(caplog) == ([warning] if always else [])


def test_int8_kernels_go_through_the_same_guard(monkeypatch, caplog):
    broken = Pass(QUANTIZE_KERNELS.name, add_in_place)
    monkeypatch.setattr(pipeline, "QUANTIZE_KERNELS", broken)
    content = sum_beside_a_reader(late=True).to_bytes()
    with pytest.raises(InputError, match="expected frozen kernels that are large enough for int8"):
        with_int8_kernels(content)
    assert messages(caplog) == ["pass quantize_kernels is left out: an operator would read an overwritten tensor"]
