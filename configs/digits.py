"""Biases and lite residuals of MobileNetV2 on scikit-learn's digits, without flips and with only moderate crops.

Command:
    tinytl train --config=digits --workdir=runs/digits
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import default


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = default.get_config()
    config.scheme = "tinytl-lb"
    config.data.name = "digits"
    config.augmentation.crop_area = (0.6, 1.0)
    config.augmentation.flip = False
    return config
