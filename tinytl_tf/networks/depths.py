"""A classifier that reads the features of several depths."""

import dataclasses
from collections.abc import Collection

from tinytl_tf.errors import InputError
from tinytl_tf.networks.late import LATE, late_places
from tinytl_tf.networks.spec import CLASSIFIER_KERNEL, DEPTHS, LayerSpec, NetworkSpec, VariableSpec, check_places

__all__ = ["depth_places", "with_depths"]


def with_depths(spec: NetworkSpec, places: Collection[str]) -> NetworkSpec:
    """Returns a network whose classifier also reads the pooled outputs of some places.

    The outputs are averaged over their pixels and joined with the network's own features, without a norm. Early
    features separate classes that the last ones no longer do, and reading them needs no backward pass:

        the features               1280
        block_10, 8x8x96   -> pool -> 96
        block_16, 4x4x320  -> pool -> 320   -> depths, 1696 -> dropout -> classifier, kernel [1696, classes]

    Args:
        spec: the network, without branches; its classifier is new.
        places: names of the places; see `depth_places`. Empty: the network is returned as is.

    Raises:
        InputError: if `depth_places` raises it.

    Reference:
        Evci et al., Head2Toe: Utilizing Intermediate Representations for Better Transfer Learning (2022): a linear
        classifier on features of all layers. That no norm is needed is measured in RESULTS.md.

    Example:
        >>> from tinytl_tf.networks.from_table import from_table
        >>> spec = from_table("mobilenet_v2", resolution=128, classes=10)
        >>> with_depths(spec, ["block_10", "block_16"]).shape("depths")
        (1696,)
    """
    if not places:
        return spec
    features = spec.features
    pools = [_pool(spec, place) for place in depth_places(spec, places)]
    inputs = (features, *(pool.name for pool in pools))
    width = sum(channels for (channels,) in (spec.shape(features), *(pool.shape for pool in pools)))
    joined = LayerSpec(DEPTHS, "concatenate", inputs, (width,), DEPTHS, options=(("axis", -1),))
    first = next(number for number, layer in enumerate(spec.layers) if features in layer.inputs)
    behind = [_rewired(layer, features, width) for layer in spec.layers[first:]]
    return dataclasses.replace(spec, layers=(*spec.layers[:first], *pools, joined, *behind))


def depth_places(spec: NetworkSpec, places: Collection[str]) -> tuple[str, ...]:
    """Returns the places whose outputs a classifier reads in addition to the features, from the input to the output.

    Args:
        spec: the network.
        places: names of places; or `"late"` for the late ones, see `late_places`. The last place cannot be chosen,
            since its output is the network's features.

    Raises:
        InputError: if the network has no such place; if it is the last one; or if its output is not one tensor of
            channels.

    Example:
        >>> from tinytl_tf.networks.from_table import from_table
        >>> depth_places(from_table("mcunet_5fps", resolution=96, classes=10), "late")
        ('block_8', 'block_9', 'block_10', 'block_11', 'block_12')
    """
    if places in (LATE, (LATE,), [LATE]):
        return tuple(place for place in late_places(spec) if not _is_last(spec, place))
    names = (places,) if isinstance(places, str) else tuple(places)
    own = tuple(place for place in spec.places if not _is_last(spec, place))
    check_places("features before its last ones", names, own)
    return tuple(place for place in own if place in names)


def _is_last(spec: NetworkSpec, place: str) -> bool:
    return spec.place(place).output == spec.features


def _pool(spec: NetworkSpec, place: str) -> LayerSpec:
    source = spec.layer(spec.place(place).output)
    if None in source.shape:
        raise InputError(
            f"expected features of a fixed size at {place!r}, got {source.shape} of {source.name!r}; choose another "
            "place"
        )
    kind = "global_pool" if len(source.shape) > 1 else "reshape"
    return LayerSpec(f"{DEPTHS}_{place}", kind, (source.name,), source.shape[-1:], DEPTHS)


def _rewired(layer: LayerSpec, features: str, width: int) -> LayerSpec:
    """Returns a layer behind the features, which takes all depths instead."""
    inputs = tuple(DEPTHS if source == features else source for source in layer.inputs)
    shape = layer.shape if layer.variables else (width,)
    return dataclasses.replace(
        layer, inputs=inputs, shape=shape, variables=tuple(_widened(variable, width) for variable in layer.variables)
    )


def _widened(variable: VariableSpec, width: int) -> VariableSpec:
    if variable.path != CLASSIFIER_KERNEL:
        return variable
    return dataclasses.replace(variable, shape=(width, variable.shape[-1]))
