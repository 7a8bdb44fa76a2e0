"""Loads data sets and makes batches: folders, packed files, TensorFlow Datasets and digits, with numpy and Pillow.

Float arrays are supported as well, packed or as folders of `.npy` or WAV files; see `load`, `array_train_batches` and
`array_eval_batches`.

```python
splits = data.load("photos/")
for images, labels in data.train_batches(
    splits.train, batch_size=8, image_size=224, seed=0, epoch=0, augmentation=data.Augmentation()
):
    ...  # uint8 [8, 224, 224, 3] in 0..255 RGB, int32 [8]
```
"""

from tinytl_tf.data.array_batches import array_eval_batches, array_train_batches
from tinytl_tf.data.array_dataset import ArrayDataset
from tinytl_tf.data.augmentation import Augmentation
from tinytl_tf.data.batches import eval_batches, steps_per_epoch, train_batches
from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.data.feature_cache import CACHE_BYTES, FeatureCache
from tinytl_tf.data.features import CachedFeatures, FeatureRequest, check_cacheable
from tinytl_tf.data.loading import load
from tinytl_tf.data.model_photo import photo
from tinytl_tf.data.resizing import CENTRAL_FRACTION, check_central_fraction
from tinytl_tf.data.splits import Splits

__all__ = [
    "CACHE_BYTES",
    "CENTRAL_FRACTION",
    "ArrayDataset",
    "Augmentation",
    "CachedFeatures",
    "FeatureCache",
    "FeatureRequest",
    "ImageDataset",
    "Splits",
    "array_eval_batches",
    "array_train_batches",
    "check_cacheable",
    "check_central_fraction",
    "eval_batches",
    "load",
    "photo",
    "steps_per_epoch",
    "train_batches",
]
