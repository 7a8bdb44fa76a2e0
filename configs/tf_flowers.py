"""5 classes of flowers at 128 px, with different photos than flowers17: MobileNetV2 with a TinyTL scheme.

Command (the data set and the weights are not part of the package; see RESULTS.md):
    tinytl train --config=tf_flowers --workdir=runs/tf_flowers --config.scheme=tinytl-b \
        --config.data.name=tf_flowers_128.npz --config.backbone.weights=mobilenet_v2_1.0_224.h5

Test accuracy after the last epoch, mean of 3 seeds: last 85.6 %, tinytl-b 88.3 %, tinytl-lb 89.2 %
with the package's branches, full 91.8 % (RESULTS.md).
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import default


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = default.get_config()
    config.scheme = "tinytl-lb"
    config.data.name = "tf_flowers_128.npz"
    config.training.epochs = 5
    return config
