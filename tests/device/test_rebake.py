"""What was learnt goes into the int8 file, as well as a fresh quantization puts it there."""

import copy
import dataclasses
import itertools
import shutil

import numpy as np
import pytest

from tests import tiny_coral, tiny_network
from tests.damage import require_line
from tinytl_tf import backbones, data
from tinytl_tf.device import TrainableModel, adapt
from tinytl_tf.device import rebake as module
from tinytl_tf.device.coral import CoralModel
from tinytl_tf.device.prefix_runner import PrefixRunner
from tinytl_tf.device.rebakable import require_rebakable
from tinytl_tf.device.rebake import rebake
from tinytl_tf.errors import InputError, ParityError
from tinytl_tf.export.coral import export_coral
from tinytl_tf.export.int8 import convert_int8
from tinytl_tf.networks.schemes import apply_scheme, get_scheme, restrict
from tinytl_tf.state import load_state
from tinytl_tf.tflite.coral_manifest import CoralManifest
from tinytl_tf.tflite.float_twin import float_twin, quantization_of, tensor_ranges
from tinytl_tf.tflite.graph import Operator
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.snr import snr_db
from tinytl_tf.training import make_optimizer, make_train_step

CLOSE_DB = 0.5


@pytest.fixture(scope="module")
def state(coral_export, tmp_path_factory):
    """What training with a high rate has learnt: it moves ranges."""
    folder = tmp_path_factory.mktemp("state")
    model = CoralModel(coral_export)
    with model.features(folder / "features") as features:
        splits = data.load(coral_export.parents[1] / "tints.npz")
        adapt(model.suffix, splits, features=features, epochs=6, learning_rate=0.05, state_path=folder / "a.tinytl")
    return folder / "a.tinytl"


def photos():
    return list(tiny_coral.photos(48))


def logits(path, images):
    runner = PrefixRunner(path)
    integers = np.stack([runner(image) for image in images]).astype(np.float64)
    return (integers - runner.output["zero_point"]) * runner.output["scale"]


@pytest.mark.thorough
@pytest.mark.parametrize(("scheme", "split", "rate"), [("last", "classifier", 1e-3), ("tinytl-b", "block_2", 0.02)])
def test_a_network_of_several_depths_is_rebaked(tmp_path, scheme, split, rate):
    """Learned biases move the ranges of the depths, which share the scale of what they are joined to."""
    model, depths = tiny_network.build(scheme, feature_places=("block_2", "block_3")), ("block_2", "block_3", "head")
    table = get_scheme(scheme)
    apply_scheme(model.weights, restrict(table, biases=depths if table.biases else ()))
    step = make_train_step(model, model.get_layer("classifier").trainable_variables, make_optimizer("adam"))
    for batch in zip(*tiny_network.photos(60, 16), strict=True):  # that of a network is not random
        step(*batch, np.float32(3e-3))
    options = {"split": split, "labels": tiny_network.LABELS, "batch_size": 4, "optimizer": "momentum"}
    export_coral(model, tmp_path / "model.tflite", calibration=tiny_coral.photos(48), **options)
    device = CoralModel(tmp_path / "coral.json")
    path = tiny_network.write_photos(tmp_path / "tints.npz", 60)
    with device.features(tmp_path / "features") as features:
        adapt(
            device.suffix, data.load(path), features=features, epochs=6, learning_rate=rate, state_path=tmp_path / "a"
        )
    rebake(tmp_path / "coral.json", tmp_path / "a", tmp_path / "new.tflite", photos())
    load_state(model, tmp_path / "a", tmp_path / "suffix_train.tflite")
    (tmp_path / "fresh.tflite").write_bytes(convert_int8(model, np.stack(photos())))
    images = tiny_coral.photos(120)[48:]
    expected = np.asarray(model(images.astype(np.float32)))
    rebaked, fresh = (snr_db(expected, logits(tmp_path / f"{name}.tflite", images)) for name in ("new", "fresh"))
    assert rebaked > fresh - CLOSE_DB
    if scheme != "last":
        assert fresh > snr_db(expected, logits(tmp_path / "model_int8.tflite", images)) + 10
    new = Model.read(tmp_path / "new.tflite")
    tensors = new.schema.subgraphs[0].tensors
    joins = [op for op in new.graphs[0].operators if op.name == "CONCATENATION"]
    assert len(joins) == 1
    assert len({tuple(np.ravel(quantization_of(tensors[i]))) for i in (*joins[0].inputs, *joins[0].outputs)}) == 1


