import keras

from tinytl_tf.training import make_optimizer


def test_they_are_those_of_the_table():
    assert isinstance(make_optimizer("adam"), keras.optimizers.Adam)
    assert [make_optimizer(name).momentum for name in ("sgd", "momentum")] == [0.0, 0.9]


def test_the_constants_are_the_defaults_of_keras():
    adam, default = make_optimizer("adam"), keras.optimizers.Adam()
    assert all(getattr(adam, name) == getattr(default, name) for name in ("beta_1", "beta_2", "epsilon"))


def test_each_call_gives_a_new_one():
    assert make_optimizer("adam") is not make_optimizer("adam")
