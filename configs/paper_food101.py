"""Food-101, as in the paper.

Command:
    tinytl train --config=paper_food101 --workdir=runs/food101

75,750 training and 25,250 test images; the data set calls the latter validation. The paper's scripts have no rate for
batch 1.

The paper's test accuracy, ProxylessNAS-Mobile at 224 px (table 2): last 68.7 %, tinytl-b 75.5 %, tinytl-l 79.2 %,
tinytl-lb 79.7 %, norm+last 77.0 %, full 84.6 %; tinytl-lb at 320 px 82.9 %.
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import paper


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = paper.get_config()
    config.data.name = "tfds:food101"
    config.training.learning_rate = 2e-4
    return config
