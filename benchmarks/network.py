"""The network that the benchmarks of memory and time export: MobileNetV2 with random weights and SGD."""

from tinytl_tf.backbones import build
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.networks.schemes import apply_scheme, get_scheme
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.profiles import get_profile

__all__ = ["trainable_module"]


def trainable_module(scheme: str, profile: str, resolution: int, classes: int, batch_size: int) -> TrainableModule:
    """Returns the signatures of MobileNetV2 1.0 under a scheme and a memory profile."""
    table = get_scheme(scheme)
    options = {"classes": classes, "resolution": resolution, "lite_residual": table.lite_residual}
    model = build("mobilenet_v2", weights=None, **options)
    apply_scheme(model.weights, table)
    rule, variables = get_optimizer("sgd"), model.trainable_variables
    return TrainableModule(model, variables, optimizer=rule, batch_size=batch_size, profile=get_profile(profile))
