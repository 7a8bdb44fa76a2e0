"""Real weights and real photos."""

import io

import numpy as np
import pytest
from PIL import Image

DAISY = 985  # of ImageNet's classes


@pytest.fixture(scope="session")
def coral_weights(shared):
    """MobileNetV2 1.0 with a 1000-way classifier, in Keras 3's layout."""
    return shared / "weights" / "mobilenet_v2_1.0_224_coral_ptq_dequant.weights.h5"


@pytest.fixture(scope="session")
def narrow_weights(shared):
    """MobileNetV2 0.35 without classifier."""
    return shared / "weights" / "mobilenet_v2_0.35_224_no_top_tm.weights.h5"


@pytest.fixture(scope="session")
def lite0_weights(shared):
    """EfficientNet-Lite0 with a 1000-way classifier."""
    return shared / "weights" / "efficientnet_lite0_imagenet.weights.h5"


@pytest.fixture(scope="session")
def daisies(shared):
    """Eight photos of daisies, float32 `[8, 224, 224, 3]` of 0 to 255."""
    data = np.load(shared / "data" / "tf_flowers_128.npz")
    chosen = np.flatnonzero(data["label"] == data["classes"].tolist().index("daisy"))[:80:10]
    images = [data["jpeg"][data["offsets"][i] : data["offsets"][i + 1]].tobytes() for i in chosen]
    images = [Image.open(io.BytesIO(image)).convert("RGB").resize((224, 224)) for image in images]
    return np.stack([np.asarray(image, np.float32) for image in images])
