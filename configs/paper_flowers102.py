"""Oxford Flowers, 102 classes, as in the paper.

Command:
    tinytl train --config=paper_flowers102 --workdir=runs/flowers102

2,040 training images, from the train and validation splits, and 6,149 test images. Batch 1 uses a different rate:
`--config.training.batch_size=1 --config.training.learning_rate=3e-4`.

The paper's test accuracy, ProxylessNAS-Mobile at 224 px (table 2): last 90.1 %, tinytl-b 93.5 %, tinytl-l 95.3 %,
tinytl-lb 95.5 %, norm+last 94.3 %, full 96.8 %; tinytl-lb at 320 px 96.8 %.
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import paper


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = paper.get_config()
    config.data.name = "tfds:oxford_flowers102"
    config.training.learning_rate = 2e-4
    config.training.label_smoothing = 0.7
    return config
