"""The kinds of branches: small trainable modules around a frozen part, whose output is added to that of the part.

A kind says where it fits, what it computes and which variables it has. Building, schemes and the accounts of memory
read it here; the Keras layer of the same arguments does the work. A new kind is a class with a row in `BRANCHES`, its
layer and its test.
"""

import abc
import dataclasses
import math
from collections.abc import Sequence

from tinytl_tf.errors import InputError
from tinytl_tf.networks.channels import make_divisible
from tinytl_tf.networks.spec import INPUT, LayerSpec, NetworkSpec, PlaceSpec, VariableSpec

__all__ = [
    "BRANCHES",
    "BRANCH_POOL_SIZE",
    "LITE_RESIDUAL",
    "MAX_BRANCH_KERNEL_SIZE",
    "BranchKind",
    "branch_name",
    "branch_places",
    "kernel_schedule",
    "with_branches",
]

LITE_RESIDUAL = "lite_residual"
NOMINAL_RESOLUTION = 128
MAX_BRANCH_KERNEL_SIZE = 5
BRANCH_POOL_SIZE = 2
BRANCH_GROUPS = 2


class BranchKind(abc.ABC):
    """One kind of branch.

    Attributes:
        name: a key of `BRANCHES`; the name of a branch's layer ends with it.
        layer: module and name of its Keras layer, which takes `LayerSpec.options` as its arguments.
        repeated: relative paths of variables that repeat what a bias of the part around which it is does.
        output: relative path of the variable that starts as zero, so that the branch does.
    """

    name: str
    layer: tuple[str, str]
    repeated: tuple[str, ...] = ()

    @abc.abstractmethod
    def options(self, spec: NetworkSpec, place: PlaceSpec, **settings: object) -> tuple[tuple[str, object], ...] | None:
        """Returns the layer's arguments for a place, or `None` where it does not fit."""

    @abc.abstractmethod
    def parts(self, branch: LayerSpec, input_shape: Sequence[int]) -> tuple[LayerSpec, ...]:
        """Returns what the branch is made of, as layers of a network; their variables are the branch's.

        Args:
            branch: the layer; its options and its output's shape count.
            input_shape: of the part's input for one example.
        """


