"""Distinguishes the weights of networks by the scale of their frozen convolutions."""

import math

import keras
import numpy as np

from tinytl_tf.layers import FrozenConv2D, FrozenDepthwiseConv2D

__all__ = ["frozen_scales", "has_scales"]

TOLERANCE = 0.05  # weights that went through 8 bits are within 0.01, other weights of the same table are not


def frozen_scales(model: keras.Model) -> dict[str, float]:
    """Returns how large the kernel of each convolution is, with the scale of its norm.

    Weights with norms folded into the kernels give the same numbers.

    Args:
        model: a network made by `build`.

    Returns:
        By the name of the layer, the root of the sum of squares, to five digits; layers of branches are left out.

    Example:
        >>> from tinytl_tf.backbones import build
        >>> frozen_scales(build("mobilenet_v2", classes=2, resolution=64, width=0.35, weights=None))["stem"]
        4.7...
    """
    return {layer.name: _scale(layer) for layer in model.layers if _is_frozen(layer)}


def has_scales(model: keras.Model, scales: dict[str, float]) -> bool:
    """Returns whether a network has the same weights, up to rounding, as the network of the scales.

    Args:
        model: a network made by `build`.
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
