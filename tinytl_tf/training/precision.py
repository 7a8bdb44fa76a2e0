"""Half-precision activations during a step; variables and saved values stay float32."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from tinytl_tf.errors import InputError

__all__ = ["LOSS_SCALE", "computing_in", "require_precision"]

# For float16: gradients of 1e-8 are below its smallest number. A step that leaves its range is repeated in float32.
LOSS_SCALE = 2.0**15
# These stay float32: pixels, which half precision would round; dropout, whose random numbers depend on the type; and
# the logits, for the exponentials of the loss.
_FLOAT32 = (keras.layers.InputLayer, keras.layers.Rescaling, keras.layers.Dropout, keras.layers.Dense)


def require_precision(precision: str) -> None:
    """Refuses a precision that this machine does not support.

    Args:
        precision: one of `tinytl_tf.experiment.PRECISIONS`.

    Raises:
        InputError: if it is float16 and there is no GPU; bfloat16 is just as small and needs no scaling of the loss.
    """
    if precision == "mixed_float16" and not tf.config.list_physical_devices("GPU"):
        raise InputError(
            "expected a GPU for config.training.precision 'mixed_float16', found none; choose 'mixed_bfloat16' "
            "or 'float32'"
        )


@contextlib.contextmanager
def computing_in(model: keras.Model, precision: str) -> Iterator[None]:
    """Makes the layers of a model compute in half precision when the model is called inside the block.

    The policies are restored at the end of the block, so the model is saved, evaluated and exported in float32. They
    apply to graphs that `tf.function` traces inside the block.

    Args:
        model: a float32 network; its variables and logits stay float32.
        precision: name of a Keras dtype policy; `"float32"` changes nothing.

    Example:
        >>> from tinytl_tf.backbones import build
        >>> model = build("mobilenet_v2", classes=10, resolution=32, width=0.35, weights=None)
        >>> with computing_in(model, "mixed_bfloat16"):
        ...     model.get_layer("head").compute_dtype, model(tf.zeros([1, 32, 32, 3])).dtype
        ('bfloat16', tf.float32)
        >>> model.get_layer("head").compute_dtype
        'float32'
    """
    if precision == "float32":
        yield
        return
    layers = [layer for layer in model._flatten_layers(include_self=False) if not isinstance(layer, _FLOAT32)]
    before = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = precision
        yield
    finally:
        for layer, policy in zip(layers, before, strict=True):
            layer.dtype_policy = policy
