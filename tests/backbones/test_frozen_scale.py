"""Weights are told apart by the size of their convolutions."""

import numpy as np
import pytest

from tinytl_tf.backbones import build
from tinytl_tf.backbones.frozen_scale import frozen_scales, has_scales


def network(seed, resolution=64):
    return build("mobilenet_v2", classes=2, resolution=resolution, width=0.35, weights=None, seed=seed)


@pytest.fixture
def model():
    return network(0)


def fold(layer):
    """Puts the norm of a convolution into its kernel, as converters do."""
    scale, shift = (tensor.numpy() for tensor in layer.norm.scale_and_shift())
    kernel = layer.kernel.numpy()
    layer.kernel.assign(kernel * (scale if kernel.shape[-1] == scale.size else scale[:, np.newaxis]))
    norm = layer.norm
    for variable, value in zip(
        (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance),
        (np.ones_like(scale), shift, np.zeros_like(scale), np.full_like(scale, 1 - norm.epsilon)),
        strict=True,
    ):
        variable.assign(value)


def test_every_convolution_counts(model):
    scales = frozen_scales(model)
    assert len(scales) == 52
    kernel = model.get_layer("stem").kernel
    np.testing.assert_allclose(scales["stem"], np.linalg.norm(kernel) / np.sqrt(1 + 1e-3), rtol=1e-4)


@pytest.mark.thorough
def test_eight_bits_and_folded_norms_change_nothing(model):
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name in frozen_scales(model):
            layer.norm.gamma.assign(generator.uniform(0.5, 2, layer.norm.gamma.shape))
            layer.norm.moving_variance.assign(generator.uniform(0.1, 4, layer.norm.gamma.shape))
    scales = frozen_scales(model)
    for name in ("stem", "block_1_expand", "block_1_depthwise"):
        fold(model.get_layer(name))
    np.testing.assert_allclose(list(frozen_scales(model).values()), list(scales.values()), rtol=1e-4)
    for name in scales:
        kernel = model.get_layer(name).kernel
        step = np.abs(kernel.numpy()).max() / 127
        kernel.assign(np.round(kernel.numpy() / step) * step)
    assert has_scales(model, scales)


def test_other_weights_and_other_networks_differ(model):
    scales = frozen_scales(model)
    assert has_scales(network(0, resolution=96), scales)
    assert not has_scales(model, {name: scale for name, scale in scales.items() if name != "stem"})
    layer = model.get_layer("block_16_project")
    layer.kernel.assign(layer.kernel * 1.06)
    assert not has_scales(model, scales)
