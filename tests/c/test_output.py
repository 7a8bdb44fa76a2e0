"""What becomes of the result of `adapt`: one run for a file, streams that fail, full disks, and diverged trainings."""

import contextlib
import fcntl
import os
import re
import resource
import subprocess

import numpy as np
import pytest

from tests.c import client, plan
from tests.c.program import MODEL, NAMES, PLAIN, adapt, run, write_random


def arguments(data, state, *more):
    return (f"--model={MODEL}", f"--data={data}", f"--state_out={state}", "--epochs=1", *PLAIN, *more)


# ---- One run for a file ----


@pytest.mark.parametrize("old", [False, True])
def test_a_second_run_for_the_same_file_is_refused_at_once(built, tmp_path, photos, old):
    path = tmp_path / "mine.tinytl"
    if old:
        path.write_bytes(b"old")
    with open(tmp_path / "mine.tinytl.lock", "wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        done = run(built, *arguments(photos, path, "--overwrite"))
        assert (done.returncode, done.stdout) == (2, "")
        assert f"adapt: {path} is in use by another run; wait for it to end" in done.stderr
        assert path.exists() is old
        assert (tmp_path / "mine.tinytl.lock").exists()
    adapt(built, *arguments(photos, path, "--overwrite"))
    assert set(os.listdir(tmp_path)) == {"mine.tinytl", "photos"}


def test_two_runs_at_once_have_one_result(built, tmp_path, photos):
    path = tmp_path / "mine.tinytl"
    command = [built / "adapt", f"--library={client.find_library()}", *arguments(photos, path), "--epochs=300"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        for line in first.stdout:
            if line.startswith("epoch 1 "):
                break
        second = run(built, *arguments(photos, path), "--overwrite")
        assert (second.returncode, "in use by another run" in second.stderr) == (2, True)
        first.kill()
        first.communicate()
    assert not path.exists()
    # A run that was killed keeps no other one out.
    assert (tmp_path / "mine.tinytl.lock").exists()
    adapt(built, *arguments(photos, path))
    assert set(os.listdir(tmp_path)) == {"mine.tinytl", "photos"}


def test_one_file_that_is_named_in_two_ways_has_one_lock(built, tmp_path, photos):
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to("real")
    (tmp_path / "link.tinytl").symlink_to("real/mine.tinytl")
    with open(tmp_path / "real" / "mine.tinytl.lock", "wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert "in use" in adapt(built, *arguments(photos, tmp_path / "linked" / "mine.tinytl"), status=2)
        (tmp_path / "real" / "mine.tinytl").write_bytes(b"old")
        assert "in use" in adapt(built, *arguments(photos, tmp_path / "link.tinytl", "--overwrite"), status=2)
        done = run(built, *arguments(photos, "mine.tinytl", "--overwrite"), cwd=tmp_path / "real")
        assert (done.returncode, "in use" in done.stderr) == (2, True)


def test_the_lock_of_python_keeps_a_run_out_and_the_other_way_round(built, tmp_path, photos):
    from tinytl_tf.errors import InputError
    from tinytl_tf.locks import output_lock

    path = tmp_path / "mine.tinytl"
    with output_lock(path):
        assert "in use" in adapt(built, *arguments(photos, path), status=2)
    command = [built / "adapt", f"--library={client.find_library()}", *arguments(photos, path), "--epochs=300"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        next(process.stdout)
        with pytest.raises(InputError, match=f"process {process.pid} on "), output_lock(path):
            pass
        process.kill()
        process.communicate()


# ---- Found before any work ----


def test_a_path_that_cannot_be_written_is_found_before_any_work(built, tmp_path, photos):
    (tmp_path / "folder").mkdir()
    (tmp_path / "there.tinytl").write_bytes(b"mine")
    (tmp_path / "busy.tinytl.tmp").mkdir()
    (tmp_path / "linked.tinytl.tmp").symlink_to("there.tinytl")
    for name, status, words in (
        ("none/x.tinytl", 1, "got: No such file or directory"),
        ("folder", 1, "got: a folder or device"),
        ("/dev/full", 1, "got: a folder or device"),
        ("folder/", 1, "got: the path of a folder"),
        ("", 1, "got: the path of a folder"),
        ("x" * 252, 1, "got: File name too long"),
        ("busy.tinytl", 1, "got: a folder, link or device"),
        ("linked.tinytl", 1, "got: a folder, link or device"),
        ("there.tinytl/x", 1, "got: Not a directory"),
    ):
        path = os.path.join(tmp_path, name) if name else ""
        done = run(built, *arguments(photos, path, "--overwrite"))
        assert (done.returncode, done.stdout) == (status, ""), name
        assert words in done.stderr.splitlines()[-1], name
    line = adapt(built, *arguments(photos, tmp_path / "there.tinytl"), status=2)
    assert "exists already; choose another path" in line
    assert (tmp_path / "there.tinytl").read_bytes() == b"mine"
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".lock")]
    adapt(built, *arguments(photos, tmp_path / ("x" * 243 + ".tinytl")))


def little_room(size):
    """Without XNNPACK, which ends a process whose files may not grow."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_disk_is_found_before_any_work(built, tmp_path, photos):
    path = tmp_path / "mine.tinytl"
    path.write_bytes(b"old")
    done = run(built, *arguments(photos, path, "--overwrite", "--xnnpack=off"), preexec_fn=little_room(50_000))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"expected room for \d+ bytes at .*, got: File too large; free some", done.stderr)
    assert path.read_bytes() == b"old"
    assert set(os.listdir(tmp_path)) == {"mine.tinytl", "photos"}
    run(built, *arguments(photos, path, "--overwrite", "--xnnpack=off"), preexec_fn=little_room(200_000))
    assert path.stat().st_size == 48 + 4 * 24859 + 4


# ---- Streams that fail ----


@pytest.fixture
def good_state(built, tmp_path, photos):
    adapt(built, *arguments(photos, tmp_path / "good.tinytl"))
    return (tmp_path / "good.tinytl").read_bytes()


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (1, 2), (0, 1, 2)])
def test_a_closed_stream_loses_nothing(built, tmp_path, photos, good_state, closed):
    """A file that is opened gets the number of a closed stream: what is printed must not go into it."""

    def close():
        for number in closed:
            with contextlib.suppress(OSError):
                os.close(number)

    command = [built / "adapt", f"--library={client.find_library()}", *arguments(photos, tmp_path / "mine.tinytl")]
    done = subprocess.run(command, check=False, preexec_fn=close, close_fds=False)
    assert done.returncode == 0
    assert (tmp_path / "mine.tinytl").read_bytes() == good_state


@pytest.mark.parametrize("stream", ["stdout", "stderr", "both"])
def test_a_full_stream_loses_nothing(built, tmp_path, photos, good_state, stream):
    with open("/dev/full", "w") as full:
        streams = {"stdout": full if stream != "stderr" else subprocess.DEVNULL}
        streams["stderr"] = full if stream != "stdout" else subprocess.DEVNULL
        done = run(built, *arguments(photos, tmp_path / "mine.tinytl"), capture_output=False, **streams)
    assert done.returncode == 0
    assert (tmp_path / "mine.tinytl").read_bytes() == good_state


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_goes_away_loses_nothing(built, tmp_path, photos, good_state, stream):
    """As in `adapt | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | {stream: writing}
    done = run(built, *arguments(photos, tmp_path / "mine.tinytl"), capture_output=False, **streams)
    os.close(writing)
    assert done.returncode == 0
    assert (tmp_path / "mine.tinytl").read_bytes() == good_state


def test_errors_keep_their_status_where_nobody_hears_them(built, tmp_path, photos):
    with open("/dev/full", "w") as full:
        for more, status in ((("--epochs=0",), 2), (("--learning_rate=3e38",), 4)):
            done = run(built, *arguments(photos, tmp_path / "x", *more), capture_output=False, stdout=full, stderr=full)
            assert done.returncode == status


# ---- Diverged trainings ----


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    ("rate", "words"),
    [
        ("3e38", "more than half of the steps of an epoch could not be applied"),
        ("100", "loss [0-9.e+]+ on the test images, [0-9.]+ before"),
    ],
)
def test_divergence_saves_nothing(built, tmp_path, tested, rate, words, old):
    path = tmp_path / "x.tinytl"
    if old:
        path.write_bytes(b"old")
    line = adapt(built, *arguments(tested, path, f"--learning_rate={rate}", "--epochs=3", "--overwrite"), status=4)
    assert re.search(f"the training has diverged: {words}", line)
    assert "lower --learning_rate" in line
    assert path.exists() is old
    assert not old or path.read_bytes() == b"old"
    assert not [name for name in os.listdir(tmp_path) if name.startswith("x.tinytl.")]


def test_divergence_without_test_photos_is_seen_by_the_losses_of_the_steps(built, tmp_path, photos):
    data = tmp_path / "data"
    data.mkdir()
    photos.rename(data / "train")
    line = adapt(built, *arguments(data, tmp_path / "x.tinytl", "--learning_rate=10", "--epochs=3"), status=4)
    assert re.search(r"loss [0-9.e+]+ in the last epoch, [0-9.]+ before", line)
    assert not (tmp_path / "x.tinytl").exists()
    adapt(built, *arguments(data, tmp_path / "x.tinytl", "--learning_rate=1e-2", "--epochs=3"))


@pytest.mark.parametrize(("rate", "applied", "words"), [(2e13, 2, "in the last epoch"), (1e14, 1, "more than half")])
def test_means_are_of_all_steps_and_half_of_them_may_be_refused(built, c, tmp_path, photos, rate, applied, words):
    """Of four steps the first ones take too large a rate, and the last ones meet what they have left."""
    data = tmp_path / "data"
    data.mkdir()
    photos.rename(data / "train")
    for index in range(4):
        write_random(data / "train" / "leaf" / f"more {index}.ppm", index, (64, 64))
    c.open(MODEL)
    listed = sorted(data.glob("train/*/*"))
    steps = []
    for step in range(4):
        chosen = [listed[photo] for photo, _ in plan.places(0, 0, 16, 4, step)]
        (tmp_path / "batch.raw").write_bytes(b"".join(path.read_bytes()[-64 * 64 * 3 :] for path in chosen))
        now = float(np.float32(plan.rate("cosine", rate, step, 4)))
        words_of_step = c.ask("train", "a", tmp_path / "batch.raw", now, *(NAMES.index(p.parent.name) for p in chosen))
        steps.append((float.fromhex(words_of_step[0]), float.fromhex(words_of_step[1]), int(words_of_step[2])))
    losses, accuracies, applications = zip(*steps, strict=True)
    assert sum(applications) == applied
    done = run(built, *arguments(data, tmp_path / "x.tinytl", f"--learning_rate={rate}"))
    means = f"loss {np.mean(losses):.4f}, {applied} of 4 steps applied, accuracy {100 * np.mean(accuracies):.1f} %"
    assert f"epoch 1 of 1: {means}\n" in done.stdout
    assert (done.returncode, words in done.stderr.splitlines()[-1]) == (4, True)
