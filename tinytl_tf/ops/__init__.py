"""Differentiable primitives that keep little for backward; both passes use only builtin operators of LiteRT."""

from tinytl_tf.ops.activations import (
    ACTIVATIONS,
    elu,
    gelu,
    gelu_tanh,
    hard_sigmoid,
    hard_swish,
    leaky_relu,
    relu,
    relu6,
    sigmoid,
    silu,
    tanh,
)
from tinytl_tf.ops.cropping import crop
from tinytl_tf.ops.cross_entropy import sigmoid_cross_entropy, softmax_cross_entropy
from tinytl_tf.ops.depthwise_convolution import depthwise_conv2d
from tinytl_tf.ops.gating import gate
from tinytl_tf.ops.group_normalization import group_norm
from tinytl_tf.ops.layer_normalization import layer_norm
from tinytl_tf.ops.masks import mask_storage
from tinytl_tf.ops.max_pooling import max_pool
from tinytl_tf.ops.padding import resolve_padding
from tinytl_tf.ops.parts import split_last
from tinytl_tf.ops.plain_convolution import conv2d
from tinytl_tf.ops.pooling import average_pool, global_average_pool
from tinytl_tf.ops.resize import resize_bilinear, upsample_nearest
from tinytl_tf.ops.scale_and_shift import affine
from tinytl_tf.ops.standardization import standardize

__all__ = [
    "ACTIVATIONS",
    "affine",
    "average_pool",
    "conv2d",
    "crop",
    "depthwise_conv2d",
    "elu",
    "gate",
    "gelu",
    "gelu_tanh",
    "global_average_pool",
    "group_norm",
    "hard_sigmoid",
    "hard_swish",
    "layer_norm",
    "leaky_relu",
    "mask_storage",
    "max_pool",
    "relu",
    "relu6",
    "resize_bilinear",
    "resolve_padding",
    "sigmoid",
    "sigmoid_cross_entropy",
    "silu",
    "softmax_cross_entropy",
    "split_last",
    "standardize",
    "tanh",
    "upsample_nearest",
]
