"""Description of a network: its layers in order, their computation, and the place of each layer.

Tables of blocks and Keras models are turned into a `NetworkSpec`, which the network builder, schemes, branches, memory
accounting, tiling and splitting use. Only this module defines the names of places and layers. It does not use
TensorFlow or Keras.

A place is a part of a network that is trained or frozen as a unit. From the input to the output, the places are the
stem, the blocks, the head and the classifier:

    image -> normalize, stem, stem_activation      place "stem"
          -> block_0_depthwise ... block_0_project place "block_0"
          -> ...
          -> head, head_activation, pool           place "head"; not in every network
          -> depths                                place "depths"; only with features of several depths
          -> dropout, classifier                   place "classifier"

The name of a layer, such as `block_3_expand`, begins with the name of its place; so does the path of a variable.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterable

from tinytl_tf.errors import InputError

__all__ = [
    "CLASSIFIER",
    "CLASSIFIER_BIAS",
    "CLASSIFIER_KERNEL",
    "DEPTHS",
    "HEAD",
    "INPUT",
    "STEM",
    "LayerSpec",
    "NetworkSpec",
    "PlaceSpec",
    "VariableSpec",
    "block_name",
    "check_places",
    "is_of_classifier",
    "place_of",
    "place_position",
]

INPUT = "image"  # name of the input of a network
STEM, HEAD, DEPTHS, CLASSIFIER = "stem", "head", "depths", "classifier"
CLASSIFIER_KERNEL, CLASSIFIER_BIAS = f"{CLASSIFIER}/kernel", f"{CLASSIFIER}/bias"
_BLOCK = "block_"
_PLACE = re.compile(rf"({STEM}|{HEAD}|{DEPTHS}|{CLASSIFIER}|{_BLOCK}\d+)(?:[_/]|$)")


def block_name(number: int) -> str:
    """Returns the name of a block; blocks are numbered from 0 without gaps.

    Example:
        >>> block_name(3)
        'block_3'
    """
    return f"{_BLOCK}{number}"


def place_of(path: str) -> str:
    """Returns the place in the name of a layer or the path of a variable, or "" if it has no place.

    Example:
        >>> place_of("block_3_expand/norm/beta"), place_of("head_activation"), place_of("dropout")
        ('block_3', 'head', '')
    """
    match = _PLACE.match(path)
    return match[1] if match else ""


def is_of_classifier(path: str) -> bool:
    """Returns whether a variable belongs to the classifier.

    Example:
        >>> is_of_classifier("classifier/bias"), is_of_classifier("head/norm/beta")
        (True, False)
    """
    return place_of(path) == CLASSIFIER


def place_position(place: str) -> int:
    """Returns a sort key that orders places from the input to the output.

    Example:
        >>> sorted(["head", "block_10", "block_9", "stem"], key=place_position)
        ['stem', 'block_9', 'block_10', 'head']
    """
    if place.startswith(_BLOCK):
        return int(place.removeprefix(_BLOCK))
    return {STEM: -1, HEAD: 10**6, DEPTHS: 10**6 + 1, CLASSIFIER: 10**6 + 2}[place]


@dataclasses.dataclass(frozen=True)
class VariableSpec:
    """A variable and its role.

    Attributes:
        path: path of the variable in the network.
        shape: shape of the variable.
        role: `"kernel"`, `"bias"`, `"scale"` or `"shift"` of a norm, `"statistic"`, which no optimizer may change, or
            `"repeated"`, the shift of a branch that is redundant with another shift.
        place: name of the variable's place.
        branch: kind of branch that it belongs to, a key of `branches.BRANCHES`; "" for the network itself.
    """

    path: str
    shape: tuple[int, ...]
    role: str
    place: str
    branch: str = ""

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class LayerSpec:
    """One call to a layer.

    Attributes:
        name: name of the layer, unique in the network.
        kind: kind of layer, usually a key of `tinytl_tf.backbones.kinds.KINDS`.
        inputs: names of the layers whose outputs it takes, or `INPUT`.
        shape: output shape without the batch dimension.
        place: name of the layer's place.
        variables: variables of the layer, in the order in which it creates them.
        kernel_size: height and width of its window, or the window's length for signals; `None` if it has no window.
        strides: strides of the window, one for each dimension of `kernel_size`.
        padding: `"same"`, `"valid"`, `((top, bottom), (left, right))` or, for signals, `"causal"`.
        dilation: dilation rate of the window in each dimension.
        groups: number of channel groups of a convolution.
        branch: kind of branch, if the layer is a branch or the sum that adds one; "" for layers of the network itself.
        options: additional layer arguments, as (name, value) pairs.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    place: str
    variables: tuple[VariableSpec, ...] = ()
    kernel_size: tuple[int, ...] | None = None
    strides: tuple[int, ...] = (1, 1)
    padding: str | tuple[tuple[int, int], tuple[int, int]] = "same"
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    branch: str = ""
    options: tuple[tuple[str, object], ...] = ()

    @property
    def size(self) -> int:
        """Number of elements in its output for one example."""
        return math.prod(self.shape)

    def option(self, name: str) -> object:
        """Returns the value of an option, or `None` if there is no option with that name."""
        return dict(self.options).get(name)

    def role(self, role: str) -> tuple[VariableSpec, ...]:
        """Returns the variables that have a role."""
        return tuple(variable for variable in self.variables if variable.role == role)


