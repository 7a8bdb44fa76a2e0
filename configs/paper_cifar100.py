"""CIFAR-100, upsampled, as in the paper.

Command:
    tinytl train --config=paper_cifar100 --workdir=runs/cifar100

50,000 training and 10,000 test images. The paper's scripts have no rate for batch 1.

The paper's test accuracy, ProxylessNAS-Mobile at 224 px (table 2): last 68.8 %, tinytl-b 78.8 %, tinytl-l 80.9 %,
tinytl-lb 81.4 %, norm+last 80.2 %, full 84.1 %; tinytl-lb at 320 px 81.5 %.
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import paper


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = paper.get_config()
    config.data.name = "tfds:cifar100"
    config.training.learning_rate = 3e-4
    return config
