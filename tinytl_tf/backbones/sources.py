"""Networks by name from sources other than the tables: Keras Applications, keras-hub, a file or a function.

| name | network |
|---|---|
| `keras:MobileNetV3Large` | a constructor of `keras.applications` |
| `hub:resnet_18_imagenet` | a preset of keras-hub's backbones; needs the package `keras-hub` |
| `file:my.keras` | a model that was saved with Keras |
| `package.module:function` | a Keras model that your function returns |
"""

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import keras

from tinytl_tf.backbones.describe import describe
from tinytl_tf.backbones.from_keras import from_keras
from tinytl_tf.backbones.keras_reader import functional_body
from tinytl_tf.errors import InputError
from tinytl_tf.files import expand
from tinytl_tf.networks.architectures import MAX_RESOLUTION
from tinytl_tf.networks.sizes import Resolution, image_size
from tinytl_tf.networks.spec import NetworkSpec

__all__ = ["PRETRAINED_WEIGHTS", "Source", "check_source", "is_source", "load_source", "source_spec"]

PRETRAINED_WEIGHTS = "imagenet"
_OWN_PREPROCESSING = ("keras", "hub")


@dataclasses.dataclass(frozen=True)
class Source:
    """A Keras model and its preprocessing of pixels.

    Attributes:
        model: the model.
        preprocess_input: preprocessing of pixels; see `from_keras`.
    """

    model: keras.Model
    preprocess_input: Callable[[Any], Any] | str | None


def is_source(name: str) -> bool:
    """Returns whether a name has one of the forms in the module's table, as opposed to the name of a table of blocks.

    Example:
        >>> is_source("keras:ResNet50"), is_source("mobilenet_v2")
        (True, False)
    """
    return ":" in name


def check_source(name: str, *, classes: int, resolution: Resolution, width: float) -> None:
    """Raises `InputError` if a named network cannot have these sizes.

    Args:
        name: name of the network, for the error message.
        classes: number of outputs.
        resolution: height and width of the images, in pixels.
        width: must be 1, since the channels of such a network are fixed.
    """
    if classes < 2:
        raise InputError(f"a classifier needs at least 2 classes, got {classes}")
    if max(image_size(resolution)) > MAX_RESOLUTION:
        raise InputError(f"resolution must be from 1 to {MAX_RESOLUTION} pixels, got {resolution}")
    if width != 1:
        raise InputError(f"width must be 1 for {name}, which has the channels that it has, got {width}")


def load_source(name: str, *, resolution: Resolution, weights: str | None, preprocess_input: str = "") -> Source:
    """Returns the Keras model that a name refers to.

    Args:
        name: a name in one of the forms of the module's table.
        resolution: height and width of the images, in pixels.
        weights: `"imagenet"` for the published weights; the path of a weight file, only for `keras.applications`; or
            `None` for random weights.
        preprocess_input: for a file or a function, the preprocessing of pixels of 0 to 255 before the model, as
            `module:function` or `"raw"`; "" if the model preprocesses its input itself, and for all other forms.

    Raises:
        InputError: if the network does not exist; or if its weights are unavailable.

    Example:
        >>> load_source("keras:MobileNetV3Small", resolution=64, weights=None).model.name
        'MobileNetV3Small'
    """
    (kind, _, what), size = name.partition(":"), image_size(resolution)
    if kind in _OWN_PREPROCESSING and preprocess_input:
        raise InputError(
            f"config.backbone.preprocess_input does nothing for {name!r}, which brings its own; leave it empty"
        )
    if kind == "keras":
        return _of_applications(what, size, weights)
    if kind == "hub":
        return _of_hub(what, size, weights)
    model = _of_file(what) if kind == "file" else _of_function(kind, what, resolution)
    if weights not in (None, PRETRAINED_WEIGHTS):
        raise InputError(f"expected no weight file for {name!r}, which has its weights, got {weights!r}; leave it out")
    model = _for_images(name, model, size)
    return Source(model, _function_of(preprocess_input) if ":" in preprocess_input else preprocess_input or None)


