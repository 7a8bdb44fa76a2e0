"""The reader of PyTorch checkpoints: right about tensors, deaf to everything else."""

import collections
import io
import os
import pickle
import sys
import tracemalloc
import types

import numpy as np
import pytest

from tinytl_tf.backbones.torch_checkpoint import MAGIC, read_torch_checkpoint
from tinytl_tf.errors import InputError


class Tensor:
    """A view of a storage, pickled as PyTorch pickles its tensors."""

    def __init__(self, storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())


class Storage(np.ndarray):
    """Elements that tensors share."""


@pytest.fixture
def save(monkeypatch, tmp_path):
    """A function that writes a state dictionary in PyTorch's old layout, without PyTorch."""
    torch = types.ModuleType("torch")
    torch._utils = types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_):
        """Pickled by its name."""

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    torch._utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    for name in ("FloatStorage", "LongStorage", "HalfStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch", "__qualname__": name}))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", torch._utils)
    kinds = {"<f4": torch.FloatStorage, "<i8": torch.LongStorage, "<f2": torch.HalfStorage}

    def write(state, magic=MAGIC, kind="storage"):
        storages = {}

        class Pickler(pickle.Pickler):
            def persistent_id(self, value):
                if not isinstance(value, Storage):
                    return None
                storages[str(id(value))] = value
                return (kind, kinds[value.dtype.str], str(id(value)), "cpu", len(value), None)

            def reducer_override(self, value):
                return (_rebuild_tensor_v2, value.arguments) if isinstance(value, Tensor) else NotImplemented

        stream = io.BytesIO()
        for header in (magic, 1001, {"little_endian": True}):
            pickle.dump(header, stream, protocol=2)
        Pickler(stream, protocol=2).dump(state)
        pickle.dump(sorted(storages), stream, protocol=2)
        for key in sorted(storages):
            stream.write(len(storages[key]).to_bytes(8, "little") + storages[key].tobytes())
        path = tmp_path / "model.pth"
        path.write_bytes(stream.getvalue())
        return path

    return write


def storage(count, dtype="<f4"):
    return np.arange(count).astype(dtype).view(Storage)


def test_reads_views_transposed_shifted_shared_and_scalar(save):
    shared = storage(30)
    state = collections.OrderedDict(
        plain=Tensor(shared, 0, (2, 3, 5), (15, 5, 1)),
        transposed=Tensor(shared, 0, (5, 6), (1, 5)),
        shifted=Tensor(shared, 10, (4,), (2,)),
        empty=Tensor(shared, 30, (0,), (1,)),
        scalar=Tensor(storage(1, "<i8"), 0, (), ()),
    )
    arrays = read_torch_checkpoint(save(state))
    assert list(arrays) == list(state)
    elements = np.arange(30, dtype=np.float32)
    np.testing.assert_array_equal(arrays["plain"], elements.reshape(2, 3, 5))
    np.testing.assert_array_equal(arrays["transposed"], elements.reshape(6, 5).T)
    np.testing.assert_array_equal(arrays["shifted"], [10, 12, 14, 16])
    assert arrays["empty"].shape == (0,)
    assert (arrays["scalar"].dtype, arrays["scalar"].shape) == (np.int64, ())


