import io

import pytest

from tinytl_tf.progress import Progress


class Stream(io.StringIO):
    def __init__(self, is_terminal):
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self):
        return self._is_terminal


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("is_terminal", [True, False])
def test_shows_count_time_and_eta(is_terminal):
    stream, clock = Stream(is_terminal), Clock()
    with Progress(total=200, label="train", stream=stream, clock=clock) as progress:
        progress.advance("loss 1", steps=50)
        assert stream.getvalue() == "", "no showing at once"
        clock.now += 1250.0
        progress.advance("loss 2", steps=50)
        shown = "train 100/200, 20:50 passed, ETA 20:50 loss 2"
        assert stream.getvalue() == (f"\r\x1b[K{shown}" if is_terminal else f"{shown}\n")
        clock.now += 2750.0
        progress.message("epoch 1/1: loss 2")
    clear = "\r\x1b[K" if is_terminal else ""
    assert stream.getvalue().endswith(f"{clear}epoch 1/1: loss 2 [100/200, 1:06:40 passed, ETA 1:06:40]\n{clear}")


def test_updates_are_rare():
    for is_terminal, lines in ((True, 50), (False, 1)):
        stream, clock = Stream(is_terminal), Clock()
        with Progress(total=1000, label="train", stream=stream, clock=clock) as progress:
            for _ in range(1000):
                clock.now += 0.015625
                progress.advance()
        assert 0 < stream.getvalue().count("train") <= 1.6 * lines
