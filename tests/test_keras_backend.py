"""Settings of Keras that change after everything was imported: refused by whatever makes or takes a network."""

import subprocess
import sys

import keras
import pytest

from tinytl_tf import layers
from tinytl_tf.backbones import build
from tinytl_tf.configs import default
from tinytl_tf.errors import InputError
from tinytl_tf.experiment import Experiment
from tinytl_tf.export import export
from tinytl_tf.training import train

CHANGES = {
    "floatx": ("float32", "float64"),
    "dtype_policy": ("float32", "mixed_float16"),
    "image_data_format": ("channels_last", "channels_first"),
}
TAKERS = {
    "convolution": lambda model, folder: layers.FrozenConv2D(8, 3),
    "depthwise convolution": lambda model, folder: layers.FrozenDepthwiseConv2D(3),
    "frozen norm": lambda model, folder: layers.FrozenNorm(),
    "norm": lambda model, folder: layers.GroupNorm(),
    "layer norm": lambda model, folder: layers.LayerNorm(),
    "gate": lambda model, folder: layers.Gate(),
    "lite residual": lambda model, folder: layers.LiteResidual(8),
    "activation": lambda model, folder: layers.Activation("relu"),
    "pooling": lambda model, folder: layers.GlobalAveragePooling(),
    "build": lambda model, folder: build("mobilenet_v2", classes=2, resolution=32, weights=None),
    "experiment": lambda model, folder: Experiment(default.get_config()),
    "train": lambda model, folder: train(default.get_config(), str(folder / "run")),
    "export": lambda model, folder: export(model, folder / "model.tflite", labels=["a", "b"]),
}


@pytest.fixture(scope="module")
def model():
    return build("mobilenet_v2", classes=2, resolution=32, width=0.35, weights=None)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("taker", TAKERS)
def test_a_change_after_the_import_is_refused(model, tmp_path, name, taker):
    wanted, other = CHANGES[name]
    change = getattr(keras.config, f"set_{name}")
    change(other)
    try:
        with pytest.raises(InputError) as error:
            TAKERS[taker](model, tmp_path)
    finally:
        change(wanted)
    need = "images of channels_last" if name == "image_data_format" else "float32"
    assert str(error.value) == (
        f"tinytl_tf needs {need}, but the Keras that is imported already says {other!r}; "
        f"call keras.config.set_{name}({wanted!r}) first"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.thorough
def test_the_check_at_the_import_settles_no_policy_of_keras():
    """A later `set_floatx` for other networks would not be heeded."""
    code = "import keras, tinytl_tf.layers\nkeras.config.set_floatx('float64')\nprint(keras.layers.Dense(1).dtype)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "float64\n", done.stderr