class LiteResidual(BranchKind):
    """The paper's: pooling, grouped convolution, norm, ReLU, 1x1 convolution, upsampling, around a block.

    Reference:
        TinyTL, section 3.2 and equation 4.
    """

    name = LITE_RESIDUAL
    layer = ("tinytl_tf.layers", "LiteResidual")
    repeated = ("final_norm/beta",)  # it would repeat the last beta of the block: both are added to the same tensor

    def options(self, spec, place, **settings):
        """Fits blocks but the first that map images to images of the size or, by a stride, a part of it."""
        shapes = spec.shape(place.entry), spec.shape(place.joint)
        if place.name not in spec.blocks[1:] or any(len(shape) != 3 for shape in shapes):
            return None
        (height, width, channels), (new_height, new_width, filters) = shapes
        strides = math.ceil(height / new_height)
        fits = (-(-height // strides), -(-width // strides)) == (new_height, new_width)
        wide = make_divisible(channels)
        if not fits or channels % BRANCH_GROUPS or wide % BRANCH_GROUPS:
            return None
        kernel_size, global_pool = _schedule(spec)[place.name]
        if not global_pool and min(height, width) < BRANCH_POOL_SIZE:
            return None
        options = {"filters": filters, "kernel_size": kernel_size, "strides": strides, "global_pool": global_pool}
        return tuple((options | settings).items())

    def parts(self, branch, input_shape):
        """Returns the two convolutions with what is before and after them."""
        height, width, channels = input_shape
        options, wide = dict(branch.options), make_divisible(channels)
        size, strides = options["kernel_size"], options["strides"]
        pooled = (1, 1) if options["global_pool"] else (height // BRANCH_POOL_SIZE, width // BRANCH_POOL_SIZE)
        strided = tuple(-(-length // strides) for length in pooled)
        common = {"place": branch.place, "branch": self.name}
        name, filters = branch.name, options["filters"]

        def variables(kernel: str, shape: tuple[int, ...], norm: str) -> tuple[VariableSpec, ...]:
            vectors = (("gamma", "scale"), ("beta", "repeated" if f"{norm}/beta" in self.repeated else "shift"))
            own = [(kernel, shape, "kernel")]
            own += [(f"{norm}/{vector}", shape[-1:], role) for vector, role in vectors if norm]
            return tuple(VariableSpec(f"{name}/{own}", shape, role, *common.values()) for own, shape, role in own)

        kernel = variables("kernel", (size, size, channels // BRANCH_GROUPS, wide), "norm")
        last = "final_norm" if options.get("final_norm") else ""
        pointwise = variables("pointwise_kernel", (1, 1, wide, filters), last)
        return (
            LayerSpec(f"{name}/pool", "average_pool", branch.inputs, (*pooled, channels), **common),
            LayerSpec(
                name,
                "convolution",
                (f"{name}/pool",),
                (*strided, wide),
                variables=kernel,
                kernel_size=(size, size),
                strides=(strides, strides),
                groups=BRANCH_GROUPS,
                **common,
            ),
            LayerSpec(name, "activation", (name,), (*strided, wide), options=(("activation", "relu"),), **common),
            LayerSpec(
                name,
                "convolution",
                (name,),
                (*strided, filters),
                variables=pointwise,
                kernel_size=(1, 1),
                **common,
            ),
            LayerSpec(f"{name}/resize", "resize", (name,), branch.shape, **common),
        )


BRANCHES: dict[str, BranchKind] = {kind.name: kind for kind in (LiteResidual(),)}


def branch_name(place: str, kind: str = LITE_RESIDUAL) -> str:
    """Returns the name of the layer of a branch.

    Example:
        >>> branch_name("block_3")
        'block_3_lite_residual'
    """
    return f"{place}_{kind}"


def branch_places(spec: NetworkSpec, kind: str = LITE_RESIDUAL) -> tuple[str, ...]:
    """Returns the names of the places that can have a branch of a kind, from the input to the output."""
    return tuple(name for name in spec.places if _options(spec, name, kind) is not None)


def with_branches(
    spec: NetworkSpec, places: Sequence[str], kind: str = LITE_RESIDUAL, **settings: object
) -> NetworkSpec:
    """Returns a network with branches around some of its places.

    The branch takes what enters the place. Its output is added to the end of the place's main path, before the
    shortcut is:

        block_2_project -> block_2_add_lite_residual -> block_2_add_shortcut
        block_1_project -> block_2_lite_residual ----^

    Args:
        spec: the network.
        places: names of the places.
        kind: a key of `BRANCHES`.
        settings: further arguments of the branches' layers.

    Raises:
        InputError: if a place has no room for one; the message lists those that have.
    """
    layers = list(spec.layers)
    for name in places:
        place, options = spec.place(name) if name in spec.places else None, _options(spec, name, kind, **settings)
        if options is None:
            there = ", ".join(branch_places(spec, kind)) or "none"
            raise InputError(f"the network has no {kind.replace('_', ' ')}s at {name!r}; its places are {there}")
        joint = spec.layer(place.joint)
        common = {"shape": joint.shape, "place": name, "branch": kind}
        branch = LayerSpec(branch_name(name, kind), kind, (_actual(layers, place.entry),), options=options, **common)
        branch = _with_variables(branch, spec.shape(place.entry))
        total = LayerSpec(f"{name}_add_{kind}", "add", (joint.name, branch.name), **common)
        layers = [_rewired(layer, joint.name, total.name) for layer in layers]
        at = next(number for number, layer in enumerate(layers) if layer.name == joint.name)
        layers[at + 1 : at + 1] = [branch, total]
    return NetworkSpec(spec.name, spec.input_shape, tuple(layers))


def kernel_schedule(strides: Sequence[int]) -> list[tuple[int, bool]]:
    """Returns `(kernel_size, global_pool)` of the branch at each block of a network.

    The size is chosen for a nominal resolution of 128 before the first block, whatever the images are.

    Args:
        strides: stride of each block, from the input to the output.

    Reference:
        TinyTL's released code; for ProxylessNAS-Mobile it gives 5 up to block 17 and 3 from block 18, in the paper's
        numbers, which count two empty blocks (blocks 15 and 16 of ours).
    """
    schedule, nominal = [], NOMINAL_RESOLUTION
    for stride in strides:
        pooled = nominal // BRANCH_POOL_SIZE
        kernel_size = max(size for size in range(1, MAX_BRANCH_KERNEL_SIZE + 1, 2) if size <= max(pooled, 1))
        schedule.append((kernel_size, pooled <= 1))
        nominal = -(-nominal // stride)
    return schedule


def _schedule(spec: NetworkSpec) -> dict[str, tuple[int, bool]]:
    strides = []
    for name in spec.blocks:
        place = spec.place(name)
        before, after = spec.shape(place.entry) if place.entry else (1,), spec.shape(place.joint)
        strides.append(max(1, math.ceil(before[0] / after[0])) if len(before) == len(after) == 3 else 1)
    return dict(zip(spec.blocks, kernel_schedule(strides), strict=True))


def _options(spec: NetworkSpec, name: str, kind: str, **settings: object) -> tuple[tuple[str, object], ...] | None:
    if name not in spec.places:
        return None
    place = spec.place(name)
    return BRANCHES[kind].options(spec, place, **settings) if place.entry not in ("", INPUT) else None


def _with_variables(branch: LayerSpec, input_shape: Sequence[int]) -> LayerSpec:
    variables = [v for part in BRANCHES[branch.kind].parts(branch, input_shape) for v in part.variables]
    variables.sort(key=lambda variable: variable.path.count("/"))  # a layer lists its own before those of its norms
    return dataclasses.replace(branch, variables=tuple(variables))


def _actual(layers: Sequence[LayerSpec], name: str) -> str:
    """The layer whose output is there where that of `name` was: the last sum that adds a branch to it."""
    for layer in layers:
        if layer.kind == "add" and layer.branch and layer.inputs[0] == name:
            return _actual(layers, layer.name)
    return name


def _rewired(layer: LayerSpec, old: str, new: str) -> LayerSpec:
    return dataclasses.replace(layer, inputs=tuple(new if source == old else source for source in layer.inputs))
