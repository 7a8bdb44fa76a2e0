"""Keras layers that can train single variables and keep little for the backward pass, and the model class."""

from tinytl_tf import keras_backend  # noqa: F401, before anything imports Keras
from tinytl_tf.layers.activation import Activation
from tinytl_tf.layers.average_pooling import AveragePooling
from tinytl_tf.layers.branched_attention import BranchedAttention
from tinytl_tf.layers.crop import Crop
from tinytl_tf.layers.frozen_conv1d import FrozenConv1D
from tinytl_tf.layers.frozen_conv2d import FrozenConv2D
from tinytl_tf.layers.frozen_dense import FrozenDense
from tinytl_tf.layers.frozen_depthwise_conv1d import FrozenDepthwiseConv1D
from tinytl_tf.layers.frozen_depthwise_conv2d import FrozenDepthwiseConv2D
from tinytl_tf.layers.frozen_norm import FrozenNorm
from tinytl_tf.layers.gate import Gate
from tinytl_tf.layers.global_average_pooling import GlobalAveragePooling
from tinytl_tf.layers.group_norm import GroupNorm
from tinytl_tf.layers.layer_norm import LayerNorm
from tinytl_tf.layers.lite_residual import LiteResidual
from tinytl_tf.layers.log_mel import LogMel
from tinytl_tf.layers.lora import LoRA
from tinytl_tf.layers.max_pooling import MaxPooling
from tinytl_tf.layers.network import Network
from tinytl_tf.layers.selective_layer import SelectiveLayer
from tinytl_tf.layers.selective_wrapper import SelectiveWrapper
from tinytl_tf.layers.upsampling import Upsampling

__all__ = [
    "Activation",
    "AveragePooling",
    "BranchedAttention",
    "Crop",
    "FrozenConv1D",
    "FrozenConv2D",
    "FrozenDense",
    "FrozenDepthwiseConv1D",
    "FrozenDepthwiseConv2D",
    "FrozenNorm",
    "Gate",
    "GlobalAveragePooling",
    "GroupNorm",
    "LayerNorm",
    "LiteResidual",
    "LoRA",
    "LogMel",
    "MaxPooling",
    "Network",
    "SelectiveLayer",
    "SelectiveWrapper",
    "Upsampling",
]
