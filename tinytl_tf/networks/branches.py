"""The kinds of branches. A branch is a small trainable module around a frozen part; its output is added to that part's.

A kind defines the places, the computation and the variables of its branches. The network builder, the schemes and the
memory accounting use these definitions; a Keras layer with the same arguments performs the computation.
To add a kind, write its class, add it to `BRANCHES`, and write its Keras layer and a test.
"""

import abc
import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from tinytl_tf.errors import InputError
from tinytl_tf.networks.channels import WIDTH_STEP, make_divisible
from tinytl_tf.networks.late import LATE, late_places
from tinytl_tf.networks.spec import INPUT, LayerSpec, NetworkSpec, PlaceSpec, VariableSpec
from tinytl_tf.networks.wide_kernels import wide_layer

__all__ = [
    "BRANCHES",
    "BRANCH_POOL_SIZE",
    "BranchChoice",
    "BranchKind",
    "BranchSite",
    "LITE_RESIDUAL",
    "LORA",
    "LORA_RANK",
    "MAX_BRANCH_KERNEL_SIZE",
    "PORTS",
    "add_branches",
    "branch_name",
    "branch_places",
    "chosen_places",
    "kernel_schedule",
    "with_branches",
]

LITE_RESIDUAL, LORA = "lite_residual", "lora"
LORA_RANK = 4
PORTS = "ports"  # layer option: names of the inner layers that branches are added to; branches are the last inputs
NOMINAL_RESOLUTION = 128
MAX_BRANCH_KERNEL_SIZE = 5
BRANCH_POOL_SIZE = 2
BRANCH_GROUPS = 2
# A full-width branch may have this many times the parameters of its block. The paper's branches have at most twice as
# many.
MOST_BRANCH_PARAMETERS = 4


# True for every place with room, False for no place, names of places, a number for the setting named by the kind's
# `number`, or a mapping with "places" (names, True, or `LATE` for the late blocks with room) and settings, for example
# {"places": ["block_2"], "rank": 8}.
BranchChoice = bool | int | Collection[str] | Mapping[str, object]


@dataclasses.dataclass(frozen=True)
class BranchSite:
    """A part of a network that a branch can go around.

    Attributes:
        part: name of the place or layer; the name of the branch begins with it.
        entry: name of the layer whose output the branch takes, or `INPUT`.
        joint: name of the layer whose output the branch's output is added to.
        shape: shape of the branch's output for one example.
        options: arguments of the branch's layer.
        port: inner layer of `joint` that the branch is added to; "" if it is added to the output of `joint`.
    """

    part: str
    entry: str
    joint: str
    shape: tuple[int, ...]
    options: tuple[tuple[str, object], ...]
    port: str = ""


class BranchKind(abc.ABC):
    """One kind of branch.

    Attributes:
        name: key of the kind in `BRANCHES`; the name of a branch's layer ends with it.
        title: plural name of the branches, for messages and tables.
        layer: module and name of the Keras layer, which takes `LayerSpec.options` as its arguments; its initial output
            is exactly zero.
        repeated: relative paths of variables that have the same effect as a bias of the frozen part.
        arguments: arguments that are always passed to the layer.
        settings: arguments that a user may choose.
        defaults: the layer's default values for the settings whose default is neither None nor False.
        number: setting that is meant if a user gives only a number, such as `rank`; "" for a kind without one.
        config_keys: keys in `config.backbone`, by setting.
    """

    name: str
    title: str
    layer: tuple[str, str]
    repeated: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    defaults: Mapping[str, object] = {}
    number: str = ""
    config_keys: Mapping[str, str] = {}

    @abc.abstractmethod
    def sites(self, spec: NetworkSpec, place: PlaceSpec, **settings: object) -> tuple[BranchSite, ...]:
        """Returns the parts of a place that get a branch; empty if the place has no room for this kind."""

    @abc.abstractmethod
    def parts(self, branch: LayerSpec, input_shape: Sequence[int]) -> tuple[LayerSpec, ...]:
        """Returns the layers that a branch consists of, with their variables.

        Args:
            branch: layer of the branch; determines the result by its options and its output shape.
            input_shape: shape of the branch's input for one example.
        """


