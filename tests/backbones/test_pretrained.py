"""The branches that come with the package."""

import pathlib

import numpy as np
import pytest

from tinytl_tf import backbones
from tinytl_tf.backbones import branch_weights, read_branch_card
from tinytl_tf.errors import InputError

MOST_BYTES = 4_000_000
FILES = sorted((pathlib.Path(branch_weights.__file__).parent / "pretrained").iterdir())
NETWORKS = [("efficientnet_lite0", 1.0), ("mobilenet_v2", 1.0)]
WEIGHTS = {"mobilenet_v2": "mobilenet_v2_1.0_224_coral_ptq_dequant.weights.h5", "efficientnet_lite0": "imagenet"}


def test_there_are_those_of_these_networks():
    assert [path.name for path in FILES] == [f"{name}_{width}.npz" for name, width in NETWORKS]
    assert all(path.stat().st_size <= MOST_BYTES for path in FILES)


@pytest.mark.parametrize(("name", "width"), NETWORKS)
def test_the_card_says_where_they_are_from_and_how_good_they_are(name, width):
    card = read_branch_card("pretrained", name, width)
    assert "ImageNet" in card.license
    assert card.source == "tiny_imagenet_60k.npz"
    assert (card.train_images, card.test_images, card.classes) == (60_000, 5_000, 200)
    assert card.test_accuracy > 0.5
    assert card.config["backbone.weights"] == WEIGHTS[name]


@pytest.mark.parametrize(("name", "width"), NETWORKS)
def test_they_are_taken_inside_their_weights_at_any_size(request, name, width):
    weights = WEIGHTS[name]
    if weights != "imagenet":
        weights = str(request.getfixturevalue("shared") / "weights" / weights)
    options = {"classes": 5, "resolution": 64, "width": width, "weights": weights, "lite_residual": True}
    fresh, trained = (backbones.build(name, **options, branch_weights=source) for source in (None, "auto"))
    for variable, other in zip(trained.weights, fresh.weights, strict=True):
        changed = not np.array_equal(variable.numpy(), other.numpy())
        assert changed == ("_lite_residual/" in variable.path), variable.path


@pytest.mark.parametrize(("name", "width"), NETWORKS)
def test_random_weights_do_not_take_them(name, width):
    options = {"classes": 5, "resolution": 64, "width": width, "weights": None, "lite_residual": True}
    model = backbones.build(name, **options, branch_weights="auto")
    assert not any(v.numpy().any() for v in model.weights if v.path.endswith("_lite_residual/pointwise_kernel"))
    with pytest.raises(InputError, match="has branches that were trained inside the weights '.+', and .+ has others"):
        backbones.build(name, **options, branch_weights="pretrained")
