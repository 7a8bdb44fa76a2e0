"""The paper's account: the training memory that TinyTL's paper computes, and the memory that the paper omits.

The paper's figure is the number of activation bytes for one image, at the peak of the forward pass, times the batch
size, plus the bytes of the parameters: 4 for each trained parameter, and 1 for each frozen parameter, assuming 8 bits.
Nothing is measured, and no network is built; the tables of blocks are sufficient.

The schemes of `tinytl_tf.networks.schemes`, applied to the described variables, determine which variables are trained.
They give the paper's counts for all six methods. The paper differs from this package in two ways. First, all its norms
are group norms, whereas norms in this package's trunk have frozen statistics; this changes no figure, since the paper
does not count the memory of norms. Second, it counts branches for every method, since its network was pre-trained with
them.

Reference:
    TinyTL, sections 3 and 4, tables 2 and 3; the rules follow its released profiler.
"""

import dataclasses
import math
from collections.abc import Collection, Iterator, Sequence

from tinytl_tf.errors import InputError
from tinytl_tf.memory.resnet50 import resnet50_spec
from tinytl_tf.networks.architectures import Architecture, check_sizes
from tinytl_tf.networks.branches import BRANCHES, LITE_RESIDUAL, add_branches
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.schemes import get_scheme, require_branches, trained_by
from tinytl_tf.networks.spec import CLASSIFIER, LayerSpec, NetworkSpec, VariableSpec
from tinytl_tf.optimizers import get_optimizer

__all__ = ["PaperAccount", "account_of", "paper_account"]

RESNET50 = "resnet50"
ALWAYS_WITH_BRANCHES = "proxyless_mobile"

ACTIVATION, GATE, NORM = "activation", "gate", "norm"
NORMS = (NORM, "layer_norm", "group_norm")
FLOAT_BYTES = 4
FROZEN_BYTES = 1


@dataclasses.dataclass(frozen=True)
class Rule:
    """Memory cost of one kind of operation, in addition to its input, which exists while the operation runs.

    Attributes:
        kept_bits: number of bits kept until backward for each element of the input. An operation with variables keeps
            them if its first variable is trained; any other operation keeps them if anything before the classifier is
            trained.
        counts_output: whether the output counts while the operation runs; only one group of it counts, as if the groups
            ran one by one.
    """

    kept_bits: int
    counts_output: bool


RULES = {
    "convolution": Rule(kept_bits=32, counts_output=True),
    "dense": Rule(kept_bits=32, counts_output=True),
    NORM: Rule(kept_bits=32, counts_output=False),
    "relu": Rule(kept_bits=1, counts_output=False),
    "relu6": Rule(kept_bits=1, counts_output=False),
    ACTIVATION: Rule(kept_bits=32, counts_output=False),  # all other activations
    GATE: Rule(kept_bits=32, counts_output=False),
    "keras": Rule(kept_bits=32, counts_output=True),
}


@dataclasses.dataclass(frozen=True)
class LeafOp:
    """One operation. Operations without a cost in the paper's account (pooling, resizing, addition) are omitted.

    Attributes:
        layer: the layer that the operation is part of.
        kind: kind of operation, a key of `RULES`.
        inputs: number of elements in its input.
        outputs: number of elements in its output.
        groups: number of groups of a convolution; a depthwise convolution has as many groups as channels.
        held: number of elements in the block's input, which the block's shortcut keeps alive while the operation runs.
        variables: variables of the operation; the first one multiplies the input, so its gradient needs the input.
        kept_bits: number of bits kept for each element of the input, if not that of the rule; 0 for the rule's.
    """

    layer: LayerSpec
    kind: str
    inputs: int
    outputs: int
    groups: int = 1
    held: int = 0
    variables: tuple[VariableSpec, ...] = ()
    kept_bits: int = 0


