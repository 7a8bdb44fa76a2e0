"""int8 kernels of the trained tiny network: what is reported, what fails, what is written."""

import json
import re

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema_fb

from tests import tiny_network
from tinytl_tf.device import TrainableModel
from tinytl_tf.errors import InputError, ParityError
from tinytl_tf.export import exporter, parity
from tinytl_tf.export.build import with_int8_kernels
from tinytl_tf.export.parity import (
    LEAST_COSINE,
    LEAST_VARIABLE_COSINE,
    QUANTIZED_LOSS_TOLERANCE,
    check_quantized,
)
from tinytl_tf.export.passes import quantize_kernels
from tinytl_tf.tflite.manifest import Manifest, frozen_sha256
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime import APIS

CASE = ("tinytl-lb", "sgd", 8)
LABELS = list(tiny_network.LABELS)
MESSAGE = re.compile(
    r"int8 check failed \(xnnpack\): against float32 the loss of the first step differs by (\S+) \(at most 1e-01\), "
    r"the gradient has cosine (\S+) \(at least 0\.95\), for (\S+) (\S+) \(at least 0\.5\); nothing was written; "
    r"export with frozen_weights float32"
)


@pytest.fixture(autouse=True)
def small_kernels_count(monkeypatch):
    """The kernels of the tiny network are smaller than what is worth while."""
    monkeypatch.setattr(quantize_kernels, "SMALLEST", 64)


@pytest.fixture
def quantized(exported, tmp_path):
    """Writes the int8 form of the exported file; `change` may damage it before."""

    def path(change=lambda model: None):
        model = Model.from_bytes(with_int8_kernels(exported(*CASE).read_bytes()))
        change(model)
        path = tmp_path / "int8.tflite"
        path.write_bytes(model.to_bytes())
        return path

    return path


def check(path, reference, photos):
    variables = tiny_network.build(CASE[0]).trainable_variables
    return check_quantized(path, reference, variables, images=photos[0], labels=photos[1])


def int8_kernels(path):
    model = Model.read(path)
    used = [(graph, op.inputs[1]) for graph, op in model.operators() if op.name == "CONV_2D"]
    return sum(graph.tensors[i].dtype == "int8" for graph, i in used)


@pytest.mark.thorough
@pytest.mark.parametrize("xnnpack", [True, False])
def test_a_compiled_model_computes_the_same(quantized, xnnpack):
    """Its cache gives one packed copy to all kernels that it takes for the same."""
    interpreter, compiled = (TrainableModel(quantized(), xnnpack=xnnpack, api=api, trust=True) for api in APIS)
    for batch in zip(*tiny_network.photos(5, 8), strict=True):
        assert compiled.train(*batch, 0.01) == interpreter.train(*batch, 0.01)
    np.testing.assert_array_equal(compiled.state(), interpreter.state())
    image = tiny_network.photos(1, 8)[0][0, 0]
    np.testing.assert_array_equal(compiled.infer(image).logits, interpreter.infer(image).logits)


@pytest.mark.thorough
def test_the_trained_network_stays_near_float32(exported, quantized):
    path = quantized()
    assert int8_kernels(path) >= 20  # forward and backward, train and infer
    assert path.stat().st_size < exported(*CASE).stat().st_size
    report = check(path, exported(*CASE), tiny_network.photos(3, 8))
    assert report["tolerance"] == {
        "loss": QUANTIZED_LOSS_TOLERANCE,
        "cosine": LEAST_COSINE,
        "variable_cosine": LEAST_VARIABLE_COSINE,
    }
    assert (report["steps"], report["batch_size"]) == (3, 8)
    variables = tiny_network.build(CASE[0]).trainable_variables
    for name in ("xnnpack", "without_xnnpack"):
        figures = report[name]
        assert set(figures) == {"loss_difference", "cosine", "variables"}
        assert 1e-6 < figures["loss_difference"] < 0.05
        assert 0.97 < figures["cosine"] < 1 - 1e-7
        assert set(figures["variables"]) == {variable.path for variable in variables}
        cosines = list(figures["variables"].values())
        assert cosines == sorted(cosines)
        assert 0.5 < cosines[0] < cosines[-1] <= 1
    json.dumps(report, allow_nan=False)


def test_a_file_equals_itself(exported):
    report = check(exported(*CASE), exported(*CASE), tiny_network.photos(1, 8))
    for name in ("xnnpack", "without_xnnpack"):
        assert report[name]["loss_difference"] == 0
        assert min(report[name]["variables"].values()) == pytest.approx(1, abs=1e-12)


def stretch(factor):
    def change(model):
        for tensor in (tensor for subgraph in model.schema.subgraphs for tensor in subgraph.tensors):
            if tensor.type == schema_fb.TensorType.INT8:
                tensor.quantization.scale = np.asarray(tensor.quantization.scale) * factor

    return change


@pytest.mark.parametrize("factor", [1.5, -1, 0, np.nan])
def test_a_damaged_file_fails(exported, quantized, factor):
    with pytest.raises(ParityError) as error:
        check(quantized(stretch(np.float32(factor))), exported(*CASE), tiny_network.photos(2, 8))
    loss, cosine, _, worst = MESSAGE.fullmatch(str(error.value)).groups()
    near = float(cosine) >= LEAST_COSINE and float(worst) >= LEAST_VARIABLE_COSINE
    assert not (float(loss) <= QUANTIZED_LOSS_TOLERANCE and near)


