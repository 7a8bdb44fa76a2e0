"""Files of pre-trained lite residual branches: pre-training writes them; networks of the same backbone load them."""

import dataclasses
import importlib.resources
import io
import json
import os
import pathlib
import re
from collections.abc import Iterable, Iterator

import keras
import numpy as np

from tinytl_tf.backbones.frozen_scale import has_scales
from tinytl_tf.data.arrays import read_arrays
from tinytl_tf.errors import InputError
from tinytl_tf.files import atomic_write_bytes, expand
from tinytl_tf.layers import LiteResidual
from tinytl_tf.networks.branches import LITE_RESIDUAL
from tinytl_tf.networks.schemes import get_scheme, trained_by
from tinytl_tf.networks.spec import is_of_classifier
from tinytl_tf.networks.variables import describe_variable
from tinytl_tf.strict_json import parse_json
from tinytl_tf.tflite.fields import parse_fields

__all__ = [
    "AUTO",
    "BranchCard",
    "PRETRAINED",
    "describe_branches",
    "load_branches",
    "read_branch_card",
    "save_branches",
    "shipped_fit",
    "shipped_path",
]

PRETRAINED = "pretrained"  # names the file that ships with the package
AUTO = "auto"  # that file if it fits; otherwise fresh branches
FORMAT_VERSION = 2
_NO_FILE_NAME = re.compile(r"[^\w.-]")
CARD = "card"  # the array that holds the card, as JSON
# Branch settings that the weights depend on: key in the config, default if a file lacks the key, description.
_SETTINGS = {
    "final_norm": ("backbone.branch_final_norm", True, "a norm at their end"),
    "weight_standardization": ("backbone.branch_weight_standardization", False, "standardized kernels"),
}
_HELP = "train such a file with `tinytl pretrain`"
_FRESH = "lite residuals start fresh: random, with an output of zero"


@dataclasses.dataclass(frozen=True)
class BranchCard:
    """Description of a branch file, stored in the file itself.

    Attributes:
        backbone: name of the network that the branches were trained in.
        width: width of that network.
        scheme: training scheme, a key of `networks.schemes.SCHEMES`.
        source: name of the training data set.
        classes: number of classes in the data set.
        train_images: number of training images.
        test_images: number of test images.
        test_accuracy: accuracy of the network with its branches on the test images, 0 to 1; meaningless if the
            training used no labels.
        test_loss: mean cross-entropy on the test images.
        resolution: height and width of the images, in pixels.
        frozen_scales: scales of the frozen weights used in training; see `frozen_scale.frozen_scales`.
        license: license of the branches; it follows from the licenses of the weights and the data set.
        config: training configuration, by dotted key; file names are stored without their folders.
        made_with: name and version of the program that wrote the file.
        format_version: version of the file format.
    """

    backbone: str
    width: float
    scheme: str
    source: str
    classes: int
    train_images: int
    test_images: int
    test_accuracy: float
    test_loss: float
    resolution: int
    frozen_scales: dict[str, float]
    license: str
    config: dict
    made_with: str
    format_version: int = FORMAT_VERSION

    def __str__(self) -> str:
        """One line that a command prints when it uses the branches."""
        worth = f"{self.test_accuracy:.1%} of its {self.test_images:,} test images"
        if self.config.get("training.distillation") == 1:  # no classifier was trained
            worth = "by the frozen network at a higher resolution, without labels"
        return (
            f"lite residuals pre-trained on {self.train_images:,} images of {self.classes} classes of "
            f"{_line(self.source)} at {self.resolution} px: {worth} (license: {_line(self.license)})"
        )


def _line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text[:200])


def save_branches(path: str | os.PathLike, variables: Iterable[keras.Variable], card: BranchCard) -> None:
    """Writes variables as float16, together with their card, in one atomic step.

    Args:
        path: path of the `.npz` file to write; an existing file is replaced.
        variables: variables of the branches and all other trained variables, except those of the classifier.
        card: description of the branches.

    Raises:
        InputError: if a value is too large for float16, or the file cannot be written.
    """
    arrays = {}
    for variable in variables:
        with np.errstate(over="ignore"):
            array = variable.numpy().astype(np.float16)
        if not np.isfinite(array).all():
            raise InputError(
                f"expected values below 65504 to store as float16, got larger ones in {variable.path}; train with a "
                "lower learning rate"
            )
        arrays[variable.path] = array
    arrays[CARD] = np.frombuffer(json.dumps(dataclasses.asdict(card)).encode(), np.uint8)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    atomic_write_bytes(path, stream.getvalue())


