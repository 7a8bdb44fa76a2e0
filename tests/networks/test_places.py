"""The division of a network by its structure alone, against the tables' own."""

import dataclasses

import keras
import pytest

from tinytl_tf.backbones.head import split_head
from tinytl_tf.backbones.keras_reader import KerasReader
from tinytl_tf.memory.resnet50 import resnet50_spec
from tinytl_tf.networks.architectures import ARCHITECTURES
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.places import assign_places
from tinytl_tf.networks.spec import CLASSIFIER, INPUT, LayerSpec
from tinytl_tf.networks.writer import SpecWriter

TABLES = {
    **{name: lambda name=name: from_table(name, resolution=96, classes=4) for name in ARCHITECTURES},
    "odd_size": lambda: from_table("mobilenet_v2", resolution=75, classes=4, width=0.35),
    "resnet50": lambda: resnet50_spec(resolution=96, classes=4),
}


def divided(spec):
    """Places of the layers, of whose own only the classifier's is known."""
    unknown = (layer if layer.place == CLASSIFIER else dataclasses.replace(layer, place="") for layer in spec.layers)
    return assign_places(tuple(unknown))


@pytest.mark.parametrize("name", TABLES)
def test_structure_gives_the_places_of_the_table(name):
    spec = TABLES[name]()
    for mine, own in zip(divided(spec), spec.layers, strict=True):
        assert (mine.name, mine.place) == (own.name, own.place)


@pytest.mark.parametrize(
    ("name", "blocks"), [("MobileNetV3Small", 11), pytest.param("EfficientNetB0", 16, marks=pytest.mark.thorough)]
)
def test_blocks_of_published_networks(name, blocks):
    model = getattr(keras.applications, name)(input_shape=(64, 64, 3), include_top=False, weights=None)
    reader = KerasReader()
    output = reader.read(model, [INPUT])
    places = [layer.place for layer in assign_places(split_head(reader.layers, output, reader.values, 4, 0.2).layers)]
    assert list(dict.fromkeys(places)) == ["stem", *(f"block_{n}" for n in range(blocks)), "head", CLASSIFIER]


def chain(*sizes):
    """A line of convolutions of `(filters, kernel, strides)` with a pool behind each that has a fourth number."""
    writer = SpecWriter((64, 64, 3), rescale=(1 / 255, 0.0))
    for number, (filters, size, strides, *pool) in enumerate(sizes):
        writer.convolve("", filters, size, part=f"conv{number}", strides=strides, activation="relu")
        if pool:
            height, width, _ = writer.last.shape
            writer.add(f"pool{number}", "max_pool", "", (height // 2, width // 2, filters))
    return writer.finish("line", "", 5, 0.2)


def of_convolutions(spec):
    return [layer.place for layer in divided(spec) if layer.kind == "convolution"]


def test_lines_are_cut_where_they_are_smallest_between_downsamplings():
    assert of_convolutions(chain((8, 3, 2), (8, 3, 1), (16, 3, 2), (16, 3, 1), (32, 3, 2))) == [
        "stem",
        "block_0",
        "block_0",
        "block_0",
        "block_1",
    ]


def test_pools_belong_to_the_convolutions_before_them():
    spec = chain((8, 3, 1, "pool"), (16, 3, 1, "pool"), (16, 3, 1, "pool"))
    places = {layer.name: layer.place for layer in divided(spec)}
    for number in range(3):
        assert places[f"_pool{number}".removeprefix("_")] == places[f"_conv{number}"]


def _layer(name, kind, inputs, *shape, **fields):
    return LayerSpec(name, kind, inputs, shape, "", **fields)


def test_attention_and_the_dense_layers_behind_it_are_one_block():
    tokens = (16, 8)
    kernel = TABLES["mobilenet_v2"]().layer("stem").variables
    layers = [
        _layer("patch", "convolution", (INPUT,), 4, 4, 8, kernel_size=(8, 8), variables=kernel),
        _layer("tokens", "reshape", ("patch",), *tokens),
    ]
    for number in range(2):
        entry = layers[-1].name
        layers += [
            _layer(f"attention{number}", "attention", (entry, entry), *tokens, variables=kernel),
            _layer(f"sum{number}a", "add", (entry, f"attention{number}"), *tokens),
            _layer(f"up{number}", "dense", (f"sum{number}a",), *tokens, variables=kernel),
            _layer(f"sum{number}b", "add", (f"sum{number}a", f"up{number}"), *tokens),
        ]
    classifier = dataclasses.replace(_layer("classifier", "dense", ("sum1b",), 4), place=CLASSIFIER)
    places = [layer.place for layer in assign_places([*layers, classifier])]
    assert places == ["stem"] * 2 + ["block_0"] * 4 + ["block_1"] * 4 + [CLASSIFIER]
