"""Base model of `tinytl quickstart`: EfficientNet-Lite0 on scikit-learn's digits, with dark ink on light paper.

Command:
    tinytl quickstart

Trains the biases and the classifier of the ImageNet network in Keras. The exported files then adapt to
`digits-shifted`.
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import default


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = default.get_config()
    config.scheme = "tinytl-b"
    config.backbone.name = "efficientnet_lite0"
    config.backbone.resolution = 96
    config.data.name = "digits"
    config.augmentation.crop_area = (0.6, 1.0)
    config.augmentation.flip = False
    config.training.epochs = 2
    config.training.batch_size = 16
    config.training.learning_rate = 3e-3
    return config