def read_branch_card(source: str, backbone: str, width: float) -> BranchCard:
    """Returns the card of a branch file for a network.

    Args:
        source: path of the file, or `"pretrained"` for the file that ships with the package.
        backbone: name of the network.
        width: width of the network.

    Raises:
        InputError: if the file does not exist; if it is damaged; or if it is for a different network.
    """
    return _read(source, backbone, width)[0]


def load_branches(model: keras.Model, backbone: str, source: str, *, width: float) -> BranchCard:
    """Copies pre-trained branches into a network; nothing is copied unless all of them fit.

    The network may have fewer branches than the file. The network must have the same frozen weights that the branches
    were trained with. With different weights, the branches add noise to every block.

    Args:
        model: network made by `build`, with branches.
        backbone: name of the network.
        source: see `read_branch_card`.
        width: width of the network.

    Returns:
        The file's card.

    Raises:
        InputError: if `read_branch_card` raises it; if the frozen weights, names or shapes do not match the network;
            if an array is not part of a branch and not trained by the file's scheme; or if a value is not finite in
            float32.
    """
    card, arrays = _read(source, backbone, width)
    if not has_scales(model, card.frozen_scales):
        raise InputError(
            f"{source} has branches that were trained inside the weights {card.config.get('backbone.weights')!r}, and "
            f'{model.name} has others, to whose blocks they would add noise; give these weights, "" for fresh '
            f"branches, or {_HELP}"
        )
    for key, has, words in _other_settings(card, model):
        raise InputError(
            f"{source} has branches {_with(has)} {words}, and {model.name} has some {_with(not has)}; set "
            f"config.{key}={has}"
        )
    variables = {variable.path: variable for variable in model.weights}
    own = _trained(card, variables)
    lacking = [path for path in variables if describe_variable(path).branch == LITE_RESIDUAL and path not in arrays]
    if lacking:
        raise InputError(f"{source} lacks {lacking[0]} ({len(lacking)} arrays of {model.name} are missing); {_HELP}")
    pairs = []
    for path, array in arrays.items():
        variable = variables.get(path)
        if variable is None and describe_variable(path).branch:
            continue  # belongs to a block that has no branch in this network
        if variable is None:
            raise InputError(f"{source} has the array {path}, which {model.name} has not; it is of another network")
        if path not in own:
            raise InputError(
                f"{source} has the array {path:.80}, which is neither of a branch nor trained by its scheme "
                f"{card.scheme}: it would replace frozen weights; {_HELP}"
            )
        if tuple(variable.shape) != array.shape or array.dtype.kind != "f":
            raise InputError(
                f"{source} does not fit {model.name}: {path} has shape {tuple(variable.shape)}, "
                f"the file has {array.dtype} {array.shape}; it is of another network"
            )
        with np.errstate(over="ignore"):
            stored = array.astype(np.float32)
        if not np.isfinite(stored).all():
            raise InputError(f"{source} holds values that are not finite for {path}; {_HELP}")
        pairs.append((variable, stored))
    for variable, stored in pairs:
        variable.assign(stored)
    return card


def describe_branches(model: keras.Model, backbone: str, source: str, *, width: float) -> str:
    """Returns a line that describes the initial values of a network's branches.

    Args:
        model: network made by `build` with `branch_weights=source`.
        backbone: name of the network.
        source: see `read_branch_card`; also `"auto"`, or `""` for fresh branches.
        width: width of the network.

    Raises:
        InputError: if `read_branch_card` raises it.
    """
    if not source:
        return _FRESH
    if source != AUTO:
        return str(read_branch_card(source, backbone, width))
    misfit = _shipped_misfit(model, backbone, width)
    if misfit:
        return f"{_FRESH}; those that come with the package are for {misfit}"
    return str(read_branch_card(PRETRAINED, backbone, width))


