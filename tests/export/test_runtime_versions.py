"""Exported files run in runtimes as old as TensorFlow Lite 2.7."""

import pytest

from tinytl_tf.export.build import with_int8_kernels
from tinytl_tf.export.operator_audit import audit, minimum_runtime
from tinytl_tf.export.passes import quantize_kernels
from tinytl_tf.export.runtime_versions import first_runtime
from tinytl_tf.tflite.model import Model

OLD = (2, 7)


def number(version):
    return tuple(int(part) for part in version.split("."))


@pytest.mark.parametrize(("operator", "version"), [("ABS", 6), ("ABS", 0), ("BROADCAST_TO", 1), ("NO_SUCH", 1)])
def test_what_the_table_does_not_have(operator, version):
    assert first_runtime(operator, version) is None


def test_the_table():
    assert first_runtime("CONV_2D", 1) == "1.5.0"
    assert first_runtime("ABS", 4) == "2.6.0"
    assert first_runtime("ABS", 5) == "2.12.0"
    assert first_runtime("BROADCAST_TO", 2) == "2.5.0"


@pytest.mark.thorough
@pytest.mark.parametrize("frozen_weights", ["float32", "int8"])
@pytest.mark.parametrize("profile", ["balanced", "min-memory"])
@pytest.mark.parametrize("case", [("tinytl-b", "sgd", 1), ("tinytl-lb", "sgd", 8)], ids=["tinytl-b", "tinytl-lb"])
def test_exported_files_need_no_operator_that_2_7_lacks(exported, monkeypatch, case, profile, frozen_weights):
    monkeypatch.setattr(quantize_kernels, "SMALLEST", 64)  # the kernels of the tiny network are small
    content = exported(*case, profile=profile).read_bytes()
    model = Model.from_bytes(with_int8_kernels(content) if frozen_weights == "int8" else content)
    oldest = {(count.name, count.version): first_runtime(count.name, count.version) for count in audit(model)}
    too_new = {key: runtime for key, runtime in oldest.items() if runtime is None or number(runtime) >= (*OLD, 99)}
    assert too_new == {}
    assert minimum_runtime(model) == max(oldest.values(), key=number) == "2.6.0"
    used = {op.opcodeIndex for subgraph in model.schema.subgraphs for op in subgraph.operators}
    assert used == set(range(len(model.schema.operatorCodes)))
    if frozen_weights == "int8":
        assert model.metadata("min_runtime_version").rstrip(b"\0") == b"2.6.0"
        versions = {count.version for count in audit(model) if count.name == "CONV_2D"}
        # Only convolutions with int8 kernels have the version that knows them.
        assert versions == ({1, 5} if case[0] == "tinytl-lb" else {5})
