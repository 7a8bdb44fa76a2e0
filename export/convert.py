"""From a `TrainableModule` to the bytes of a `.tflite`, with builtin operators alone."""

import tensorflow as tf

from tinytl_tf.export.operator_audit import conversion_error
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.files import temporary_folder

__all__ = ["convert"]


def convert(module: TrainableModule) -> bytes:
    """Converts all signatures of a module into one file.

    The way leads over a SavedModel: the converter takes several signatures from nothing else. Variables that no
    signature assigns become constants; identical constants are stored once.

    Args:
        module: the network with its signatures.

    Returns:
        The content of the `.tflite`.

    Raises:
        InputError: if the network needs an operator that is no builtin; the message names operator and layer.
    """
    with temporary_folder() as folder:
        # Gradients are part of the train signature; tracing those of the custom ones once more would take a minute.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, str(folder), signatures=module.functions, options=options)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=list(module.functions))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.exclude_conversion_metadata = True  # its writer takes as long as the conversion
        try:
            return converter.convert()
        except Exception as error:  # the converter has its own exception type and raises others too
            raise conversion_error(str(error)) from error
