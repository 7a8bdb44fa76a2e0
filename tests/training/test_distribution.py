import json

import numpy as np
import pytest
import tensorflow as tf

from tinytl_tf.errors import InputError
from tinytl_tf.training import Distribution


def test_one_device_takes_the_batch_as_it_is():
    distribution = Distribution()
    assert (distribution.worker, distribution.workers, distribution.devices, distribution.is_first) == (0, 1, 1, True)
    images = np.zeros([4, 8, 8, 3], np.uint8)
    assert distribution.spread(images) is images
    distribution.require_batch(7)
    distribution.wait()


def test_all_devices_of_a_machine_are_one_here():
    assert Distribution("mirrored").devices == 1


def test_a_batch_that_cannot_be_divided_is_refused(monkeypatch):
    monkeypatch.setattr(Distribution, "devices", 3)
    with pytest.raises(InputError) as error:
        Distribution().require_batch(8)
    assert str(error.value) == (
        "a batch of 8 cannot be divided evenly among 3 devices; choose a config.training.batch_size that can, 9 for "
        "example"
    )


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="^unknown distribution 'ring'; choose one of none, mirrored, workers$"):
        Distribution("ring")


@pytest.mark.parametrize(
    "config",
    [
        None,
        "{",
        json.dumps({"cluster": {"worker": ["a:1"]}}),
        json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}),
        json.dumps({"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}),
        json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}),
    ],
)
def test_workers_need_the_addresses_of_all(monkeypatch, config):
    made = []
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lambda: made.append(1))
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(InputError, match=r'^expected TF_CONFIG=\{"cluster": .* in the environment, got '):
        Distribution("workers")
    assert not made
