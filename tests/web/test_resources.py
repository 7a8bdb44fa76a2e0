import json
import pathlib
import re
import shutil

import pytest

from tinytl_tf.device.opening import open_file
from tinytl_tf.errors import InputError
from tinytl_tf.web import page_resources

ROOT = pathlib.Path(__file__).parents[2]
GOLDEN = ROOT / "golden"
MODEL = ROOT / "tinytl_tf" / "web" / "model"
LARGEST = 200_000  # bytes of the page in the package, without the model


@pytest.fixture(scope="module")
def resources():
    return page_resources(open_file(GOLDEN / "model_int8.tflite"), ())


def test_the_model_comes_first(resources):
    first, general = json.loads(resources["/models.json"].data)
    assert first["name"] == "model_int8"
    assert resources[f"/{first['model']}"].data == (GOLDEN / "model_int8.tflite").read_bytes()
    assert resources[f"/{first['manifest']}"].data == (GOLDEN / "model_int8.manifest.json").read_bytes()
    assert general["name"] == "general"
    assert resources[f"/{general['model']}"].data == (MODEL / "general.tflite").read_bytes()
    assert resources[f"/{general['manifest']}"].data == (MODEL / "general.manifest.json").read_bytes()


def test_without_a_model_there_is_the_general_one():
    resources = page_resources(None, ())
    assert [model["model"] for model in json.loads(resources["/models.json"].data)] == ["general.tflite"]
    assert "/model/model.tflite" not in resources


def test_all_that_the_page_names_is_there(resources):
    html = resources["/"].data.decode()
    named = re.findall(r'(?:src|href)="([^"#]+)"', html)
    assert "app.js" in named
    assert [name for name in named if f"/{name}" not in resources] == []
    assert "/worker.js" in resources
    assert "/sw.js" in resources


def test_the_page_asks_nobody_else(resources):
    """No address of another server in what a browser loads, but names of XML."""
    for path in ("/", "/app.js", "/app.css", "/sw.js", "/app.webmanifest"):
        found = re.findall(r"https?://[^\"'`\s)]+", resources[path].data.decode())
        assert [address for address in found if not address.startswith("http://www.w3.org/")] == [], path


def test_each_content_has_a_tag_of_its_own(resources):
    """A browser that has a file by its tag is not sent another one of the same kind, such as a second model."""
    by_tag = {resource.tag: resource.data for resource in resources.values()}
    assert len(by_tag) > 10
    assert all(by_tag[resource.tag] == resource.data for resource in resources.values())


def test_the_page_is_small(resources):
    own = [name for name in resources if not name.startswith(("/model/", "/general.", "/wasm/"))]
    assert len(own) > 7
    assert sum(len(resources[name].data) for name in own) < LARGEST


def test_a_model_without_its_manifest_is_refused(tmp_path):
    path = shutil.copy(GOLDEN / "model_int8.tflite", tmp_path / "mine.tflite")
    with pytest.raises(InputError, match=r"expected .*mine.manifest.json next to .*mine.tflite.* got none"):
        page_resources(open_file(path, trust=True), ())


@pytest.mark.parametrize("name", ["model_array", "model_regression"])
def test_a_model_of_arrays_is_refused(name):
    with pytest.raises(
        InputError, match=rf"expected a model of photos, got .*{name}\.tflite of float arrays, .*train it with"
    ):
        page_resources(open_file(GOLDEN / f"{name}.tflite"), ())


def test_a_model_that_changes_is_refused(tmp_path):
    for name in ("model_int8.tflite", "model_int8.manifest.json"):
        shutil.copy(GOLDEN / name, tmp_path / name)
    opened = open_file(tmp_path / "model_int8.tflite")
    (tmp_path / "model_int8.tflite").write_bytes((GOLDEN / "model_float32.tflite").read_bytes())
    with pytest.raises(InputError, match="has changed while it was read"):
        page_resources(opened, ())


def test_what_is_served_stays_what_was_opened(tmp_path):
    for name in ("model_int8.tflite", "model_int8.manifest.json"):
        shutil.copy(GOLDEN / name, tmp_path / name)
    resources = page_resources(open_file(tmp_path / "model_int8.tflite"), ())
    for path in tmp_path.iterdir():
        path.write_bytes(b"other")
    assert resources["/model/model.tflite"].data == (GOLDEN / "model_int8.tflite").read_bytes()
    assert resources["/model/model.manifest.json"].data == (GOLDEN / "model_int8.manifest.json").read_bytes()
