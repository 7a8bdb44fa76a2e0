"""FGVC-Aircraft, 100 variants, as in the paper.

Command:
    tinytl train --config=paper_aircraft100 --workdir=runs/aircraft100

6,667 training and 3,333 test images. Batch 1 uses a different rate:
`--config.training.batch_size=1 --config.training.learning_rate=3e-4`.

TensorFlow Datasets does not include this data set: arrange the images as `fgvc_aircraft/train/VARIANT/*.jpg` (the
trainval lists) and `fgvc_aircraft/test/VARIANT/*.jpg`.

The paper's test accuracy, ProxylessNAS-Mobile at 224 px (table 2): last 44.9 %, tinytl-b 63.2 %, tinytl-l 76.4 %,
tinytl-lb 75.4 %, norm+last 68.1 %, full 86.0 %; tinytl-lb at 320 px 82.3 %.
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import paper


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = paper.get_config()
    config.data.name = "fgvc_aircraft/"
    config.augmentation.color = "torch"
    config.training.learning_rate = 16e-4
    config.training.label_smoothing = 0.7
    return config
