"""How the wide kernel of a place is trained: which share of its output channels, and how its input is kept."""

import dataclasses
from collections.abc import Iterable, Mapping

from tinytl_tf.errors import InputError
from tinytl_tf.networks.spec import LayerSpec, NetworkSpec, check_places
from tinytl_tf.networks.wide_kernels import wide_kernel, wide_kernel_places

__all__ = [
    "KERNEL_REST",
    "KernelOptions",
    "first_filters",
    "kernel_options",
    "read_kernels",
    "whole_shares",
    "with_kernel_options",
]

KERNEL_REST = "kernel_rest"  # variable with the frozen channels of a kernel whose first channels are trained
_SHARES = {"1": 1.0, "1/2": 0.5, "1/4": 0.25, "1/8": 0.125}
_BITS = {"32bit": 32, "8bit": 8}
_FORMAT = 'write "block_14", "block_14:1/4", "block_14:8bit" or "block_14:1/4:8bit"'


@dataclasses.dataclass(frozen=True)
class KernelOptions:
    """How a kernel is trained, and how its layer's input is kept until the backward pass.

    Attributes:
        share: share of the output channels, 1, 1/2, 1/4 or 1/8; only the first channels are trained.
        kept_bits: bits for each element of the layer's input, which the kernel's gradient needs: 32 for the float32
            input itself, or 8 for integers with a scale for each image.

    Raises:
        InputError: if a value is not allowed.

    Example:
        >>> KernelOptions(share=1 / 4).layer_options
        (('kernel_share', 0.25),)
    """

    share: float = 1.0
    kept_bits: int = 32

    def __post_init__(self) -> None:
        if self.share not in _SHARES.values():
            raise InputError(f"expected a share of a kernel from {', '.join(_SHARES)}, got {self.share!r:.80}")
        if self.kept_bits not in _BITS.values():
            raise InputError(f"expected the input of a kernel kept in 32 or 8 bits, got {self.kept_bits!r:.80}")

    @property
    def layer_options(self) -> tuple[tuple[str, object], ...]:
        """The options of the kernel's layer; defaults are left out."""
        share = (("kernel_share", self.share),) if self.share != 1 else ()
        return (*share, *((("kept_bits", self.kept_bits),) if self.kept_bits != 32 else ()))

    def entry(self, place: str) -> str:
        """Returns the entry of a place with these options, which `read_kernels` reads; defaults are left out.

        Example:
            >>> KernelOptions(share=1 / 4).entry("block_14")
            'block_14:1/4'
        """
        share, bits = _word(_SHARES, self.share), _word(_BITS, self.kept_bits)
        return ":".join([place, *([share] if self.share != 1 else []), *([bits] if self.kept_bits != 32 else [])])


def read_kernels(entries: Iterable[str]) -> dict[str, KernelOptions]:
    """Returns the options of the wide kernel of each place, from entries of the form `place[:share][:bits]`.

    Args:
        entries: for example `"block_14"`, `"block_14:1/4"`, `"block_14:8bit"` or `"block_14:1/4:8bit"`.

    Raises:
        InputError: if an entry has another form; or if a place occurs twice.

    Example:
        >>> read_kernels(["block_14:1/4", "block_15:8bit"])["block_14"]
        KernelOptions(share=0.25, kept_bits=32)
    """
    kernels: dict[str, KernelOptions] = {}
    if not isinstance(entries, Iterable):
        raise InputError(f"expected kernels as a list of places, got {entries!r:.80}; {_FORMAT}")
    for entry in (entries,) if isinstance(entries, str) else entries:
        if not isinstance(entry, str):
            raise InputError(f"expected the name of a place in kernels, got {entry!r:.80}; {_FORMAT}")
        place, *words = entry.split(":")
        shares = [word for word in words if word in _SHARES]
        bits = [word for word in words if word in _BITS]
        if words != shares[:1] + bits[:1]:
            raise InputError(
                f"expected a place, a share from {', '.join(_SHARES)} and the bits of its input, got {entry!r:.80}; "
                f"{_FORMAT}"
            )
        if place in kernels:
            raise InputError(f"expected each place once in kernels, got {place!r} twice; leave one entry out")
        kernels[place] = KernelOptions(*[_SHARES[word] for word in shares or ["1"]], *[_BITS[word] for word in bits])
    return kernels


