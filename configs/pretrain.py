"""Pre-trains the lite residuals of MobileNetV2 at 96 px on a source data set; the rest of the network is frozen.

Command (the source set and the weights are not part of the package):
    tinytl pretrain --config=pretrain --workdir=runs/pretrain --resume \
        --config.data.name=tiny_imagenet_60k.npz --config.backbone.weights=mobilenet_v2_1.0_224.h5

Test accuracy on the source data set, one seed: 59.0 %; with EfficientNet-Lite0 63.9 % (RESULTS.md).
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import default


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = default.get_config()
    config.scheme = "tinytl-l"
    config.backbone.resolution = 96
    config.backbone.branch_weights = ""  # start from new branches
    config.backbone.dropout = 0.0
    config.data.name = "tiny_imagenet_60k.npz"
    config.training.epochs = 2
    config.training.batch_size = 64
    config.training.learning_rate = 2e-3
    config.training.warmup_steps = 50
    config.training.weight_decay = 0.01
    config.training.clip_norm = 5.0
    config.training.saves_per_epoch = 20
    return config
