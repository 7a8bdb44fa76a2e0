"""Image folders: one subfolder per class, with or without split folders above them."""

import abc
import collections
import logging
import os
import pathlib
import re
import stat
from collections.abc import Callable

import numpy as np

from tinytl_tf.data.classes import normalized
from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.data.decode import check_header, decode, deep_maximum
from tinytl_tf.data.labels_file import LABELS_FILE, read_labels
from tinytl_tf.data.reason import reason
from tinytl_tf.data.splits import Splits, hold_out
from tinytl_tf.errors import InputError
from tinytl_tf.files import expand, sha256

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
# Split -> names for it, in any case, with or without the usual prefixes and suffixes.
SPELLINGS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("val", "valid", "validation", "eval", "dev"),
}
_DECORATED = re.compile(r"(?:seg|images?|data)?[-_ ]?(?P<word>[a-z]+?)[-_ ]?(?:set|data|images?)?")
# Folders that operating systems create among a user's own.
SERVICE_FOLDERS = (
    "@eadir",
    "@recycle",
    "@recently-snapshot",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "__macosx",
    "__pycache__",
    "found.000",
    "lost+found",
    "system volume information",
)
LAYOUT = "expected FOLDER/train/CLASS/, with FOLDER/test/CLASS/ or FOLDER/val/CLASS/ to test, or FOLDER/CLASS/"

_logger = logging.getLogger(__name__)


def load_folder(path: str | os.PathLike, *, seed: int = 0, cache_bytes: int = 0) -> Splits:
    """Finds the images, classes and splits of an image folder.

    Split folders are recognized by the usual names in any case, for example `train`, `Training`, `seg_test` or `val`.
    The classes are the sorted names of the subfolders of the training images. With both test and validation images,
    there are three splits. Without test images, the validation images are the test set; with only training images,
    there is no test set. A folder without splits is flat: its own subfolders are the classes, and about a quarter of
    the images becomes the test set, chosen by a hash of `seed` and each file's content; see
    `tinytl_tf.data.splits.is_held_out`. Adding, removing or renaming files does not move other files between the sets.

    If images have several attributes each, there are no class folders: the file `labels.csv` in the folder of each
    split, or in a flat folder, lists the attributes; see `tinytl_tf.data.labels_file`.

    A class folder is searched recursively. Hidden files and folders are ignored. A warning lists other ignored entries:
    files without an image suffix, anything but regular files, system folders, and links to files and folders that are
    already in the tree.

    Args:
        path: The folder.
        seed: Chooses the test images of a flat folder.
        cache_bytes: See `ImageDataset`.

    Returns:
        The sets, with images sorted by class and path. Class names are in Unicode's normal form NFC.

    Raises:
        InputError: If the folder is missing, is unreadable or has a different layout; if a class is empty; if a name is
            not UTF-8; or if another split has a class that the training set lacks.
    """
    return load_with(lambda root: _ImageReader(root, cache_bytes), path, seed)


def load_with(reader: Callable[[pathlib.Path], "FolderReader"], path: str | os.PathLike, seed: int) -> Splits:
    """Reads the structure of a folder with a reader for its kind of files.

    Args:
        reader: Creates the reader for a folder.
        path: The folder.
        seed: Chooses the test images of a flat folder.

    Raises:
        InputError: As for `load_folder`.
    """
    root = expand(path)
    listing = reader(root)
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise InputError(f"{listing.kind} {root} {problem}; {LAYOUT}")
    try:
        return listing.load(seed)
    except OSError as error:
        raise InputError(f"{listing.kind} {root} cannot be read ({reason(error)}); check its permissions") from error


def split_of(folder: str) -> str | None:
    """Returns the split that a folder's name stands for, or None.

    Example:
        >>> split_of("seg_train"), split_of("Valid"), split_of("trains")
        ('train', 'validation', None)
    """
    match = _DECORATED.fullmatch(folder.casefold())
    words = {folder.casefold(), match["word"] if match else ""}
    return next((split for split, spellings in SPELLINGS.items() if words.intersection(spellings)), None)


