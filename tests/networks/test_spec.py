"""What a description says of a network: features, borders of places, readers."""

import dataclasses

from tinytl_tf.networks.branches import branch_places, with_branches
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.spec import INPUT, LayerSpec


def mobile_net():
    return from_table("mobilenet_v2", resolution=64, classes=5)


def with_skip(spec, source, target):
    """The network with an output that is added to a later one, past the borders between them."""
    shape = spec.shape(target)
    skip = LayerSpec("skip", "add", (target, source), shape, spec.layer(target).place)
    layers = [
        dataclasses.replace(layer, inputs=tuple("skip" if name == target else name for name in layer.inputs))
        for layer in spec.layers
    ]
    at = next(number for number, layer in enumerate(layers) if layer.name == target)
    return dataclasses.replace(spec, layers=(*layers[: at + 1], skip, *layers[at + 1 :]))


def test_features_are_what_dropout_and_classifier_take():
    assert (mobile_net().features, mobile_net().layers[-1].inputs) == ("pool", ("dropout",))


def test_a_border_is_where_one_tensor_carries_everything():
    spec = mobile_net()
    assert [spec.boundary(name) for name in ("stem", "block_0", "classifier")] == [None, "stem_activation", "pool"]
    bridged = with_skip(spec, "block_4_project", "block_5_project")
    assert bridged.boundary("block_5") is None
    assert bridged.boundary("block_6") == "block_5_add_shortcut"


def test_branches_do_not_move_the_borders_of_places():
    spec = mobile_net()
    whole = with_branches(spec, branch_places(spec))
    assert [whole.place(name) for name in whole.places] == [spec.place(name) for name in spec.places]
    assert whole.boundary("block_3") == "block_2_add_shortcut"


def test_readers_and_shapes():
    spec = mobile_net()
    assert [layer.name for layer in spec.readers("block_1_project")] == ["block_2_expand", "block_2_add_shortcut"]
    assert (spec.readers("classifier"), spec.shape(INPUT)) == ((), (64, 64, 3))
