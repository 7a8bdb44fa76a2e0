"""Common settings of the paper's recipes: 224 px, batch 8, 50 epochs, Adam, cosine schedule, the paper's branches.

The branches end with a norm and have standardized kernels. This is the base of the recipes, not an experiment itself.

Command:
    tinytl train --config=paper --config.data.name=photos/ --workdir=runs/photos

The network is MobileNetV2, whose weights are downloaded. The paper uses ProxylessNAS-Mobile, whose weights this package
does not provide: `--config.backbone.name=proxyless_mobile --config.backbone.weights=FILE.pth`. Its branches were
pre-trained on ImageNet (`--branch_weights=FILE.npz`). Therefore the figures in the recipes are those of the paper, for
comparison; they were not reproduced here. At 320 px (`--config.backbone.resolution=320`), the rates are the same.

Reference:
    Cai et al., TinyTL, NeurIPS 2020: table 2, and the released training scripts for rates, smoothing and color.
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import default


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = default.get_config()
    config.scheme = "tinytl-lb"
    config.backbone.resolution = 224
    config.backbone.branch_final_norm = True
    config.backbone.branch_weight_standardization = True
    config.training.epochs = 50
    return config
