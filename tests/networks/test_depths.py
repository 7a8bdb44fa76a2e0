"""A classifier that reads several depths, as a description."""

import pytest

from tinytl_tf.errors import InputError
from tinytl_tf.networks.depths import depth_places, with_depths
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.late import late_places


@pytest.fixture(scope="module")
def spec():
    return from_table("mobilenet_v2", resolution=96, classes=7)


def test_the_classifier_takes_the_features_and_the_pooled_outputs(spec):
    several = with_depths(spec, ["block_12", "block_2"])
    joined = several.layer("depths")
    assert joined.inputs == ("pool", "depths_block_2", "depths_block_12")
    assert [several.layer(name).inputs for name in joined.inputs[1:]] == [
        ("block_2_add_shortcut",),
        ("block_12_add_shortcut",),
    ]
    assert several.features == "depths"
    assert [several.shape(name) for name in (*joined.inputs, "depths", "dropout")] == [
        *((1280,), (24,), (96,)),
        *((1400,), (1400,)),
    ]
    assert several.layer("classifier").role("kernel")[0].shape == (1400, 7)
    assert [v for v in several.variables if v.path != "classifier/kernel"] == [
        v for v in spec.variables if v.path != "classifier/kernel"
    ]


def test_the_places_are_those_of_before(spec):
    several = with_depths(spec, "late")
    assert several.places == spec.places
    assert several.boundary("classifier") == "depths"
    for place in spec.places:
        assert several.place(place) == spec.place(place)


@pytest.mark.parametrize("late", ["late", ("late",), ["late"]])
def test_late_places_are_all_but_the_last(spec, late):
    assert depth_places(spec, late) == late_places(spec)[:-1]


@pytest.mark.parametrize("places", [(), ""])
def test_without_places_the_network_is_the_same(spec, places):
    assert with_depths(spec, places) is spec


@pytest.mark.parametrize("name", ["head", "block_17", "lates"])
def test_a_place_that_has_no_features_before_the_last_is_named(spec, name):
    with pytest.raises(InputError) as error:
        with_depths(spec, ["block_2", name])
    assert str(error.value).startswith(
        f"the network has no features before its last ones at {name!r}; its places are stem, block_0, "
    )
    assert str(error.value).endswith("block_16")
