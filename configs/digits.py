"""Biases and lite residuals of MobileNetV2 on the embedded digits, which may be neither flipped nor cut short.

Command:
    tinytl train --config=digits --workdir=runs/digits
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import default


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = default.get_config()
    config.data.name = "digits"
    config.augmentation.crop_area = (0.6, 1.0)
    config.augmentation.flip = False
    return config