def test_tensors_that_are_joined_share_a_scale_with_their_sources():
    chain = {"AVERAGE_POOL_2D": ((3,), 4), "CONCATENATION": ((4, 5), 6), "PAD": ((6, 9), 7), "MEAN": ((7, 8), 10)}
    operators = [Operator(name, 1, inputs, (output,), False, (), None) for name, (inputs, output) in chain.items()]
    members = frozenset({3, 4, 5, 6, 7})
    assert module._joined(operators) == dict.fromkeys(members, members)


@pytest.mark.thorough
def test_a_rebaked_file_is_as_good_as_one_that_is_quantized_afresh(coral_export, state, tmp_path):
    result = rebake(coral_export, state, tmp_path / "new.tflite", photos())
    model = tiny_coral.build()
    load_state(model, state, coral_export.with_name("suffix_train.tflite"))
    (tmp_path / "fresh.tflite").write_bytes(convert_int8(model, np.stack(photos())))
    images = tiny_coral.photos(120)[48:]
    expected = np.asarray(model(images.astype(np.float32)))
    rebaked, fresh = (snr_db(expected, logits(tmp_path / f"{name}.tflite", images)) for name in ("new", "fresh"))
    old = snr_db(expected, logits(coral_export.with_name("model_int8.tflite"), images))
    assert fresh > old + 10  # there was something to learn
    assert rebaked > fresh - CLOSE_DB, (rebaked, fresh)
    assert result.photos == 48
    own = np.stack(photos())
    expected = np.asarray(model(own.astype(np.float32)))
    assert result.snr_db == pytest.approx(snr_db(expected, logits(tmp_path / "new.tflite", own)), abs=0.1)


def scales(model):
    """Scale and zero point of what each operator takes and makes."""
    tensors = model.schema.subgraphs[0].tensors
    numbers = [(op.inputs[0], op.outputs[0]) for op in model.graphs[0].operators]
    return [tuple(tuple(np.ravel(quantization_of(tensors[index]))) for index in pair) for pair in numbers]


def test_ranges_change_from_the_first_bias_on_and_not_before(coral_export, state, tmp_path):
    rebake(coral_export, state, tmp_path / "new.tflite", photos())
    source = Model.read(coral_export.with_name("model_int8.tflite"))
    changed = set(CoralManifest.read(coral_export).rebake.values())
    first = next(place for place, op in enumerate(source.graphs[0].operators) if changed & set(op.inputs))
    old, new = scales(source), scales(Model.read(tmp_path / "new.tflite"))
    assert 5 < first < len(old) - 3
    assert old[:first] == new[:first]
    # What reaches the 6 of ReLU6 before and after keeps its range.
    open_ended = [index for index in range(first, len(old)) if old[index][1][0] != pytest.approx(6 / 255)]
    assert len(open_ended) >= 3
    assert all(old[index][1] != new[index][1] for index in open_ended)


def test_operators_that_keep_the_scale_of_their_image_have_it_afterwards():
    padded = dataclasses.replace(tiny_network.ARCHITECTURE, padding="symmetric")
    network = backbones.build(padded, classes=4, resolution=tiny_network.RESOLUTION, weights=None)
    model = Model.from_bytes(convert_int8(network, tiny_coral.photos(4)))
    op = next(op for op in model.graphs[0].operators if op.name == "CONV_2D")
    zeros = {"stem/norm/beta": np.zeros(model.graphs[0].tensors[op.inputs[2]].shape)}
    images = [np.float32(photo) / 128 - 1 for photo in tiny_coral.photos(4)]
    content = module._rebaked(model, {"stem/norm/beta": op.inputs[2]}, zeros, zeros, images)
    rebaked = Model.from_bytes(content)
    kept = [
        pair
        for plain, pair in zip(rebaked.graphs[0].operators, scales(rebaked), strict=True)
        if plain.name in ("PAD", "AVERAGE_POOL_2D")
    ]
    assert len(kept) > 1
    assert all(before == after for before, after in kept)


def test_biases_alone_would_not_do(coral_export, state, tmp_path, monkeypatch):
    """The ranges have to be measured again: with those of the export the same test fails."""
    good = rebake(coral_export, state, tmp_path / "good.tflite", photos())
    old = Model.read(coral_export.with_name("model_int8.tflite")).schema.subgraphs[0].tensors

    def ranges(content, images):
        result = {}
        for index in tensor_ranges(content, images):
            scale, zero = (value[0] for value in quantization_of(old[index]))
            result[index] = (scale * (-128 - zero), scale * (127 - zero))
        return result

    monkeypatch.setattr(module, "tensor_ranges", ranges)
    monkeypatch.setattr(module, "MOST_LOSS_DB", 100)
    assert rebake(coral_export, state, tmp_path / "bad.tflite", photos()).snr_db < good.snr_db - CLOSE_DB


