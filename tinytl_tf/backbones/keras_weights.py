"""Reads the arrays of a Keras weight file; refuses references to other files."""

import io
import os
import pathlib
import re
import zipfile

import h5py
import numpy as np

from tinytl_tf.errors import InputError
from tinytl_tf.files import most_unpacked

__all__ = ["read_keras_weights"]

_MEMBER = "model.weights.h5"  # file with the weights in a `.keras` archive
_REMEDY = "download it again, or save it again with model.save_weights()"
_WHOLE = "save all weights into one file with model.save_weights()"
_NO_WEIGHTS = r"^optimizer/|/seed_generator/vars/0$"  # arrays other than weights: the optimizer's, seeds of dropout


def read_keras_weights(path: str | os.PathLike) -> dict[str, list[np.ndarray]]:
    """Returns the arrays of each layer.

    Args:
        path: a `.keras` file, or an HDF5 file in the legacy layout (`layer_names`) or the layout of Keras 3
            (`layers/<name>/vars/<index>`, including nested models).

    Returns:
        Numeric arrays by layer name, in the order of the layers.

    Raises:
        InputError: if the file cannot be read; if it has no weights in these layouts; if a value is not a number; or if
            it refers to other files.
    """
    path = pathlib.Path(path)
    try:
        source = path
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                if archive.getinfo(_MEMBER).file_size > most_unpacked(path):
                    raise InputError(f"{path} holds a member that unpacks to far more than the file; {_REMEDY}")
                source = io.BytesIO(archive.read(_MEMBER))
        with h5py.File(source) as file:
            root = file.get("model_weights", file) if not _is_link(file, "model_weights") else file
            _refuse_references(root, path)
            if "layer_names" in root.attrs:
                found = _legacy(root)
            elif "layers" in root:
                found = dict(_layers(root, ""))
            else:
                raise InputError(f"{path} holds no Keras weights; save them with model.save_weights()")
            _refuse_others(root, found, path)
            if sum(dataset.nbytes for datasets in found.values() for dataset in datasets) > most_unpacked(path):
                raise InputError(f"{path} holds arrays that are far larger than the file; {_REMEDY}")
            return {name: [_array(dataset, path) for dataset in datasets] for name, datasets in found.items()}
    except InputError:
        raise
    except Exception as error:  # a damaged file can raise anything
        kind = "Keras archive" if path.suffix == ".keras" else "HDF5 file of Keras weights"
        raise InputError(f"{path} is not a readable {kind}; {_REMEDY}") from error


def _legacy(root: h5py.Group) -> dict[str, list[h5py.Dataset]]:
    names = [_text(name) for name in root.attrs["layer_names"]]
    return {name: [root[name][_text(key)] for key in root[name].attrs["weight_names"]] for name in names}


def _layers(group: h5py.Group, prefix: str):
    """Yields the layers in the order in which Keras created them; a nested model yields its own layers."""
    for name in sorted(group["layers"], key=_creation_order):
        layer = group["layers"][name]
        if "layers" in layer and len(layer["layers"]):
            yield from _layers(layer, f"{prefix}{name}/")
        variables = layer.get("vars", {})
        if len(variables):
            yield f"{prefix}{name}", [variables[key] for key in sorted(variables, key=int)]


def _refuse_others(root: h5py.Group, found: dict[str, list[h5py.Dataset]], path: pathlib.Path) -> None:
    """Refuses arrays of layers nested in another layer, which would otherwise be skipped silently."""
    taken, others = {dataset.name for datasets in found.values() for dataset in datasets}, []

    def visit(_: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and item.name not in taken:
            others.append(item.name.removeprefix(root.name).lstrip("/"))

    root.visititems(visit)
    others = [name for name in others if not re.search(_NO_WEIGHTS, name)]
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise InputError(
            f"{path} has arrays that belong to no layer of a network of ours: {others[0]}{more}; it is of another "
            "network, or a run's own checkpoint"
        )


def _array(dataset: h5py.Dataset, path: pathlib.Path) -> np.ndarray:
    if dataset.dtype.kind not in "fiu":
        raise InputError(f"{path} holds {dataset.dtype} at {dataset.name}, expected numbers; {_REMEDY}")
    return dataset[()]


def _refuse_references(root: h5py.Group, path: pathlib.Path) -> None:
    """Refuses links and external storage: HDF5 could read content from other files on the machine."""
    for name in root:
        if _is_link(root, name):
            raise InputError(f"{path} refers to another place at {root.name}/{name}; {_WHOLE}")
        item = root[name]
        if isinstance(item, h5py.Group):
            _refuse_references(item, path)
        elif item.external or item.is_virtual:
            raise InputError(f"{path} refers to another file at {item.name}; {_WHOLE}")


def _is_link(group: h5py.Group, name: str) -> bool:
    return isinstance(group.get(name, getlink=True), h5py.SoftLink | h5py.ExternalLink)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _creation_order(name: str) -> tuple[str, int]:
    """Returns a sort key: Keras 3 numbers the layers of a class, `conv2d`, `conv2d_1`, ..., `conv2d_10`."""
    stem, index = re.fullmatch(r"(.*?)(?:_(\d+))?", name).groups()
    return stem, int(index or 0)
