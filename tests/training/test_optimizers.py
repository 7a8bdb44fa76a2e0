import keras
import pytest

from tinytl_tf.errors import InputError
from tinytl_tf.training import OPTIMIZERS, get_optimizer


def test_names():
    assert list(OPTIMIZERS) == ["sgd", "momentum", "adam"]
    assert isinstance(get_optimizer("adam"), keras.optimizers.Adam)
    assert [get_optimizer(name).momentum for name in ("sgd", "momentum")] == [0.0, 0.9]


def test_each_call_gives_a_new_one():
    assert get_optimizer("adam") is not get_optimizer("adam")


def test_an_unknown_name_is_told():
    with pytest.raises(InputError) as error:
        get_optimizer("lion")
    assert str(error.value) == "unknown optimizer 'lion'; choose one of sgd, momentum, adam"
