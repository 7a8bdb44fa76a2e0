"""The files of an export for a Coral board fit together, and what cannot be is refused before anything is written."""

import keras
import numpy as np
import pytest

from tests import tiny_coral, tiny_network
from tinytl_tf.backbones.describe import describe
from tinytl_tf.backbones.from_keras import from_keras
from tinytl_tf.backbones.split import split_model
from tinytl_tf.device import TrainableModel
from tinytl_tf.errors import InputError, ParityError
from tinytl_tf.export import coral as module
from tinytl_tf.export.coral import export_coral
from tinytl_tf.export.int8 import convert_int8, require_one_scale
from tinytl_tf.export.operator_audit import audit
from tinytl_tf.export.rebake_map import rebake_map
from tinytl_tf.networks.schemes import apply_scheme, get_scheme, restrict
from tinytl_tf.tflite.coral_manifest import CoralManifest, coral_files
from tinytl_tf.tflite.edge_tpu import lint
from tinytl_tf.tflite.manifest import Manifest
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.snr import snr_db

OPTIONS = {"split": tiny_coral.SPLIT, "labels": tiny_network.LABELS, "batch_size": 4}


@pytest.fixture(scope="module")
def files(coral_export):
    return coral_files(coral_export.with_name("model.tflite"))


def test_all_files_are_there_and_nothing_else(files, coral_export):
    assert {path.name for path in coral_export.parent.iterdir()} == {path.name for path in files.values()}
    assert CoralManifest.read(coral_export).files == {
        "prefix": "prefix_int8.tflite",
        "suffix": "suffix_train.tflite",
        "int8": "model_int8.tflite",
        "model": "model.tflite",
    }


def test_the_prefix_is_what_the_compiler_takes(files):
    prefix = Model.read(files["prefix"])
    assert lint(prefix) == []
    assert {(op.name, op.version) for _, op in prefix.operators()} <= {
        ("CONV_2D", 3),
        ("DEPTHWISE_CONV_2D", 3),
        ("ADD", 2),
    }
    # Not a single operator scales the pixels: the input's scale does.
    assert prefix.graphs[0].operators[0].name == "CONV_2D"
    tensors = prefix.schema.subgraphs[0].tensors
    kernels = [tensors[op.inputs[1]] for op in prefix.graphs[0].operators if op.name == "CONV_2D"]
    assert all(len(kernel.quantization.scale) == kernel.shape[0] for kernel in kernels)


def test_the_whole_int8_file_has_one_scale_for_its_dense_layer(files):
    findings = lint(Model.read(files["int8"]))
    assert [finding.rule for finding in findings] == ["logged"]  # of MEAN


def test_manifests_agree(files, coral_export):
    coral, suffix, whole = (
        CoralManifest.read(coral_export),
        Manifest.read(files["suffix"]),
        Manifest.read(files["model"]),
    )
    assert suffix.signatures["train"]["inputs"]["features"] == {"shape": [4, *coral.features.shape], "dtype": "int8"}
    for name in ("labels", "task", "input", "scheme", "optimizer", "batch_size", "state", "frozen_sha256", "backbone"):
        assert getattr(suffix, name) == getattr(whole, name), name
    assert whole.data.crop
    assert not suffix.data.crop
    assert coral.snr_db["prefix"] > 20
    assert coral.calibration_images == 45
    assert set(coral.rebake) == {entry.name for entry in suffix.state if not entry.slot}
    assert suffix.planned_peak_bytes["train"] < whole.planned_peak_bytes["train"]
    audit(files["suffix"])


def test_a_state_of_the_suffix_is_one_of_the_whole(files):
    suffix, whole = TrainableModel(files["suffix"]), TrainableModel(files["model"])
    np.testing.assert_array_equal(suffix.state(), whole.state())
    state = whole.state()
    state[:4] += 1
    whole.set_state(state)
    suffix.set_state(whole.state())


def test_integers_stand_for_the_features_of_the_network(files, coral_export):
    coral, images = CoralManifest.read(coral_export), tiny_coral.photos(24)
    parts = split_model(tiny_coral.build(), tiny_coral.SPLIT)
    results, image = module.run_int8(files["prefix"].read_bytes(), images)
    expected = np.asarray(parts.prefix(images.astype(np.float32)))
    assert snr_db(expected, results.floats()) > 20
    assert (results.scale, results.zero_point) == (coral.features.scale, coral.features.zero_point)
    assert image == coral.image