def test_the_exported_state_gives_the_exported_file_but_for_its_ranges(coral_export, tmp_path):
    model = CoralModel(coral_export)
    model.suffix.save(tmp_path / "start.tinytl")
    result = rebake(coral_export, tmp_path / "start.tinytl", tmp_path / "same.tflite", photos())
    assert result.snr_db == pytest.approx(result.exported_snr_db, abs=3)
    images = tiny_coral.photos(8)
    same, old = logits(tmp_path / "same.tflite", images), logits(coral_export.with_name("model_int8.tflite"), images)
    assert snr_db(old, same) > 25


def test_a_float_twin_computes_what_the_integers_stand_for(coral_export, tmp_path):
    path = coral_export.with_name("model_int8.tflite")
    manifest = CoralManifest.read(coral_export)
    images = tiny_coral.photos(16)
    floats = [(i.astype(np.float32) - 128 - manifest.image.zero_point) * manifest.image.scale for i in images]
    content = float_twin(Model.read(path))
    model = Model.from_bytes(content)
    assert {tensor.dtype for tensor in model.graphs[0].tensors} <= {"float32", "int32"}
    last = model.graphs[0].outputs[0]
    for image, expected in zip(floats, logits(path, images), strict=True):
        low, high = tensor_ranges(content, [image.astype(np.float32)])[last]
        assert (low, high) == pytest.approx((expected.min(), expected.max()), abs=0.1)
    replaced = {manifest.rebake["classifier/bias"]: np.full(4, 7.0)}
    low, _ = tensor_ranges(float_twin(Model.read(path), replaced), [floats[0].astype(np.float32)])[last]
    assert low > 4


@pytest.fixture(scope="module")
def parts(coral_export):
    """The int8 file, its manifest, and the trained variables."""
    manifest = CoralManifest.read(coral_export)
    variables = module._values(TrainableModel(manifest.part(coral_export, "suffix")))
    return Model.read(manifest.part(coral_export, "int8")), manifest, variables


def refused(model, manifest, variables):
    with pytest.raises(InputError) as error:
        require_rebakable(model, manifest, variables, "the file")
    require_line(error.value)
    return str(error.value)


def test_numbers_of_tensors_have_to_be_those_of_the_variables(coral_export, parts, state, tmp_path):
    model, manifest, variables = parts
    require_rebakable(model, manifest, variables, "the file")
    # Biases of as many values before the first that is trained: nothing in the file tells them from the right one.
    alike = [number for number, tensor in enumerate(model.graphs[0].tensors) if tensor.dtype == "int32"]
    alike = [number for number in alike if model.graphs[0].tensors[number].shape == (32,) and number > 10]
    first = "block_3_expand/norm/beta"
    for path in manifest.rebake:
        for number in (*range(len(model.graphs[0].tensors) + 2), -1, 2**31 - 1, 2**63):
            if number != manifest.rebake[path] and not (path == first and number in alike):
                refused(model, dataclasses.replace(manifest, rebake=manifest.rebake | {path: number}), variables)
        others = {name: number for name, number in manifest.rebake.items() if name != path}
        assert "expected numbers of tensors for " in refused(
            model, dataclasses.replace(manifest, rebake=others), variables
        )
        refused(model, dataclasses.replace(manifest, rebake=others | {f"{path}x": manifest.rebake[path]}), variables)
    for one, other in itertools.combinations(manifest.rebake, 2):  # biases of two convolutions of one size, say
        swapped = {one: manifest.rebake[other], other: manifest.rebake[one]}
        refused(model, dataclasses.replace(manifest, rebake=manifest.rebake | swapped), variables)
    shutil.copytree(coral_export.parent, tmp_path / "own")
    own = tmp_path / "own" / "coral.json"
    assert len(alike) == 2
    for number in alike:  # the answers do
        dataclasses.replace(manifest, rebake=manifest.rebake | {first: number}).write(own)
        with pytest.raises(ParityError):
            rebake(own, state, tmp_path / "new.tflite", photos())


def test_a_file_of_another_structure_is_refused(coral_export, parts):
    _, manifest, variables = parts
    for name in ("prefix_int8", "suffix_train", "model"):
        refused(Model.read(coral_export.with_name(f"{name}.tflite")), manifest, variables)
    image = dataclasses.replace(manifest.image, zero_point=0)
    assert "expected the input" in refused(parts[0], dataclasses.replace(manifest, image=image), variables)


def spoil(tensor, **changes):
    tensor.quantization = copy.copy(tensor.quantization)
    for name, value in changes.items():
        setattr(tensor.quantization, name, value)


