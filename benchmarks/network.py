"""The networks for benchmarks of memory and time, with random weights; by default, MobileNetV2 with SGD."""

from tinytl_tf.backbones import build
from tinytl_tf.backbones.scheme import apply_scheme
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.networks.schemes import get_scheme
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.profiles import get_profile

__all__ = ["trainable_module"]


def trainable_module(
    scheme: str,
    profile: str,
    resolution: int,
    classes: int,
    batch_size: int,
    *,
    name: str = "mobilenet_v2",
    optimizer: str = "sgd",
    features: str = "",
) -> TrainableModule:
    """Returns the signatures of a network of width 1.0 with a scheme, a memory profile and `feature_places`."""
    table = get_scheme(scheme)
    options = {"classes": classes, "resolution": resolution, "feature_places": features, **table.branches}
    model = build(name, weights=None, **options)
    apply_scheme(model, table)
    rule, variables = get_optimizer(optimizer), model.trainable_variables
    return TrainableModule(model, variables, optimizer=rule, batch_size=batch_size, profile=get_profile(profile))
