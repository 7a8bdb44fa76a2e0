import numpy as np
import pytest
from PIL import Image

from tests import tiny_tflite
from tinytl_tf import data
from tinytl_tf.device import TrainableModel
from tinytl_tf.errors import InputError
from tinytl_tf.tflite.manifest import InputSettings


@pytest.fixture
def folder(make_folder):
    """Wide, tall, large, turned and deep photos, in the set's folder."""
    root = make_folder({"test/a": 0, "train/a": 1})
    rng = np.random.default_rng(0)
    for name, shape in {"wide": (40, 90), "tall": (80, 30), "large": (300, 400), "small": (3, 2)}.items():
        image = Image.fromarray(rng.integers(0, 256, (*shape, 3), np.uint8))
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(root / "test/a" / f"{name}.png", exif=exif)
        image.save(root / "test/a" / f"{name}.jpg", quality=95)
    return root


@pytest.mark.parametrize("fraction", [0.875, 0.5, 1.0])
def test_a_photo_becomes_what_the_data_sets_give(folder, fraction):
    """`photo.resize(model.image_size)` is another picture: 34.5 % were right for 50.5 %."""
    test = data.load(folder).test
    for index in range(len(test)):
        ((images, _),) = data.eval_batches(
            test.subset([index]), batch_size=1, image_size=(16, 24), central_fraction=fraction
        )
        np.testing.assert_array_equal(data.photo(test.source(index), (16, 24), central_fraction=fraction), images[0])


def test_a_model_says_size_and_fraction_and_takes_paths(folder, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build())
    tiny_tflite.write_manifest(path, ["a", "b", "c"], input=InputSettings("uint8", (4, 4), (0, 255), "RGB", 0.5))
    model, wide = TrainableModel(path), folder / "test/a/wide.png"
    pixels = data.photo(wide, model)
    np.testing.assert_array_equal(pixels, data.photo(wide, 4, central_fraction=0.5))
    assert (pixels != data.photo(wide, 4)).any()
    model.set_state(np.random.default_rng(0).normal(size=model.state_size).astype(np.float32))
    for image in (wide, str(wide)):
        np.testing.assert_array_equal(model.infer(image).logits, model.infer(pixels).logits)
    with pytest.raises(InputError, match="^image .*/none.png "):
        model.infer(folder / "none.png")


def test_a_deep_gray_photo_is_not_black(tmp_path):
    """A camera's 12 bits in a file of 16."""
    Image.fromarray(np.full((8, 8), 4095, np.uint16)).save(tmp_path / "deep.png")
    assert data.photo(tmp_path / "deep.png", 4).min() == 255


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x.png", 0), "expected the size as a number of pixels above 0 or "),
        (("x.png", (4, 4.5)), "expected the size as a number of pixels above 0 or "),
        (("x.png", "224"), "expected the size as a number of pixels above 0 or "),
        ((np.zeros([4, 4, 3]), 4), "expected the path of a photo, got ndarray"),
        (("x.png", 4), "image x.png "),
    ],
)
def test_bad_arguments_are_named(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"^{message}"):
        data.photo(*arguments)


def test_a_fraction_out_of_range_is_refused():
    with pytest.raises(InputError, match="^expected central_fraction above 0 and at most 1, got 0"):
        data.photo("x.png", 4, central_fraction=0)