def shipped_fit(model: keras.Model, backbone: str, width: float) -> bool:
    """Returns whether the branches that ship with the package fit a network.

    Args:
        model: network made by `build`, with branches.
        backbone: name of the network.
        width: width of the network.
    """
    return _shipped_misfit(model, backbone, width) is None


def shipped_path(backbone: str, width: float) -> pathlib.Path:
    """Returns the path at which the package stores the branches of a network; the file may not exist."""
    folder = pathlib.Path(str(importlib.resources.files("tinytl_tf.backbones"))) / "pretrained"
    return folder / f"{_NO_FILE_NAME.sub('_', backbone)}_{width}.npz"


def _shipped_misfit(model: keras.Model, backbone: str, width: float) -> str | None:
    """Describes the network that the package's branches are for, or returns `None` if they fit this network."""
    if not shipped_path(backbone, width).is_file():
        return "other networks"
    card = read_branch_card(PRETRAINED, backbone, width)
    if not has_scales(model, card.frozen_scales):
        return "other weights than these"
    return next((f"branches {_with(has)} {words}" for _, has, words in _other_settings(card, model)), None)


def _other_settings(card: BranchCard, model: keras.Model) -> Iterator[tuple[str, bool, str]]:
    """Yields the settings in which a file's branches differ from a network's: key, value in the file, description."""
    own = next((layer.get_config() for layer in model.layers if isinstance(layer, LiteResidual)), None)
    for name, (key, before, words) in _SETTINGS.items() if own else ():
        has = card.config.get(key, before)
        if has != own[name]:
            yield key, has, words


def _trained(card: BranchCard, paths: Iterable[str]) -> set[str]:
    """Returns the paths allowed in a file: branches and whatever else its scheme trains, except the classifier."""
    paths = set(paths)
    described = map(describe_variable, paths)
    trained = {path for path in trained_by(get_scheme(card.scheme), described) if not is_of_classifier(path)}
    return trained | {path for path in paths if describe_variable(path).branch}


def _with(present: bool) -> str:
    return "with" if present else "without"


def _read(source: str, backbone: str, width: float) -> tuple[BranchCard, dict[str, np.ndarray]]:
    path = _require_shipped(backbone, width) if source == PRETRAINED else expand(source)
    if not path.is_file():
        raise InputError(f"there is no file of branches {path}; give its path, or {_HELP}")
    arrays = read_arrays(path, f"file of branches {path}", _HELP)
    unreadable = f"{path} has no card of branches that can be read; {_HELP}"
    try:
        values = parse_json(arrays.pop(CARD).tobytes())
        version = values["format_version"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(unreadable) from error
    if version != FORMAT_VERSION:
        raise InputError(f"{path} has format {version!r:.40} of branches, expected {FORMAT_VERSION}; {_HELP}")
    try:
        card = parse_fields(BranchCard, values, "", path, remedy=_HELP)
        scheme = get_scheme(card.scheme)
        trains_branches = scheme.lite_residual and not scheme.depends_on_network
    except InputError as error:
        raise InputError(unreadable) from error
    if min(card.classes, card.train_images, card.resolution) < 1 or not 0 <= card.test_accuracy <= 1:
        raise InputError(unreadable)
    if not trains_branches:
        raise InputError(f"{path} has weights of scheme {card.scheme}, which does not pre-train branches; {_HELP}")
    line = str(card)
    if (card.backbone, card.width) != (backbone, width):
        raise InputError(
            f"{path} has branches of {_line(card.backbone)} at width {card.width}, expected {backbone} at "
            f"width {width}: {line}"
        )
    return card, arrays


def _require_shipped(backbone: str, width: float) -> pathlib.Path:
    path = shipped_path(backbone, width)
    if not path.is_file():
        there = ", ".join(sorted(found.stem for found in path.parent.glob("*.npz"))) or "none"
        raise InputError(
            f"no pre-trained branches of {backbone} at width {width} come with the package (it has {there}); "
            f'give the path of a file, "" for fresh branches, or {_HELP}'
        )
    return path
