"""Divides any network into places: stem, blocks, head and classifier.

A residual block becomes a place. It consists of the layers between two points at which only one tensor is alive, and
has sums or concatenations that join several paths. A plain sequence of layers has no such blocks, so its places end
after a 1x1 convolution that reduces the channels and has no activation, as in MobileNetV2 blocks without a shortcut,
or at the smallest tensor between two downsamplings. The stem is the first convolution with its norm and activation.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tinytl_tf.networks.spec import CLASSIFIER, HEAD, INPUT, STEM, LayerSpec, block_name

__all__ = ["assign_places"]

_JOINS = ("add", "concatenate")
_CONVOLUTIONS = ("convolution", "depthwise")
_AFTER_CONVOLUTION = ("norm", "activation")
_POOLS = ("global_pool", "flatten")


@dataclasses.dataclass(frozen=True)
class _Piece:
    """Layers between two points at which only one tensor is alive.

    Attributes:
        layers: the layers in order; a piece of a plain sequence often has only one.
        is_block: whether several paths join inside.
    """

    layers: tuple[LayerSpec, ...]
    is_block: bool = False

    @property
    def last(self) -> LayerSpec:
        return self.layers[-1]

    def has_kind(self, *kinds: str) -> bool:
        return any(layer.kind in kinds for layer in self.layers)


_Group = list[_Piece]  # consecutive pieces that form a place


def assign_places(layers: Sequence[LayerSpec]) -> tuple[LayerSpec, ...]:
    """Returns the layers of a network, each with its place.

    Args:
        layers: layers in an order in which they can run. The classifier and dropout before it must have the place
            `CLASSIFIER`; all other places are ignored.

    The example is a plain sequence of four stride-2 convolutions with 8, 16, 16 and 32 filters, and a classifier.

    Example:
        >>> from tinytl_tf.networks.writer import SpecWriter
        >>> writer = SpecWriter((64, 64, 3), rescale=(1 / 255, 0.0))
        >>> for number, filters in enumerate((8, 16, 16, 32)):
        ...     writer.convolve("", filters, 3, part=f"conv_{number}", strides=2, activation="relu")
        >>> spec = writer.finish("line", "", 5, 0.2)
        >>> [layer.place for layer in assign_places(spec.layers) if layer.kind == "convolution"]
        ['stem', 'block_0', 'block_1', 'block_2']
    """
    body = [layer for layer in layers if layer.place != CLASSIFIER]
    places = {layer.name: CLASSIFIER for layer in layers if layer.place == CLASSIFIER}
    shapes = {layer.name: layer.shape for layer in layers}
    groups = _with_what_has_no_variables(_groups(_with_attention(_with_activations(_pieces(body))), shapes))
    blocks = itertools.count()
    for number, group in enumerate(groups):
        is_stem = number == 0 and not group[0].is_block
        is_head = number > 0 and number == len(groups) - 1 and _is_head(group)
        name = STEM if is_stem else HEAD if is_head else block_name(next(blocks))
        places |= {layer.name: name for piece in group for layer in piece.layers}
    return tuple(dataclasses.replace(layer, place=places[layer.name]) for layer in layers)


def _pieces(body: Sequence[LayerSpec]) -> list[_Piece]:
    """Cuts wherever later layers take only the output of the layer before the cut."""
    last_reader = {source: number for number, layer in enumerate(body) for source in layer.inputs}
    pieces, own, alive = [], [], {INPUT}
    for number, layer in enumerate(body):
        own.append(layer)
        alive = {name for name in {*alive, layer.name} if last_reader.get(name, -1) > number}
        if alive <= {layer.name}:
            pieces.append(_Piece(tuple(own), any(each.kind in _JOINS for each in own)))
            own = []
    return pieces


def _with_activations(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Merges an activation after a block into the block."""
    result: list[_Piece] = []
    for piece in pieces:
        if result and result[-1].is_block and [layer.kind for layer in piece.layers] == ["activation"]:
            piece = _Piece((*result.pop().layers, *piece.layers), is_block=True)
        result.append(piece)
    return result


def _with_attention(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Merges an attention block and the dense layers after it into one transformer block."""
    result: list[_Piece] = []
    for piece in pieces:
        attends = bool(result) and result[-1].is_block and result[-1].has_kind("attention")
        if attends and piece.is_block and not piece.has_kind("attention"):
            piece = _Piece((*result.pop().layers, *piece.layers), is_block=True)
        result.append(piece)
    return result


def _groups(pieces: Sequence[_Piece], shapes: Mapping[str, tuple[int, ...]]) -> Iterator[_Group]:
    """Yields each block, and the parts of plain sequences, cut as described in the module's docstring."""
    for is_block, run in itertools.groupby(pieces, key=lambda piece: piece.is_block):
        if is_block:
            yield from ([piece] for piece in run)
        else:
            line = list(run)
            cuts = sorted(_cuts_of_line(line, shapes))
            for start, end in itertools.pairwise([0, *cuts, len(line)]):
                yield line[start:end]


def _cuts_of_line(line: Sequence[_Piece], shapes: Mapping[str, tuple[int, ...]]) -> set[int]:
    """Returns the indices of the pieces before which a plain sequence is cut."""
    before = [shapes.get(piece.layers[0].inputs[0], ()) for piece in line]
    after = [piece.last.shape for piece in line]
    narrowing = {
        number + 1
        for number, piece in enumerate(line[:-1])
        if piece.last.kind == "convolution"
        and set(piece.last.kernel_size) == {1}
        and piece.last.shape[-1] < before[number][-1]
        and line[number + 1].layers[0].kind in _CONVOLUTIONS
    }
    pooled = {number + 1 for number, piece in enumerate(line[:-1]) if piece.last.kind in _POOLS}
    cuts = narrowing | pooled | set(_end_of_stem(line))
    for start, end in itertools.pairwise([0, *sorted(cuts), len(line)]):
        shrinking = [i for i in range(start, end) if len(before[i]) == len(after[i]) > 1 and before[i][0] > after[i][0]]
        for first, second in itertools.pairwise(shrinking):
            # If several are equally small, cut after the last one, so that an activation stays with its convolution.
            cuts.add(min(range(first, second), key=lambda i: (math.prod(after[i]), -i)) + 1)
    return cuts


def _end_of_stem(line: Sequence[_Piece]) -> Iterator[int]:
    """Yields the index of the first piece after the stem, if the sequence is at the start of the network."""
    if line[0].layers[0].inputs != (INPUT,):
        return
    kinds = [piece.last.kind for piece in line]
    first = next((number for number, kind in enumerate(kinds) if kind in _CONVOLUTIONS), len(line))
    end = next((i for i in range(first + 1, len(line)) if kinds[i] not in _AFTER_CONVOLUTION), None)
    if end is not None:
        yield end


def _with_what_has_no_variables(groups: Iterable[_Group]) -> list[_Group]:
    """Merges layers without variables into the place before them or, at the start, into the place after them."""
    result: list[_Group] = []
    for group in groups:
        if result and not (_has_variables(group) and (_has_variables(result[-1]) or group[0].is_block)):
            result[-1] = result[-1] + group
        else:
            result.append(group)
    return result


def _has_variables(group: _Group) -> bool:
    return any(layer.variables for piece in group for layer in piece.layers)


def _is_head(group: _Group) -> bool:
    """Returns whether no layer combines neighboring pixels: only dense layers, 1x1 convolutions and norms."""
    layers = [layer for piece in group for layer in piece.layers if layer.variables]
    return not group[0].is_block and all(set(layer.kernel_size or (1,)) == {1} for layer in layers)
