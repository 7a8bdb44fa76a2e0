"""Networks of a user's own: heads, preprocessing, names, nested models, and what is refused."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.backbones.keras_models import L, assert_taken_over, chain, images, trained
from tests.backbones.test_builder import assert_close
from tinytl_tf.backbones import same_outputs
from tinytl_tf.backbones.describe import describe
from tinytl_tf.backbones.from_keras import from_keras
from tinytl_tf.errors import InputError, ParityError
from tinytl_tf.networks.schemes import apply_scheme, get_scheme
from tinytl_tf.networks.spec import CLASSIFIER


def body(x, filters=8):
    """A convolution, a norm and an activation."""
    return L.ReLU()(L.BatchNormalization()(L.Conv2D(filters, 3, 2, padding="same")(x)))


def pooled(x, **options):
    return L.GlobalAveragePooling2D(**options)(x)


def model(head, first=None):
    inputs = keras.Input((12, 12, 3))
    x = body((first or L.Rescaling(1 / 255))(inputs))
    return trained(keras.Model(inputs, head(x), name="own"))


def paths(variables):
    return [variable.path for variable in variables]


def mobilenet_v3_head(final=None, flat=True):
    """A convolution that is a classifier, behind the pool and a hidden layer."""

    def head(x):
        x = L.Dropout(0.2)(L.Conv2D(12, 1, activation="hard_silu")(pooled(x, keepdims=True)))
        x = L.Conv2D(4, 1, activation=final, name="Logits")(x)
        return L.Flatten()(x) if flat else x

    return head


# What a model ends with, and what is made of logits.
HEADS = {
    "logits": (lambda x: L.Dense(4)(pooled(x)), None),
    "no_bias": (lambda x: L.Dense(4, use_bias=False)(pooled(x)), None),
    "softmax": (lambda x: L.Dense(4, activation="softmax", name="predictions")(pooled(x)), ops.softmax),
    "sigmoid": (lambda x: L.Dense(4, activation="sigmoid")(pooled(x)), ops.sigmoid),
    "softmax_layer": (lambda x: L.Softmax()(L.Dense(4, name="classifier")(pooled(x))), ops.softmax),
    "softmax_operation": (lambda x: ops.softmax(L.Dense(4)(pooled(x))), ops.softmax),
    "convolution": (mobilenet_v3_head(), None),
    "convolution_with_softmax": (mobilenet_v3_head("softmax"), ops.softmax),
    "convolution_before_softmax": (lambda x: L.Softmax()(mobilenet_v3_head()(x)), ops.softmax),
    "flat_features": (lambda x: L.Dense(4)(L.Flatten()(x)), None),
    "nested": (
        lambda x: keras.Sequential([L.Dense(6, "relu", name="classifier"), L.Dense(4, name="end")], name="top")(
            pooled(x)
        ),
        None,
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_kept_or_replaced(name):
    head, activation = HEADS[name]
    own = model(head)
    network = from_keras(own)
    expected, logits = np.asarray(own(images())), network(images())
    assert_close(np.asarray(activation(logits) if activation else logits), expected.reshape(-1, 4))
    assert paths(network.trainable_variables) == ["classifier/kernel", "classifier/bias"]
    other = from_keras(own, classes=7)
    assert other.output_shape == (None, 7)
    assert [v.path for v in other.weights] == [v.path for v in network.weights]


@pytest.mark.parametrize("head", [lambda x: x, pooled, lambda x: L.GlobalMaxPooling2D()(x)], ids=["map", "mean", "max"])
def test_a_model_without_a_head_gets_one(head):
    own = model(head)
    network = from_keras(own, classes=3)
    features = np.asarray(own(images()))
    features = features.mean((1, 2)) if features.ndim == 4 else features
    kernel, bias = (v.numpy() for v in network.layers[-1].weights)
    assert_close(np.asarray(network(images())), features @ kernel + bias)


def test_features_are_compared_where_a_softmax_hides_differences(monkeypatch):
    """Logits of thousands: the probabilities are 0 and 1 whatever the layers before do."""
    own = model(lambda x: L.Dense(4, activation="softmax")(pooled(x)), first=L.Rescaling(1e4))
    assert np.asarray(own(images())).max() == 1
    read = same_outputs._before_classifier
    monkeypatch.setattr(same_outputs, "_before_classifier", lambda *given: read(*given) * 1.01)
    with pytest.raises(ParityError, match="expected the outputs of the model"):
        from_keras(own)


def test_the_first_layer_that_differs_is_named():
    class Counter(L.Layer):
        """Gives something else at every call."""

        def build(self, shape):
            self.calls = 0

        def call(self, x):
            self.calls += 1
            return x * self.calls

    own = model(lambda x: L.Dense(4)(pooled(Counter(name="counter")(x))))
    with pytest.raises(ParityError, match="from 'stem_counter' on"):
        from_keras(own)


CAFFE = keras.applications.resnet50.preprocess_input
# What a model begins with, and what from_keras is told.
FIRST = {
    "rescaling": (L.Rescaling(1 / 127.5, -1), None),
    "one_for_each_channel": (lambda x: L.Rescaling([0.1, 0.2, 0.3], [1.0, 2.0, 3.0])(x), None),
    "operations": (lambda x: x / 127.5 - 1, None),
    "function": (CAFFE, None),
    "lambda": (lambda x: L.Lambda(lambda t: t / 255)(x), None),
    "normalization": (lambda x: L.Normalization(mean=[120.0, 110, 100], variance=[4e3, 4e3, 5e3])(x), None),
    "resized": (lambda x: L.Rescaling(1 / 255)(L.Resizing(9, 9)(L.CenterCrop(10, 10)(x))), None),
    "augmented": (lambda x: L.Rescaling(1 / 255)(L.RandomFlip()(x)), None),
    "two_ways": (lambda x: L.Concatenate()([L.Rescaling(0.1)(x), L.Rescaling(0.2)(x)]), None),
    "outside": (lambda x: x, CAFFE),
    "outside_as_layer": (lambda x: x, L.Rescaling(1 / 255)),
    "outside_does_nothing": (lambda x: x, keras.applications.efficientnet.preprocess_input),
    "raw": (lambda x: x, "raw"),
}


@pytest.mark.parametrize("name", FIRST)
def test_networks_take_raw_pixels(name):
    first, preprocess = FIRST[name]
    own = model(lambda x: L.Dense(4)(pooled(x)), first=first)
    network = from_keras(own, preprocess_input=preprocess)
    inputs = preprocess(images()) if callable(preprocess) else images()
    assert_close(np.asarray(network(images())), np.asarray(own(inputs, training=False)))
    assert describe(network).layers[0].kind == "rescale"


UNKNOWN = {
    "convolution": lambda x: x,
    "resized": lambda x: L.Resizing(9, 9)(x),
    "augmented": lambda x: L.RandomFlip()(x),
    "norm": lambda x: L.BatchNormalization()(x),
    "one_of_two_ways": lambda x: L.Concatenate()([x, L.Rescaling(0.1)(x)]),
    "own_patches": lambda x: L.Reshape((12, 12, 3))(L.Conv2DTranspose(3, 1)(x)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_pixels_are_asked_about(name):
    with pytest.raises(InputError, match="the preprocessing of pixels before .*; give preprocess_input="):
        from_keras(model(lambda x: L.Dense(4)(pooled(x)), first=UNKNOWN[name]))


def nested():
    inner = keras.Sequential([keras.Input((6, 6, 8)), L.Conv2D(8, 3), L.BatchNormalization(), L.ReLU()])
    outer = keras.Sequential([keras.Input((12, 12, 3)), L.Conv2D(8, 3, 2, padding="same"), inner])
    return chain(outer, L.Conv2D(6, 1))


class Subclass(keras.Model):
    def __init__(self, classes=4):
        super().__init__()
        self.first, self.convolution, self.norm = L.Rescaling(1 / 255), L.Conv2D(8, 3, 2), L.BatchNormalization()
        self.pool, self.end = L.GlobalAveragePooling2D(), L.Dense(classes)

    def call(self, x, training=False):
        x = self.norm(self.convolution(self.first(x)), training=training)
        return self.end(self.pool(ops.relu(x)))


def subclass():
    own = Subclass()
    own(images())
    return trained(own)


def subclass_inside():
    inputs = keras.Input((12, 12, 3))
    return trained(keras.Model(inputs, Subclass()(inputs)))


def sequential():
    own = keras.Sequential(
        [L.Rescaling(1 / 255), L.Conv2D(8, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(4)]
    )
    own(images())
    return trained(own)


def named_input():
    inputs = keras.Input((12, 12, 3), name="photo", dtype="uint8")
    return trained(keras.Model(inputs, [L.Dense(4)(pooled(body(L.Rescaling(1 / 255)(inputs))))]))


def towers():
    def tower(name):
        inputs = keras.Input((12, 12, 3))
        x = L.Dense(6, activation="tanh", name="hidden")(pooled(L.Conv2D(4, 3, name="conv")(inputs)))
        return keras.Model(inputs, x, name=name)

    inputs = keras.Input((12, 12, 3))
    x = L.Rescaling(1 / 255)(inputs)
    return trained(keras.Model(inputs, L.Dense(4)(L.Concatenate()([tower("a")(x), tower("b")(x)]))))


def any_size_inside():
    """As `keras.applications` gives a network of which no input shape is said."""
    inner = keras.Input((None, None, 3))
    base = keras.Model(
        inner, L.Add()([L.ZeroPadding2D(1)(x := body(inner)), L.Conv2D(8, 1, padding="same")(L.ZeroPadding2D(1)(x))])
    )
    return chain(base, L.Conv2D(8, 3))


def names_like_ours():
    names = (
        "image",
        "pool",
        "dropout",
        "normalize",
        "features",
        "classifier",
        "stem",
        "stem_pool",
        "a/b",
        "x_lite_residual",
    )
    layers = [L.Conv2D(4, 1, name=name.replace("/", "_")) for name in names]
    return chain(*layers, L.Dropout(0.1, name="block_0_dropout"), L.Conv2D(4, 1, name="block_7_conv"))


MODELS = (nested, subclass, subclass_inside, sequential, towers, any_size_inside, names_like_ours)


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_kinds_of_models(make, tmp_path):
    network = assert_taken_over(make())
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert paths(loaded.weights) == paths(network.weights)
    assert describe(loaded) == describe(network)
    assert_close(np.asarray(loaded(images())), np.asarray(network(images())))
    from_keras(make(), classes=3)


def test_named_inputs_and_lists_of_outputs():
    own = named_input()
    assert_close(np.asarray(from_keras(own)(images())), np.asarray(keras.tree.flatten(own(images()))[0]))


def test_names_that_a_place_makes_equal_keep_apart():
    network = assert_taken_over(
        chain(L.Conv2D(4, 1, name="c"), L.ReLU(name="stem_r"), L.ReLU(name="r"), L.Conv2D(4, 1))
    )
    assert {"stem_r", "stem_r_2"} <= {layer.name for layer in network.layers}


def test_a_name_like_that_of_a_branch_is_none():
    network = from_keras(chain(L.Conv2D(4, 1), L.Conv2D(4, 1, name="x_lite_residual")))
    assert not any(variable.branch for variable in describe(network).variables)


def test_a_pool_of_the_user_and_one_for_the_new_head():
    assert from_keras(model(L.MaxPooling2D(name="pool")), classes=3).output_shape == (None, 3)


def towers_of(network):
    return [v for v in network.weights if v.path.endswith("hidden/kernel") or "hidden_2/kernel" in v.path]


def test_towers_keep_apart():
    own = towers()
    kernels = [v for v in own.weights if v.path.endswith("hidden/kernel")]
    taken = towers_of(from_keras(own))
    assert len(taken) == 2
    for mine, his in zip(taken, kernels, strict=True):
        np.testing.assert_array_equal(mine, his)


@pytest.fixture(scope="module")
def frozen_base():
    """A network whose base the user froze before, as tutorials do."""
    base = keras.Sequential(
        [keras.Input((12, 12, 3)), L.Conv2D(8, 3, 2), L.BatchNormalization(), L.ReLU()], name="base"
    )
    base.trainable = False
    inputs = keras.Input((12, 12, 3))
    x = L.Conv2DTranspose(4, 1)(base(L.Rescaling(1 / 255)(inputs), training=False))
    own = trained(keras.Model(inputs, L.Dense(4)(pooled(x))))
    return own, from_keras(own)


def test_what_is_trained_follows_the_scheme_and_lasts(frozen_base, tmp_path):
    own, network = frozen_base
    assert paths(network.trainable_variables) == ["classifier/kernel", "classifier/bias"]
    trains = [f"{variable.path}" for variable in apply_scheme(network.weights, get_scheme("tinytl-b")).variables]
    # The bias of a convolution without a norm is one, and so is that of a layer that is called as it is.
    assert [path.rpartition("/")[2] for path in trains] == ["beta", "bias", "kernel", "bias"]
    assert paths(network.trainable_variables) == trains
    network.save(tmp_path / "network.keras")
    for again in (keras.models.load_model(tmp_path / "network.keras"), keras.models.clone_model(network)):
        assert paths(again.trainable_variables) == trains
        again.trainable = False
        assert again.trainable_variables == []
        again.trainable = True
        assert paths(again.trainable_variables) == trains
    assert own.get_layer("base").trainable_variables == []
    assert len(own.trainable_variables) == 4


def test_fit_moves_what_is_trained_and_nothing_else(frozen_base):
    _, network = frozen_base
    trains = paths(apply_scheme(network.weights, get_scheme("tinytl-b")).variables)
    before = {v.path: v.numpy() for v in network.weights}
    network.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    network.fit(images(), np.zeros(2), verbose=0)
    assert [v.path for v in network.weights if not np.array_equal(before[v.path], v)] == trains


def test_branches_go_where_they_fit():
    inputs = keras.Input((16, 16, 3))
    x = body(L.Rescaling(1 / 255)(inputs))
    for _ in range(3):
        x = L.Add()([x, L.Conv2D(8, 3, padding="same")(x)])
    own = trained(keras.Model(inputs, L.Dense(4)(pooled(x))))
    network = from_keras(own, lite_residual=True, branch_final_norm=True)
    assert_close(np.asarray(network(images(size=16))), np.asarray(own(images(size=16))))
    branches = [layer.name for layer in describe(network).layers if layer.kind == "lite_residual"]
    assert branches == ["block_1_lite_residual", "block_2_lite_residual"]
    with pytest.raises(InputError, match="no lite residuals at 'block_0'; its places are block_1, block_2"):
        from_keras(own, lite_residual=["block_0"])


def test_branches_around_bottlenecks_are_lite():
    inputs = keras.Input((16, 16, 3))
    x = L.Conv2D(64, 3, padding="same")(L.Rescaling(1 / 255)(inputs))
    for width in (4, 4, 64):
        x = L.Add()([x, L.Conv2D(64, 1)(L.Conv2D(width, 3, padding="same")(L.Conv2D(width, 1)(x)))])
    network = from_keras(trained(keras.Model(inputs, L.Dense(4)(pooled(x)))), lite_residual=True)
    spec = describe(network)
    sizes = {
        place: [sum(v.size for v in spec.variables if v.place == place and bool(v.branch) == own) for own in (0, 1)]
        for place in ("block_1", "block_2")
    }
    # 25 * 32 + 64 parameters for each channel: as many channels as the block has room for, but 8 at least; all 64.
    assert [spec.layer(f"{place}_lite_residual").option("expand") for place in sizes] == [8 / 64, None]
    assert [own for _, own in sizes.values()] == [8 * 864 + 16, 64 * 864 + 128]
    assert network.get_layer("block_1_lite_residual").count_params() == 8 * 864 + 16


def _of(inputs, outputs):
    return lambda: keras.Model(inputs, outputs)


def _two_inputs():
    inputs = [keras.Input((8,)), keras.Input((8,))]
    return keras.Model(inputs, L.Dense(3)(L.Concatenate()(inputs)))


def _any_size():
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, L.Dense(3)(pooled(L.Conv2D(4, 3)(inputs))))


def _words():
    inputs = keras.Input((6,), dtype="int32")
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(L.Embedding(9, 4)(inputs))))


class Overridden(keras.Model):
    def call(self, x, training=None, mask=None):
        return 2 * super().call(x)


def _overridden():
    own = chain(L.Conv2D(4, 3))
    return Overridden(own.inputs, own.outputs)


def _nothing():
    inputs = keras.Input((12, 12, 3))
    return keras.Model(inputs, inputs)


REFUSED = {
    "no_model": (lambda: L.Dense(3), {}, "expected a keras.Model, got Dense"),
    "two_inputs": (_two_inputs, {}, "got 2 inputs and 1 outputs; give keras.Model"),
    "any_size": (_any_size, {}, "fixed size, got .*; build the model with input_shape="),
    "words": (_words, {}, "images or of float32, got int32 .*; give the model from the first layer"),
    "sequential_not_built": (
        lambda: keras.Sequential([L.Dense(3)]),
        {},
        "that is built, got .*; begin it with keras.Input",
    ),
    "subclass_not_built": (Subclass, {}, "that is built, got Subclass; call it once"),
    "overridden": (_overridden, {}, r"the same as its layers, got Overridden with another call; give keras"),
    "network": (lambda: from_keras(chain(L.Conv2D(4, 3))), {}, "which is a network already"),
    "nothing": (_nothing, {"classes": 3}, "layers before the classifier, got none"),
    "no_head": (lambda: model(lambda x: x), {}, "ends with a Dense layer .* got activation .*; give classes="),
    "tokens": (
        lambda: model(lambda x: L.Reshape((-1, 8))(x)),
        {"classes": 3},
        "before the classifier, got .* add a pooling",
    ),
    "one_class": (
        lambda: chain(head=L.Dense(1, activation="sigmoid", name="risk")),
        {},
        "at least 2 classes, got 1 of 'risk' with a sigmoid; give classes=",
    ),
    "softmax_of_a_pool": (
        lambda: model(lambda x: L.Softmax(name="end")(pooled(x))),
        {"classes": 3},
        r"got activation 'end' at its end; give keras.Model\(inputs, features\)",
    ),
    "classes": (lambda: chain(L.Conv2D(4, 3)), {"classes": 0}, "classes must be an integer above 0, .* got 0"),
    "classes_as_word": (
        lambda: chain(L.Conv2D(4, 3)),
        {"classes": "5"},
        "classes must be an integer above 0, .* got '5'",
    ),
    "dropout": (lambda: chain(L.Conv2D(4, 3)), {"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
    "branch_as_word": (
        lambda: chain(L.Conv2D(4, 3)),
        {"lite_residual": "block_1"},
        "names of places, or a mapping of places and settings, got 'block_1'",
    ),
    "examples": (
        lambda: chain(L.Conv2D(4, 3)),
        {"examples": np.zeros((2, 8, 8, 3))},
        r"\(n, 12, 12, 3\), got \(2, 8, 8, 3\)",
    ),
    "preprocess_as_word": (lambda: chain(L.Conv2D(4, 3)), {"preprocess_input": "tf"}, "a function or 'raw', got 'tf'"),
    "preprocess_in_numpy": (
        lambda: chain(L.Conv2D(4, 3)),
        {"preprocess_input": lambda x: np.asarray(x) / 255},
        "operations of Keras, got .*; write it with keras.ops",
    ),
    "preprocess_resizes": (
        lambda: chain(L.Conv2D(4, 3)),
        {"preprocess_input": lambda x: ops.image.resize(x, (8, 8))},
        r"the model's input, \(None, 12, 12, 3\), got \(None, 8, 8, 3\); leave",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_taken_over(name):
    make, arguments, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        from_keras(make(), **arguments)


def test_the_classifier_is_the_last_layer_whatever_its_name():
    network = from_keras(model(lambda x: L.Dense(4, name="my_head")(L.Dense(5, name="classifier_1")(pooled(x)))))
    assert describe(network).layers[-1].name == CLASSIFIER
    assert describe(network).layers[-1].inputs[0].endswith("classifier_1")


def test_a_head_of_one_number_is_kept_for_a_regression():
    assert from_keras(chain(L.Conv2D(4, 3), head=L.Dense(1, name="age"))).output_shape == (None, 1)


def test_layers_without_names_have_the_same_paths_in_each_process():
    """Keras numbers them through the process: a second model of the same code stands for another process."""

    def make():
        return chain(L.Conv2D(4, 3), L.BatchNormalization(), L.Conv2D(4, 3, activation="relu"), L.Dense(6), L.PReLU())

    first, second = from_keras(make()), from_keras(make())
    assert [v.path for v in first.weights] == [v.path for v in second.weights]
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]
    assert first.name == second.name


def test_dropout_before_the_old_head_goes_with_it():
    network = from_keras(chain(L.Conv2D(4, 3), head=lambda x: L.Dense(4)(L.Dropout(0.7)(x))), classes=3, dropout=0.1)
    assert [layer.rate for layer in network.layers if isinstance(layer, L.Dropout)] == [0.1]


@pytest.mark.parametrize(("activation", "told"), [("sigmoid", True), ("softmax", False), (None, False)])
def test_a_sigmoid_is_told(activation, told, caplog):
    from_keras(chain(L.Conv2D(4, 3), head=L.Dense(4, activation=activation)))
    assert ('export it with task="multilabel"' in caplog.text) == told
