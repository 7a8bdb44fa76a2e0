"""Base class of the layers that pool windows."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tinytl_tf.keras_backend import require_keras_settings
from tinytl_tf.layers.arguments import checked_window, drop_fixed_arguments, require_known_size
from tinytl_tf.layers.signals import on_images
from tinytl_tf.ops.padding import output_size

__all__ = ["WindowPooling"]


class WindowPooling(keras.layers.Layer):
    """Pools windows of images or signals; subclasses define `pool`.

    Args:
        pool_size: size of the window, one number or one for each axis.
        strides: strides of the window, one number or one for each axis; `None` for the size of the window.
        padding: `"same"` or `"valid"`.
        **kwargs: arguments of `keras.layers.Layer`; `data_format` is accepted if it is `"channels_last"`.

    Raises:
        ValueError: if the value of an argument is not allowed; the message names the argument.

    Input shape:
        `(batch, height, width, channels)` or `(batch, steps, channels)`; all dimensions except the batch are static.

    Output shape:
        `(batch, new_height, new_width, channels)` or `(batch, new_steps, channels)`
    """

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        **kwargs,
    ) -> None:
        require_keras_settings()
        super().__init__(**drop_fixed_arguments(kwargs))
        if not isinstance(padding, str) or padding.lower() not in ("same", "valid"):
            raise ValueError(f'padding must be "same" or "valid", got {padding!r}')
        self.input_spec = keras.InputSpec(min_ndim=3, max_ndim=4)
        self.pool_size = _checked("pool_size", pool_size)
        self.strides = None if strides is None else _checked("strides", strides)
        self.padding = padding.lower()

    def pool(self, images: tf.Tensor, size: tuple, strides: tuple, padding: str) -> tf.Tensor:
        """Pools images `[batch, height, width, channels]`."""
        raise NotImplementedError(f"{type(self).__name__} must define pool")

    def build(self, input_shape: tuple) -> None:
        """Refuses inputs without a static size, which the gradient needs."""
        self._window_of_images(input_shape)
        require_known_size(self.name, input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the pooled tensor."""
        window = self._window_of_images(inputs.shape)
        return on_images(lambda images: self.pool(images, *window, self.padding), inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the output shape; a dimension that is `None` in the input shape stays `None`."""
        size, lifted = tuple(input_shape[1:-1]), (1,) * (4 - len(input_shape))
        pooled = output_size(self.padding, lifted + size, *self._window_of_images(input_shape))
        return (input_shape[0], *pooled[-len(size) :], input_shape[-1])

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
        }

    def _window_of_images(self, input_shape: tuple) -> tuple[tuple[int, int], tuple[int, int]]:
        """Returns the size and strides of the window for images; a signal is treated as an image with one row."""
        axes = len(input_shape) - 2
        lifted = (1,) * (2 - axes)
        size = lifted + checked_window("pool_size", self.pool_size, axes)
        strides = size if self.strides is None else lifted + checked_window("strides", self.strides, axes)
        return size, strides


def _checked(name: str, value: int | Sequence[int]) -> int | tuple[int, ...]:
    """Checks and unpacks a number, or a sequence for one or two axes, before the rank of the input is known."""
    if isinstance(value, Sequence) and len(value) in (1, 2):
        return checked_window(name, value, len(value))
    return checked_window(name, value, 2)[0]