def kernel_options(spec: NetworkSpec) -> dict[str, KernelOptions]:
    """Returns the options of wide kernels that are not the default, by the name of the place."""
    options = {}
    for layer in spec.layers:
        own = {name: value for name, value in layer.options if name in ("kernel_share", "kept_bits")}
        if own:
            options[layer.place] = KernelOptions(own.get("kernel_share", 1.0), own.get("kept_bits", 32))
    return options


def first_filters(filters: int, share: float) -> int:
    """Returns the number of output channels in a share.

    Raises:
        ValueError: if the share is not a whole number of channels.

    Example:
        >>> first_filters(96, 1 / 4)
        24
    """
    if filters * share % 1:
        raise ValueError(f"kernel_share must give a whole number of channels, got {share:g} of {filters}")
    return int(filters * share)


def whole_shares(filters: int) -> tuple[float, ...]:
    """Returns the shares that are a whole number of output channels, from the largest.

    Example:
        >>> whole_shares(12)
        (1.0, 0.5, 0.25)
    """
    return tuple(share for share in _SHARES.values() if not filters * share % 1)


def with_kernel_options(spec: NetworkSpec, kernels: Mapping[str, KernelOptions]) -> NetworkSpec:
    """Returns a network whose wide kernels at some places have options; see `wide_kernel`.

    A kernel of which a share is trained becomes two variables, `kernel` with the first output channels, and
    `kernel_rest`. A scheme that trains wide kernels trains only the first one.

        block_14_expand/kernel       [1, 1, 160, 960]  ->  [1, 1, 160, 240]  with a share of 1/4
        block_14_expand/kernel_rest                        [1, 1, 160, 720]

    Args:
        spec: the network, without such options.
        kernels: options by the name of the place.

    Raises:
        InputError: if a place has no wide kernel; or if a share is not a whole number of channels.

    Reference:
        Lin et al., On-Device Training Under 256KB Memory (2022): updates of the first channels only.

    Example:
        >>> from tinytl_tf.networks.from_table import from_table
        >>> spec = from_table("mobilenet_v2", resolution=96, classes=10)
        >>> spec = with_kernel_options(spec, {"block_14": KernelOptions(share=1 / 4)})
        >>> [variable.shape for variable in spec.layer("block_14_expand").role("kernel")]
        [(1, 1, 160, 240), (1, 1, 160, 720)]
    """
    check_places("wide kernel", kernels, wide_kernel_places(spec))
    chosen = {wide_kernel(spec, place).path: options for place, options in kernels.items()}
    layers = []
    for layer in spec.layers:
        options = next((chosen[variable.path] for variable in layer.variables if variable.path in chosen), None)
        layers.append(layer if options is None else _with_options(layer, options))
    return dataclasses.replace(spec, layers=tuple(layers))


def _with_options(layer: LayerSpec, options: KernelOptions) -> LayerSpec:
    variables = layer.variables
    if options.share != 1:
        kernel, *others = variables
        *window, filters = kernel.shape
        try:
            first = first_filters(filters, options.share)
        except ValueError as error:
            fitting = ", ".join(_word(_SHARES, share) for share in whole_shares(filters))
            raise InputError(
                f"expected a share of whole channels of {layer.name}, which has {filters}, got {options.share:g}; "
                f"choose one of {fitting}"
            ) from error
        rest = dataclasses.replace(
            kernel, path=kernel.path.removesuffix("kernel") + KERNEL_REST, shape=(*window, filters - first)
        )
        variables = (dataclasses.replace(kernel, shape=(*window, first)), rest, *others)
    return dataclasses.replace(layer, variables=variables, options=(*layer.options, *options.layer_options))


def _word(words: Mapping[str, float], value: float) -> str:
    return next(word for word, own in words.items() if own == value)