class LiteResidual(BranchKind):
    """The paper's branch around a block: pooling, grouped convolution, norm, ReLU, 1x1 convolution and upsampling.

    By default, the branch is as wide as the block's input. Around a bottleneck block of a wide network, which has
    narrow convolutions of its own, such a branch could be many times larger than the block. If it would have more than
    `MOST_BRANCH_PARAMETERS` times the block's parameters, it is made narrower, to have about as many parameters as the
    block. Example: around a ResNet-50 block with 1024, 256 and 1024 channels and 1.1 million parameters, a branch of
    width 1024 would have 14 million parameters, so its width is 80.

    Reference:
        TinyTL, section 3.2 and equation 4.
    """

    name, title = LITE_RESIDUAL, "lite residuals"
    layer = ("tinytl_tf.layers", "LiteResidual")
    repeated = ("final_norm/beta",)  # redundant with the last beta of the block: both are added to the same tensor
    arguments = ("filters", "kernel_size", "strides", "global_pool")
    settings = ("final_norm", "weight_standardization", "expand")
    defaults = {"expand": 1.0}
    config_keys = {
        "final_norm": "branch_final_norm",
        "weight_standardization": "branch_weight_standardization",
    }

    def sites(self, spec, place, **settings):
        """Returns one site for a block, except the first, that maps images to images of the same or strided size."""
        if settings.get("weight_standardization") and not settings.get("final_norm"):
            raise InputError(
                "expected weight_standardization of lite residuals with final_norm, got it alone: without the norm a "
                "kernel starts at zero, which has no deviation; set both, or neither"
            )
        expand = settings.get("expand", 1)
        if isinstance(expand, bool) or not isinstance(expand, int | float) or not 0 < expand < math.inf:
            raise InputError(
                f"expected expand of lite residuals as a number above 0, got {expand!r:.80}; 0.5 halves their width"
            )
        if place.name not in spec.blocks[1:] or place.entry in ("", INPUT):
            return ()
        shapes = spec.shape(place.entry), spec.shape(place.joint)
        if any(len(shape) != 3 for shape in shapes):
            return ()
        (height, width, channels), (new_height, new_width, filters) = shapes
        strides = math.ceil(height / new_height)
        fits = (-(-height // strides), -(-width // strides)) == (new_height, new_width)
        if not fits or channels % BRANCH_GROUPS:
            return ()
        kernel_size, global_pool = _schedule(spec)[place.name]
        if not global_pool and min(height, width) < BRANCH_POOL_SIZE:
            return ()
        options = {"filters": filters, "kernel_size": kernel_size, "strides": strides, "global_pool": global_pool}
        expand = settings.get("expand") or _expansion(spec, place, channels, filters, kernel_size)
        options |= {name: value for name, value in {**settings, "expand": expand}.items() if value}
        if expand == self.defaults["expand"]:
            del options["expand"]
        return (BranchSite(place.name, place.entry, place.joint, shapes[1], tuple(options.items())),)

    def parts(self, branch, input_shape):
        """Returns pooling, the two convolutions with their norms, the activation and the resizing."""
        height, width, channels = input_shape
        options = self.defaults | dict(branch.options)
        wide = make_divisible(int(channels * options["expand"]))
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


def _expansion(spec: NetworkSpec, place: PlaceSpec, channels: int, filters: int, kernel_size: int) -> float:
    """Returns the width of a lite residual as a multiple of its input channels."""
    own = sum(variable.size for layer in spec.layers_of(place.name) if not layer.branch for variable in layer.variables)
    each = kernel_size**2 * channels // BRANCH_GROUPS + filters  # parameters per channel of the branch's width
    if make_divisible(channels) * each <= MOST_BRANCH_PARAMETERS * own:
        return 1.0
    return max(own // each // WIDTH_STEP, 1) * WIDTH_STEP / channels


class LowRank(BranchKind):
    """LoRA: two thin matrices around a layer that only mixes channels, `y = W x + alpha / rank * B A x`.

    It goes around dense layers, 1x1 convolutions with stride 1, and the query and value projections of self-attention.
    `A` is initialized at random, and `B` with zeros. With the setting `wide`, it goes only around the layer of each
    place that has the wide kernel; see `wide_kernel`.

    Reference:
        Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (2021), section 4; sections 4.2 and 7.1 for the
        choice of projections.
    """

    name, title = LORA, "LoRA branches"
    layer = ("tinytl_tf.layers", "LoRA")
    arguments = ("filters", "rank")
    settings = ("rank", "alpha", "wide")
    number = "rank"
    config_keys = {"rank": "lora_rank"}

    def sites(self, spec, place, **settings):
        """Returns a site for each layer that mixes only the channels at one position, and for attention projections."""
        rank = settings.get("rank", LORA_RANK)
        if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
            raise InputError(f"expected the rank of LoRA as a whole number of 1 or more, got {rank!r:.80}; 4 is common")
        settings = {"rank": rank} | settings
        if not settings.pop("wide", False):
            return tuple(self._sites(spec, place, settings))
        wide = wide_layer(spec, place.name)
        return tuple(site for site in self._sites(spec, place, settings) if wide and site.part == wide.name)

    def _sites(self, spec: NetworkSpec, place: PlaceSpec, settings: dict[str, object]) -> Iterator[BranchSite]:
        for layer in spec.layers_of(place.name):
            if layer.kind == "attention" and len(set(layer.inputs)) == 1:
                yield from _projections(layer, settings)
            elif layer.kind in ("dense", "convolution") and _mixes_channels_alone(spec, layer):
                options = tuple(({"filters": layer.shape[-1:]} | settings).items())
                yield BranchSite(layer.name, layer.inputs[0], layer.name, layer.shape, options)

    def parts(self, branch, input_shape):
        """Returns the two matrix products as dense layers."""
        rank, filters = branch.option("rank"), branch.option("filters")
        common = {"place": branch.place, "branch": self.name}
        down = VariableSpec(f"{branch.name}/a", (input_shape[-1], rank), "kernel", *common.values())
        up = VariableSpec(f"{branch.name}/b", (rank, *filters), "kernel", *common.values())
        middle = (*input_shape[:-1], rank)
        return (
            LayerSpec(branch.name, "dense", branch.inputs, middle, variables=(down,), **common),
            LayerSpec(branch.name, "dense", (branch.name,), branch.shape, variables=(up,), **common),
        )


def _mixes_channels_alone(spec: NetworkSpec, layer: LayerSpec) -> bool:
    is_pointwise = set(layer.kernel_size or (1,)) == {1} and layer.groups == 1 and not layer.option("activation")
    return is_pointwise and spec.shape(layer.inputs[0])[:-1] == layer.shape[:-1]


def _projections(layer: LayerSpec, settings: dict[str, object]) -> Iterator[BranchSite]:
    for port in ("query", "value"):
        kernel = next(v for v in layer.variables if v.path.endswith(f"/{port}/kernel"))
        filters = kernel.shape[1:]  # heads and their width
        options = tuple(({"filters": filters} | settings).items())
        shape = (*layer.shape[:-1], *filters)
        yield BranchSite(f"{layer.name}_{port}", layer.inputs[0], layer.name, shape, options, port)


BRANCHES: dict[str, BranchKind] = {kind.name: kind for kind in (LiteResidual(), LowRank())}


def branch_name(part: str, kind: str = LITE_RESIDUAL) -> str:
    """Returns the layer name of a branch around a place or a layer.

    Example:
        >>> branch_name("block_3"), branch_name("block_3_expand", "lora")
        ('block_3_lite_residual', 'block_3_expand_lora')
    """
    return f"{part}_{kind}"


def branch_places(spec: NetworkSpec, kind: str = LITE_RESIDUAL, **settings: object) -> tuple[str, ...]:
    """Returns the names of the places that can have a given kind of branch, from the input to the output."""
    return tuple(name for name in spec.places if BRANCHES[kind].sites(spec, spec.place(name), **settings))


def chosen_places(
    spec: NetworkSpec, kind: str, places: bool | str | Collection[str], **settings: object
) -> Collection[str]:
    """Returns the names of the places of a `BranchChoice`.

    Raises:
        InputError: if the network has no place for this kind among those chosen with `True` or `LATE`.

    Example:
        >>> from tinytl_tf.networks.from_table import from_table
        >>> chosen_places(from_table("mobilenet_v2", resolution=96, classes=10), "lora", LATE, wide=True)[0]
        'block_10'
    """
    if places is not True and places != LATE:
        return places or ()
    found = branch_places(spec, kind, **settings)
    if places == LATE:
        found = tuple(name for name in found if name in spec.blocks and name in late_places(spec))
    if not found:
        raise InputError(f"the network has no place for {BRANCHES[kind].title}; leave out {kind}")
    return found


def add_branches(spec: NetworkSpec, choices: Mapping[str, BranchChoice], **defaults: object) -> NetworkSpec:
    """Returns a network with the branches that a user chose.

    Args:
        spec: the network.
        choices: the user's choice for each kind of branch, by key of `BRANCHES`.
        defaults: default settings, used for the kinds that have them.

    Raises:
        InputError: if a kind, setting or place does not exist; or if the network has no room for a kind.

    Example:
        >>> from tinytl_tf.networks.from_table import from_table
        >>> spec = from_table("mobilenet_v2", resolution=96, classes=10)
        >>> spec = add_branches(spec, {"lora": {"places": ["block_1"], "rank": 8}})
        >>> [layer.name for layer in spec.layers if layer.branch and layer.variables]
        ['block_1_expand_lora', 'block_1_project_lora']
    """
    for kind, choice in choices.items():
        if kind not in BRANCHES:
            raise InputError(
                f"expected arguments of the network or kinds of branches, {', '.join(BRANCHES)}, got {kind!r:.80}"
            )
        known = BRANCHES[kind].settings
        places, settings = _read_choice(kind, choice)
        settings = {name: value for name, value in defaults.items() if name in known} | settings
        unknown = [name for name in settings if name not in known]
        if unknown:
            raise InputError(f"expected settings of {kind} from {', '.join(known)}, got {unknown[0]!r:.80}")
        spec = with_branches(spec, chosen_places(spec, kind, places, **settings), kind, **settings)
    return spec


def with_branches(
    spec: NetworkSpec, places: Collection[str], kind: str = LITE_RESIDUAL, **settings: object
) -> NetworkSpec:
    """Returns a network with branches at some of its places.

    A lite residual takes the input of the place. Its output is added at the end of the place's main path, before the
    shortcut is added:

        block_2_project -> block_2_add_lite_residual -> block_2_add_shortcut
        block_1_project -> block_2_lite_residual ----^

    LoRA takes the input of a layer, and its output is added to that of the layer:

        block_2_depthwise_activation -> block_2_project ------> block_2_project_add_lora
                                     -> block_2_project_lora -^

    Args:
        spec: the network.
        places: names of the places.
        kind: kind of branch, a key of `BRANCHES`.
        settings: additional arguments of the branches' layers.

    Raises:
        InputError: if a place has no room for a branch; the message lists the places that have room.
    """
    layers = list(spec.layers)
    for name in places:
        sites = BRANCHES[kind].sites(spec, spec.place(name), **settings) if name in spec.places else ()
        if not sites:
            there = ", ".join(branch_places(spec, kind)) or "none"
            raise InputError(f"the network has no {BRANCHES[kind].title} at {name!r}; its places are {there}")
        for site in sites:
            entry = _actual(layers, site.entry)
            branch = LayerSpec(
                branch_name(site.part, kind), kind, (entry,), site.shape, name, branch=kind, options=site.options
            )
            branch = _with_variables(branch, spec.shape(site.entry))
            layers = (_with_port if site.port else _with_sum)(layers, site, branch)
    return NetworkSpec(spec.name, spec.input_shape, tuple(layers))


def kernel_schedule(strides: Sequence[int]) -> list[tuple[int, bool]]:
    """Returns `(kernel_size, global_pool)` for the lite residual around each block of a network.

    The kernel size is chosen for a nominal resolution of 128 before the first block, whatever the size of the images.

    Args:
        strides: stride of each block, from the input to the output.

    Reference:
        TinyTL's released code. For ProxylessNAS-Mobile, this gives a kernel size of 5 up to block 17 and 3 from block
        18 on. These are the paper's block numbers, which count two empty blocks; here they are blocks 15 and 16.
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


def _read_choice(kind: str, choice: BranchChoice) -> tuple[bool | Collection[str], dict[str, object]]:
    """Returns the places (True for all) and the settings."""
    number = BRANCHES[kind].number
    if isinstance(choice, Mapping):
        settings = dict(choice)
        return settings.pop("places", True), settings
    if isinstance(choice, int) and not isinstance(choice, bool) and number:
        return True, {number: choice}
    if isinstance(choice, bool) or (isinstance(choice, Collection) and not isinstance(choice, str | bytes)):
        return choice, {}
    raise InputError(
        f"expected {kind} as True, False, names of places{f', its {number}' if number else ''}, or a mapping of places "
        f"and settings, got {choice!r:.80}"
    )


def _with_sum(layers: Sequence[LayerSpec], site: BranchSite, branch: LayerSpec) -> list[LayerSpec]:
    """Adds a branch to the output of a layer, and feeds the sum to all layers that took that output."""
    total = f"{site.part}_add_{branch.kind}"
    total = LayerSpec(total, "add", (site.joint, branch.name), branch.shape, branch.place, branch=branch.kind)
    layers = [_rewired(layer, site.joint, total.name) for layer in layers]
    at = _position(layers, site.joint)
    return [*layers[: at + 1], branch, total, *layers[at + 1 :]]


def _with_port(layers: Sequence[LayerSpec], site: BranchSite, branch: LayerSpec) -> list[LayerSpec]:
    """Passes a branch to a layer, which adds it to the output of one of its inner layers."""
    at = _position(layers, site.joint)
    joint, ports = layers[at], layers[at].option(PORTS) or ()
    options = tuple((dict(joint.options) | {PORTS: (*ports, site.port)}).items())
    joint = dataclasses.replace(joint, inputs=(*joint.inputs, branch.name), options=options)
    return [*layers[:at], branch, joint, *layers[at + 1 :]]


def _position(layers: Sequence[LayerSpec], name: str) -> int:
    return next(number for number, layer in enumerate(layers) if layer.name == name)


def _with_variables(branch: LayerSpec, input_shape: Sequence[int]) -> LayerSpec:
    variables = [v for part in BRANCHES[branch.kind].parts(branch, input_shape) for v in part.variables]
    variables.sort(key=lambda variable: variable.path.count("/"))  # a layer's own variables come before those of norms
    return dataclasses.replace(branch, variables=tuple(variables))


def _actual(layers: Sequence[LayerSpec], name: str) -> str:
    """Returns the layer that replaces the output of `name`: the last sum that adds a branch to it, or `name` itself."""
    for layer in layers:
        if layer.kind == "add" and layer.branch and layer.inputs[0] == name:
            return _actual(layers, layer.name)
    return name


def _rewired(layer: LayerSpec, old: str, new: str) -> LayerSpec:
    return dataclasses.replace(layer, inputs=tuple(new if source == old else source for source in layer.inputs))
