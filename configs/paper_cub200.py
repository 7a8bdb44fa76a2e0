"""Caltech-UCSD Birds, 200 classes, as in the paper.

Command:
    tinytl train --config=paper_cub200 --workdir=runs/cub200

5,994 training and 5,794 test images, not cropped to the bounding boxes. The paper's scripts have no rate for batch 1.

The paper's test accuracy, ProxylessNAS-Mobile at 224 px (table 2): last 73.3 %, tinytl-b 75.3 %, tinytl-l 76.8 %,
tinytl-lb 77.1 %, norm+last 76.3 %, full 81.0 %; tinytl-lb at 320 px 81.0 %.
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import paper


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = paper.get_config()
    config.data.name = "tfds:caltech_birds2011"
    config.training.learning_rate = 6e-4
    config.training.label_smoothing = 0.7
    return config