@dataclasses.dataclass(frozen=True)
class PaperAccount:
    """The paper's figure, and memory that the paper does not count.

    Attributes:
        backbone: name of the network.
        scheme: name of the scheme.
        resolution: height and width of the images, in pixels.
        batch_size: images per training step.
        classes: number of outputs.
        lite_residual: whether the network was counted with lite residuals.
        parameters: number of parameters, without statistics of norms.
        trained_parameters: number of trained parameters.
        parameters_bytes: bytes of the parameters: 4 for each trained parameter, 1 for each frozen parameter.
        stored_bytes: bytes kept until backward for one image.
        peak_bytes: peak activation bytes for one image.
        peak_op: name of the layer at the peak.
        activations_bytes: `peak_bytes` times the batch size.
        total_bytes: the paper's figure: activations and parameters.
        gradients_bytes: bytes of a float32 gradient for each trained parameter; not counted by the paper.
        slots_bytes: bytes of the optimizer's slots for each trained parameter; not counted by the paper.
        group_norm_bytes: additional `activations_bytes` for group norms with their exact gradient, which needs the
            normalized input even if gamma is frozen; not counted by the paper. Norms with frozen statistics do not
            need these bytes.
    """

    backbone: str
    scheme: str
    resolution: int
    batch_size: int
    classes: int
    lite_residual: bool
    parameters: int
    trained_parameters: int
    parameters_bytes: int
    stored_bytes: int
    peak_bytes: int
    peak_op: str
    activations_bytes: int
    total_bytes: int
    gradients_bytes: int
    slots_bytes: int
    group_norm_bytes: int

    @property
    def honest_bytes(self) -> int:
        """Sum of the paper's figure, the gradients, the optimizer's slots and the group norms."""
        return self.total_bytes + self.gradients_bytes + self.slots_bytes + self.group_norm_bytes