class FolderReader(abc.ABC):
    """Lists the folders of one data set and remembers visited and ignored files.

    Args:
        root: The folder.

    Attributes:
        kind: Name for such a folder in error messages.
        items: Name for its files in error messages.
        suffixes: Suffixes of its files.
    """

    kind = items = ""
    suffixes: tuple[str, ...] = ()

    def __init__(self, root: pathlib.Path) -> None:
        self._root = root
        self._seen: set[str] = set()
        self._listed: set[str] = set()  # class folders, so that links to their images are ignored
        self._ignored: collections.Counter[str] = collections.Counter()

    @abc.abstractmethod
    def prepare(self, paths: list[pathlib.Path]) -> None:
        """Inspects all files of all splits before `make` is called."""

    @abc.abstractmethod
    def make(self, root: pathlib.Path, names: list[str], labels: np.ndarray, paths: list[pathlib.Path]) -> ImageDataset:
        """Returns the data set of `paths` with their `labels`."""

    def load(self, seed: int) -> Splits:
        """Returns the sets."""
        folders = self._subfolders(self._root)
        named = self._splits(self._root, folders)
        if named:
            splits = self._load_splits(named, folders)
        elif (self._root / LABELS_FILE).is_file():
            splits = self._load_flat_attributes(seed)
        else:
            splits = self._load_flat(folders, seed)
        if self._ignored:
            listed = ", ".join(f"{count} {what}" for what, count in sorted(self._ignored.items()))
            _logger.warning("%s: ignored %s", self._root, listed)
        return splits

    def _splits(self, root: pathlib.Path, folders: list[str]) -> dict[str, pathlib.Path]:
        found: dict[str, pathlib.Path] = {}
        for name in folders:
            split = split_of(name)
            if split in found:
                raise InputError(
                    f"{self.kind} {root} has {found[split].name}/ and {name}/ for the same split; keep one of them"
                )
            if split:
                found[split] = root / name
        return found

    def _load_splits(self, named: dict[str, pathlib.Path], folders: list[str]) -> Splits:
        if "train" not in named:
            present = ", ".join(f"{path.name}/" for path in named.values())
            raise InputError(f"{self.kind} {self._root} has {present} but no train/; {LAYOUT}")
        for name in folders:
            if name not in {path.name for path in named.values()}:
                self._ignored[f"folder {name}/ next to the splits"] += 1
        roots = {split: self._without_wrapper(path, split) for split, path in named.items()}
        if (roots["train"] / LABELS_FILE).is_file():
            return self._load_attributes(roots)
        self._listed = {child for root in roots.values() for child in self._real_folders(root)}
        classes = self._classes(roots["train"])
        if len(classes) > 1 and all(map(split_of, classes)):
            raise InputError(
                f"{self.kind} {roots['train']} holds only {', '.join(f'{name}/' for name in classes)}, which are "
                f"named like splits; {LAYOUT}"
            )
        files: dict[str, list[tuple[str, pathlib.Path]]] = {}
        for split in ("train", "test", "validation"):
            if split not in roots:
                continue
            own = classes if split == "train" else self._classes(roots[split])
            unknown = [name for name in own if name not in classes]
            if unknown:
                raise InputError(
                    f"class folder {roots[split] / own[unknown[0]]} has no counterpart in {roots['train']}; "
                    "add training images or remove it"
                )
            files[split] = self._list(roots[split], own)
        self.prepare([path for listed in files.values() for _, path in listed])
        datasets = {split: self._dataset(roots[split], list(classes), files[split]) for split in files}
        return _as_splits(datasets)

    def _without_wrapper(self, path: pathlib.Path, split: str) -> pathlib.Path:
        """Returns the inner folder of `train/train/CLASS`, which some data sets have, or else `path`."""
        folders = self._subfolders(path)
        return path / folders[0] if len(folders) == 1 and split_of(folders[0]) == split else path

    def _load_flat(self, folders: list[str], seed: int) -> Splits:
        classes = self._classes(self._root)
        if len(classes) == 1 and len(self._subfolders(self._root / folders[0])) > 1:
            raise InputError(
                f"{self.kind} {self._root} has only the folder {folders[0]}/, with folders inside; give that one: "
                f"{LAYOUT}"
            )
        for name in classes.values():
            inside = [child for child in self._subfolders(self._root / name) if split_of(child)]
            if inside:
                raise InputError(
                    f"class folder {self._root / name} holds {inside[0]}/, which is named like a split; {LAYOUT}"
                )
        self._listed = set(self._real_folders(self._root))
        files = self._list(self._root, classes)
        self.prepare([path for _, path in files])
        return hold_out(self._dataset(self._root, list(classes), files), seed)

    def _load_attributes(self, roots: dict[str, pathlib.Path]) -> Splits:
        self._listed = {os.path.realpath(root) for root in roots.values() if not root.is_symlink()}
        names, files, labels = [], {}, {}
        for split in (split for split in ("train", "test", "validation") if split in roots):
            own, files[split], labels[split] = self._attributes(roots[split])
            names = names or own
            if own != names:
                raise InputError(
                    f"{roots[split] / LABELS_FILE} has the attributes {', '.join(own)}; expected those of "
                    f"{roots['train'] / LABELS_FILE} in their order: {', '.join(names)}"
                )
        self.prepare([path for paths in files.values() for path in paths])
        return _as_splits({split: self.make(roots[split], names, labels[split], files[split]) for split in files})

    def _load_flat_attributes(self, seed: int) -> Splits:
        names, paths, labels = self._attributes(self._root)
        self.prepare(paths)
        return hold_out(self.make(self._root, names, labels, paths), seed)

    def _attributes(self, root: pathlib.Path) -> tuple[list[str], list[pathlib.Path], np.ndarray]:
        """Returns the attributes, and the images of a folder with their labels, sorted by path."""
        attributes, rows = read_labels(root / LABELS_FILE)
        images = {path.relative_to(root).as_posix(): path for path in self._images(root)}
        spellings: dict[str, list[str]] = {}
        for name in images:
            spellings.setdefault(normalized(name), []).append(name)
        labels: dict[str, np.ndarray] = {}
        missing = []
        for row, values in rows.items():
            # As spelled in the file, or in another Unicode form, as another system may spell it.
            found = [row] if row in images else spellings.get(normalized(row), [])
            if len(found) > 1 or found and found[0] in labels:
                raise InputError(
                    f"{root / LABELS_FILE} names {row!r}, which has two spellings, with accents as separate "
                    "characters and combined; rename one of the files, or remove one of the rows"
                )
            if found:
                labels[found[0]] = values
            else:
                missing.append(row)
        if missing:
            raise InputError(
                f"{root / LABELS_FILE} names {len(missing)} files that are not images of this folder alone, the first "
                f"is {min(missing)!r}; correct or remove these rows"
            )
        if len(labels) < len(images):
            self._ignored[f"{self.items} that {root.name}/{LABELS_FILE} does not name"] = len(images) - len(labels)
        names = sorted(labels)
        table = np.stack([labels[name] for name in names]) if names else np.zeros([0, len(attributes)])
        return attributes, [images[name] for name in names], table

    def _classes(self, root: pathlib.Path) -> dict[str, str]:
        """Name of each class, in order -> name of its folder."""
        classes: dict[str, str] = {}
        for folder in self._subfolders(root):
            name = normalized(folder)
            if name in classes:
                raise InputError(f"{self.kind} {root} has the class {name!r} twice, spelled in two ways; rename one")
            classes[name] = folder
        return dict(sorted(classes.items()))

    def _dataset(self, root: pathlib.Path, classes: list[str], files: list[tuple[str, pathlib.Path]]) -> ImageDataset:
        indices = {name: index for index, name in enumerate(classes)}
        labels = np.array([indices[name] for name, _ in files], np.int32)
        return self.make(root, classes, labels, [path for _, path in files])

    def _list(self, root: pathlib.Path, classes: dict[str, str]) -> list[tuple[str, pathlib.Path]]:
        """Returns (class, path) of every image, sorted."""
        if not classes:
            raise InputError(f"{self.kind} {root} has no class folders; {LAYOUT}")
        files = []
        for name, folder in classes.items():
            if not self._is_new(root / folder):
                raise InputError(
                    f"class folder {root / folder} is a link to a folder that is in the set already; remove it"
                )
            images = self._images(root / folder)
            if not images:
                raise InputError(
                    f"class folder {root / folder} has no {self.items} ({', '.join(self.suffixes)}); add some or "
                    "remove it"
                )
            files += [(name, path) for path in images]
        return files

    def _images(self, folder: pathlib.Path) -> list[pathlib.Path]:
        images: list[pathlib.Path] = []
        for child in self._visible(folder):
            if child.is_dir():
                if self._is_new(child):
                    images += self._images(child)
            elif child.name == LABELS_FILE:
                continue
            elif child.suffix.lower() not in self.suffixes:
                self._ignored[f"files of {child.suffix.lower() or 'no suffix'} that are not {self.items}"] += 1
            elif not child.exists():
                raise InputError(
                    f"{self.items.removesuffix('s')} {child} is a link to a file that is not there; remove it"
                )
            elif not stat.S_ISREG(child.stat().st_mode):
                self._ignored["that are not regular files"] += 1
            elif self._is_new(child):
                images.append(child)
        return images

    def _is_new(self, path: pathlib.Path) -> bool:
        """Whether a file or folder was not found before: with links, it may be in several places."""
        real = os.path.realpath(path)
        root = os.path.realpath(self._root)
        ancestor = path.is_dir() and _is_within(root, real)
        # An image belongs to the class and the split of its own folder, not of a link to it.
        elsewhere = path.is_symlink() and not self._listed.isdisjoint([real, *map(str, pathlib.PurePath(real).parents)])
        if real in self._seen or ancestor or elsewhere:
            self._ignored["links to files that are in the set already"] += 1
            return False
        self._seen.add(real)
        return True

    def _real_folders(self, root: pathlib.Path) -> list[str]:
        """Returns the real paths of the subfolders that are not links."""
        return [os.path.realpath(root / name) for name in self._subfolders(root) if not (root / name).is_symlink()]

    def _subfolders(self, root: pathlib.Path) -> list[str]:
        names = []
        for child in self._visible(root):
            if not child.is_dir():
                continue
            real, own = os.path.realpath(child), os.path.realpath(root)
            if child.is_symlink() and _is_within(own, real):
                self._ignored[f"link {child.name} to a folder above it"] = 1
            else:
                names.append(child.name)
        return names

    def _visible(self, root: pathlib.Path) -> list[pathlib.Path]:
        visible = []
        for child in sorted(root.iterdir()):
            if child.name.casefold() in SERVICE_FOLDERS:
                self._ignored[f"system folder {child.name}"] = 1
            elif not child.name.startswith("."):
                try:
                    child.name.encode()
                except UnicodeEncodeError as error:
                    raise InputError(
                        f"{os.fsencode(child)!r} has a name that is not UTF-8; rename it, its class must be written "
                        "into files"
                    ) from error
                visible.append(child)
        return visible


