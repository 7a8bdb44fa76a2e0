"""Models that a file could not stand for are refused before any work, in one line."""

import keras
import numpy as np
import pytest

from tests import tiny_network
from tinytl_tf import layers
from tinytl_tf.errors import InputError
from tinytl_tf.export.contract import check_labels, check_model, scheme_of
from tinytl_tf.networks.schemes import SCHEMES, apply_scheme, get_scheme, restrict

SIZE = (8, 8, 3)


def head(x, **options):
    return keras.layers.Dense(**{"units": 3, "name": "classifier", **options})(keras.layers.GlobalAveragePooling2D()(x))


def scaled(shape=SIZE):
    images = keras.Input(shape)
    return images, keras.layers.Rescaling(1 / 255)(images)


def plain(**options):
    images, x = scaled()
    return keras.Model(images, head(x, **options))


def softmax_layer():
    images, x = scaled()
    return keras.Model(images, keras.layers.Softmax()(head(x)))


def scaled_outside():
    images = keras.Input(SIZE)
    return keras.Model(images, head(keras.layers.Conv2D(4, 3)(images)))


def two_outputs():
    images, x = scaled()
    return keras.Model(images, [head(x), head(x, name="other")])


def of_shape(shape):
    images, x = scaled(shape)
    return keras.Model(images, head(x))


def per_pixel():
    images, x = scaled()
    return keras.Model(images, keras.layers.Dense(3, name="classifier")(x))


def two_towers():
    """Layers of two nested models with the same names: their variables have the same paths."""
    images, x = scaled()

    def tower(name):
        inner = keras.Input(SIZE)
        return keras.Model(inner, keras.layers.Conv2D(4, 3, name="conv")(inner), name=name)

    return keras.Model(images, head(keras.layers.Concatenate()([tower("a")(x), tower("b")(x)])))


def half():
    images, x = scaled()
    return keras.Model(images, head(keras.layers.Conv2D(4, 3, dtype="mixed_float16")(x)))


MODELS = {
    "sequential": (
        lambda: keras.Sequential([keras.Input(SIZE), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]),
        "expected a functional keras.Model, got keras.Sequential; ",
    ),
    "a layer": (lambda: keras.layers.Dense(3), "expected a functional keras.Model, got Dense; "),
    "softmax as the activation": (
        lambda: plain(activation="softmax"),
        "expected a classifier without an activation, got softmax: ",
    ),
    "softmax as a layer": (
        softmax_layer,
        "expected the model to end with a Dense layer called 'classifier', got Softmax",
    ),
    "another name": (
        lambda: plain(name="head"),
        "expected the model to end with a Dense layer called 'classifier', got Dense 'head'",
    ),
    "pixels scaled outside": (
        scaled_outside,
        "expected a Rescaling of pixels of 0 to 255 as the first layer, got Conv2D ",
    ),
    "two outputs": (two_outputs, "expected a model of one input and one output, got 1 inputs and 2 outputs; "),
    "unknown size": (
        lambda: of_shape((None, None, 3)),
        "expected images (None, height, width, 3) of a fixed size as the input, got (None, None, None, 3); ",
    ),
    "one channel": (
        lambda: of_shape((8, 8, 1)),
        "expected images (None, height, width, 3) of a fixed size as the input, got (None, 8, 8, 1); ",
    ),
    "one class": (
        lambda: plain(units=1),
        "expected logits (None, classes) of 2 classes or more as the output, got (None, 1); ",
    ),
    "an answer for each pixel": (
        per_pixel,
        "expected logits (None, classes) of 2 classes or more as the output, got (None, 8, 8, 3); ",
    ),
    "two towers of equal names": (
        two_towers,
        "expected variables of different paths, got 'conv/kernel' twice: states and manifests identify variables by ",
    ),
    "half precision": (half, "expected layers in float32, got mixed_float16; "),
}


@pytest.mark.parametrize(("build", "message"), MODELS.values(), ids=MODELS)
def test_models_outside_the_contract(build, message):
    with pytest.raises(InputError) as error:
        check_model(build())
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_the_networks_of_the_package_fit():
    check_model(tiny_network.build("tinytl-lb"))


@pytest.mark.parametrize("name", SCHEMES)
def test_the_scheme_is_taken_from_what_is_trained(name):
    assert scheme_of(tiny_network.build(name)) == name


def test_a_restricted_scheme_has_its_name():
    model = tiny_network.build("tinytl-lb")
    blocks = sorted(
        {path.partition("_lite")[0] for path in (v.path for v in model.weights) if "_lite_residual/" in path}
    )
    apply_scheme(model.weights, restrict(get_scheme("tinytl-lb"), biases=["head"], lite_residuals=blocks[:1]))
    assert scheme_of(model) == "tinytl-lb"


def test_what_no_scheme_trains_is_custom():
    model = tiny_network.build("last")
    next(v for v in model.weights if v.path.startswith("stem/") and v.path.endswith("/gamma")).trainable = True
    assert scheme_of(model) == "custom"


@pytest.mark.parametrize(("trained", "scheme"), [(("conv(1", "other"), "tinytl-b"), (("conv(1",), "custom")])
def test_a_layer_may_have_any_name(trained, scheme):
    images, x = scaled()
    for name in ("conv(1", "other"):
        x = layers.FrozenConv2D(8, 3, train=["norm/beta"] if name in trained else [], name=name)(x)
    model = keras.Model(images, head(x))
    assert scheme_of(model) == scheme


@pytest.mark.parametrize("keep", [(), ("/beta",)])
def test_a_classifier_that_is_not_trained_is_refused(keep):
    model = tiny_network.build("tinytl-b")
    for variable in model.weights:
        variable.trainable = variable.path.endswith(keep) if keep else False
    with pytest.raises(InputError, match="apply an update scheme first$"):
        scheme_of(model)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], "expected the name of a class, got 0, which is not a str; give the class another name"),
        (["a", " "], "expected the name of a class, got ' ', which is invisible; give the class another name"),
        (
            ["a", "b\n"],
            "expected the name of a class, got 'b\\n', which has the control character or line separator U+000A; give "
            "the class another name",
        ),
        (["\u00e9", "e\u0301"], "expected labels that differ, got '\u00e9' twice; give each class a name of its own"),
        (["a"], "expected 2 labels, one for each output of the model, got 1"),
        ("ab", "expected 2 labels, one for each output of the model, got 'ab'"),
        (np.array(["a", "b"]), "expected 2 labels, one for each output of the model, got array("),
    ],
)
def test_labels_that_are_no_names(labels, message):
    with pytest.raises(InputError) as error:
        check_labels(labels, 2)
    assert str(error.value).startswith(message)


def test_labels_are_normalized():
    assert check_labels(["e\u0301", "b"], 2) == ("\u00e9", "b")