class Bomb:
    """Runs a command where a pickle of it is loaded."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("place", ["magic", "dictionary"])
def test_a_command_in_the_file_is_not_run(save, tmp_path, place):
    marker = tmp_path / "marker"
    bomb = Bomb(marker)
    path = save({"weight": bomb}) if place == "dictionary" else save({}, magic=bomb)
    with pytest.raises(InputError) as error:
        read_torch_checkpoint(path)
    assert str(error.value) == (
        f"{path} is not a PyTorch checkpoint of tensors: it asks for {os.name}.system, which was not run"
    )
    assert not marker.exists()
    pickle.loads(pickle.dumps(bomb))
    assert marker.exists(), "the same command runs in an unpickler that is not restricted"


def test_refuses_what_is_no_dictionary_of_tensors(save):
    cases = {
        "it has the wrong magic number": save({}, magic=1).read_bytes(),
        "it asks for torch.HalfStorage, which was not run": save(
            {"x": Tensor(storage(3, "<f2"), 0, (3,), (1,))}
        ).read_bytes(),
        "it holds a 'module' where a storage was expected": save(
            {"x": Tensor(storage(3), 0, (3,), (1,))}, kind="module"
        ).read_bytes(),
        "it asks for builtins.eval, which was not run": pickle.dumps(eval),
    }
    for words, data in cases.items():
        path = save({})
        path.write_bytes(data)
        with pytest.raises(InputError) as error:
            read_torch_checkpoint(path)
        assert str(error.value) == f"{path} is not a PyTorch checkpoint of tensors: {words}"


OUTSIDE = "is not a readable PyTorch checkpoint (ValueError); download or save it again"


@pytest.mark.parametrize(
    ("view", "message"),
    [
        ((0, (4,), (1,)), OUTSIDE),
        ((1, (3,), (1,)), OUTSIDE),
        ((-1, (2,), (1,)), OUTSIDE),
        ((2, (2,), (-1,)), OUTSIDE),
        ((0, (10**12,), (0,)), "is not a PyTorch checkpoint of tensors: its tensors hold more elements than the file"),
        ((0, (2, 2), (2, 1)), OUTSIDE),
    ],
    ids=str,
)
def test_a_tensor_outside_its_storage_is_refused(save, view, message):
    path = save({"x": Tensor(storage(3), *view)})
    with pytest.raises(InputError) as error:
        read_torch_checkpoint(path)
    assert str(error.value) == f"{path} {message}"


def test_every_truncation_is_refused(save):
    path = save({"x": Tensor(storage(3), 0, (3,), (1,))})
    data = path.read_bytes()
    np.testing.assert_array_equal(read_torch_checkpoint(path)["x"], [0, 1, 2])
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match="is not a (readable )?PyTorch checkpoint"):
            read_torch_checkpoint(path)


def test_the_zip_format_is_named(tmp_path):
    path = tmp_path / "model.pth"
    path.write_bytes(b"PK\x03\x04 and more")
    with pytest.raises(InputError) as error:
        read_torch_checkpoint(path)
    assert str(error.value) == (
        f"{path} is in PyTorch's zip format, expected the older one; "
        "save it with torch.save(state, path, _use_new_zipfile_serialization=False)"
    )


@pytest.mark.parametrize(
    "content", [b"\x96" + (2**32).to_bytes(8, "little"), b"N" + b"r" + (2**28).to_bytes(4, "little")]
)
def test_a_few_bytes_allocate_nothing(tmp_path, content):
    """9 bytes took 4.1 GB."""
    path = tmp_path / "small.pth"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="is not a readable PyTorch checkpoint|is not a PyTorch checkpoint"):
            read_torch_checkpoint(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_views_of_one_storage_cannot_ask_for_more_than_the_file(save):
    storage = np.zeros(100_000, "<f4").view(Storage)
    with pytest.raises(InputError, match="its tensors hold more elements than the file$"):
        read_torch_checkpoint(save({f"w{i}": Tensor(storage, 0, (100_000,), (1,)) for i in range(50)}))


@pytest.mark.parametrize("wrap", [lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}, lambda s: s])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrappers_of_training_scripts_are_taken_off(save, wrap, prefix):
    storage = np.arange(6, dtype="<f4").view(Storage)
    state = {f"{prefix}a.weight": Tensor(storage, 0, (2, 3), (3, 1))}
    assert list(read_torch_checkpoint(save(wrap(state)))) == ["a.weight"]


def test_the_state_of_an_optimizer_beside_the_weights_is_passed_over(save):
    weight, moment = (np.arange(start, start + 6, dtype="<f4").view(Storage) for start in (0, 10))
    state = {
        "state_dict": {"a.weight": Tensor(weight, 0, (2, 3), (3, 1))},
        "optimizer": {"state": {0: {"step": 7, "exp_avg": Tensor(moment, 0, (6,), (1,))}}},
    }
    arrays = read_torch_checkpoint(save(state))
    assert list(arrays) == ["a.weight"]
    np.testing.assert_array_equal(arrays["a.weight"], [[0, 1, 2], [3, 4, 5]])
