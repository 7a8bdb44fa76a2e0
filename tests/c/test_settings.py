"""`adapt` follows the manifest, step by step, and options go before it."""

import re

import numpy as np
import pytest

from tests.c import plan
from tests.c.program import NAMES, adapt, copy_model, write_ppm
from tinytl_tf.data.resizing import central_box

SIZE = (64, 64)
SHRUNK = 160  # 2.5 times the longer side of the input
DEFAULT = {"crop_area": [0.22, 1.0], "crop_aspect": [3 / 4, 4 / 3]}
# Each has settings that no other one has: learning rate, schedule, fraction, and how the data are changed.
MODELS = {
    "nothing is changed": (0.01, "constant", 1.0, {"crop": False, "flip": False, "color": "none"}),
    "a fraction alone": (0.004, "cosine", 0.6, {"crop": False, "flip": False, "color": "none"}),
    "flip alone": (0.002, "cosine", 0.9, {"crop": False, "flip": True, "color": "none"}),
    "crop alone": (0.002, "cosine", 0.6, {"crop": True, "flip": False, "color": "none"}),
    "another crop": (0.005, "constant", 0.6, {"crop": True, "flip": False, "crop_area": [0.1, 0.3]}),
    "another aspect": (0.005, "constant", 0.6, {"crop": True, "flip": True, "crop_aspect": [0.25, 0.5]}),
    "colors of TensorFlow": (0.003, "cosine", 1.0, {"crop": False, "flip": False, "color": "tf"}),
    "all, with colors of Torch": (0.003, "cosine", 0.875, {"crop": True, "flip": True, "color": "torch"}),
}


def write_photos(folder, count, seed=0):
    """Photos of many sizes, three of them larger than a model takes at once; returns [(path, label)] as listed."""
    random, listed = np.random.default_rng(seed), []
    sizes = [(70, 80), (30, 50), (170, 200), (64, 64), (400, 161), (90, 33), (165, 162)]
    for index in range(count):
        label = index * 4 // count
        height, width = sizes[index % len(sizes)]
        # Smooth, so that each way to shrink it gives about the same.
        rows, columns = np.mgrid[:height, :width] / 40
        phases = random.uniform(0, 6, 3)
        pixels = 127 + 120 * np.sin(rows[..., None] * (label + 1) + columns[..., None] * index + phases)
        path = folder / "train" / NAMES[label] / f"{index:02d}.ppm"
        write_ppm(path, pixels.astype(np.uint8))
        listed.append((path, label, height, width))
    return sorted(listed, key=lambda photo: photo[0])


