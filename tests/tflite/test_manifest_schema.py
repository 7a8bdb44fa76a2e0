"""`docs/manifest.schema.json` describes what the exporter writes: its fields, and a manifest of each kind of file."""

import copy
import dataclasses
import json
import pathlib
import re
import types
import typing

import pytest

from tests import tiny_network
from tinytl_tf.export.exporter import export
from tinytl_tf.export.manifest import TOLERANCES
from tinytl_tf.optimizers import OPTIMIZERS, STEP
from tinytl_tf.profiles import FROZEN_WEIGHTS, PROFILES
from tinytl_tf.tasks import TASKS
from tinytl_tf.tflite.inputs import INPUTS
from tinytl_tf.tflite.manifest import CONTRACTS, FORMAT_VERSION, OPTIONAL, Manifest

SCHEMA = json.loads((pathlib.Path(__file__).parents[2] / "docs" / "manifest.schema.json").read_text())
GOLDEN = pathlib.Path(__file__).parents[2] / "golden"
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
KEYWORDS = {"$schema", "title", "description", "type", "properties", "required", "additionalProperties", "items"} | {
    "minItems", "maxItems", "uniqueItems", "minLength", "pattern", "enum", "const"
} | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}  # fmt: skip


def problems(value, schema, where="manifest"):
    """The part of JSON Schema that the file uses; no package for it is among the dependencies."""
    assert set(schema) <= KEYWORDS, f"{where} uses a keyword that this test does not check"
    expected = TYPES.get(schema.get("type"), object)
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        yield f"{where}: {value!r} is no {schema['type']}"
        return
    checks = {
        "enum": lambda limit: value in limit,
        "const": lambda limit: value == limit,
        "pattern": lambda limit: re.search(limit, value),
        "minLength": lambda limit: len(value) >= limit,
        "minItems": lambda limit: len(value) >= limit,
        "maxItems": lambda limit: len(value) <= limit,
        "uniqueItems": lambda limit: len(set(value)) == len(value),
        "minimum": lambda limit: value >= limit,
        "maximum": lambda limit: value <= limit,
        "exclusiveMinimum": lambda limit: value > limit,
        "exclusiveMaximum": lambda limit: value < limit,
    }
    yield from (
        f"{where}: {value!r} breaks {name}" for name in checks if name in schema and not checks[name](schema[name])
    )
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from problems(item, schema["items"], f"{where}[{index}]")
    if isinstance(value, dict):
        yield from (f"{where} lacks {name}" for name in schema.get("required", ()) if name not in value)
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            if inner is False:
                yield f"{where} has the unknown {name}"
            else:
                yield from problems(item, inner, f"{where}.{name}")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """What the exporter wrote."""
    path = tmp_path_factory.mktemp("schema") / "m.tflite"
    labels = list(tiny_network.LABELS)
    export(tiny_network.build("last"), path, labels=labels, optimizer="adam", batch_size=1, save_optimizer=True)
    return json.loads(path.with_suffix(".manifest.json").read_text())


def test_an_exported_file_is_as_the_schema_says(exported):
    assert list(problems(exported, SCHEMA)) == []
    assert len(exported["frozen_sha256"]) == 64
    assert list(problems({**exported, "frozen_sha256": "0"}, SCHEMA)) == ["manifest.frozen_sha256: '0' breaks pattern"]
    slots = [entry["slot"] for entry in exported["state"]]
    assert slots == ["", ""] + ["first_moment", "second_moment"] * 2 + ["step"]


@pytest.mark.parametrize("kind", ["array", "regression"])
def test_a_file_of_arrays_is_as_the_schema_says(kind):
    manifest = json.loads((GOLDEN / f"model_{kind}.manifest.json").read_text())
    assert list(problems(manifest, SCHEMA)) == []
    manifest["inputs"]["array"]["dtype"] = "float64"
    assert list(problems(manifest, SCHEMA)) == ["manifest.inputs.array.dtype: 'float64' breaks enum"]


@pytest.mark.parametrize("frozen_weights", TOLERANCES)
def test_tolerances_are_as_the_schema_says(exported, frozen_weights):
    assert list(problems(exported | {"tolerances": TOLERANCES[frozen_weights]}, SCHEMA)) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda m: m.pop("sha256"), "manifest lacks sha256"),
        (lambda m: m.update(mood="good"), "manifest has the unknown mood"),
        (lambda m: m.update(xnnpack=1), "manifest.xnnpack: 1 is no boolean"),
        (lambda m: m.update(batch_size=True), "manifest.batch_size: True is no integer"),
        (lambda m: m["input"].update(central_fraction=0), "manifest.input.central_fraction: 0 breaks exclusiveMinimum"),
        (lambda m: m["state"][0].pop("slot"), "manifest.state[0] lacks slot"),
        (
            lambda m: m["signatures"]["train"]["outputs"]["loss"].update(shape=[]),
            "manifest.signatures.train.outputs.loss.shape: [] breaks minItems",
        ),
    ],
)
def test_what_is_otherwise_is_seen(exported, change, problem):
    manifest = copy.deepcopy(exported)
    change(manifest)
    assert list(problems(manifest, SCHEMA)) == [problem]


def test_the_schema_has_the_fields_of_the_types():
    compare(Manifest, SCHEMA)


def compare(kind, schema):
    fields = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    assert list(schema["properties"]) == names
    assert schema["required"] == [name for name in names if name not in OPTIONAL]
    for name, inner in fields.items():
        part = schema["properties"][name]
        if typing.get_origin(inner) is tuple:
            part, inner = part["items"], typing.get_args(inner)[0]
        elif typing.get_origin(inner) is dict and dataclasses.is_dataclass(typing.get_args(inner)[1]):
            part, inner = part["additionalProperties"], typing.get_args(inner)[1]
        elif typing.get_origin(inner) is types.UnionType:
            inner = typing.get_args(inner)[0]
        if dataclasses.is_dataclass(inner):
            compare(inner, part)


def test_the_schema_knows_every_name_of_the_tables():
    properties = SCHEMA["properties"]
    tables = {"task": TASKS, "optimizer": OPTIMIZERS, "profile": PROFILES, "frozen_weights": FROZEN_WEIGHTS}
    assert {name: properties[name]["enum"] for name in tables} == {name: list(table) for name, table in tables.items()}
    slots = [slot for optimizer in OPTIMIZERS.values() for slot in optimizer.slots]
    assert properties["state"]["items"]["properties"]["slot"]["enum"] == ["", *slots, STEP]
    assert properties["contract"]["enum"] == list(CONTRACTS)
    facts = properties["inputs"]["additionalProperties"]["properties"]
    assert facts["dtype"]["enum"] == list(INPUTS.values())
    assert properties["format_version"]["const"] == FORMAT_VERSION
