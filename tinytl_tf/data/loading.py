"""Finds the training and test images of a data set by its name."""

import dataclasses
import logging
import os

import numpy as np

from tinytl_tf.data.copies import find_copies
from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.data.digits import load_digits
from tinytl_tf.data.folder import load_folder
from tinytl_tf.data.npy_folder import has_npy_files, load_npy_folder
from tinytl_tf.data.packed import load_packed
from tinytl_tf.data.splits import Splits, first_of_each_class
from tinytl_tf.data.tfds import load_tfds
from tinytl_tf.data.wav_folder import load_wav_folder
from tinytl_tf.errors import InputError
from tinytl_tf.files import expand

LISTED = 10  # maximum number of broken images that an error names
TFDS_PREFIX = "tfds:"


def load(
    name: str | os.PathLike,
    *,
    seed: int | None = None,
    default_seed: int = 0,
    train_images: int | None = None,
    test_images: int | None = None,
    data_dir: str | None = None,
    download: bool = True,
    cache_bytes: int = 0,
    check_images: bool = True,
    check_whole: bool = False,
    skip_broken: bool = False,
    strict: bool = False,
    samples: int | None = None,
    sample_rate: int | None = None,
) -> Splits:
    """Opens a data set by name.

    | name | set |
    |---|---|
    | `digits` | scikit-learn's handwritten digits as dark ink on light paper, the embedded default |
    | `digits-shifted` | the same digits with different inks, papers, light and positions |
    | `tfds:NAME` | a TensorFlow Datasets builder, `NAME`, `NAME:VERSION` or `NAME/CONFIG` |
    | a path ending in `.npz` | packed JPEG files (see `load_packed`) or float arrays (see `make_array_dataset`) |
    | a folder with `x_train.npy` | float arrays (see `load_npy_folder`) |
    | any other path | an image folder (see `load_folder`) or, with `samples`, WAV files (see `load_wav_folder`) |

    Args:
        name: see the table. For a folder that has the name of a set, write `./digits`, for example.
        seed: chooses the test images of a folder without splits and the look of `digits-shifted`; must be None for all
            other sets.
        default_seed: the seed if `seed` is None; sets without random choices ignore it.
        train_images: number of training images to keep: the first images of each class, spread evenly over the classes.
            None keeps all.
        test_images: the same for the test set.
        data_dir: folder of TensorFlow Datasets. None uses its own default. All other sets ignore it.
        download: whether TensorFlow Datasets may download a missing set. All other sets ignore it.
        cache_bytes: memory for the decoded images of each split; see `ImageDataset`.
        check_images: whether to read the header of each image immediately, so that one error names all broken images.
        check_whole: whether to decode each image for this check, which also finds truncated files.
        skip_broken: whether to leave out images that cannot be decoded; a warning logs their number.
        strict: whether to refuse test or validation images that are also training images; otherwise, a warning counts
            and names them.
        samples: number of samples in each waveform, for a folder of WAV files; None for images. All other sets ignore
            it.
        sample_rate: required sample rate of the WAV files; required with `samples`.

    Returns:
        The sets.

    Raises:
        InputError: if there is no such set; if the set cannot be used; or if a seed is given that has no effect on it.
            The message has the reason and a remedy.

    Example:
        >>> splits = load("digits", train_images=100)
        >>> len(splits.train), splits.train.class_names[:3]
        (100, ('0', '1', '2'))
    """
    check = check_images or check_whole or skip_broken
    if (samples is None) != (sample_rate is None):
        raise InputError(f"expected samples and sample_rate, or neither of them, got {samples!r} and {sample_rate!r}")
    waveform = None if samples is None else (samples, sample_rate)
    seed_used = default_seed if seed is None else seed
    splits = _open(os.fspath(name), seed_used, data_dir, download, cache_bytes, waveform)
    if seed is not None and not splits.by_seed:
        raise InputError(
            f"the split seed {seed} does nothing for {splits.train.name}, whose test images are always the same; "
            "leave it out"
        )
    limits = {"train": train_images, "test": test_images, "validation": None}
    if test_images is not None:
        splits.require_test()
    splits = dataclasses.replace(
        splits,
        **{
            split: first_of_each_class(
                _without_broken(dataset, check_whole, skip_broken) if check else dataset,
                limits[split],
                f"{split}_images",
            )
            for split, dataset in splits.by_name.items()
        },
    )
    _report_copies(splits, strict)
    return splits


def _report_copies(splits: Splits, strict: bool) -> None:
    for split, dataset in splits.by_name.items():
        copies = find_copies(splits.train, dataset) if split != "train" else []
        if not copies:
            continue
        listed = "; ".join(f"{copy} is {original}" for copy, original in copies[:LISTED])
        more = "; ..." if len(copies) > LISTED else ""
        items = dataset.items
        text = f"{len(copies)} of {len(dataset)} {split} {items} are training {items} too: {listed}{more}"
        if strict:
            raise InputError(f"{text}; remove them from one of the two")
        logging.getLogger(__name__).warning("%s", text)


def _without_broken(dataset: ImageDataset, whole: bool, skip: bool) -> ImageDataset:
    # To leave out broken images, decode them completely: a header does not show all damage.
    broken = dataset.broken(whole=whole or skip)
    if not broken:
        return dataset
    listed = "; ".join(list(broken.values())[:LISTED]) + ("; ..." if len(broken) > LISTED else "")
    if not skip:
        raise InputError(
            f"{dataset.name} has {len(broken)} of {len(dataset)} {dataset.items} that cannot be read: {listed}"
        )
    logging.getLogger(__name__).warning(
        "%s: skipped %d of %d %s that cannot be read: %s",
        dataset.name,
        len(broken),
        len(dataset),
        dataset.items,
        listed,
    )
    if len(broken) == len(dataset):
        raise InputError(f"{dataset.name} has no {dataset.items} that can be read: {listed}")
    return dataset.subset(np.array([index for index in range(len(dataset)) if index not in broken], int))


def _open(
    name: str, seed: int, data_dir: str | None, download: bool, cache_bytes: int, waveform: tuple[int, int] | None
) -> Splits:
    if name in ("digits", "digits-shifted"):
        return load_digits(shifted=name == "digits-shifted", seed=seed)
    if name.startswith(TFDS_PREFIX):
        return load_tfds(
            name.removeprefix(TFDS_PREFIX), data_dir=data_dir and os.fspath(expand(data_dir)), download=download
        )
    path = os.fspath(expand(name))
    if path.lower().endswith(".npz"):
        return load_packed(path, cache_bytes=cache_bytes)
    if has_npy_files(path):
        return load_npy_folder(path)
    if waveform is not None:
        return load_wav_folder(path, samples=waveform[0], sample_rate=waveform[1], seed=seed)
    return load_folder(path, seed=seed, cache_bytes=cache_bytes)
