"""CIFAR-10, upsampled, as in the paper.

Command:
    tinytl train --config=paper_cifar10 --workdir=runs/cifar10

50,000 training and 10,000 test images. The paper's scripts have no rate for batch 1.

The paper's test accuracy, ProxylessNAS-Mobile at 224 px (table 2): last 85.9 %, tinytl-b 93.7 %, tinytl-l 96.1 %,
tinytl-lb 95.9 %, norm+last 94.8 %, full 97.1 %; tinytl-lb at 320 px 96.1 %.
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import paper


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = paper.get_config()
    config.data.name = "tfds:cifar10"
    config.training.learning_rate = 3e-4
    return config
