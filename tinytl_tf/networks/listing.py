"""Names of networks."""

from tinytl_tf.networks.architectures import ARCHITECTURES
from tinytl_tf.networks.keras_networks import KERAS_NETWORKS

__all__ = ["list_networks"]


def list_networks() -> tuple[str, ...]:
    """Returns names that `build` and `config.backbone.name` take: the tables, and networks of Keras that were tried.

    Other networks of `keras.applications` can be built too, and models of your own.

    Example:
        >>> list_networks()[:2]
        ('mobilenet_v2', 'efficientnet_lite0')
    """
    return (*ARCHITECTURES, *(network.name for network in KERAS_NETWORKS))
