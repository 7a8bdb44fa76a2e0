"""CIFAR-10 upsampled to 128 px, with 3000 training and 1000 test images: MobileNetV2 with a TinyTL scheme.

Command (the data set and the weights are not part of the package; see RESULTS.md):
    tinytl train --config=cifar10 --workdir=runs/cifar10 --config.scheme=tinytl-b \
        --config.data.name=cifar10_32_15k.npz --config.backbone.weights=mobilenet_v2_1.0_224.h5

Test accuracy after the last epoch, mean of 3 seeds: last 73.0 %, tinytl-b 80.3 %, tinytl-lb 83.6 %
with the package's branches, full 84.3 % (RESULTS.md).
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import default


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = default.get_config()
    config.scheme = "tinytl-lb"
    config.data.name = "cifar10_32_15k.npz"
    config.data.train_images = 3000
    config.data.test_images = 1000
    config.data.central_fraction = 1.0  # complete images
    config.augmentation.crop = False
    config.training.epochs = 6
    return config