SPOILED = {
    "no quantization": lambda tensor, _: setattr(tensor, "quantization", None),
    "no scales": lambda tensor, _: spoil(tensor, scale=None),
    "no zero points": lambda tensor, _: spoil(tensor, zeroPoint=None),
    "a scale of 0": lambda tensor, _: spoil(tensor, scale=np.zeros_like(tensor.quantization.scale)),
    "an infinite scale": lambda tensor, _: spoil(tensor, scale=np.full_like(tensor.quantization.scale, np.inf)),
    "fewer zero points": lambda tensor, _: spoil(tensor, zeroPoint=tensor.quantization.zeroPoint[:-1]),
    "no content": lambda tensor, buffer: setattr(buffer, "data", None),
    "less content": lambda tensor, buffer: setattr(buffer, "data", buffer.data[:-1]),
}


@pytest.mark.parametrize("role", [0, 1, 2], ids=["image", "kernel", "bias"])
@pytest.mark.parametrize("case", SPOILED)
def test_a_tensor_without_its_scales_or_content_is_refused(coral_export, parts, case, role):
    if role == 0 and "content" in case:
        return  # an image has none
    model = Model.read(coral_export.with_name("model_int8.tflite"))
    op = [op for op in model.graphs[0].operators if op.name == "DEPTHWISE_CONV_2D"][1]
    tensor = model.schema.subgraphs[0].tensors[op.inputs[role]]
    SPOILED[case](tensor, model.schema.buffers[tensor.buffer])
    refused(model, *parts[1:])


def test_a_state_that_does_not_fit_is_refused_before_photos_are_read(coral_export, tmp_path):
    (tmp_path / "damaged.tinytl").write_bytes(b"TINYTL")

    def read():
        raise AssertionError
        yield

    with pytest.raises(InputError, match="is not a state file|is cut short"):
        rebake(coral_export, tmp_path / "damaged.tinytl", tmp_path / "new.tflite", read())


def test_what_cannot_be_rebaked_is_refused_and_nothing_is_written(coral_export, state, tmp_path, monkeypatch):
    output = tmp_path / "new.tflite"
    with pytest.raises(InputError, match=r"expected photos, uint8 \[64, 64, 3\], got 0"):
        rebake(coral_export, state, output, [])
    with pytest.raises(InputError, match="expected photos"):
        rebake(coral_export, state, output, [np.zeros((8, 8, 3), np.uint8)])
    whole = TrainableModel(coral_export.with_name("model.tflite"))
    whole.save(tmp_path / "whole.tinytl")
    with pytest.raises(InputError, match="belongs to the model with SHA-256"):
        rebake(coral_export, tmp_path / "whole.tinytl", output, photos())
    monkeypatch.setattr(module, "MOST_LOSS_DB", -50)
    with pytest.raises(ParityError, match="signal to noise of the rebaked file is .* dB, of the exported one it was"):
        rebake(coral_export, state, output, photos())
    shutil.copytree(coral_export.parent, tmp_path / "own")
    own = tmp_path / "own" / "coral.json"
    manifest = CoralManifest.read(own)
    names = ("files", "sha256", "snr_db")
    parts = {name: {k: v for k, v in getattr(manifest, name).items() if k != "int8"} for name in names}
    dataclasses.replace(manifest, **parts, rebake={}).write(own)
    with pytest.raises(InputError, match="has no part 'int8': its trained variables do not fit into one int8 file"):
        rebake(own, state, output, photos())
    assert not output.exists()
    output.write_bytes(b"")
    with pytest.raises(InputError, match="exists already"):
        rebake(coral_export, state, output, photos())


def test_the_bias_of_a_filter_with_hardly_any_weights_still_fits(coral_export):
    """Its scale is so small that the bias would be more than an int32 of them: the scale grows, as the converter's "
    "does."""
    model = Model.read(coral_export.with_name("model_int8.tflite"))
    op = next(op for op in model.graphs[0].operators if op.name == "CONV_2D")
    image, kernel, bias = (model.schema.subgraphs[0].tensors[index] for index in op.inputs)
    scales = quantization_of(kernel)[0]
    module.set_quantization(kernel, scales * np.where(np.arange(len(scales)) == 2, 1e-12, 1), np.zeros(len(scales)))
    weights = module.constant(model.schema, kernel)
    shift = np.linspace(-3, 4, len(scales))
    module._set_convolution(model, op, shift, None)
    np.testing.assert_allclose(module.constant(model.schema, bias), shift, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        module.constant(model.schema, kernel)[np.arange(len(scales)) != 2], weights[np.arange(len(scales)) != 2]
    )
    assert np.abs(module.constant(model.schema, kernel)[2]).max() < 1e-6
    product = quantization_of(image)[0] * quantization_of(kernel)[0]
    np.testing.assert_allclose(quantization_of(bias)[0], product, rtol=1e-6)
