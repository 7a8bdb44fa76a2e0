"""The lite residual module: a small trainable branch around a frozen block."""

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers.arguments import require_known_size, require_positive_integers
from tinytl_tf.layers.group_norm import GroupNorm
from tinytl_tf.layers.selective_layer import SelectiveLayer
from tinytl_tf.networks.branches import BRANCH_POOL_SIZE, MAX_BRANCH_KERNEL_SIZE
from tinytl_tf.networks.channels import make_divisible

__all__ = ["LiteResidual"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class LiteResidual(SelectiveLayer):
    """Average pooling, grouped convolution, norm, ReLU, 1x1 convolution, bilinear upsampling.

    The 1x1 kernel starts at zero, so the branch's initial output is exactly zero. Add the output to that of the block
    with the same input: `y = block(x) + lite_residual(x)`. The tensors kept for the backward pass have half the
    resolution and the width of the block's input; those of the block itself would be six times wider.

    With `final_norm=True`, as in the paper, a norm follows the 1x1 convolution, and its gamma starts at zero instead of
    the kernel. One step of Adam changes this gamma by at most the learning rate. While gamma is small, it limits the
    whole branch, which lowers the accuracy of training runs of only a few hundred steps (see RESULTS.md).

    Args:
        filters: number of output channels of the block.
        kernel_size: height and width of the grouped kernel, an odd number; see `branches.kernel_schedule`.
        strides: stride of the block.
        groups: number of groups of the first convolution; must divide the number of input channels.
        expand: width of the branch as a multiple of its input channels, rounded to a multiple of 8.
        global_pool: whether to pool the complete image instead of 2x2 windows; the result is repeated over the block's
            output.
        final_norm: whether a norm follows the 1x1 convolution, as in the paper.
        weight_standardization: whether both kernels are standardized in each call, as in the paper's code. Requires
            `final_norm`, since a kernel of zeros cannot be standardized.
        train: variables to train: any of `"kernel"`, `"pointwise_kernel"`, `"norm/gamma"`, `"norm/beta"` and, with
            `final_norm`, `"final_norm/gamma"` and `"final_norm/beta"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)` with static height and width, both at least 2 unless `global_pool` is True.

    Output shape:
        `(batch, ceil(height / strides), ceil(width / strides), filters)`

    Reference:
        TinyTL, section 3.2 and equation 4. The details follow the released code, except that the last norm and weight
        standardization are options. LoRA (Hu et al., 2021, section 4.1) also initializes the last kernel of its
        branches with zeros.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = MAX_BRANCH_KERNEL_SIZE,
        strides: int = 1,
        groups: int = 2,
        expand: float = 1.0,
        global_pool: bool = False,
        final_norm: bool = False,
        weight_standardization: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        require_positive_integers(filters=filters, kernel_size=kernel_size, strides=strides, groups=groups)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}")
        if not expand > 0:
            raise ValueError(f"expand must be above 0, got {expand!r}")
        if weight_standardization and not final_norm:
            raise ValueError("weight_standardization needs final_norm=True: without it a kernel starts at zero")
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.groups = groups
        self.expand = expand
        self.global_pool = global_pool
        self.weight_standardization = weight_standardization
        self.norm = GroupNorm(name="norm", dtype=self.dtype_policy)
        self.final_norm = None
        if final_norm:
            self.final_norm = GroupNorm(gamma_initializer="zeros", name="final_norm", dtype=self.dtype_policy)

    def build_variables(self, input_shape: tuple) -> None:
        """Creates the two kernels and builds the norms."""
        require_known_size(self.name, input_shape, least=1 if self.global_pool else BRANCH_POOL_SIZE)
        channels = input_shape[-1]
        width = make_divisible(int(channels * self.expand))
        if channels % self.groups or width % self.groups:
            raise ValueError(
                f"{self.name} needs input channels and a width divisible by {self.groups} groups, "
                f"got {channels} channels and width {width}"
            )
        # He initialization with fan-out, ignoring groups, as in the released code.
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, self.kernel_size, channels // self.groups, width),
            initializer=keras.initializers.RandomNormal(stddev=(2 / (self.kernel_size**2 * width)) ** 0.5),
        )
        self.pointwise_kernel = self.add_weight(
            name="pointwise_kernel",
            shape=(1, 1, width, self.filters),
            initializer=keras.initializers.RandomNormal(stddev=(2 / self.filters) ** 0.5)
            if self.final_norm
            else "zeros",
        )
        self.norm.build((*input_shape[:3], width))
        if self.final_norm:
            self.final_norm.build((*input_shape[:3], self.filters))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the output of the branch, to be added to the block's output."""
        if self.global_pool:
            pooled = ops.global_average_pool(inputs, keepdims=True)
        else:
            pooled = ops.average_pool(inputs, BRANCH_POOL_SIZE)
        around = self.kernel_size // 2
        branch = ops.conv2d(
            pooled,
            self._standardized(self.kernel),
            strides=self.strides,
            padding=((around, around), (around, around)),
            groups=self.groups,
            train_kernel=self.kernel.trainable,
        )
        branch = ops.relu(self.norm(branch))
        pointwise_kernel = self._standardized(self.pointwise_kernel)
        branch = ops.conv2d(branch, pointwise_kernel, train_kernel=self.pointwise_kernel.trainable)
        if self.final_norm:
            branch = self.final_norm(branch)
        return ops.resize_bilinear(branch, self.compute_output_shape(inputs.shape)[1:3])

    def _standardized(self, kernel: keras.Variable) -> tf.Tensor:
        return ops.standardize(kernel) if self.weight_standardization else tf.convert_to_tensor(kernel)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the block's output; a height or width that is `None` in the input shape stays `None`."""
        size = (None if length is None else -(-length // self.strides) for length in input_shape[1:3])
        return (input_shape[0], *size, self.filters)

    @classmethod
    def from_config(cls, config: dict) -> "LiteResidual":
        """Returns the layer of a configuration; older configurations without `final_norm` always had that norm."""
        return super().from_config({"final_norm": True, **config})

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "groups": self.groups,
            "expand": self.expand,
            "global_pool": self.global_pool,
            "final_norm": self.final_norm is not None,
            "weight_standardization": self.weight_standardization,
        }
