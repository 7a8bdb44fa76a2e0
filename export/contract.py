"""Checks from a Keras model's graph whether it can be exported, before any slow work."""

import math
from collections.abc import Sequence

import keras

from tinytl_tf.backbones.describe import describe
from tinytl_tf.data.classes import check_names
from tinytl_tf.errors import InputError
from tinytl_tf.export.inputs import check_array_input
from tinytl_tf.export.passes import quantize_kernels
from tinytl_tf.keras_backend import require_keras_settings
from tinytl_tf.networks.schemes import SCHEMES, restrict, trained_by
from tinytl_tf.networks.spec import CLASSIFIER
from tinytl_tf.networks.variables import variable_spec
from tinytl_tf.tflite.inputs import ARRAY
from tinytl_tf.tflite.manifest import find_twice

__all__ = ["NO_INT8", "check_kernels", "check_labels", "check_model", "scheme_of"]

NO_INT8 = (
    "expected frozen kernels that are large enough for int8, got none: all are trained or small; "
    "choose float32 for frozen_weights"
)
_REMEDY = "make it with tinytl_tf.build or tinytl_tf.from_keras"


def check_model(model: keras.Model, inputs: str = "image", task: str = "classification") -> None:
    """Checks that an exported file would compute the same as the model, on raw photos or on arrays.

    The exported signatures take pixels from 0 to 255, and compute the loss and the probabilities from the logits.
    Therefore the model must normalize the pixels itself, and its output must be logits. Arrays are passed unchanged.

    Args:
        model: The model to export.
        inputs: Kind of input, `"image"` or `"array"`; see `tinytl_tf.export.inputs.input_kind`.
        task: A key of `tinytl_tf.tasks.TASKS`.

    Raises:
        InputError: If Keras' global settings are not those that this package needs; if the model is not a functional
            float32 model with one input and one output; if its input is not `(None, height, width, 3)` for images, or
            `(None, ...)` with 1 to 3 fixed sizes for arrays; if two variables have the same path; if the first layer
            of an image model is not `Rescaling`; or if the last layer is not a `Dense` layer named `classifier`
            without an activation, with at least 2 outputs (1 for a regression).
    """
    require_keras_settings()
    if (
        isinstance(model, keras.Sequential)
        or not isinstance(model, keras.Model)
        or not hasattr(model, "_nodes_by_depth")
    ):
        kind = "keras.Sequential" if isinstance(model, keras.Sequential) else type(model).__name__
        raise InputError(f"expected a functional keras.Model, got {kind}; {_REMEDY}")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        counts = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise InputError(f"expected a model of one input and one output, got {counts}; {_REMEDY}")
    shape = tuple(model.inputs[0].shape)
    if inputs == ARRAY:
        check_array_input(model)
    elif (
        len(shape) != 4
        or shape[0] is not None
        or not all(isinstance(size, int) for size in shape[1:3])
        or shape[3] != 3
    ):
        raise InputError(
            f"expected images (None, height, width, 3) of a fixed size as the input, got {shape}; {_REMEDY}"
        )
    twice = find_twice(variable.path for variable in model.weights)
    if twice:
        raise InputError(
            f"expected variables of different paths, got {twice!r} twice: states and manifests identify variables by "
            "path; give the layers of the model different names"
        )
    policies = sorted({layer.dtype_policy.name for layer in model.layers} - {"float32"})
    if policies:
        raise InputError(f"expected layers in float32, got {', '.join(policies)}; {_REMEDY} under that dtype policy")
    head = model.outputs[0]._keras_history.operation
    if not isinstance(head, keras.layers.Dense) or head.name != CLASSIFIER:
        raise InputError(
            f"expected the model to end with a Dense layer called {CLASSIFIER!r}, got {type(head).__name__} "
            f"{head.name!r}: the file makes probabilities of its logits, and schemes train it by that name; {_REMEDY}"
        )
    if head.activation is not keras.activations.linear:
        raise InputError(
            f"expected a classifier without an activation, got {head.activation.__name__}: the file applies its own; "
            "give the layer activation=None"
        )
    least = 1 if task == "regression" else 2
    if len(model.output_shape) != 2 or model.output_shape[1] < least:
        raise InputError(
            f"expected logits (None, classes) of {least} classes or more as the output, got {model.output_shape}; "
            f"{_REMEDY}"
        )
    if inputs == ARRAY:
        return
    readers = [node.operation for node in model.inputs[0]._keras_history.operation._outbound_nodes]
    inside = [layer for layer in readers if any(layer is own for own in model.layers)]
    if not inside or not all(isinstance(layer, keras.layers.Rescaling) for layer in inside):
        names = ", ".join(f"{type(layer).__name__} {layer.name!r}" for layer in inside) or "nothing"
        raise InputError(
            f"expected a Rescaling of pixels of 0 to 255 as the first layer, got {names}: an exported file takes raw "
            f'photos; {_REMEDY}, or give inputs="{ARRAY}" if these are not photos'
        )


def check_kernels(model: keras.Model) -> None:
    """Checks that a model has kernels that can be stored as int8, as far as is known before the conversion.

    Raises:
        InputError: If all kernels of convolutions and dense layers are trained or small.
    """
    sizes = [math.prod(variable.shape) for variable in model.non_trainable_weights if len(variable.shape) > 1]
    if max(sizes, default=0) < quantize_kernels.SMALLEST:
        raise InputError(NO_INT8)


def check_labels(labels: Sequence[str], classes: int) -> tuple[str, ...]:
    """Checks the class names.

    Args:
        labels: Class names, in the order of the outputs.
        classes: Number of outputs.

    Returns:
        The names in Unicode normalization form NFC, which clients use to match them.

    Raises:
        InputError: If the number of names differs from `classes`, if one is not a valid name, or if two are equal.
    """
    labels = list(labels) if isinstance(labels, list | tuple) else labels
    if not isinstance(labels, list) or len(labels) != classes:
        got = len(labels) if isinstance(labels, list) else repr(labels)[:80]
        raise InputError(f"expected {classes} labels, one for each output of the model, got {got}")
    return check_names(labels)


def scheme_of(model: keras.Model) -> str:
    """Returns the name of the update scheme that trains the same variables as a model.

    A scheme restricted to some places counts as that scheme. If no scheme matches, returns `"custom"`.

    Args:
        model: A model with `trainable` set for each variable.

    Raises:
        InputError: If the model has no trainable variables, or if its classifier is not trainable.
    """
    variables = [variable_spec(variable) for variable in model.weights]
    trained = {variable.path for variable in model.trainable_variables}
    if not trained:
        raise InputError("the model has no trainable variable; apply an update scheme first")
    own = [variable for variable in variables if variable.path in trained]
    if not any(variable.place == CLASSIFIER for variable in own):
        raise InputError("the model does not train its classifier, as every scheme does; apply an update scheme first")
    spec = describe(model)
    shifts = [v for v in own if v.role in ("bias", "shift") and v.place != CLASSIFIER and not v.branch]
    places = {
        "biases": sorted({variable.place for variable in shifts}),
        "kernels": sorted({v.place for v in own if v.role == "kernel" and v.place != CLASSIFIER and not v.branch}),
        "branches": sorted({variable.place for variable in own if variable.branch}),
    }
    for whole in (True, False):
        for scheme in SCHEMES.values():
            try:
                table = scheme if whole else restrict(scheme, **places)
            except InputError:
                continue
            if trained_by(table.of(spec), variables) == trained:
                return scheme.name
    return "custom"
