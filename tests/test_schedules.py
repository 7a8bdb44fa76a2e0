import pytest

from tinytl_tf.schedules import SCHEDULES, constant, cosine


def test_cosine_falls_from_base_towards_zero():
    assert cosine(0, 100, 0.1) == 0.1
    assert cosine(50, 100, 0.1) == pytest.approx(0.05)
    assert cosine(25, 100, 0.1) == pytest.approx(0.05 * (1 + 0.5**0.5))
    rates = [cosine(step, 7, 1.0) for step in range(7)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] > 0.0
    assert cosine(7, 7, 1.0) == 0.0


def test_constant_stays():
    assert {constant(step, 10, 0.3) for step in range(10)} == {0.3}


def test_names():
    assert {"cosine": cosine, "constant": constant} == SCHEDULES
