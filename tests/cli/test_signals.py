import os
import signal
import subprocess
import sys
import time

import pytest

from tinytl_tf.cli import signals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


def interrupted(received, number, swallow):
    """Sends a signal and swallows so many of the exceptions that follow; returns how many it swallowed."""
    swallowed = 0
    with received.handled():
        while swallowed < swallow:
            try:
                if not swallowed:
                    os.kill(os.getpid(), number)
                time.sleep(2)
            except KeyboardInterrupt:
                swallowed += 1
        if not swallow:
            os.kill(os.getpid(), number)
        time.sleep(2)
    return swallowed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("swallow", [0, 1, 3])
def test_an_interrupt_that_a_library_swallows_is_raised_again(monkeypatch, number, swallow):
    """TensorFlow swallowed one while it traced, and the training went on for hours."""
    monkeypatch.setattr(signals, "_AGAIN", 0.05)
    received = signals.Signals()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted(received, number, swallow)
    assert time.monotonic() - started < 1.5
    assert received.exit_status == 128 + number


def test_nothing_comes_after_the_block(monkeypatch):
    monkeypatch.setattr(signals, "_AGAIN", 0.05)
    before = [signal.getsignal(number) for number in NUMBERS]
    with pytest.raises(KeyboardInterrupt):
        interrupted(signals.Signals(), signal.SIGINT, 0)
    time.sleep(0.2)
    assert [signal.getsignal(number) for number in NUMBERS] == before


def train_as(tmp_path, run):
    """Exit status and standard error of `tinytl train` in a process where `run`, lines of Python, is the command."""
    lines = ["import os, signal, sys", "from tinytl_tf.cli import main, runner", run, "runner._run = run"]
    (tmp_path / "replaced.py").write_text("\n".join([*lines, 'sys.exit(main.main(["train"]))']))
    done = subprocess.run([sys.executable, "-m", "replaced"], cwd=tmp_path, capture_output=True, check=False)
    return done.returncode, done.stderr


WRAPPING = """
def run(*_):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        sum(range(10**6))
    except KeyboardInterrupt:
        os.write(2, b"Traceback")
        raise SystemError("returned a result with an exception set")
"""


def test_what_libraries_wrote_about_a_wrapped_interrupt_is_not_shown(tmp_path):
    """TensorFlow's C++ printed the traceback of a SystemError that it had made of it."""
    assert train_as(tmp_path, WRAPPING) == (143, b"tinytl train: interrupted\n")


def test_an_interrupt_inside_of_exec_ends_a_module_with_130(tmp_path):
    """Python ended by SIGINT itself, where TensorFlow was interrupted in code that it generates."""
    run = 'run = lambda *_: exec("raise KeyboardInterrupt")'
    assert train_as(tmp_path, run) == (130, b"tinytl train: interrupted\n")
