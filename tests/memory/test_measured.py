import io
import json
import pathlib
import platform
import sys

import pytest
from PIL import Image

from tests import tiny_models, tiny_tflite
from tinytl_tf import device
from tinytl_tf.errors import InputError
from tinytl_tf.memory import measure, measure_adapt, measure_client, measure_time_ratio, measured
from tinytl_tf.tflite.runtime import APIS, THREADS


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("measured") / "model.tflite"
    path.write_bytes(tiny_models.build())
    return path


def test_growth_holds_the_input_of_the_graph_and_its_features(path):
    small, big = measure(path, "nothing"), measure(path, "train")
    image = tiny_models.SIZE**2 * tiny_models.CHANNELS * 4
    features = tiny_models.SIZE**2 * tiny_models.FILTERS * 4
    assert big.growth_bytes - small.growth_bytes > tiny_models.BATCH * image + features
    assert big.growth_bytes < 40e6  # TensorFlow alone takes hundreds of MB: it is not in the process
    assert big.step_ms_median > 0.0
    assert big.first_step_ms > 0.0
    assert (big.signature, big.num_threads, big.xnnpack, big.steps) == ("train", THREADS, True, 3)


def test_the_time_of_a_step_is_told_in_inferences_of_its_images(monkeypatch, capsys):
    """Of a step of three images that takes 12 seconds, or 100 the first time, and an inference that takes 2."""
    clock, steps = [0], [100, 12, 12, 30]

    def train(image, label, learning_rate):
        assert (image.shape, label.shape, learning_rate.shape) == ((3, 4, 4, 3), (3,), (1,))
        clock[0] += steps.pop(0)

    def infer(image):
        clock[0] += 2

    monkeypatch.setattr(measured, "load_signatures", lambda path, **options: {"train": train, "infer": infer})
    monkeypatch.setattr(measured.time, "perf_counter", lambda: clock[0])
    image, label, rate = ([3, 4, 4, 3], "uint8"), ([3], "int32"), ([1], "float32")
    inputs = {"train": {"image": image, "label": label, "learning_rate": rate}, "infer": {"image": image}}
    task = {"path": "model.tflite", "inputs": inputs, "steps": 3, "images": 3, "options": {}}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(task)))
    measured.run_time_worker()
    assert json.loads(capsys.readouterr().out) == {"time_ratio": 2}


def test_a_step_takes_longer_than_the_inferences_of_its_images():
    golden = pathlib.Path(__file__).parents[2] / "golden" / "model_float32.tflite"
    assert 1 < measure_time_ratio(golden, xnnpack=False) < 100


def test_a_time_ratio_of_no_steps(path):
    with pytest.raises(InputError) as error:
        measure_time_ratio(path, steps=0)
    assert str(error.value) == "expected steps of at least 1, got 0"


def test_delegate_needs_more_memory(path):
    # One thread: the blocks that glibc keeps for another one are of the same size as the difference.
    options = {"steps": 1, "num_threads": 1}
    with_delegate, without = (measure(path, "infer", xnnpack=on, **options).growth_bytes for on in (True, False))
    assert with_delegate > without


def test_uint8_images_and_labels(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build())
    assert measure(path, steps=2, num_threads=2).growth_bytes > 0


@pytest.mark.parametrize(
    ("signature", "options", "message"),
    [
        ("fit", {}, "expected one of the signatures of the file (infer, nothing, train, train_sliced), got 'fit'"),
        ("train", {"steps": 0}, "expected steps of at least 1, got 0"),
        ("train", {"api": "micro"}, "expected an api of interpreter, compiled_model, got 'micro'"),
        ("train", {"num_threads": 0}, "expected num_threads from 1 to 256, got 0"),
    ],
)
def test_bad_arguments(path, signature, options, message):
    with pytest.raises(InputError) as error:
        measure(path, signature, **options)
    assert str(error.value) == message


def test_a_client_holds_the_batch_and_both_signatures(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build())
    options = {"num_threads": 1, "xnnpack": False}
    assert measure_client(path, **options) > measure(path, "infer", steps=1, **options).growth_bytes
    path.write_bytes(tiny_models.build())
    with pytest.raises(InputError, match="expected save, restore too"):
        measure_client(path)


def test_a_client_infers_before_it_trains_and_again(tmp_path, monkeypatch, capsys):
    calls = []

    class Watched(device.TrainableModel):
        def infer(self, *args):
            calls.append("infer")
            return super().infer(*args)

        def train(self, *args):
            calls.append("train")
            result = super().train(*args)
            assert result.applied
            return result

    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build())
    task = {"path": str(path), "model": {"num_threads": 1, "xnnpack": False, "api": "interpreter"}}
    monkeypatch.setattr(device, "TrainableModel", Watched)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(task)))
    measured.run_client_worker()
    assert calls == ["infer", "train", "infer", "train", "infer"]
    assert json.loads(capsys.readouterr().out)["growth_bytes"] >= 0


@pytest.fixture
def photos(tmp_path):
    """`photos(side)` writes a folder of two PNGs of each class, which are decoded whole."""

    def write(side):
        for split in ("train", "test"):
            for name in tiny_tflite.LABELS:
                folder = tmp_path / f"photos{side}" / split / name
                folder.mkdir(parents=True)
                for index in range(2):
                    Image.new("RGB", (side, side), (40 * index, 90, 200)).save(folder / f"{index}.png")
        return tmp_path / f"photos{side}"

    return write


def test_a_whole_run_holds_the_photos_that_it_decodes(tmp_path, photos):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build())
    tiny_tflite.write_manifest(path, tiny_tflite.LABELS)
    small, big = (measure_adapt(path, photos(side)) for side in (32, 2048))
    assert small > 0
    assert big - small > 2048**2 * 3


def test_a_run_that_fails_is_refused_in_one_line(tmp_path, photos):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build())
    tiny_tflite.write_manifest(path, [f"{name}s" for name in tiny_tflite.LABELS])
    message = (
        r"^expected .*model.tflite to be adapted on .*photos32, but .* status 1: .*has classes that .* free memory$"
    )
    with pytest.raises(InputError, match=message):
        measure_adapt(path, photos(32))


@pytest.mark.parametrize("api", APIS)
def test_a_process_that_fails_is_told_in_one_line(tmp_path, api):
    path = tmp_path / "flex.tflite"
    path.write_bytes(tiny_tflite.build(("invert",), operators=("TFLITE_BUILTINS", "SELECT_TF_OPS")))
    message = r"expected .*flex.tflite to run its signature 'invert', but .* status 1: (?!INFO).+; export it again .*"
    with pytest.raises(InputError, match=message) as error:
        measure(path, "invert", api=api)
    assert "\n" not in str(error.value)


def test_needs_linux(path, monkeypatch):
    monkeypatch.setattr(measured, "STATUS", pathlib.Path("/no/such/status"))
    with pytest.raises(InputError, match="expected Linux, with /proc to measure a process's memory, got"):
        measure(path)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_without_giving_back_several_arenas_are_kept(path):
    with_it, without = (measure(path, xnnpack=False, steps=8, give_back=on) for on in (True, False))
    assert (with_it.give_back, without.give_back) == (True, False)
    assert without.growth_bytes - with_it.growth_bytes > 5e6
