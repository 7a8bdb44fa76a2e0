"""TensorFlow Datasets: any builder of images with one class each."""

import os
import urllib.error
import urllib.request
from collections.abc import Sequence

import numpy as np

from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.data.decode import decode, deep_maximum
from tinytl_tf.data.reason import reason
from tinytl_tf.data.splits import Splits, hold_out
from tinytl_tf.errors import InputError

CONNECT_SECONDS = 10


def load_tfds(name: str, *, data_dir: str | os.PathLike | None = None, download: bool = True) -> Splits:
    """Opens a set of TensorFlow Datasets; its encoded images are held in memory.

    | splits of the set | train | test |
    |---|---|---|
    | train, validation, test | train and validation, as the TinyTL paper does for flowers | test |
    | train, test | train | test |
    | train, validation | train | validation |
    | train | first three quarters of each class | last quarter of each class |

    Args:
        name: `NAME`, `NAME:VERSION` or `NAME/CONFIG`.
        data_dir: where the prepared sets lie; None is TensorFlow Datasets' own default.
        download: whether to download and prepare the set when it is not there.

    Returns:
        The two sets in the order of their files.

    Raises:
        InputError: there is no such set, it cannot be prepared, or it is not one of images with one class each.
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
            "see https://www.tensorflow.org/datasets/catalog for the names"
        ) from error
    image_key, label_key = _keys(name, builder.info, tfds)
    _prepare(name, builder, download)
    train_split, test_split = _split_names(name, sorted(builder.info.splits))

    def read(split: str) -> tuple[Sequence[bytes], Sequence[int]]:
        decoders = tfds.decode.PartialDecoding(
            {image_key: True, label_key: True}, decoders={image_key: tfds.decode.SkipDecoding()}
        )
        examples = tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False, decoders=decoders))
        return tuple(zip(*((example[image_key], example[label_key]) for example in examples), strict=True))

    found = {split: read(split) for split in (train_split, test_split) if split}

    def source(split: str, index: int) -> tuple[bytes, str]:
        return found[split][0][index], f"tfds:{name} {split}[{index}]"

    maximum = deep_maximum(source(split, index) for split in found for index in range(len(found[split][0])))

    def dataset(split: str) -> ImageDataset:
        return ImageDataset(
            f"tfds:{name} split {split}",
            builder.info.features[label_key].names,
            np.array(found[split][1]),
            lambda index, short_side: decode(*source(split, index), short_side, maximum),
        )

    train = dataset(train_split)
    return Splits(train, dataset(test_split)) if test_split else hold_out(train)


def _keys(name: str, info, tfds) -> tuple[str, str]:
    """Returns the names of the features that hold the image and its class."""
    keys = info.supervised_keys
    if keys and len(keys) == 2:
        image, label = (info.features[key] for key in keys)
        if isinstance(image, tfds.features.Image) and isinstance(label, tfds.features.ClassLabel):
            return keys
    raise InputError(f"'tfds:{name}' is no set of images with one class each; its supervised keys are {keys}")


def _prepare(name: str, builder, download: bool) -> None:
    if not download and not builder.data_path.exists():
        raise InputError(
            f"'tfds:{name}' is not prepared in {builder.data_path}; allow the download, or prepare it there with: "
            f"tfds build {name}"
        )
    if not builder.data_path.exists():
        _check_reachable(name, builder, next(iter(builder.url_infos or ()), ""))
    try:
        builder.download_and_prepare()  # returns at once when that was done before
    except Exception as error:  # each set fails in its own way: network, checksums, files to be fetched by hand
        raise InputError(
            f"'tfds:{name}' cannot be prepared in {builder.data_path} ({reason(error)}); "
            "check the network, or copy this folder from a machine where the set is prepared"
        ) from error


def _check_reachable(name: str, builder, url: str) -> None:
    """Fails at once where TensorFlow Datasets would go on trying for minutes."""
    if not url.startswith("http"):
        return
    try:
        urllib.request.urlopen(url, timeout=CONNECT_SECONDS).close()
    except urllib.error.HTTPError:
        return  # the server answers; what it thinks of this request does not matter here
    except OSError as error:
        raise InputError(
            f"'tfds:{name}' cannot be downloaded from {url} ({reason(error)}); check the network, or copy the folder "
            f"{builder.data_path} from a machine where the set is prepared"
        ) from error


def _split_names(name: str, splits: list[str]) -> tuple[str, str | None]:
    if "train" not in splits:
        raise InputError(f"'tfds:{name}' has no split 'train'; it has {', '.join(splits)}")
    if "test" in splits:
        return ("train+validation" if "validation" in splits else "train"), "test"
    return "train", ("validation" if "validation" in splits else None)
