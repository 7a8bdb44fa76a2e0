"""Oxford-IIIT Pets, 37 classes, as in the paper.

Command:
    tinytl train --config=paper_pets37 --workdir=runs/pets37

3,680 training and 3,669 test images. The paper's scripts have no rate for batch 1.

The paper's test accuracy, ProxylessNAS-Mobile at 224 px (table 2): last 91.3 %, tinytl-b 92.1 %, tinytl-l 91.7 %,
tinytl-lb 91.8 %, norm+last 92.2 %, full 93.0 %; tinytl-lb at 320 px 92.9 %.
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import paper


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = paper.get_config()
    config.data.name = "tfds:oxford_iiit_pet"
    config.training.learning_rate = 0.5e-4
    config.training.label_smoothing = 0.7
    return config