def expected_losses(c, tmp_path, model, photos, seed, epochs, rate, schedule, fraction, data):
    """Losses of the steps of a run by the plan of docs/formats.md, and its state."""
    c.open(model)
    batch, count, losses = 4, len(photos), []
    per_epoch = max(1, count // batch)
    for epoch in range(epochs):
        for step in range(per_epoch):
            content, labels = b"", []
            for photo, copy in plan.places(seed, epoch, count, batch, step):
                path, label, height, width = photos[photo]
                content += changed(c, tmp_path, path, (seed, epoch, photo, copy), height, width, fraction, data)
                labels.append(label)
            (tmp_path / "batch.raw").write_bytes(content)
            now = np.float32(plan.rate(schedule, rate, epoch * per_epoch + step, epochs * per_epoch))
            words = c.ask("train", "a", tmp_path / "batch.raw", repr(float(now)), *labels)
            losses.append(float.fromhex(words[0]))
    c.ask("save", "a", tmp_path / "expected.tinytl")
    return losses, (tmp_path / "expected.tinytl").read_bytes()


def changed(c, tmp_path, path, place, height, width, fraction, data):
    """Pixels of a photo at a place of a plan."""
    if min(height, width) > SHRUNK:
        scale = SHRUNK / min(height, width)
        height, width = round(height * scale), round(width * scale)
    settings = DEFAULT | {"color": "none"} | data
    ranges = (settings["crop_area"], settings["crop_aspect"])
    box, flip, colors = plan.draw(*place, height, width, settings["crop"], *ranges, settings["flip"], settings["color"])
    if box is None:
        edges = central_box(height, width, SIZE, fraction)
    else:
        edges = (box[0], box[1], box[0] + box[2], box[1] + box[3])
    result = tmp_path / "changed.raw"
    c.ask("change", path, *map(repr, map(float, edges)), int(flip), "-", 0, *SIZE, result)
    for color, amount in colors:
        c.ask("recolor", result, color, repr(amount if color == "hue" else 1 + amount))
    return result.read_bytes()


@pytest.mark.parametrize("name", MODELS)
def test_each_setting_of_the_manifest_is_followed_step_by_step(built, c, tmp_path, name):
    rate, schedule, fraction, data = MODELS[name]
    changes = {"learning_rate": rate, "schedule": schedule, "input": {"central_fraction": fraction}}
    model = copy_model(tmp_path, **changes, data=DEFAULT | {"color": "none"} | data)
    photos = write_photos(tmp_path / "data", 11)
    losses, state = expected_losses(c, tmp_path, model, photos, 5, 3, rate, schedule, fraction, data)
    arguments = (f"--model={model}", f"--data={tmp_path}/data", f"--state_out={tmp_path}/mine.tinytl")
    output = adapt(built, *arguments, "--epochs=3", "--seed=5")
    assert f"\nlearning rate {rate:g}, {schedule}\n" in output
    assert (tmp_path / "mine.tinytl").read_bytes() == state
    means = [np.mean(losses[2 * epoch : 2 * epoch + 2]) for epoch in range(3)]
    assert re.findall(r"loss ([\d.]+), 2 of 2 steps", output) == [f"{mean:.4f}" for mean in means]


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_that_is_filled_up_has_changes_of_its_own(built, c, tmp_path, count):
    rate, schedule, fraction, data = MODELS["all, with colors of Torch"]
    model = copy_model(tmp_path, learning_rate=rate, schedule=schedule, data=data)
    photos = write_photos(tmp_path / "data", count)
    _, state = expected_losses(c, tmp_path, model, photos, 2**53 - 1, 4, rate, schedule, fraction, data)
    arguments = (f"--model={model}", f"--data={tmp_path}/data", f"--state_out={tmp_path}/mine.tinytl")
    adapt(built, *arguments, "--epochs=4", f"--seed={2**53 - 1}")
    assert (tmp_path / "mine.tinytl").read_bytes() == state


def test_raw_files_are_the_input_as_it_is_unless_they_are_changed(built, c, tmp_path):
    """A fraction of the manifest is for photos; a crop cuts a part out of raw pixels, too."""
    for data in ({"crop": False, "flip": True}, {"crop": True, "flip": False}):
        model = copy_model(tmp_path, data=data, input={"central_fraction": 0.5})
        photos = []
        for path, label, _, _ in write_photos(tmp_path / "ppm", 4):
            c.ask("fit", path, 1, *SIZE, tmp_path / "whole.raw")
            pixels = np.fromfile(tmp_path / "whole.raw", np.uint8).reshape(*SIZE, 3)
            write_ppm(tmp_path / "same" / path.name, pixels)
            photos.append((tmp_path / "same" / path.name, label, *SIZE))
            raw = tmp_path / "data" / "train" / NAMES[label] / f"{path.stem}.raw"
            raw.parent.mkdir(parents=True, exist_ok=True)
            raw.write_bytes(pixels.tobytes())
        _, state = expected_losses(c, tmp_path, model, photos, 0, 2, 0.003, "cosine", 1.0, data)
        arguments = (f"--model={model}", f"--data={tmp_path}/data", f"--state_out={tmp_path}/mine.tinytl")
        adapt(built, *arguments, "--epochs=2", "--overwrite")
        assert (tmp_path / "mine.tinytl").read_bytes() == state
        c.ask("close", "a")


OPTIONS = {
    "--learning_rate=0.011": {"learning_rate": 0.011},
    "--schedule=constant": {"schedule": "constant"},
    "--central_fraction=0.5": {"input": {"central_fraction": 0.5}},
    "--nocrop": {"data": {"crop": False}},
    "--noflip": {"data": {"flip": False}},
    "--color=torch": {"data": {"color": "torch"}},
}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_goes_before_the_manifest(built, tmp_path, option):
    """The state is that of a manifest that says the same, and not that of the other one."""
    write_photos(tmp_path / "data", 6)
    base = {"data": {"crop": "fraction" not in option, "flip": True, "color": "tf"}}
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    without = copy_model(one, **base)
    changes = OPTIONS[option]
    said = copy_model(other, **base | changes | {"data": base["data"] | changes.get("data", {})})
    states = []
    for model, options in ((without, ()), (without, (option,)), (said, ()), (said, (option,))):
        states.append(tmp_path / f"{len(states)}.tinytl")
        arguments = (f"--model={model}", f"--data={tmp_path}/data", f"--state_out={states[-1]}")
        adapt(built, *arguments, "--epochs=2", *options)
    contents = [state.read_bytes() for state in states]
    assert contents[0] != contents[1] == contents[2] == contents[3]


@pytest.mark.parametrize(
    ("said", "option"), [({"crop": False, "flip": False}, "--crop"), ({"crop": False, "flip": False}, "--flip")]
)
def test_what_the_manifest_switches_off_can_be_switched_on(built, tmp_path, said, option):
    write_photos(tmp_path / "data", 6)
    states = []
    for changes, options in ((said, (option,)), (said | {option[2:]: True}, ()), (said, ())):
        model = copy_model(tmp_path, data=changes)
        states.append(tmp_path / f"{len(states)}.tinytl")
        arguments = (f"--model={model}", f"--data={tmp_path}/data", f"--state_out={states[-1]}")
        adapt(built, *arguments, "--epochs=2", *options)
    contents = [state.read_bytes() for state in states]
    assert contents[0] == contents[1] != contents[2]


def test_the_fraction_of_the_manifest_is_evaluated(built, tmp_path):
    """A test photo whose middle alone is one of the training photos."""
    losses = []
    inner = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    outer = np.pad(inner, ((32, 32), (32, 32), (0, 0)))
    for pixels, fraction in ((inner, 1.0), (outer, 0.5), (outer, 1.0)):
        model = copy_model(tmp_path, input={"central_fraction": fraction})
        write_photos(tmp_path / "data", 4)
        write_ppm(tmp_path / "data" / "test" / "leaf" / "x.ppm", pixels)
        arguments = (f"--model={model}", f"--data={tmp_path}/data", f"--state_out={tmp_path}/x.tinytl", "--overwrite")
        output = adapt(built, *arguments, "--epochs=1")
        losses.append(re.search(r"loss before: ([\d.]+)\n", output)[1])
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("flag", ["--xnnpack=off", "--threads=1", "--epochs=2"])
def test_other_options_do_something(built, tmp_path, flag):
    """Threads are the exception: they change the time alone."""
    write_photos(tmp_path / "data", 6)
    model = copy_model(tmp_path)
    arguments = (f"--model={model}", f"--data={tmp_path}/data", "--epochs=1")
    adapt(built, *arguments, f"--state_out={tmp_path}/one.tinytl")
    adapt(built, *arguments, flag, f"--state_out={tmp_path}/two.tinytl")
    same = (tmp_path / "one.tinytl").read_bytes() == (tmp_path / "two.tinytl").read_bytes()
    assert same == (flag == "--threads=1")


def test_without_a_manifest_nothing_is_changed(built, tmp_path):
    write_photos(tmp_path / "data", 4)
    model = copy_model(tmp_path)
    model.with_suffix(".manifest.json").unlink()
    arguments = (f"--model={model}", f"--data={tmp_path}/data", f"--state_out={tmp_path}/x.tinytl", "--epochs=1")
    output = adapt(built, *arguments, "--trust")
    assert "central fraction 0.875, no crop, no flip, color none\nlearning rate 0.001, cosine\n" in output
