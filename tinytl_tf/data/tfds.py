"""TensorFlow Datasets: any builder whose images each have one class or the same attributes."""

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence

import numpy as np

from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.data.decode import decode, deep_maximum
from tinytl_tf.data.reason import reason
from tinytl_tf.data.splits import Splits, last_quarter
from tinytl_tf.errors import InputError

CONNECT_SECONDS = 10
_ATTRIBUTES = "attributes"
_FOLDER = "lay its images out as train/CLASS/*.jpg and test/CLASS/*.jpg and give that folder"


def load_tfds(name: str, *, data_dir: str | os.PathLike | None = None, download: bool = True) -> Splits:
    """Opens a set from TensorFlow Datasets; its encoded images are held in memory.

    | splits of the set | train | test |
    |---|---|---|
    | train, validation, test | train and validation, as the TinyTL paper does for flowers | test |
    | the same, with attributes | train; validation stays a separate set | test |
    | train, test | train | test |
    | train, validation | train | validation |
    | train | first three quarters of each class | last quarter of each class |

    A test split with secret labels (all -1, as in ImageNet) is ignored. A set whose images have no class but a feature
    `attributes` of yes-or-no values, such as `celeb_a`, is a set with several attributes.

    Args:
        name: `NAME`, `NAME:VERSION` or `NAME/CONFIG`.
        data_dir: folder of the prepared sets; None uses TensorFlow Datasets' own default.
        download: whether to download and prepare a missing set.

    Returns:
        The sets in the order of their files.

    Raises:
        InputError: if there is no such set; if it cannot be prepared; or if it does not have images with classes or
            attributes.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise InputError(
            f"'tfds:{name}' needs TensorFlow Datasets; install it with: pip install tensorflow-datasets"
        ) from error
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except Exception as error:  # unknown names, versions and configurations each have their own type
        raise InputError(
            f"'tfds:{name}' is not known to TensorFlow Datasets ({reason(error)}); "
            f"see https://www.tensorflow.org/datasets/catalog for the names, or {_FOLDER}"
        ) from error
    image_key, label_key = _keys(name, builder.info, tfds)
    _prepare(name, builder, download)
    feature = builder.info.features[label_key]
    is_attributes = not isinstance(feature, tfds.features.ClassLabel)
    class_names = sorted(feature) if is_attributes else feature.names

    def is_secret(split: str) -> bool:
        first = next(iter(tfds.as_numpy(builder.as_dataset(split=f"{split}[:1]", shuffle_files=False))))
        return not is_attributes and first[label_key] < 0

    train_split, validation_split, test_split = _split_names(
        name, sorted(builder.info.splits), is_secret, is_attributes
    )

    def read(split: str) -> tuple[Sequence[bytes], Sequence[int]]:
        decoders = tfds.decode.PartialDecoding(
            {image_key: True, label_key: True}, decoders={image_key: tfds.decode.SkipDecoding()}
        )
        examples = tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False, decoders=decoders))
        images, labels = zip(*((example[image_key], example[label_key]) for example in examples), strict=True)
        return images, [[label[key] for key in class_names] for label in labels] if is_attributes else labels

    found = {split: read(split) for split in (train_split, validation_split, test_split) if split}

    def source(split: str, index: int) -> tuple[bytes, str]:
        return found[split][0][index], f"tfds:{name} {split}[{index}]"

    maximum = deep_maximum(source(split, index) for split in found for index in range(len(found[split][0])))

    def dataset(split: str) -> ImageDataset:
        return ImageDataset(
            f"tfds:{name} split {split}",
            class_names,
            np.array(found[split][1]),
            lambda index, short_side: decode(*source(split, index), short_side, maximum),
            digest=lambda index: hashlib.sha256(source(split, index)[0]).hexdigest(),
            decoding=str(maximum),
            sources=[source(split, index)[1] for index in range(len(found[split][0]))],
            sizes=[len(content) for content in found[split][0]],
        )

    train = dataset(train_split)
    if not test_split:
        return last_quarter(train)
    return Splits(train, dataset(test_split), dataset(validation_split) if validation_split else None)


def _keys(name: str, info, tfds) -> tuple[str, str]:
    """Returns the names of the features that hold the image and its class, or its attributes."""
    keys = info.supervised_keys
    if keys and len(keys) == 2:
        image, label = (info.features[key] for key in keys)
        if isinstance(image, tfds.features.Image) and isinstance(label, tfds.features.ClassLabel):
            return keys
    image, attributes = (dict(info.features).get(key) for key in ("image", _ATTRIBUTES))
    is_set = isinstance(image, tfds.features.Image) and isinstance(attributes, tfds.features.FeaturesDict)
    if keys is None and is_set and all(attributes[key].np_dtype == np.bool_ for key in attributes):
        return "image", _ATTRIBUTES
    raise InputError(
        f"'tfds:{name}' is not a set of images with one class, or with attributes of yes or no, each; its supervised "
        f"keys are {keys}"
    )


def _prepare(name: str, builder, download: bool) -> None:
    if not download and not builder.data_path.exists():
        raise InputError(
            f"'tfds:{name}' is not prepared in {builder.data_path}; allow the download, or prepare it there with: "
            f"tfds build {name}; or {_FOLDER}"
        )
    if not builder.data_path.exists():
        _check_reachable(name, builder, next(iter(builder.url_infos or ()), ""))
    try:
        builder.download_and_prepare()  # returns immediately if that was done before
    except Exception as error:  # each set fails in its own way: network, checksums, files to fetch by hand
        raise InputError(
            f"'tfds:{name}' cannot be prepared in {builder.data_path} ({reason(error)}); "
            f"check the network, copy this folder from a machine where the set is prepared, or {_FOLDER}"
        ) from error


def _check_reachable(name: str, builder, url: str) -> None:
    """Fails immediately if the server is unreachable; TensorFlow Datasets would retry for minutes."""
    if not url.startswith("http"):
        return
    try:
        urllib.request.urlopen(url, timeout=CONNECT_SECONDS).close()
    except urllib.error.HTTPError:
        return  # the server answers; the status of this request does not matter
    except OSError as error:
        raise InputError(
            f"'tfds:{name}' cannot be downloaded from {url} ({reason(error)}); check the network, copy the folder "
            f"{builder.data_path} from a machine where the set is prepared, or {_FOLDER}"
        ) from error


def _split_names(
    name: str, splits: list[str], is_secret: Callable[[str], bool], keep_validation: bool
) -> tuple[str, str | None, str | None]:
    """Returns the splits to read for training, validation and test."""
    if "train" not in splits:
        raise InputError(f"'tfds:{name}' has no split 'train'; it has {', '.join(splits)}")
    if "test" not in splits or is_secret("test"):
        return "train", None, ("validation" if "validation" in splits else None)
    if "validation" not in splits:
        return "train", None, "test"
    return ("train", "validation", "test") if keep_validation else ("train+validation", None, "test")
