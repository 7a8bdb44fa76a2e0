"""Stanford Cars, 196 classes, as in the paper.

Command:
    tinytl train --config=paper_cars196 --workdir=runs/cars196

8,144 training and 8,041 test images. Batch 1 uses a different rate:
`--config.training.batch_size=1 --config.training.learning_rate=2e-4`.

If the download links of the data set are dead, arrange the images as `cars/train/MODEL/*.jpg` and
`cars/test/MODEL/*.jpg`, and pass `--config.data.name=cars/`.

The paper's test accuracy, ProxylessNAS-Mobile at 224 px (table 2): last 50.9 %, tinytl-b 73.4 %, tinytl-l 84.2 %,
tinytl-lb 85.0 %, norm+last 77.9 %, full 90.2 %; tinytl-lb at 320 px 88.8 %.
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import paper


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = paper.get_config()
    config.data.name = "tfds:cars196"
    config.augmentation.color = "torch"
    config.training.learning_rate = 8e-4
    config.training.label_smoothing = 0.7
    return config
