"""Names of networks and their default resolutions."""

from tinytl_tf.networks.architectures import ARCHITECTURES
from tinytl_tf.networks.keras_networks import KERAS_NETWORKS

__all__ = ["default_resolution", "list_networks"]

_RESOLUTION = 224  # pixels; for networks that are not listed


def list_networks() -> tuple[str, ...]:
    """Returns the names accepted by `build` and `config.backbone.name`: the tables and the tested Keras networks.

    You can also build other networks of `keras.applications`, and your own models.

    Example:
        >>> list_networks()[:2]
        ('mobilenet_v2', 'efficientnet_lite0')
    """
    return (*ARCHITECTURES, *(network.name for network in KERAS_NETWORKS))


def default_resolution(name: str) -> int:
    """Returns the height and width, in pixels, of the images a network's weights were trained on; 224 if unknown.

    Example:
        >>> default_resolution("keras:InceptionV3"), default_resolution("file:my.keras")
        (299, 224)
    """
    known = {name: table.resolution for name, table in ARCHITECTURES.items()}
    known |= {network.name: network.resolution for network in KERAS_NETWORKS}
    return known.get(name, _RESOLUTION)