@dataclasses.dataclass(frozen=True)
class PlaceSpec:
    """A place, described by the layers at its borders; branches are ignored.

    Attributes:
        name: name of the place.
        entry: name of the layer whose output the place takes, or `INPUT`; "" if there are several.
        joint: name of the layer whose output the output of a branch around the place is added to: the end of the main
            path, before the shortcut.
        output: name of the place's last layer.
        shortcut: whether a shortcut adds the place's input at its end.
    """

    name: str
    entry: str
    joint: str
    output: str
    shortcut: bool


@dataclasses.dataclass(frozen=True)
class NetworkSpec:
    """A network.

    Attributes:
        name: name of the network.
        input_shape: shape of one example.
        layers: layers in an order in which they can run; the last one computes the logits.

    Example:
        >>> from tinytl_tf.networks.from_table import from_table
        >>> spec = from_table("mobilenet_v2", resolution=96, classes=10)
        >>> spec.places[:3], spec.place("block_2").shortcut
        (('stem', 'block_0', 'block_1'), True)
        >>> spec.layer("block_2_expand").shape
        (24, 24, 144)
    """

    name: str
    input_shape: tuple[int, ...]
    layers: tuple[LayerSpec, ...]

    @property
    def variables(self) -> tuple[VariableSpec, ...]:
        """Variables of all layers."""
        return tuple(variable for layer in self.layers for variable in layer.variables)

    @property
    def places(self) -> tuple[str, ...]:
        """Names of all places except `DEPTHS` and the classifier, from the input to the output."""
        names = dict.fromkeys(layer.place for layer in self.layers if not layer.branch)
        return tuple(sorted((name for name in names if name not in (DEPTHS, CLASSIFIER)), key=place_position))

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks."""
        return tuple(name for name in self.places if name.startswith(_BLOCK))

    @property
    def features(self) -> str:
        """Name of the layer whose output goes to the classifier, before dropout."""
        name = self.layers[-1].inputs[0]
        while name != INPUT and self.layer(name).kind == "dropout":
            name = self.layer(name).inputs[0]
        return name

    def layer(self, name: str) -> LayerSpec:
        """Returns a layer by its name."""
        return self._by_name[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of the output of a layer, or of the input."""
        return self.input_shape if name == INPUT else self.layer(name).shape

    def layers_of(self, place: str) -> tuple[LayerSpec, ...]:
        """Returns the layers of a place, except branches."""
        return tuple(layer for layer in self.layers if layer.place == place and not layer.branch)

    def readers(self, name: str) -> tuple[LayerSpec, ...]:
        """Returns the layers that take the output of a layer."""
        return self._readers.get(name, ())

    def place(self, name: str) -> PlaceSpec:
        """Returns a place by its name."""
        return self._places[name]

    def _describe_place(self, name: str) -> PlaceSpec:
        own = self.layers_of(name)
        inside = {layer.name for layer in own}
        entering = {self.trunk(source) for layer in own for source in layer.inputs} - inside
        entry = entering.pop() if len(entering) == 1 else ""
        sums = [layer for layer in own if layer.kind == "add" and len(layer.inputs) == 2]
        sources = [self.trunk(source) for source in sums[-1].inputs] if sums else []
        shortcut = entry in sources
        joint = own[-1].name
        if shortcut:
            joint = next((source for source in sources if source != entry), joint)
        elif sums:
            joint = sums[-1].name
        return PlaceSpec(name, entry, joint, own[-1].name, shortcut)

    def trunk(self, name: str) -> str:
        """Returns the layer that branches are added to, given a sum that adds them; other layers are returned as is."""
        while name != INPUT and self.layer(name).branch:
            name = self.layer(name).inputs[0]
        return name

    def boundary(self, place: str) -> str | None:
        """Returns the only layer whose output a place and all later places take, or `None` if there is no such layer.

        Example:
            >>> from tinytl_tf.networks.from_table import from_table
            >>> from_table("mobilenet_v2", resolution=96, classes=10).boundary("block_1")
            'block_0_project'
        """
        first = next(number for number, layer in enumerate(self.layers) if layer.place == place)
        made = {layer.name for layer in self.layers[first:]}
        entering = {source for layer in self.layers[first:] for source in layer.inputs} - made
        return entering.pop() if len(entering) == 1 and INPUT not in entering else None

    @functools.cached_property
    def _places(self) -> dict[str, PlaceSpec]:
        return {name: self._describe_place(name) for name in dict.fromkeys(layer.place for layer in self.layers)}

    @functools.cached_property
    def _by_name(self) -> dict[str, LayerSpec]:
        return {layer.name: layer for layer in self.layers}

    @functools.cached_property
    def _readers(self) -> dict[str, tuple[LayerSpec, ...]]:
        readers: dict[str, list[LayerSpec]] = {}
        for layer in self.layers:
            for source in dict.fromkeys(layer.inputs):
                readers.setdefault(source, []).append(layer)
        return {name: tuple(own) for name, own in readers.items()}


def check_places(what: str, names: Iterable[str], places: Iterable[str]) -> None:
    """Raises `InputError` if a name is not among the places of a network.

    Args:
        what: kind of thing at these places, such as `"biases"`; used in the error message.
        names: names to check.
        places: names of all places.
    """
    places = tuple(places)
    for name in names:
        if name not in places:
            raise InputError(f"the network has no {what} at {name!r}; its places are {', '.join(places)}")
