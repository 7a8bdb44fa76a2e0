"""A network in two parts computes what the whole does."""

import numpy as np
import pytest

from tests import tiny_coral, tiny_network
from tinytl_tf.backbones.split import dequantizing, last_split, split_model, split_places
from tinytl_tf.errors import InputError
from tinytl_tf.networks.schemes import apply_scheme, get_scheme, restrict

PLACES = ["block_0", "block_1", "block_2", "block_3", "head", "classifier"]


@pytest.fixture(scope="module")
def model():
    return tiny_network.build("last")


@pytest.mark.parametrize("place", PLACES)
def test_both_parts_after_each_other_are_the_whole(model, place):
    parts, photos = split_model(model, place), tiny_coral.photos(3).astype(np.float32)
    features = parts.prefix(photos)
    assert features.shape[1:] == parts.feature_shape
    np.testing.assert_allclose(parts.suffix(features), model(photos), rtol=1e-4, atol=1e-5)
    assert {v.path for v in parts.suffix.variables} & {v.path for v in parts.prefix.variables} == set()


def test_a_network_with_branches_is_cut_before_a_branch_and_its_block():
    model = tiny_network.build("tinytl-lb")
    assert split_places(model) == PLACES
    photos = tiny_coral.photos(2).astype(np.float32)
    apply_scheme(model.weights, get_scheme("last"))
    parts = split_model(model, "block_2")
    names = {layer.name for layer in parts.suffix.layers}
    assert {"block_2_lite_residual", "block_2_expand", "block_2_add_shortcut"} <= names
    np.testing.assert_allclose(parts.suffix(parts.prefix(photos)), model(photos), rtol=1e-4, atol=1e-5)


def test_integers_are_scaled_by_the_first_layer(model):
    parts = split_model(model, "block_3")
    features = np.asarray(parts.prefix(tiny_coral.photos(2).astype(np.float32)))
    integers = np.round(features / 0.01) + 5
    suffix = dequantizing(parts.suffix, 0.01, 5)
    np.testing.assert_allclose(suffix(integers), parts.suffix((integers - 5) * 0.01), rtol=1e-4, atol=1e-5)
    assert [v.path for v in suffix.variables] == [v.path for v in parts.suffix.variables]
    assert "block_3_depthwise" in [layer.name for layer in suffix.layers]


def test_a_split_that_leaves_something_to_train_before_it_is_refused():
    model = tiny_coral.build()
    assert split_model(model, "block_3").suffix.trainable_variables == model.trainable_variables
    with pytest.raises(InputError, match="expected nothing to train before 'head', got block_3_expand/norm/beta, "):
        split_model(model, "head")
    with pytest.raises(InputError, match="expected a place .*, one of block_0, .*, classifier, got 'block_9'"):
        split_model(model, "block_9")


@pytest.mark.parametrize(
    ("scheme", "biases", "expected"),
    [
        ("last", (), "classifier"),
        ("tinytl-b", ("head",), "head"),
        ("tinytl-b", ("block_1", "head"), "block_1"),
        ("tinytl-b", (), None),
    ],
)
def test_the_last_place_before_which_nothing_is_trained(model, scheme, biases, expected):
    apply_scheme(model.weights, restrict(get_scheme(scheme), biases=biases))
    assert last_split(model) == expected
    apply_scheme(model.weights, get_scheme("last"))