def paper_account(
    architecture: str | Architecture,
    scheme: str,
    *,
    resolution: int,
    batch_size: int,
    classes: int,
    width: float = 1.0,
    lite_residual: bool | None = None,
    optimizer: str = "adam",
) -> PaperAccount:
    """Computes the memory of a training step as the paper does.

    Args:
        architecture: a key of `ARCHITECTURES`, your own table, or `"resnet50"`, which only this account supports.
        scheme: a key of `SCHEMES`.
        resolution: height and width of the images, in pixels.
        batch_size: images per training step.
        classes: number of outputs.
        width: multiplier for the number of channels.
        lite_residual: whether the network has lite residuals. `None` follows the paper: ProxylessNAS-Mobile always has
            them, since it was pre-trained with them; all other networks have them if the scheme trains them. Other
            kinds of branches are counted if the scheme trains them.
        optimizer: a key of `tinytl_tf.optimizers.OPTIMIZERS`, for `slots_bytes`.

    Returns:
        The account, in bytes. In the paper, one MB is 10^6 bytes.

    Raises:
        InputError: if a name is unknown; or if a size is impossible.

    Example:
    >>> account = paper_account("proxyless_mobile", "tinytl-lb", resolution=224, batch_size=8, classes=102)
    >>> f"{account.total_bytes / 1e6:.1f} MB"
    '37.1 MB'
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    get_optimizer(optimizer)
    chosen, name = get_scheme(scheme), architecture if isinstance(architecture, str) else architecture.name
    if lite_residual is None:
        lite_residual = chosen.lite_residual or name == ALWAYS_WITH_BRANCHES
    check_sizes(name, classes=classes, resolution=resolution, width=width, lite_residual=lite_residual)
    branches = {LITE_RESIDUAL: lite_residual}
    branches |= {kind: choice for kind, choice in chosen.branches.items() if kind != LITE_RESIDUAL or lite_residual}
    if name == ALWAYS_WITH_BRANCHES:
        branches[LITE_RESIDUAL] = lite_residual
    spec = _describe(architecture, resolution, classes, width, branches)
    return account_of(spec, scheme, batch_size=batch_size, optimizer=optimizer)


def account_of(spec: NetworkSpec, scheme: str, *, batch_size: int, optimizer: str = "adam") -> PaperAccount:
    """Computes the memory of a training step of any described network.

    Args:
        spec: the network, with its branches.
        scheme: a key of `SCHEMES`.
        batch_size: images per training step.
        optimizer: see `paper_account`.

    Returns:
        The account, in bytes.

    Raises:
        InputError: if a name is unknown; or if the network lacks branches that the scheme trains.
    """
    slots = len(get_optimizer(optimizer).slots)
    ops, variables = list_ops(spec), [v for v in spec.variables if v.role != "statistic"]
    chosen = get_scheme(scheme).of(spec)
    require_branches(chosen, variables)
    trained_paths = trained_by(chosen, variables)
    trained = sum(variable.size for variable in variables if variable.path in trained_paths)
    count = sum(variable.size for variable in variables)
    parameters_bytes = FLOAT_BYTES * trained + FROZEN_BYTES * (count - trained)
    stored, peak, peak_op = walk(ops, trained_paths)
    _, group_norm_peak, _ = walk(ops, trained_paths, group_norm=True)
    return PaperAccount(
        backbone=spec.name,
        scheme=scheme,
        resolution=spec.input_shape[0],
        batch_size=batch_size,
        classes=spec.layers[-1].shape[-1],
        lite_residual=any(layer.branch == LITE_RESIDUAL for layer in spec.layers),
        parameters=count,
        trained_parameters=trained,
        parameters_bytes=parameters_bytes,
        stored_bytes=stored,
        peak_bytes=peak,
        peak_op=peak_op,
        activations_bytes=batch_size * peak,
        total_bytes=batch_size * peak + parameters_bytes,
        gradients_bytes=FLOAT_BYTES * trained,
        slots_bytes=FLOAT_BYTES * slots * trained,
        group_norm_bytes=batch_size * (group_norm_peak - peak),
    )


def list_ops(spec: NetworkSpec) -> list[LeafOp]:
    """Lists the operations of a network in the order in which they run; in a block, the main path comes first."""
    return [op for layer in spec.layers for op in _ops_of(spec, layer)]


def walk(ops: Sequence[LeafOp], trained: Collection[str], *, group_norm: bool = False) -> tuple[int, int, str]:
    """Computes the memory of the forward pass of one image.

    Args:
        ops: the operations.
        trained: paths of the trained variables.
        group_norm: whether norms keep their input for the gradient that passes through them, as group norms must.

    Returns:
        Bytes kept for backward after the last operation, peak bytes, and name of the layer at the peak.
    """
    backward = any(v.path in trained for op in ops if op.layer.place != CLASSIFIER for v in op.variables)
    stored = peak = 0
    peak_op = ""
    for op in ops:
        rule = RULES[op.kind]
        needed = stored + FLOAT_BYTES * (op.held + op.inputs)
        if rule.counts_output:
            needed += FLOAT_BYTES * op.outputs // op.groups
        if needed > peak:
            peak, peak_op = needed, op.layer.name
        needs_input = op.variables[0].path in trained if op.variables else backward
        if needs_input or (group_norm and op.kind == NORM and backward):
            stored += op.inputs * (op.kept_bits or rule.kept_bits) // 8
    return stored, peak, peak_op


def _ops_of(spec: NetworkSpec, layer: LayerSpec) -> Iterator[LeafOp]:
    place = spec.place(layer.place)
    held = math.prod(spec.shape(place.entry)) if place.shortcut else 0
    shape = spec.shape(layer.inputs[0])
    for part in BRANCHES[layer.kind].parts(layer, shape) if layer.kind in BRANCHES else (layer,):
        for op in _parts(part, math.prod(shape)):
            yield dataclasses.replace(op, layer=layer, held=held)
        shape = part.shape


def _parts(layer: LayerSpec, inputs: int) -> Iterator[LeafOp]:
    """Yields the operations of a layer; a convolution and its norm are two operations."""
    variables = tuple(v for v in layer.variables if v.role != "statistic")
    if layer.kind in ("convolution", "depthwise"):
        norm = tuple(v for v in variables if v.role in ("scale", "shift", "repeated"))
        own = tuple(v for v in variables if v not in norm)
        bits = layer.option("kept_bits") or 0
        yield LeafOp(layer, "convolution", inputs, layer.size, layer.groups, variables=own, kept_bits=bits)
        if norm:
            yield LeafOp(layer, NORM, layer.size, layer.size, variables=norm)
    elif layer.kind == ACTIVATION:
        kind = layer.option(ACTIVATION)
        yield LeafOp(layer, kind if kind in RULES else ACTIVATION, inputs, layer.size)
    elif layer.kind == GATE:
        if layer.option(ACTIVATION) in (None, "relu", "relu6"):  # all other activations keep the input itself
            yield LeafOp(layer, GATE, inputs, layer.size)
    elif layer.kind in RULES or layer.kind in NORMS:
        kind, bits = NORM if layer.kind in NORMS else layer.kind, layer.option("kept_bits") or 0
        yield LeafOp(layer, kind, inputs, layer.size, variables=variables, kept_bits=bits)


def _describe(
    architecture: str | Architecture, resolution: int, classes: int, width: float, branches: dict[str, bool]
) -> NetworkSpec:
    if architecture == RESNET50:
        if branches[LITE_RESIDUAL] or width != 1.0:
            raise InputError(
                f"{RESNET50} is counted at width 1 and without lite residual branches, got width {width} and "
                f"lite_residual {branches[LITE_RESIDUAL]}; choose last, norm+last, full or tinytl-b"
            )
        spec = resnet50_spec(resolution=resolution, classes=classes)
    else:
        spec = from_table(architecture, resolution=resolution, classes=classes, width=width)
    return add_branches(spec, branches, final_norm=True)