def test_the_suffix_takes_integers_for_the_features_that_they_stand_for(files, coral_export):
    """Scale and zero point of the prefix are in the suffix: with a zero point off by one this is not met."""
    coral = CoralManifest.read(coral_export)
    parts, file = split_model(tiny_coral.build(), tiny_coral.SPLIT), TrainableModel(files["suffix"])
    integers = np.random.default_rng(0).integers(-128, 128, (4, *coral.features.shape)).astype(np.int8)
    floats = (integers.astype(np.float32) - coral.features.zero_point) * np.float32(coral.features.scale)
    got = [file.infer(image).logits for image in integers]
    np.testing.assert_allclose(got, parts.suffix(floats), rtol=1e-3, atol=1e-4)


def test_a_photo_without_black_and_white_still_calibrates_all_pixels():
    parts = split_model(tiny_coral.build(), "block_1")
    gray = np.full((4, 64, 64, 3), 100, np.uint8) + np.arange(64, dtype=np.uint8)[None, :, None, None] // 2
    content = convert_int8(parts.prefix, gray)
    scale, _ = (Model.from_bytes(content).schema.subgraphs[0].tensors[0].quantization.scale[0], 0)
    assert scale == pytest.approx(2 / 255, rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split": "head"}, "expected nothing to train before 'head', got block_3_expand/norm/beta"),
        ({"split": "block_7"}, "expected a place at which the network can be split"),
        (
            {"calibration": np.zeros((0, 64, 64, 3), np.uint8)},
            r"expected photos to calibrate with, uint8 \[n, 64, 64, 3\]",
        ),
        ({"calibration": np.zeros((2, 32, 32, 3), np.uint8)}, r"got uint8 \[2, 32, 32, 3\]"),
        ({"labels": ["a"]}, "expected 4 labels"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"path": "prefix_int8.tflite"}, "expected another name than prefix_int8.tflite for the complete file"),
        ({"profile": "none"}, "none"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_written(tmp_path, changes, words):
    options = {**OPTIONS, "calibration": tiny_coral.photos(2), "path": "model.tflite", **changes}
    path = tmp_path / options.pop("path")
    with pytest.raises(InputError, match=words):
        export_coral(tiny_coral.build(), path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_branch_before_the_split_is_refused(tmp_path):
    model = tiny_network.build("tinytl-lb")
    apply_scheme(model.weights, get_scheme("last"))
    with pytest.raises(
        InputError, match="expected no lite residual before the split at 'head', got block_1_lite_residual"
    ):
        export_coral(
            model, tmp_path / "m.tflite", split="head", calibration=tiny_coral.photos(2), labels=tiny_network.LABELS
        )


def test_a_prefix_that_the_compiler_refuses_is_not_written(tmp_path, monkeypatch):
    """As if the converter had written a version of an operator that is too new."""

    def too_new(model, images):
        file = Model.from_bytes(convert_int8(model, images))
        file.schema.operatorCodes[0].version = 6
        return file.to_bytes()

    monkeypatch.setattr(module, "convert_int8", too_new)
    with pytest.raises(
        InputError, match="the Edge TPU's compiler would refuse the prefix: expected versions of operators"
    ):
        export_coral(tiny_coral.build(), tmp_path / "m.tflite", calibration=tiny_coral.photos(2), **OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_integers_that_lose_the_features_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LEAST_SNR_DB", 90.0)
    with pytest.raises(ParityError, match="signal to noise of the features is .* dB against float"):
        export_coral(tiny_coral.build(), tmp_path / "m.tflite", calibration=tiny_coral.photos(2), **OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_channels_that_are_normalized_each_in_its_way_are_refused():
    from tinytl_tf.backbones import build

    model = build("proxyless_mobile", classes=2, resolution=32, width=0.35, weights=None)
    with pytest.raises(InputError, match="expected pixels that are normalized alike in all channels"):
        require_one_scale(model)


def test_biases_of_zeros_are_kept_for_what_will_be_learnt():
    """A converter leaves such a bias out, and a network without weights has nothing but those."""
    model = tiny_coral.build()
    for layer in model.layers:
        for variable in layer.variables:
            if variable.path.endswith(("/beta", "/bias", "/moving_mean")):
                variable.assign(np.zeros(variable.shape))
    file = Model.from_bytes(convert_int8(model, tiny_coral.photos(2)))
    assert set(rebake_map(model, file)) == {variable.path for variable in model.trainable_variables}


def test_an_int8_file_that_is_not_that_of_the_network_is_found_out(files):
    model, file = tiny_coral.build(), Model.read(files["int8"])
    assert set(rebake_map(model, file)) == {variable.path for variable in model.trainable_variables}
    model.get_layer("head").norm.beta.assign_add(np.full(32, 0.1))
    with pytest.raises(ParityError, match="expected the bias of head in the int8 file, got other numbers"):
        rebake_map(model, file)
    with pytest.raises(ParityError, match="expected 14 convolutions in the int8 file, as in the network, got 9"):
        rebake_map(model, Model.read(files["prefix"]))


def test_a_convolution_without_a_bias_has_none_in_the_map():
    """As the projection of a shortcut in a model of a user's own."""
    images = keras.Input((16, 16, 3))
    x = keras.layers.ReLU()(keras.layers.Conv2D(8, 3, padding="same")(keras.layers.Rescaling(1 / 255)(images)))
    y = keras.layers.Conv2D(16, 3, strides=2, padding="same")(x)
    x = keras.layers.Add()([y, keras.layers.Conv2D(16, 1, strides=2, use_bias=False, name="shortcut")(x)])
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    network = from_keras(keras.Model(images, keras.layers.Dense(3)(x)))
    apply_scheme(network.weights, get_scheme("tinytl-b"))
    photos = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)).astype(np.uint8)
    file = Model.from_bytes(convert_int8(network, photos))
    assert set(rebake_map(network, file)) == {variable.path for variable in network.trainable_variables}
    assert any("shortcut" in variable.path for variable in network.weights)


@pytest.mark.thorough
@pytest.mark.parametrize(("kernels", "filters"), [((), 32), (("block_1:1/2", "block_3:1/4:8bit"), 8)])
def test_kernels_behind_the_split_train(tmp_path, kernels, filters):
    """The parity check of the export compares each step with TensorFlow's."""
    model = tiny_network.build("sparse-update", kernels=kernels)
    late = {"biases": tiny_coral.LATE, "kernels": [tiny_coral.SPLIT]}
    apply_scheme(model.weights, restrict(get_scheme("sparse-update"), **late).of(describe(model)))
    export_coral(model, tmp_path / "model.tflite", calibration=tiny_coral.photos(40), **OPTIONS)
    suffix = Manifest.read(coral_files(tmp_path / "model.tflite")["suffix"])
    assert suffix.scheme == "sparse-update"
    assert {entry.name: entry.shape for entry in suffix.state}["block_3_expand/kernel"] == (1, 1, 16, filters)


@pytest.mark.thorough
def test_a_classifier_of_several_depths_trains_behind_the_whole_network(tmp_path):
    model = tiny_network.build("last", feature_places=("block_1", "block_3"))
    options = OPTIONS | {"split": "classifier"}
    export_coral(model, tmp_path / "model.tflite", calibration=tiny_coral.photos(40), **options)
    files = coral_files(tmp_path / "model.tflite")
    suffix = Manifest.read(files["suffix"])
    assert {entry.name: entry.shape for entry in suffix.state} == {
        "classifier/kernel": (72, 4),
        "classifier/bias": (4,),
    }
    assert set(rebake_map(model, Model.read(files["int8"]))) == {"classifier/kernel", "classifier/bias"}


def test_a_network_of_two_convolutions_for_a_layer_is_not_rebaked():
    """Convolutions of the int8 file are matched with layers in order."""
    whole, split = (tiny_network.build("tinytl-b", kernels=kernels) for kernels in ((), ("block_1:1/2",)))
    assert module._can_rebake(whole)
    assert not module._can_rebake(split)
