"""Post-training quantization of a network without trained variables, with int8 from pixels to outputs."""

import keras
import numpy as np
import tensorflow as tf

from tinytl_tf.errors import InputError, ParityError
from tinytl_tf.export.operator_audit import conversion_error, write_minimum_runtime
from tinytl_tf.tflite.model import Model

__all__ = ["convert_int8", "require_one_scale"]

_NEARLY_NOTHING = 1e-12
PIXEL_OFFSET = 128  # an int8 pixel is the uint8 value minus this offset: the same byte with its highest bit inverted


def convert_int8(model: keras.Model, images: np.ndarray) -> bytes:
    """Converts a network to int8. Kernels have a scale for each filter; all other tensors have a single scale.

    The file takes one image of int8 pixels (0 to 255, minus 128). The scale of its input does the normalization, so no
    operator is needed for it. Variables are converted to constants first, because calibration does not support
    variables. Kernels of dense layers have a single scale, because runtimes 2.5 and 2.7 compute per-filter scales
    incorrectly, without an error.

    Args:
        model: A network that maps images `(batch, height, width, 3)` with values from 0 to 255 to one tensor; its
            first layer must be `Rescaling`.
        images: Photos to measure quantization ranges with, uint8 `[n, height, width, 3]`.

    Returns:
        The content of the `.tflite`, which has one graph and no variables.

    Raises:
        InputError: If the normalization differs between the color channels, if `images` are empty or do not fit the
            network, or if an operator has no int8 builtin.
        ParityError: If the input's scale in the file differs from the network's normalization.
    """
    scale, offset = require_one_scale(model)
    if (
        images.ndim != 4
        or images.dtype != np.uint8
        or images.shape[1:] != tuple(model.input_shape[1:])
        or not len(images)
    ):
        wanted = f"uint8 [n, {', '.join(map(str, model.input_shape[1:]))}]"
        raise InputError(f"expected photos to calibrate with, {wanted}, got {images.dtype} {list(images.shape)}")
    body = keras.Model(_normalize(model).output, model.output)
    constants = [(variable, tf.constant(_kept(variable))) for variable in body.variables]

    @tf.function(input_signature=[tf.TensorSpec([1, *model.input_shape[1:]], tf.float32, "image")])
    def run(image):
        with keras.StatelessScope(constants):
            return body(image, training=False)

    def calibration():
        for number, image in enumerate(images):
            if number == 0:  # the full range of pixels must occur, even if the photos do not use it
                image = image.copy()
                image[0, 0], image[0, -1] = 0, 255
            yield [image[np.newaxis].astype(np.float32) * np.float32(scale) + np.float32(offset)]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([run.get_concrete_function()], body)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter.exclude_conversion_metadata = True
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    try:
        content = converter.convert()
    except Exception as error:  # the converter raises its own exception type and others
        raise conversion_error(str(error)) from error
    file = Model.from_bytes(content)
    _check_pixels(file, scale, offset)
    write_minimum_runtime(file)
    return file.to_bytes()


def require_one_scale(model: keras.Model) -> tuple[float, float]:
    """Returns the factor and the offset with which a network normalizes all pixels.

    Raises:
        InputError: If they differ between red, green and blue, because an int8 tensor has a single scale.
    """
    layer = _normalize(model)
    scales, offsets = np.unique(layer.scale), np.unique(layer.offset)
    if len(scales) > 1 or len(offsets) > 1:
        raise InputError(
            f"expected pixels that are normalized alike in all channels, got the factors {scales.tolist()}: an int8 "
            "image has one scale; choose another backbone"
        )
    return float(scales[0]), float(offsets[0])


def _kept(variable: keras.Variable) -> np.ndarray:
    """Returns the value of a variable. A zero shift becomes tiny, because the converter drops biases that are zero."""
    value = variable.numpy()
    is_shift = variable.path.endswith(("/beta", "/bias"))
    return value if not is_shift or value.any() else np.full_like(value, _NEARLY_NOTHING)


def _normalize(model: keras.Model) -> keras.layers.Layer:
    return next(layer for layer in model.layers if isinstance(layer, keras.layers.Rescaling))


def _check_pixels(file: Model, scale: float, offset: float) -> None:
    """Checks that the input's scale equals the network's normalization, because clients pass raw pixels."""
    quantization = file.schema.subgraphs[0].tensors[file.graphs[0].inputs[0]].quantization
    ratio, zero = float(quantization.scale[0]) / scale, int(quantization.zeroPoint[0])
    # Rounding of the zero point adds up to half a level.
    if not (abs(ratio - 1) < 1e-3 and abs(zero + PIXEL_OFFSET + offset / scale) < 0.6):
        raise ParityError(
            f"expected an input of scale {scale:.6f}, as the network normalizes its pixels, got {ratio * scale:.6f} "
            f"and the zero point {zero}; nothing was written. Please report it with the model"
        )
