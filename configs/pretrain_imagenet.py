"""Only the lite residuals of MobileNetV2, pre-trained on ImageNet at 224 px, like the paper's before any other set.

Command:
    tinytl pretrain --config=pretrain_imagenet --workdir=runs/imagenet --resume --config.data.data_dir=tfds/

`tfds:imagenet2012` is prepared once, from files that are fetched by hand. Its encoded images are all held in memory; a
folder (`--config.data.name=imagenet/`) is read image by image. Schedule and ImageNet accuracy of the paper's own
pre-training are not published; these settings are those of `configs/pretrain.py` with more images in a batch.
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import pretrain


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = pretrain.get_config()
    config.backbone.resolution = 224
    config.backbone.branch_final_norm = True  # as the recipes of the paper have it
    config.backbone.branch_weight_standardization = True
    config.data.name = "tfds:imagenet2012"
    config.training.batch_size = 256
    config.training.warmup_steps = 500
    return config
