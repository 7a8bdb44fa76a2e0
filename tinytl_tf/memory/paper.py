"""Paper account: the training memory that TinyTL's paper computes, and the memory that it leaves out.

The bytes of the activations of one image, at the worst moment of the forward pass, times the batch, plus the bytes of
the parameters: 4 for each trained one, 1 for each frozen one, assuming 8 bits. Nothing is measured, and no network is
built: the tables of blocks are enough.

The tables of `tinytl_tf.networks.schemes`, applied to the described variables, decide what trains. They give the
paper's counts for all six methods. Two things are the paper's and not ours: its norms are group norms
throughout, where our trunk has frozen statistics, which changes nothing as it charges no norm for them; and it counts
branches for every method, because it pre-trained its network with them.

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
    """Cost of an operation of a kind, in addition to its input, which exists while it runs.

    Attributes:
        kept_bits: of each element of the input, kept until backward: by an operation with parameters if its first one
            is trained, by one without if there is anything to train before the classifier.
        counts_output: whether the output counts while it runs: a group of it, as if the groups ran one by one.
    """

    kept_bits: int
    counts_output: bool


RULES = {
    "convolution": Rule(kept_bits=32, counts_output=True),
    "dense": Rule(kept_bits=32, counts_output=True),
    NORM: Rule(kept_bits=32, counts_output=False),
    "relu": Rule(kept_bits=1, counts_output=False),
    "relu6": Rule(kept_bits=1, counts_output=False),
    ACTIVATION: Rule(kept_bits=32, counts_output=False),  # any other
    GATE: Rule(kept_bits=32, counts_output=False),
    "keras": Rule(kept_bits=32, counts_output=True),
}


@dataclasses.dataclass(frozen=True)
class LeafOp:
    """One operation. Operations without a cost in the paper's account (pooling, resizing, addition) are left out.

    Attributes:
        layer: the layer that it is a part of.
        kind: a key of `RULES`.
        inputs: elements of its input.
        outputs: elements of its output.
        groups: of a convolution; a depthwise one has as many as channels.
        held: elements of the block's input, which the block's shortcut keeps alive meanwhile.
        variables: its variables; the first one multiplies the input, so that its gradient needs the input.
    """

    layer: LayerSpec
    kind: str
    inputs: int
    outputs: int
    groups: int = 1
    held: int = 0
    variables: tuple[VariableSpec, ...] = ()


@dataclasses.dataclass(frozen=True)
class PaperAccount:
    """The paper's figure, and memory that it does not count.

    Attributes:
        backbone: name of the network.
        scheme: name of the scheme.
        resolution: height and width of the images, in pixels.
        batch_size: images of a step.
        classes: number of outputs.
        lite_residual: whether the network was counted with lite residuals.
        parameters: number of parameters, without statistics of norms.
        trained_parameters: how many of them are trained.
        parameters_bytes: 4 for each trained parameter, 1 for each frozen one.
        stored_bytes: bytes kept for one image until backward.
        peak_bytes: peak bytes for one image.
        peak_op: layer at the peak.
        activations_bytes: `peak_bytes` times the batch.
        total_bytes: the paper's figure, activations and parameters.
        gradients_bytes: not counted, a float32 gradient for each trained parameter.
        slots_bytes: not counted, the optimizer's slots for each trained parameter.
        group_norm_bytes: not counted, the growth of `activations_bytes` if the norms are group norms with their true
            gradient, which needs the normalized input even where gamma is frozen. A norm with frozen statistics
            does not have it.
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
        """The paper's figure, the gradients, the optimizer's slots and the group norms."""
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
        architecture: a key of `ARCHITECTURES`, a table of your own, or `"resnet50"`, which has only this
            account.
        scheme: a key of `SCHEMES`.
        resolution: height and width of the images, in pixels.
        batch_size: images of a step.
        classes: number of outputs.
        width: multiplies the number of channels.
        lite_residual: whether the network has lite residuals. `None` is the paper's choice: ProxylessNAS-Mobile
            always, as it was pre-trained with them, another network if the scheme trains them. Branches of other kinds
            are counted if the scheme trains them.
        optimizer: `"sgd"`, `"momentum"` or `"adam"`, for `slots_bytes`.

    Returns:
        The account, in bytes; the paper's MB are 10^6 of them.

    Raises:
        InputError: for an unknown name or an impossible size.

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
    branches = {LITE_RESIDUAL: lite_residual} | dict.fromkeys({chosen.branch} - {"", LITE_RESIDUAL}, True)
    spec = _describe(architecture, resolution, classes, width, branches)
    return account_of(spec, scheme, batch_size=batch_size, optimizer=optimizer)


def account_of(spec: NetworkSpec, scheme: str, *, batch_size: int, optimizer: str = "adam") -> PaperAccount:
    """Computes the memory of a training step of any described network.

    Args:
        spec: the network, with its branches.
        scheme: a key of `SCHEMES`.
        batch_size: images of a step.
        optimizer: as for `paper_account`.

    Returns:
        The account, in bytes.

    Raises:
        InputError: for an unknown name.
    """
    slots = len(get_optimizer(optimizer).slots)
    ops, variables = list_ops(spec), [v for v in spec.variables if v.role != "statistic"]
    require_branches(get_scheme(scheme), variables)
    trained_paths = trained_by(get_scheme(scheme), variables)
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
    """Lists the operations of a network in the order in which they run: in a block the main branch first."""
    return [op for layer in spec.layers for op in _ops_of(spec, layer)]


def walk(ops: Sequence[LeafOp], trained: Collection[str], *, group_norm: bool = False) -> tuple[int, int, str]:
    """Goes through the forward pass of one image.

    Args:
        ops: the operations.
        trained: paths of the variables that are trained.
        group_norm: whether norms keep their input for the gradient that passes through them, as group norms must.

    Returns:
        Bytes that are kept for backward at the end, the most bytes needed at once, and the layer where that was.
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
            stored += op.inputs * rule.kept_bits // 8
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
    """A convolution and its norm are two operations; an activation is known by its name."""
    variables = tuple(v for v in layer.variables if v.role != "statistic")
    if layer.kind in ("convolution", "depthwise"):
        norm = tuple(v for v in variables if v.role in ("scale", "shift", "repeated"))
        own = tuple(v for v in variables if v not in norm)
        yield LeafOp(layer, "convolution", inputs, layer.size, layer.groups, variables=own)
        if norm:
            yield LeafOp(layer, NORM, layer.size, layer.size, variables=norm)
    elif layer.kind == ACTIVATION:
        kind = layer.option(ACTIVATION)
        yield LeafOp(layer, kind if kind in RULES else ACTIVATION, inputs, layer.size)
    elif layer.kind == GATE:
        if layer.option(ACTIVATION) in (None, "relu", "relu6"):  # all other activations keep the input itself
            yield LeafOp(layer, GATE, inputs, layer.size)
    elif layer.kind in RULES or layer.kind in NORMS:
        yield LeafOp(layer, NORM if layer.kind in NORMS else layer.kind, inputs, layer.size, variables=variables)


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
