"""17 classes of flowers at 128 px: MobileNetV2 with a TinyTL scheme.

Command (the data set and the weights are not part of the package; see RESULTS.md):
    tinytl train --config=flowers17 --workdir=runs/flowers17 --config.scheme=tinytl-b \
        --config.data.name=oxford_flowers17_128.npz --config.backbone.weights=mobilenet_v2_1.0_224.h5

Test accuracy after the last epoch, mean of 3 seeds: last 77.5 %, tinytl-b 81.8 %, tinytl-lb 84.9 %
with the package's branches, full 84.8 % (RESULTS.md).
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import default


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = default.get_config()
    config.scheme = "tinytl-lb"
    config.data.name = "oxford_flowers17_128.npz"
    config.training.epochs = 9
    return config
