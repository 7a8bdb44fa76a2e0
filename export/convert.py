"""Converts a `TrainableModule` to the content of a `.tflite`, with builtin operators only."""

import tensorflow as tf
from tensorflow.lite.python.convert import convert_saved_model, deduplicate_readonly_buffers

from tinytl_tf.export.operator_audit import conversion_error
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.files import temporary_folder

__all__ = ["convert"]

_SAVED_MODEL_SCHEMA = 1  # of the SavedModels that TensorFlow 2 writes


def convert(module: TrainableModule) -> bytes:
    """Converts all signatures of a module into one file.

    The module is first written as a SavedModel, the only input format with several signatures that the converter
    accepts. Variables that no signature assigns become constants. Identical constants are stored once.

    The steps are those of `tf.lite.TFLiteConverter`, except that it also loads the SavedModel twice to check that it
    can be loaded, which takes a third of the time.

    Args:
        module: the network with its signatures.

    Returns:
        The content of the `.tflite`.

    Raises:
        InputError: if the conversion fails. If the network needs an operator that is not a builtin, the message names
            the operator and the layer.
    """
    with temporary_folder() as folder:
        # The train signature already contains the gradients; tracing custom gradients again would take a minute.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, str(folder), signatures=module.functions, options=options)
        try:
            content = convert_saved_model(
                saved_model_dir=str(folder),
                saved_model_version=_SAVED_MODEL_SCHEMA,
                saved_model_tags={tf.saved_model.SERVING},
                saved_model_exported_names=list(module.functions),
                target_ops={tf.lite.OpsSet.TFLITE_BUILTINS},
                enable_composite_direct_lowering=True,
            )
            return deduplicate_readonly_buffers(content)
        except Exception as error:  # the converter raises its own exception type and others
            raise conversion_error(str(error)) from error
