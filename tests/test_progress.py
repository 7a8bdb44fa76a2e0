import fcntl
import io
import os
import pty
import struct
import termios
import unicodedata

import pytest

from tinytl_tf.progress import Progress, clear_progress


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


COLUMNS = 40


@pytest.fixture
def terminal():
    """A terminal of 40 columns: a stream to write to, and a function that returns the text that was written."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))

    def read():
        os.write(its, b"\0")  # a terminal passes text on in its own time; this comes last
        text = b""
        while not text.endswith(b"\0"):
            text += os.read(ours, 65536)
        return text[:-1].decode().replace("\r\n", "\n")

    with os.fdopen(its, "w", encoding="utf-8") as stream:
        yield stream, read
    os.close(ours)


def screen(text):
    """The lines that a terminal of 40 columns shows after `text`; a wide letter is followed by an empty cell."""
    lines, column = [[]], 0
    while text:
        letter, text = text[0], text[1:]
        if letter in "\r\n":
            column = 0
            if letter == "\n":
                lines.append([])
        elif letter == "\x1b":
            assert text.startswith("[K")
            lines[-1], text = lines[-1][:column], text[2:]
        else:
            cells = [letter, ""] if unicodedata.east_asian_width(letter) == "W" else [letter]
            if column + len(cells) > COLUMNS:
                lines.append([])
                column = 0
            lines[-1][column : column + len(cells)] = cells
            column += len(cells)
    return ["".join(line) for line in lines]


@pytest.mark.parametrize("label", ["train", "reading a folder with quite a long name", "\u82b1" * 60, "\u82b1a" * 30])
def test_the_line_never_wraps(terminal, label):
    stream, read = terminal
    clock, shown = Clock(), ""
    with Progress(total=9, label=label, stream=stream, clock=clock) as progress:
        for _ in range(3):
            clock.now += 1.0
            progress.advance("epoch 1/5 loss 0.1234")
            shown += read()
            (line,) = screen(shown)
            assert COLUMNS - 3 < sum(2 if letter == "\u82b1" else 1 for letter in line) < COLUMNS
            assert f"{label} ".startswith(line[: len(label) + 1])
        progress.message("done")
    assert screen(shown + read()) == ["done [3/9, 0:03 passed, ETA 0:06]", ""]


def test_a_short_line_is_not_cut(terminal):
    stream, read = terminal
    clock = Clock()
    with Progress(total=9, label="test", stream=stream, clock=clock) as progress:
        clock.now += 1.0
        progress.advance()
        assert screen(read()) == ["test 1/9, 0:01 passed, ETA 0:08"]


def test_marks_on_a_letter_take_no_column(terminal):
    stream, read = terminal
    clock = Clock()
    with Progress(total=9, label="e\u0301" * 60, stream=stream, clock=clock) as progress:
        clock.now += 1.0
        progress.advance()
        assert read() == "\r\x1b[K" + "e\u0301" * (COLUMNS - 1)


@pytest.mark.parametrize("columns", [0, COLUMNS])
def test_without_the_width_of_the_stream_it_is_that_of_the_environment(terminal, monkeypatch, columns):
    stream, clock = Stream(True), Clock()
    if columns == 0:  # as of a terminal that nobody has told its size
        stream, _ = terminal
        fcntl.ioctl(stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    monkeypatch.setenv("COLUMNS", "20")
    with Progress(total=9, label="a" * 60, stream=stream, clock=clock) as progress:
        clock.now += 1.0
        progress.advance()
        assert (terminal[1]() if columns == 0 else stream.getvalue()) == "\r\x1b[K" + "a" * 19


def test_a_file_gets_the_whole_line(tmp_path):
    clock = Clock()
    with (tmp_path / "log").open("w") as stream, Progress(9, "a" * 300, stream=stream, clock=clock) as progress:
        clock.now += 10.0
        progress.advance()
    assert (tmp_path / "log").read_text().startswith("a" * 300 + " 1/9")


def test_other_text_starts_on_an_empty_line(terminal):
    stream, read = terminal
    clock = Clock()
    with Progress(9, "train", stream, clock) as outer, Progress(9, "test", stream, clock) as inner:
        for progress in (outer, inner):
            clock.now += 1.0
            progress.advance()
            clear_progress()
            print("other text", file=stream, flush=True)
        assert screen(read()) == ["other text", "other text", ""]
    clear_progress()
    assert read() == "\r\x1b[K" * 2  # of the ends of both
