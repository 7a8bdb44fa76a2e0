"""Names of networks, and the images that they are for."""

from tinytl_tf.networks.architectures import ARCHITECTURES
from tinytl_tf.networks.keras_networks import KERAS_NETWORKS

__all__ = ["default_resolution", "list_networks"]

_RESOLUTION = 224  # pixels, of a network in no list


def list_networks() -> tuple[str, ...]:
    """Returns names that `build` and `config.backbone.name` take: the tables, and networks of Keras that were tried.

    Other networks of `keras.applications` can be built too, and models of your own.

    Example:
        >>> list_networks()[:2]
        ('mobilenet_v2', 'efficientnet_lite0')
    """
    return (*ARCHITECTURES, *(network.name for network in KERAS_NETWORKS))


def default_resolution(name: str) -> int:
    """Returns pixels of a side of the images that the weights of a network were trained on; 224 if unknown.

    Example:
        >>> default_resolution("keras:InceptionV3"), default_resolution("file:my.keras")
        (299, 224)
    """
    known = {name: table.resolution for name, table in ARCHITECTURES.items()}
    known |= {network.name: network.resolution for network in KERAS_NETWORKS}
    return known.get(name, _RESOLUTION)
