"""`import tinytl_tf`: what it gives, when it is imported, and the way that its docstring shows."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import tinytl_tf
from tests import tiny_network
from tinytl_tf import backbones


def python(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_names_are_there_before_anything_heavy_is_imported():
    code = "import json, sys, tinytl_tf\nfrom tinytl_tf import TrainableModel, get_scheme, load_state\n"
    code += "print(json.dumps([sorted(set(tinytl_tf.__all__) - set(dir(tinytl_tf))), 'tensorflow' in sys.modules]))"
    assert json.loads(python(code)) == [[], False]


@pytest.mark.parametrize(
    "code",
    [
        "import tinytl_tf; tinytl_tf.export_model; tinytl_tf.export",
        pytest.param("import tinytl_tf; tinytl_tf.export; tinytl_tf.export_model", marks=pytest.mark.thorough),
        pytest.param("import tinytl_tf.export", marks=pytest.mark.thorough),
        pytest.param("from tinytl_tf import export", marks=pytest.mark.thorough),
        pytest.param("import tinytl_tf.export.exporter; from tinytl_tf import *", marks=pytest.mark.thorough),
    ],
)
def test_export_is_the_package_and_export_model_the_function_in_any_order(code):
    code += "\nimport sys, types, tinytl_tf"
    code += "\nassert tinytl_tf.export is sys.modules['tinytl_tf.export']"
    code += "\nassert isinstance(tinytl_tf.export, types.ModuleType)"
    code += "\nassert tinytl_tf.export_model is tinytl_tf.export.export"
    python(code)


def test_every_public_name_is_what_its_module_has():
    for name in tinytl_tf.__all__:
        assert getattr(tinytl_tf, name) is not None
    assert tinytl_tf.build is backbones.build


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match=r"^module 'tinytl_tf' has no attribute 'exprot'$"):
        tinytl_tf.exprot  # noqa: B018


@pytest.mark.thorough
def test_the_way_of_the_docstring_can_be_gone(tmp_path, monkeypatch):
    lines = tinytl_tf.__doc__.splitlines()
    code = textwrap.dedent("\n".join(line for line in lines if line.startswith("    ") or not line))
    # No weights are downloaded in a test.
    assert '"mobilenet_v2", classes=3, resolution=96' in code
    code = code.replace(
        '"mobilenet_v2", classes=3, resolution=96', '"tiny_network", classes=3, resolution=64, weights=None'
    )
    monkeypatch.setitem(backbones.ARCHITECTURES, "tiny_network", tiny_network.ARCHITECTURE)
    monkeypatch.chdir(tmp_path)
    photos, labels = tiny_network.photos(1, 32)
    names = {"photos": photos[0], "labels": labels[0] % 3, "new_photos": photos[0, :8], "new_labels": labels[0, :8] % 3}
    exec(code, names)
    answers = names["model"].predict(photos[0, :1].astype(np.float32), verbose=0)[0]
    np.testing.assert_allclose(names["device"].infer(photos[0, 0]).logits, answers, rtol=1e-4, atol=1e-5)
    assert names["result"].applied
    assert {path.name for path in tmp_path.iterdir()} == {"flowers.tflite", "flowers.manifest.json", "mine.tinytl"}