def test_one_bad_variable_fails(exported, quantized):
    """A kernel of the backward pass that is wrong, and nothing else."""

    def turn_one(model):
        body = max(model.graphs, key=lambda graph: len(graph.operators))
        kernels = [body.tensors[op.inputs[1]] for op in body.operators if op.name == "CONV_2D"]
        buffer = model.schema.buffers[[kernel for kernel in kernels if kernel.dtype == "int8"][-1].buffer]
        buffer.data = (-np.asarray(buffer.data).view(np.int8)).view(np.uint8)

    with pytest.raises(ParityError) as error:
        check(quantized(turn_one), exported(*CASE), tiny_network.photos(2, 8))
    loss, _, _, worst = MESSAGE.fullmatch(str(error.value)).groups()
    assert float(loss) <= QUANTIZED_LOSS_TOLERANCE
    assert float(worst) < LEAST_VARIABLE_COSINE


@pytest.mark.parametrize(
    ("loss", "int8_loss", "passes"), [(0.01, 0.1, True), (0.01, 0.12, False), (10, 10.9, True), (10, 11.1, False)]
)
def test_a_loss_below_one_is_compared_with_one(monkeypatch, loss, int8_loss, passes):
    variables = tiny_network.build("last").trainable_variables
    update = np.ones((1, sum(variable.numpy().size for variable in variables)))
    losses = {"int8": np.array([int8_loss]), "float32": np.array([loss])}
    monkeypatch.setattr(parity, "_first_updates", lambda path, *_: (update, losses[path]))
    images, labels = tiny_network.photos(1, 1)
    if passes:
        report = check_quantized("int8", "float32", variables, images=images, labels=labels)
        assert report["xnnpack"]["loss_difference"] == pytest.approx((int8_loss - loss) / max(loss, 1))
    else:
        with pytest.raises(ParityError, match="int8 check failed"):
            check_quantized("int8", "float32", variables, images=images, labels=labels)


@pytest.fixture
def ready(exported, monkeypatch):
    """Makes `export` take a converted file of the session, whose parity is checked elsewhere."""
    content = exported(*CASE).read_bytes()
    monkeypatch.setattr(exporter, "build_file", lambda module: (content, {}))
    monkeypatch.setattr(exporter, "check_parity", lambda *args, **kwargs: {"steps": 4})
    return content


def labeled(content):
    return exporter.with_labels(content, "classification", LABELS)


def export(path, **changes):
    model = tiny_network.build(CASE[0])
    return exporter.export(model, path, labels=LABELS, frozen_weights="int8", **changes)


def test_export_writes_int8_kernels_and_reports_the_check_on_the_given_photos(ready, tmp_path):
    photos = tiny_network.photos(2, 8)
    path = tmp_path / "int8.tflite"
    manifest = export(path, photos=photos)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["int8.manifest.json", "int8.tflite"]
    assert Manifest.read(path) == manifest
    assert manifest.frozen_weights == "int8"
    frozen = tiny_network.build(CASE[0]).non_trainable_weights
    assert manifest.frozen_sha256 == frozen_sha256({v.path: v.numpy() for v in frozen})
    assert int8_kernels(path) >= 20
    assert manifest.sizes["file_bytes"] < len(ready)
    reference = tmp_path / "float32.tflite"
    reference.write_bytes(ready)
    assert manifest.parity == {"steps": 4, "int8": check(path, reference, photos)}
    images, labels = photos
    assert TrainableModel(path).train(images[0], labels[0], 0.01).applied


@pytest.mark.slow
def test_adam_is_judged_by_the_gradients_that_sgd_shows(exported, ready, tmp_path, monkeypatch):
    adam = exported("tinytl-lb", "adam", 2).read_bytes()
    monkeypatch.setattr(exporter, "build_file", lambda module: (adam if module.steps else ready, {"slots": 1}))
    photos = tiny_network.photos(2, 8)
    manifest = export(tmp_path / "adam.tflite", optimizer="adam", photos=photos)
    assert (tmp_path / "adam.tflite").read_bytes() == labeled(with_int8_kernels(adam))
    for name, content in (("sgd8", with_int8_kernels(ready)), ("sgd32", ready)):
        (tmp_path / name).write_bytes(content)
    assert manifest.parity["int8"] == check(tmp_path / "sgd8", tmp_path / "sgd32", photos)


def test_export_of_float32_is_not_judged_by_int8(ready, tmp_path):
    model = tiny_network.build(CASE[0])
    manifest = exporter.export(model, tmp_path / "m.tflite", labels=LABELS)
    assert manifest.frozen_weights == "float32"
    assert manifest.parity == {"steps": 4}
    assert (tmp_path / "m.tflite").read_bytes() == labeled(ready)


def test_a_failed_check_writes_nothing(ready, tmp_path, monkeypatch):
    def damaged(content):
        model = Model.from_bytes(with_int8_kernels(content))
        stretch(np.float32(2))(model)
        return model.to_bytes()

    monkeypatch.setattr(exporter, "with_int8_kernels", damaged)
    with pytest.raises(ParityError) as error:
        export(tmp_path / "m.tflite", photos=tiny_network.photos(1, 8))
    assert MESSAGE.fullmatch(str(error.value))
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_kernels_for_int8_is_refused_before_it_is_converted(tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "build_file", lambda module: pytest.fail("converted"))
    with pytest.raises(InputError, match="^expected frozen kernels that are large enough for int8"):
        exporter.export(tiny_network.build("full"), tmp_path / "m.tflite", labels=LABELS, frozen_weights="int8")


def test_kernels_that_cannot_become_int8_are_told_before_the_check_of_parity(ready, tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "with_int8_kernels", lambda content: with_int8_kernels(with_int8_kernels(content)))
    monkeypatch.setattr(exporter, "check_parity", lambda *args, **kwargs: pytest.fail("trained"))
    with pytest.raises(InputError, match="^expected frozen kernels that are large enough for int8"):
        export(tmp_path / "m.tflite")
