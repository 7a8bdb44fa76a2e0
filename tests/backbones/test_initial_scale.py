"""A network without weights is alive: no layer's features vanish or explode, and two images give two answers."""

import keras
import numpy as np
import pytest

from tinytl_tf.backbones import build
from tinytl_tf.layers import FrozenConv2D
from tinytl_tf.networks.architectures import ARCHITECTURES

# He's rule keeps the second moment through a ReLU; ReLU6 and the sums of shortcuts move it by a few times.
BOUNDS = (0.05, 20.0)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_features_keep_their_scale_layer_by_layer(name):
    model = build(name, classes=5, resolution=64, weights=None)
    layers = [layer for layer in model.layers if isinstance(layer, FrozenConv2D)]
    outputs = keras.Model(model.input, [layer.output for layer in layers])
    images = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).repeat(8, 1).repeat(8, 2).astype(np.float32)
    scales = {
        layer.name: float(np.sqrt(np.mean(np.square(features))))
        for layer, features in zip(layers, outputs(images, training=False), strict=True)
    }
    low, high = BOUNDS
    assert len(scales) > 40
    assert {name: scale for name, scale in scales.items() if not low < scale < high} == {}
    logits = np.asarray(model(images, training=False))
    assert logits.std(axis=0).min() > 1e-3
