import numpy as np
import pytest

from tinytl_tf.data.random_stream import RandomStream

BITS = 2**64
GAMMA = 0x9E3779B97F4A7C15


def mix(value):
    """As docs/formats.md has it."""
    z = (value + GAMMA) % BITS
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % BITS
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % BITS
    return z ^ (z >> 31)


def draws(*names):
    key = 0
    for name in names:
        key = mix(key ^ name)
    while True:
        yield (mix(key) >> 11) / 2**53
        key = (key + GAMMA) % BITS


@pytest.mark.parametrize("names", [(), (0,), (0, 0), (0, 1, 2), (2**53 - 1, 7), (5, 0, 1, 3)])
def test_numbers_are_those_of_the_document(names):
    stream, expected = RandomStream(*names), draws(*names)
    for _ in range(5):
        assert stream.unit() == next(expected)
        assert stream.uniform(-0.4, 1.5) == -0.4 + (1.5 - -0.4) * next(expected)
        assert stream.integer(1000) == int(1000 * next(expected))
        order = list(range(7))
        for last in range(6, 0, -1):
            other = int((last + 1) * next(expected))
            order[last], order[other] = order[other], order[last]
        assert stream.permutation(7) == order


def test_the_reference_sequence_of_splitmix64():
    """The numbers that the generator's authors give for the seed 1234567."""
    state = 1234567
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    for value in expected:
        assert mix(state) == value
        state = (state + GAMMA) % BITS


def test_streams_of_other_names_differ():
    streams = [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 0), (0, 1, 1), (0, 1, 1, 1)]
    assert len({RandomStream(*names).unit() for names in streams}) == len(streams)


def test_small_permutations():
    assert RandomStream(0).permutation(0) == []
    assert RandomStream(0).permutation(1) == [0]


def test_numbers_are_uniform():
    stream = RandomStream(3)
    units = np.array([stream.unit() for _ in range(20_000)])
    assert np.histogram(units, 10, (0, 1))[0] == pytest.approx(2000, abs=180)
    orders = np.array([RandomStream(9, number).permutation(4) for number in range(4000)])
    for place in range(4):
        assert np.bincount(orders[:, place]) == pytest.approx(1000, abs=110)
