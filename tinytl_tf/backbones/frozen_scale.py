"""Identifies a network's weights by the scales of its frozen convolutions."""

import math

import keras
import numpy as np

from tinytl_tf.layers import FrozenConv2D, FrozenDepthwiseConv2D

__all__ = ["frozen_scales", "has_scales"]

TOLERANCE = 0.05  # weights rounded to 8 bits differ by less than 0.01; different weights of the same table differ more


def frozen_scales(model: keras.Model) -> dict[str, float]:
    """Returns the magnitude of each convolution's kernel, multiplied by the scale of its norm.

    Weights with norms already folded into the kernels give the same values.

    Args:
        model: network made by `build`.

    Returns:
        Root of the sum of squares, to five digits, by layer name; layers of branches are left out.

    Example:
        >>> from tinytl_tf.backbones import build
        >>> frozen_scales(build("mobilenet_v2", classes=2, resolution=64, width=0.35, weights=None))["stem"]
        4.7...
    """
    return {layer.name: _scale(layer) for layer in model.layers if _is_frozen(layer)}


def has_scales(model: keras.Model, scales: dict[str, float]) -> bool:
    """Returns whether a network has the same weights, up to rounding, as the network that the scales were taken from.

    Args:
        model: network made by `build`.
        scales: result of `frozen_scales`.
    """
    own = frozen_scales(model)
    return own.keys() == scales.keys() and all(
        math.isclose(own[name], scale, rel_tol=TOLERANCE) for name, scale in scales.items()
    )


def _is_frozen(layer: keras.Layer) -> bool:
    return isinstance(layer, FrozenConv2D | FrozenDepthwiseConv2D)


def _scale(layer: keras.Layer) -> float:
    kernel, _ = layer.folded()
    return float(f"{np.linalg.norm(kernel.numpy().astype(np.float64)):.5g}")