def _for_images(name: str, model: keras.Model, size: tuple[int, int]) -> keras.Model:
    """Returns a model for images of a fixed size; refuses a model with a different input."""
    shape = tuple(functional_body(model).inputs[0].shape[1:])
    if shape == (None, None, 3):
        images = keras.Input((*size, 3))
        return keras.Model(images, model(images), name=model.name)
    if shape == (*size, 3):
        return model
    if len(shape) == 3 and shape[2] == 3:
        raise InputError(
            f"expected a resolution of {shape[0]} x {shape[1]} pixels for {name!r}, which takes images of that, got "
            f"{size[0]} x {size[1]}"
        )
    raise InputError(
        f"expected a model of RGB images for {name!r}, {(None, *size, 3)}, got {(None, *shape)}; rebuild it with "
        "tinytl_tf.from_keras in Python, and export it with tinytl_tf.export_model"
    )


@functools.lru_cache(maxsize=8)
def source_spec(name: str, *, resolution: Resolution, classes: int, preprocess_input: str = "") -> NetworkSpec:
    """Returns the description of a named network, without branches; builds the network with random weights first.

    Raises:
        InputError: if `load_source` or `from_keras` raises it.
    """
    source = load_source(name, resolution=resolution, weights=None, preprocess_input=preprocess_input)
    return describe(from_keras(source.model, classes=classes, preprocess_input=source.preprocess_input))


def _of_applications(name: str, size: tuple[int, int], weights: str | None) -> Source:
    make = getattr(keras.applications, name, None)
    if not inspect.isfunction(make):
        there = ", ".join(name for name, _ in inspect.getmembers(keras.applications, inspect.isfunction))
        raise InputError(f"keras.applications has no network {name!r}; it has {there}")
    path = weights if weights in (None, PRETRAINED_WEIGHTS) else str(expand(weights))
    try:
        model = make(include_top=False, weights=path, input_shape=(*size, 3))
    except Exception as error:  # Keras raises errors of urllib, of h5py and of its own checks
        raise InputError(
            f"keras.applications could not make {name} for {size[0]} x {size[1]} pixels with the weights {weights!r} "
            f"(Keras: {_first_line(error)}); choose another resolution, or on a machine without network copy "
            "the file into Keras' cache or give its path as config.backbone.weights"
        ) from error
    module = importlib.import_module(make.__module__.replace("keras.src.", "keras.", 1))
    return Source(model, module.preprocess_input)


def _of_hub(preset: str, size: tuple[int, int], weights: str | None) -> Source:
    try:
        import keras_hub
    except ImportError as error:
        raise InputError(f"hub:{preset} needs keras-hub: pip install keras-hub ({_first_line(error)})") from error
    if weights not in (None, PRETRAINED_WEIGHTS):
        raise InputError(f"expected the weights of the preset {preset!r} or none, got {weights!r}; leave it out")
    try:
        options = {"load_weights": weights is not None, "image_shape": (*size, 3)}
        model = keras_hub.models.Backbone.from_preset(preset, **options)
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
    except Exception as error:  # Kaggle, the network connection or the preset can cause any error
        raise InputError(
            f"keras-hub could not make the preset {preset!r} (it says: {_first_line(error)}); presets of images are "
            "listed on keras.io/keras_hub/presets, and are downloaded once"
        ) from error
    scale, offset = (1.0 if converter.scale is None else converter.scale), converter.offset or 0.0
    return Source(model, lambda images: images * keras.ops.array(scale, "float32") + keras.ops.array(offset, "float32"))


def _of_file(path: str) -> keras.Model:
    file = expand(path)
    if not file.is_file():
        raise InputError(f"there is no model file {file}; save one with model.save('my.keras')")
    try:
        return keras.models.load_model(file, compile=False)
    except Exception as error:  # a damaged or foreign file can raise any error
        raise InputError(
            f"Keras cannot load {file} ({_first_line(error)}); save the model again with this version of Keras, and "
            "register custom layers, or give module:function in place of the file"
        ) from error


def _of_function(module: str, name: str, resolution: Resolution) -> keras.Model:
    function = _function_of(f"{module}:{name}")
    takes_resolution = "resolution" in inspect.signature(function).parameters
    model = function(resolution=resolution) if takes_resolution else function()
    if not isinstance(model, keras.Model):
        raise InputError(f"expected {module}:{name} to return a keras.Model, got {type(model).__name__}")
    return model


def _function_of(name: str) -> Callable:
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"expected a function as module:function, got {name!r} ({_first_line(error)}); it has to be "
            "importable from where the command runs"
        ) from error
    if not callable(function):
        raise InputError(f"expected {name!r} to be a function, got {type(function).__name__}")
    return function


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
