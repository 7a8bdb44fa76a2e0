"""What importing a module brings with it, each in a fresh process."""

import importlib
import json
import os
import subprocess
import sys

import pytest

from tests.modules import module_files

GROUND = ["tinytl_tf"] + [
    f"tinytl_tf.{name}"
    for name in (
        "curves",
        "data",
        "device",
        "device.coral",
        "device.prefix_runner",
        "device.rebake",
        "errors",
        "files",
        "locks",
        "networks",
        "networks.architectures",
        "networks.channels",
        "networks.branches",
        "networks.from_table",
        "networks.schemes",
        "networks.spec",
        "networks.variables",
        "networks.writer",
        "optimizers",
        "owner",
        "pictures",
        "profiles",
        "progress",
        "schedules",
        "state",
        "tasks",
        "tflite",
        "tflite.allocator",
        "tflite.coral_manifest",
        "tflite.edge_tpu",
        "tflite.float_twin",
        "tflite.edit",
        "tflite.manifest",
        "tflite.mapped_file",
        "tflite.model",
        "tflite.runtime",
        "tflite.snr",
    )
]
LIGHT = [*GROUND, "tinytl_tf.memory"]
HEAVY = {"tensorflow", "keras", "jax", "torch"}


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_light_modules_import_no_tensorflow():
    code = "import importlib, json, sys\n"
    code += f"found = {{}}\nfor name in {LIGHT!r}:\n"
    code += "    importlib.import_module(name)\n"
    code += f"    found[name] = sorted({HEAVY!r} & set(sys.modules))\nprint(json.dumps(found))"
    result = python(code)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == dict.fromkeys(LIGHT, [])


def test_no_package_hides_a_module():
    found = {name: importlib.import_module(name) for name, _ in module_files()}
    hidden = [
        name
        for name, module in found.items()
        if "." in name and getattr(found[name.rpartition(".")[0]], name.rpartition(".")[2]) is not module
    ]
    assert hidden == []


def last_line(result):
    assert result.returncode == 1
    return result.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("package", ["layers", "backbones", "training", "export"])
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_is_refused_before_keras_is_imported(package, backend):
    result = python(f"import tinytl_tf.{package}", KERAS_BACKEND=backend)
    assert last_line(result) == (
        f"tinytl_tf.errors.InputError: tinytl_tf needs Keras on TensorFlow, but KERAS_BACKEND says '{backend}'; "
        "set KERAS_BACKEND=tensorflow before Python starts"
    )
    assert "keras/src" not in result.stderr


def test_the_file_of_keras_is_read_and_the_environment_comes_first(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    code = "import tinytl_tf.keras_backend"
    result = python(code, KERAS_HOME=str(tmp_path), KERAS_BACKEND="")
    assert last_line(result) == (
        f"tinytl_tf.errors.InputError: tinytl_tf needs Keras on TensorFlow, but {tmp_path / 'keras.json'} says 'jax'; "
        "set KERAS_BACKEND=tensorflow before Python starts"
    )
    assert python(code, KERAS_HOME=str(tmp_path), KERAS_BACKEND="tensorflow").returncode == 0
    (tmp_path / "keras.json").write_text("not json")
    assert python(code, KERAS_HOME=str(tmp_path), KERAS_BACKEND="").returncode == 0


def test_a_keras_that_runs_on_another_backend_is_told():
    # A module in its place: no other backend is installed here.
    code = (
        "import sys, types\n"
        "config = types.SimpleNamespace(\n"
        "    backend=lambda: 'torch', floatx=lambda: 'float32', image_data_format=lambda: 'channels_last')\n"
        "sys.modules['keras'] = types.SimpleNamespace(config=config)\n"
        "import tinytl_tf.keras_backend"
    )
    assert last_line(python(code)) == (
        "tinytl_tf.errors.InputError: tinytl_tf needs Keras on TensorFlow, but the Keras that is imported already "
        "says 'torch'; set KERAS_BACKEND=tensorflow before Python starts"
    )


SETTINGS = {"floatx": ("float32", "float64"), "image_data_format": ("images of channels_last", "channels_first")}


@pytest.mark.parametrize("package", ["layers", "backbones", "training", "planning", "export"])
@pytest.mark.parametrize("name", SETTINGS)
def test_other_settings_in_the_file_of_keras_are_refused(tmp_path, package, name):
    need, value = SETTINGS[name]
    (tmp_path / "keras.json").write_text(json.dumps({name: value}))
    result = python(f"import tinytl_tf.{package}", KERAS_HOME=str(tmp_path))
    assert last_line(result) == (
        f"tinytl_tf.errors.InputError: tinytl_tf needs {need}, but {tmp_path}/keras.json says {value!r}; "
        f'write "{name}": "{need.split()[-1]}" there'
    )
    assert "keras/src" not in result.stderr


@pytest.mark.parametrize("value", ["float16", "bfloat16", 32, None, ["float32"]])
def test_any_other_float_type_is_refused(tmp_path, value):
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps({"floatx": value}))
    environment = {key: text for key, text in os.environ.items() if key != "KERAS_HOME"}
    result = subprocess.run(
        [sys.executable, "-c", "import tinytl_tf.keras_backend"],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"but {tmp_path}/.keras/keras.json says {value!r}; write" in last_line(result)


def test_a_file_of_keras_that_is_no_object_is_refused(tmp_path):
    (tmp_path / "keras.json").write_text("[]")
    assert last_line(python("import tinytl_tf.keras_backend", KERAS_HOME=str(tmp_path))).endswith(
        f"expected a JSON object in {tmp_path}/keras.json, got list; remove the file"
    )


@pytest.mark.thorough
@pytest.mark.parametrize("name", SETTINGS)
def test_commands_refuse_other_settings_in_one_line(tmp_path, name):
    (tmp_path / "keras.json").write_text(json.dumps({name: SETTINGS[name][1]}))
    for argv in (
        ["train", "--workdir=run", "--config=configs/default.py", "--config.data.name=digits"],
        ["export", "--output=m.tflite", "--config=configs/default.py", "--config.data.name=digits"],
    ):
        code = f"import sys; from tinytl_tf.cli.main import main; sys.exit(main({[*argv, f'--json={tmp_path}/r']!r}))"
        result = python(code, KERAS_HOME=str(tmp_path))
        assert (result.returncode, result.stderr.count("\n")) == (2, 1), result.stderr
        assert f"error: tinytl_tf needs {SETTINGS[name][0]}, but" in result.stderr
