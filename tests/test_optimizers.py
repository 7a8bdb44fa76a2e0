import pytest

from tinytl_tf.errors import InputError
from tinytl_tf.optimizers import OPTIMIZERS, get_optimizer


def test_each_is_found_by_its_name():
    assert [get_optimizer(name).name for name in OPTIMIZERS] == ["sgd", "momentum", "adam"]


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError) as error:
        get_optimizer("lion")
    assert str(error.value) == "unknown optimizer 'lion'; choose one of sgd, momentum, adam"
