"""What `MicroAccount` says is what a trained network takes, of which an untrained one is no measure."""

import numpy as np
import pytest

from tests.training.tiny import CLASSES, SIDE
from tinytl_tf.export.build import build_micro_file
from tinytl_tf.export.exporter import with_labels
from tinytl_tf.export.micro_module import MicroModule
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.planning import MicroAccount, Plan
from tinytl_tf.training import Experiment

pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")


def make_model(tiniest):
    """The classifier alone trains; its bias is zero."""
    model, _ = Experiment(Plan(SIDE, frozenset()).configure(tiniest)).build_model(len(CLASSES))
    assert not model.get_layer("classifier").bias.numpy().any()
    return model


def exported(model):
    module = MicroModule(model, model.trainable_variables, optimizer=get_optimizer("sgd"))
    return with_labels(build_micro_file(module)[0], "classification", CLASSES)


@pytest.mark.thorough
def test_it_is_that_of_any_trained_network(tiniest):
    account = MicroAccount()
    promised = account.plan(account.build(make_model(tiniest), Experiment(tiniest).load_data().train))
    model = make_model(tiniest)
    untrained = account.plan(exported(model))
    for variable in model.trainable_variables:
        variable.assign(np.random.default_rng(7).uniform(1, 2, variable.shape))
    assert account.plan(exported(model)) == promised
    # A variable that starts at zero needs no first value: no operators for it.
    assert untrained["flash"]["file"] < promised["flash"]["file"]
    assert untrained["arena"]["records"] < promised["arena"]["records"]
    assert untrained["arena"]["variables"] == promised["arena"]["variables"]
