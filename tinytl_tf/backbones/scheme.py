"""Applies an update scheme to a network: selects the trained variables and their rate factors."""

from collections.abc import Collection, Mapping

import keras

from tinytl_tf.backbones.describe import describe
from tinytl_tf.errors import InputError
from tinytl_tf.layers import Network, SelectiveLayer
from tinytl_tf.networks import schemes
from tinytl_tf.networks.kernel_options import KernelOptions, kernel_options, read_kernels
from tinytl_tf.networks.spec import CLASSIFIER, check_places
from tinytl_tf.networks.wide_kernels import wide_kernel_places

__all__ = ["apply_scheme"]


def apply_scheme(
    model: keras.Model,
    scheme: str | schemes.Scheme,
    *,
    biases: Collection[str] = (),
    kernels: Collection[str] = (),
    lite_residuals: Collection[str] = (),
    task: str = "classification",
) -> schemes.ResolvedScheme:
    """Sets `trainable` and `rate_factor` of each variable of a network according to a scheme.

    The choice of trained variables is kept when the model is saved, loaded or cloned; the rate factors are not.
    `make_train_step` and exported files use the rate factors; `model.fit` uses one learning rate for all variables.

    A network that the user does not compile trains with Adam at the scheme's learning rate; see `Network`.

    Args:
        model: network made by `build` or `from_keras`.
        scheme: a key of `tinytl_tf.networks.schemes.SCHEMES`, or your own scheme.
        biases: places with trained biases (see `NetworkSpec.places`); empty for the scheme's own places.
        kernels: places whose wide kernel is trained (see `wide_kernel`); empty for the scheme's own places. The entries
            may have the options that the network was built with, such as `"block_14:1/4"`; see `build`.
        lite_residuals: places with trained lite residuals; empty for all places.
        task: a key of `tinytl_tf.tasks.TASKS`; determines the loss.

    Returns:
        The resolved scheme: a table that can be printed, and the trained variables.

    Raises:
        InputError: if the scheme or task does not exist; if the scheme trains nothing to restrict to these places; if
            the network lacks branches that the scheme trains, or has kernels with other options; or if a layer of the
            model cannot train single variables.

    Example:
        >>> from tinytl_tf.backbones import build
        >>> model = build("mobilenet_v2", classes=10, resolution=64, width=0.35, weights=None)
        >>> print(apply_scheme(model, "last"))
        scheme last: 12,810 trained parameters...
    """
    _require_network(model)
    chosen = schemes.get_scheme(scheme) if isinstance(scheme, str) else scheme
    options = read_kernels(kernels)
    places = {"biases": tuple(biases), "kernels": tuple(options), "lite_residuals": tuple(lite_residuals)}
    restricted = schemes.restrict(chosen, **places)
    if restricted.depends_on_network:
        spec = describe(model)
        check_places("kernels", places["kernels"], wide_kernel_places(spec))
        _check_options(options, kernel_options(spec))
        restricted = restricted.of(spec)
    resolved = schemes.apply_scheme(model.weights, restricted)
    if isinstance(model, Network):
        model.compile_later(task, chosen.learning_rate)
    return resolved


def _check_options(wanted: Mapping[str, KernelOptions], own: Mapping[str, KernelOptions]) -> None:
    for place, options in wanted.items():
        has = own.get(place, KernelOptions())
        if options not in (KernelOptions(), has):
            raise InputError(
                f"expected a network with {options} at {place!r}, got {has}; give the same kernels to "
                "tinytl_tf.build or tinytl_tf.from_keras"
            )


def _require_network(model: keras.Model) -> None:
    if not isinstance(model, keras.Model):
        raise InputError(f"expected a keras.Model, got {type(model).__name__}; give the model itself")
    for layer in model.layers:
        if layer.weights and layer.name != CLASSIFIER and not isinstance(layer, SelectiveLayer):
            raise InputError(
                f"expected layers whose variables are trained one by one, got {type(layer).__name__} {layer.name!r}: "
                "Keras freezes whole layers, and its norms keep updating their statistics; rebuild the model with "
                "tinytl_tf.from_keras(model) first"
            )
