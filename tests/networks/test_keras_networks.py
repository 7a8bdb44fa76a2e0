"""The list of networks of Keras Applications against these networks."""

import keras
import pytest

from tinytl_tf.backbones.builder import network_spec
from tinytl_tf.networks.keras_networks import KERAS_NETWORKS
from tinytl_tf.networks.spec import is_of_classifier


@pytest.mark.thorough
@pytest.mark.parametrize("network", KERAS_NETWORKS, ids=lambda network: network.name)
def test_parameters_are_those_of_the_network(network):
    spec = network_spec(network.name, resolution=96, classes=2)
    own = (v for v in spec.variables if v.role != "statistic" and not is_of_classifier(v.path))
    assert sum(variable.size for variable in own) == network.parameters


def test_each_has_a_constructor():
    assert {network.name for network in KERAS_NETWORKS} <= {f"keras:{name}" for name in dir(keras.applications)}
