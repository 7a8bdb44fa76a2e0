"""Common settings of the paper's recipes: 224 px, batch 8, 50 epochs, Adam on a cosine, branches like the paper's.

Branches end with a norm and have standardized kernels. This is their base, no experiment itself.

Command:
    tinytl train --config=paper --config.data.name=photos/ --workdir=runs/photos

The network is MobileNetV2, with weights to download. The paper's is ProxylessNAS-Mobile, which has no weights here:
`--config.backbone.name=proxyless_mobile --config.backbone.weights=FILE.pth`. Its branches were pre-trained on ImageNet
(`--branch_weights=FILE.npz`). So the figures in the recipes are the paper's, for comparison; they are not ours.
At 320 px (`--config.backbone.resolution=320`) the rates are the same.

Reference:
    Cai et al., TinyTL, NeurIPS 2020: table 2, and the released training scripts for rates, smoothing and color.
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import default


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = default.get_config()
    config.backbone.resolution = 224
    config.backbone.branch_final_norm = True
    config.backbone.branch_weight_standardization = True
    config.training.epochs = 50
    return config
