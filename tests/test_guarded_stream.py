import errno
import io
import os

import pytest

from tinytl_tf.guarded_stream import GuardedStream
from tinytl_tf.progress import Progress


class Failing(io.StringIO):
    """Fails from call number `good` on."""

    def __init__(self, error, good=0):
        super().__init__()
        self.error, self.good, self.calls = error, good, 0

    def write(self, text):
        self.calls += 1
        if self.calls > self.good:
            raise self.error
        return super().write(text)

    def isatty(self):
        raise self.error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE, errno.EBADF, errno.EIO])
def test_nothing_is_written_after_the_first_failure(number):
    inner = Failing(OSError(number, "words"), good=1)
    stream = GuardedStream(inner)
    for text in ("one", "two", "three"):
        assert stream.write(text) == len(text)
        stream.flush()
    assert inner.getvalue() == "one"
    assert inner.calls == 2
    assert stream.error.errno == number
    assert not stream.isatty()


def test_a_flush_may_fail():
    inner = io.StringIO()
    inner.flush = lambda: (_ for _ in ()).throw(BrokenPipeError(errno.EPIPE, "gone"))
    stream = GuardedStream(inner)
    stream.write("x")
    stream.flush()
    assert isinstance(stream.error, BrokenPipeError)


def test_a_stream_that_was_never_there():
    stream = GuardedStream(None)
    print("x", file=stream, flush=True)
    assert stream.error.errno == errno.EBADF
    assert not stream.isatty()
    assert stream.encoding
    with pytest.raises(io.UnsupportedOperation):
        stream.fileno()


def test_a_reader_that_is_slow_is_not_given_up():
    inner = Failing(BlockingIOError(errno.EAGAIN, "later"))
    stream = GuardedStream(inner)
    stream.write("lost")
    inner.good = 10
    stream.write("written")
    assert (inner.getvalue(), stream.error) == ("written", None)


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("ascii", "\\u82b1 \\udcff x"), ("latin-1", "\\u82b1 \\udcff x"), ("utf-8", "花 \\udcff x")],
)
def test_characters_that_the_encoding_lacks_are_escaped(encoding, written):
    buffer = io.BytesIO()
    stream = GuardedStream(io.TextIOWrapper(buffer, encoding))
    print("花 \udcff x", file=stream, end="", flush=True)
    assert buffer.getvalue().decode(encoding) == written
    assert stream.error is None


def test_other_faults_are_not_hidden():
    with pytest.raises(KeyboardInterrupt):
        GuardedStream(Failing(KeyboardInterrupt())).write("x")
    with pytest.raises(TypeError):
        GuardedStream(io.StringIO()).write(1)


@pytest.mark.parametrize("is_own", [False, True])
def test_a_descriptor_of_our_own_leads_nowhere_after_a_failure(is_own):
    """What its buffer still holds would fail again at the end of the process, and turn its exit status into 120."""
    inner = open("/dev/full", "w")  # noqa: SIM115, its closing is what is tested
    before = os.fstat(inner.fileno()).st_rdev
    stream = GuardedStream(inner, is_own)
    stream.write("x")
    stream.flush()
    assert stream.error.errno == errno.ENOSPC
    assert (os.fstat(inner.fileno()).st_rdev == before) == (not is_own)
    if is_own:
        inner.close()
    else:
        with pytest.raises(OSError, match="No space left"):
            inner.close()


def test_progress_goes_on_without_a_stream():
    for inner in (Failing(OSError(errno.ENOSPC, "full")), None):
        with Progress(total=2, label="train", stream=inner, clock=iter(range(0, 1000, 100)).__next__) as progress:
            progress.advance()
            progress.message("one")
            progress.advance()
