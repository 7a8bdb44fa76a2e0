"""Pre-trains the lite residuals of MobileNetV2 on ImageNet at 224 px, like the paper.

Command:
    tinytl pretrain --config=pretrain_imagenet --workdir=runs/imagenet --resume --config.data.data_dir=tfds/

`tfds:imagenet2012` must be prepared once from manually downloaded files. All of its encoded images are held in memory,
while a folder (`--config.data.name=imagenet/`) is read image by image. The paper does not publish the schedule or the
ImageNet accuracy of its pre-training; these settings are those of `configs/pretrain.py` with larger batches.
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import pretrain


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = pretrain.get_config()
    config.backbone.resolution = 224
    config.backbone.branch_final_norm = True  # as in the paper's recipes
    config.backbone.branch_weight_standardization = True
    config.data.name = "tfds:imagenet2012"
    config.training.batch_size = 256
    config.training.warmup_steps = 500
    return config
