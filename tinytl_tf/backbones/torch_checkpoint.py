"""Reads the tensors of an old-style PyTorch checkpoint without running code from the file."""

import collections
import io
import math
import pathlib
import pickle

import numpy as np

from tinytl_tf.errors import InputError

__all__ = ["read_torch_checkpoint"]

ZIP = b"PK\x03\x04"
# Opcodes of pickle protocol 5 that allocate memory before they read; no such checkpoint uses them.
_ALLOCATING = {pickle.BYTEARRAY8[0], pickle.NEXT_BUFFER[0], pickle.READONLY_BUFFER[0]}
_SHARED = 2**20  # extra elements that views may have in total beyond those in the file
MAGIC = 0x1950A86A20F9469CFC6C
DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


def read_torch_checkpoint(path: str | pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the state dictionary of a `.pth` file in the format that PyTorch used before version 1.6.

    A pickle can call any function by name and claim any size. This reader accepts only the few names that a dictionary
    of tensors needs, and limits the memory that it allocates by the size of the file. If the checkpoint has a
    dictionary under `state_dict` or `model`, that dictionary is used. If all names begin with `module.`, that prefix is
    removed.

    Args:
        path: path of the file.

    Returns:
        Arrays by name, in the order of the file.

    Raises:
        InputError: if the file is truncated; if it is in another format; or if it contains objects other than tensors.

    Reference:
        The layout is that of `torch.serialization._legacy_save`: four pickles (magic number, protocol, system,
        dictionary), a pickled list of storage keys, then the length and the elements of each storage.
    """
    data = pathlib.Path(path).read_bytes()
    if data.startswith(ZIP):
        raise InputError(
            f"{path} is in PyTorch's zip format, expected the older one; "
            "save it with torch.save(state, path, _use_new_zipfile_serialization=False)"
        )
    stream = io.BytesIO(data)
    try:
        if _TensorUnpickler(stream).load() != MAGIC:
            raise InputError("it has the wrong magic number")
        for _ in ("protocol", "system"):
            _TensorUnpickler(stream).load()
        unpickler = _TensorUnpickler(stream)
        state = _unwrapped(unpickler.load())
        tensors = [tensor for tensor in state.values() if isinstance(tensor, _Tensor)]
        dtypes = unpickler.dtypes  # of all storages, since those of an optimizer lie between those of the weights
        storages = dict.fromkeys(_TensorUnpickler(stream).load())
        for key in storages:
            count = int.from_bytes(stream.read(8), "little")
            content = stream.read(count * np.dtype(dtypes[key]).itemsize)
            storages[key] = np.frombuffer(content, dtypes[key], count)
        # Each element belongs to one tensor, except for shared weights; without a limit, views could claim any size.
        if sum(math.prod(tensor.shape) for tensor in tensors) > 2 * sum(map(len, storages.values())) + _SHARED:
            raise InputError("its tensors hold more elements than the file")
        return {str(name): tensor.array(storages) for name, tensor in state.items()}
    except InputError as error:
        raise InputError(f"{path} is not a PyTorch checkpoint of tensors: {error}") from error
    except Exception as error:  # a damaged pickle can raise any error
        raise InputError(
            f"{path} is not a readable PyTorch checkpoint ({type(error).__name__}); download or save it again"
        ) from error


def _unwrapped(state: dict) -> dict:
    """Returns the dictionary of tensors in the object that a training script saved."""
    for key in ("state_dict", "model"):
        if isinstance(state.get(key), dict):
            state = state[key]
    if state and all(str(name).startswith("module.") for name in state):
        state = {str(name).removeprefix("module."): tensor for name, tensor in state.items()}
    return state


_Storage = collections.namedtuple("_Storage", ["dtype", "key"])


class _Tensor(collections.namedtuple("_Tensor", ["storage", "offset", "shape", "strides"])):
    """A view of a storage that is read later."""

    def array(self, storages: dict[str, np.ndarray]) -> np.ndarray:
        data = storages[self.storage.key]
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        too_large = last >= len(data) or math.prod(self.shape) > len(data)
        if too_large or min((self.offset, *self.strides, *self.shape)) < 0:
            raise ValueError("a tensor reaches outside its storage")
        steps = [stride * data.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(data[self.offset :], self.shape, steps).copy()


def _rebuild_tensor(storage, offset, shape, strides, *_):
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _TensorUnpickler(pickle._Unpickler):
    """Unpickler that accepts only the names that tensors need.

    It is based on Python's implementation: the C implementation allocates whatever a file of a few bytes claims.
    """

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self.dtypes: dict[str, str] = {}

    dispatch = {code: load for code, load in pickle._Unpickler.dispatch.items() if code not in _ALLOCATING}

    def find_class(self, module: str, name: str):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise InputError(f"it asks for {module}.{name}, which was not run")

    def persistent_load(self, pid):
        kind, dtype, key, *_ = pid
        if kind != "storage":
            raise InputError(f"it holds a {kind!r} where a storage was expected")
        self.dtypes[key] = dtype
        return _Storage(dtype, key)
