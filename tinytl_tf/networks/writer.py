"""Builds the description of a network layer by layer."""

import math

from tinytl_tf.networks.spec import CLASSIFIER, INPUT, STEM, LayerSpec, NetworkSpec, VariableSpec

__all__ = ["SpecWriter"]

_NORM = {"gamma": "scale", "beta": "shift", "moving_mean": "statistic", "moving_variance": "statistic"}


class SpecWriter:
    """Adds one layer after another; by default, each layer takes the output of the previous one.

    Args:
        input_shape: shape of one image, `(height, width, 3)`.
        symmetric: whether convolutions pad `kernel_size // 2` on every side, as in PyTorch. By default, they pad as in
            TensorFlow.
        epsilon: epsilon of the norms.
        rescale: `(scale, offset)` for the pixels.

    Attributes:
        layers: the layers added so far.

    Example:
        >>> writer = SpecWriter((32, 32, 3), rescale=(1 / 127.5, -1.0))
        >>> writer.convolve("stem", 8, 3, strides=2, activation="relu6")
        >>> [layer.name for layer in writer.finish("tiny", "stem", 10, 0.2).layers]
        ['normalize', 'stem', 'stem_activation', 'pool', 'dropout', 'classifier']
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        *,
        rescale: tuple[float | tuple[float, ...], float | tuple[float, ...]],
        symmetric: bool = False,
        epsilon: float = 1e-3,
    ) -> None:
        self._input_shape, self._symmetric, self._epsilon = input_shape, symmetric, epsilon
        options = tuple(zip(("scale", "offset"), rescale, strict=True))
        self.layers = [LayerSpec("normalize", "rescale", (INPUT,), input_shape, STEM, options=options)]

    @property
    def last(self) -> LayerSpec:
        """The layer that was added last."""
        return self.layers[-1]

    def convolve(
        self,
        place: str,
        filters: int,
        size: int,
        *,
        part: str = "",
        strides: int = 1,
        activation: str = "",
        source: LayerSpec | None = None,
    ) -> None:
        """Adds a convolution with a norm and, if one is named, an activation; depthwise if `filters` is 0."""
        before = source or self.last
        name = f"{place}_{part}" if part else place
        height, width, channels = before.shape
        shape = (-(-height // strides), -(-width // strides), filters or channels)
        around = (size // 2, size // 2)
        kernel = VariableSpec(f"{name}/kernel", (size, size, channels, filters or 1), "kernel", place)
        norm = (VariableSpec(f"{name}/norm/{vector}", shape[2:], role, place) for vector, role in _NORM.items())
        self.layers.append(
            LayerSpec(
                name,
                "convolution" if filters else "depthwise",
                (before.name,),
                shape,
                place,
                (kernel, *norm),
                kernel_size=(size, size),
                strides=(strides, strides),
                padding=(around, around) if self._symmetric else "same",
                groups=1 if filters else channels,
                options=(("epsilon", self._epsilon),),
            )
        )
        if activation:
            self.add(f"{name}_activation", "activation", place, activation=activation)

    def sum(self, name: str, place: str, one: LayerSpec, other: LayerSpec) -> None:
        """Adds the sum of two outputs of the same shape."""
        self.layers.append(LayerSpec(name, "add", (one.name, other.name), other.shape, place))

    def add(self, name: str, kind: str, place: str, shape: tuple[int, ...] = (), **options: object) -> None:
        """Adds a layer; by default, its output has the shape of its input."""
        shape = shape or self.last.shape
        self.layers.append(LayerSpec(name, kind, (self.last.name,), shape, place, options=tuple(options.items())))

    def finish(self, name: str, place: str, classes: int, dropout: float) -> NetworkSpec:
        """Adds global pooling with the place `place`, dropout and the classifier; returns the network."""
        features = self.last.shape[2:]
        self.add("pool", "global_pool", place, features)
        self.add("dropout", "dropout", CLASSIFIER, rate=dropout)
        kernel = VariableSpec(f"{CLASSIFIER}/kernel", (math.prod(features), classes), "kernel", CLASSIFIER)
        bias = VariableSpec(f"{CLASSIFIER}/bias", (classes,), "bias", CLASSIFIER)
        self.layers.append(LayerSpec(CLASSIFIER, "dense", ("dropout",), (classes,), CLASSIFIER, (kernel, bias)))
        return NetworkSpec(name, self._input_shape, tuple(self.layers))
