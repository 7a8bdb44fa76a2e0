"""CelebA, 40 binary attributes of a face, as in the paper.

Command:
    tinytl train --config=paper_celeba40 --workdir=runs/celeba40

162,770 training, 19,867 validation and 19,962 test images. The paper's
scripts do not include this data set: the rate is the scheme's default, without label smoothing, and was not tested.

Accuracy is the mean over the attributes. The paper's network was pre-trained on faces (VGGFace2); ours was not.

The paper's test accuracy, ProxylessNAS-Mobile at 224 px (table 2): last 88.7 %, tinytl-b 90.4 %, tinytl-l 91.2 %,
tinytl-lb 91.2 %, norm+last 90.4 %, full 91.4 %; no figure at 320 px.
"""

from ml_collections import ConfigDict

from tinytl_tf.configs import paper


def get_config() -> ConfigDict:
    """Returns the configuration."""
    config = paper.get_config()
    config.data.name = "tfds:celeb_a"
    config.training.label_smoothing = 0.0
    return config
