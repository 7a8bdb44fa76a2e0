import pytest

from tinytl_tf.schedules import SCHEDULES, constant, cosine, warmed_up


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


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_warm_up_moves_the_schedule_behind_it(schedule):
    rates = [warmed_up(schedule, step, 10, 0.4, 4) for step in range(10)]
    assert rates[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert rates[4:] == [SCHEDULES[schedule](step, 6, 0.4) for step in range(6)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_without_a_warm_up_it_is_the_schedule_alone(schedule):
    rates = [warmed_up(schedule, step, 10, 0.4, 0) for step in range(10)]
    assert rates == [SCHEDULES[schedule](step, 10, 0.4) for step in range(10)]


@pytest.mark.parametrize("warmup", [10, 11, 10**9])
def test_a_warm_up_may_be_longer_than_the_run(warmup):
    assert [warmed_up("cosine", step, 10, 0.4, warmup) for step in (0, 9)] == [0.4 / warmup, 4.0 / warmup]