class _ImageReader(FolderReader):
    kind, items, suffixes = "image folder", "images", IMAGE_SUFFIXES

    def __init__(self, root: pathlib.Path, cache_bytes: int) -> None:
        super().__init__(root)
        self._cache_bytes = cache_bytes
        self._maximum = 0

    def prepare(self, paths: list[pathlib.Path]) -> None:
        self._maximum = deep_maximum((path, str(path)) for path in paths)

    def make(self, root: pathlib.Path, names: list[str], labels: np.ndarray, paths: list[pathlib.Path]) -> ImageDataset:
        return ImageDataset(
            f"{self.kind} {root}",
            names,
            labels,
            lambda index, short_side: decode(paths[index], str(paths[index]), short_side, self._maximum),
            check=lambda index: check_header(paths[index], str(paths[index])),
            digest=lambda index: file_digest(paths[index]),
            decoding=str(self._maximum),
            cache_bytes=self._cache_bytes,
            sources=[str(path) for path in paths],
            sizes=[path.stat().st_size for path in paths],
        )


def _as_splits(datasets: dict[str, ImageDataset]) -> Splits:
    """Makes the splits; without test images, the validation images are the test set."""
    if "test" not in datasets:
        return Splits(datasets["train"], datasets.get("validation"))
    return Splits(datasets["train"], datasets["test"], datasets.get("validation"))


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def file_digest(path: pathlib.Path) -> str:
    """Returns the SHA-256 of a file of a set, in hexadecimal.

    Raises:
        InputError: If the file cannot be read.
    """
    try:
        return sha256(path)
    except OSError as error:
        raise InputError(
            f"expected a file of the set at {path}, got: {error.strerror}; put it back or load the set again"
        ) from error
