import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import types

import numpy as np
import pytest
from absl import flags
from ml_collections import config_flags

import tinytl_tf
from tinytl_tf.cli import main, noise, plan, runner
from tinytl_tf.cli.process_budget import ProcessBudget
from tinytl_tf.configs import default
from tinytl_tf.errors import InputError

CONFIG = """
import ml_collections

def get_config():
    return ml_collections.ConfigDict({"rate": 0.1, "training": {"epochs": 3}})
"""


@pytest.fixture
def command(monkeypatch):
    """A command `fake` whose `main` a test can replace."""
    module = types.ModuleType("tinytl_tf.cli.fake", "Does nothing.\n\nAt length.")

    def define_flags(values, argv):
        flags.DEFINE_string("model", None, "The file.", flag_values=values, required=True)
        flags.DEFINE_integer("epochs", 5, "Passes.", lower_bound=1, flag_values=values)
        config_flags.DEFINE_config_file("config", None, "Settings.", flag_values=values, sys_argv=argv)

    module.define_flags = define_flags
    module.main = lambda values: {"epochs": values.epochs}
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(CONFIG)
    return path


def test_result_is_written_as_json(command, tmp_path):
    command.main = lambda values: {"a": np.float32(0.5), "b": np.arange(2), "c": tmp_path, "d": [None, "ü"]}
    assert runner.run_command("fake", ["--model=m", f"--json={tmp_path}/new/r.json"]) == 0
    result = json.loads((tmp_path / "new" / "r.json").read_text())
    assert result == {"a": 0.5, "b": [0, 1], "c": str(tmp_path), "d": [None, "ü"]}


def test_runs_share_no_flags(command, tmp_path):
    path = tmp_path / "r.json"
    assert runner.run_command("fake", ["--model=m", "--epochs=7", f"--json={path}"]) == 0
    assert json.loads(path.read_text()) == {"epochs": 7}
    assert runner.run_command("fake", ["--model=m", f"--json={path}", "--overwrite"]) == 0
    assert json.loads(path.read_text()) == {"epochs": 5}


def test_json_is_not_overwritten_and_no_work_is_done(command, tmp_path, capsys):
    path = tmp_path / "r.json"
    path.write_text("mine")
    command.main = lambda values: pytest.fail("worked")
    assert runner.run_command("fake", ["--model=m", f"--json={path}"]) == 2
    assert capsys.readouterr().err == (
        f"tinytl fake: error: {path} exists already; choose another path, or give --overwrite to replace it\n"
    )
    assert path.read_text() == "mine"


HELP = "(`tinytl fake --help` lists the flags)"


def words_of_python():
    """They differ between its versions."""
    try:
        return str(int("9" * 5000))
    except ValueError as error:
        return str(error)


BAD_FLAGS = {
    "missing": ([], f"flag --model=None: Flag --model must have a value other than None. {HELP}"),
    "unknown": (["--model=m", "--bad=1"], f"Unknown command line flag 'bad' {HELP}"),
    "no number": (["--model=m", "--epochs=x"], f"flag --epochs=x: invalid literal for int() with base 10: 'x' {HELP}"),
    "bound": (["--model=m", "--epochs=0"], f"flag --epochs=0: 0 is not a positive integer {HELP}"),
    "huge": (["--model=m", f"--epochs=1{'0' * 400}"], f"expected --epochs of at most {2**53 - 1}, got 1{'0' * 400}"),
    "more digits than Python takes": (
        ["--model=m", f"--epochs={'9' * 5000}"],
        f"flag --epochs={'9' * 31}...(5010 characters) {words_of_python()} {HELP}",
    ),
    "no value": (["--model=m", "--epochs"], f"Missing value for flag --epochs {HELP}"),
    "positional": (["--model=m", "photos"], "expected flags of the form --name=value, got 'photos'"),
}


@pytest.mark.parametrize(("argv", "message"), BAD_FLAGS.values(), ids=BAD_FLAGS)
def test_bad_flags_are_told_in_one_line(command, capsys, argv, message):
    assert runner.run_command("fake", argv) == 2
    assert capsys.readouterr().err == f"tinytl fake: error: {message}\n"


def test_config_file_and_overrides(command, config):
    seen = []
    command.main = lambda values: seen.append(values.config.to_dict())
    argv = ["--model=m", f"--config={config}", "--config.rate=0.5", "--config.training.epochs=9"]
    assert runner.run_command("fake", argv) == 0
    assert seen == [{"rate": 0.5, "training": {"epochs": 9}}]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.raet=1", 'the config has no such key: \'raet\' Did you mean "rate" instead of "raet"? ' + HELP),
        ("--config.training.nothing=1", f"the config has no such key: 'nothing' {HELP}"),
        ("--config.rate=x", f"flag --config.rate=x: could not convert string to float: 'x' {HELP}"),
    ],
)
def test_bad_overrides_are_told_in_one_line(command, config, capsys, override, message):
    assert runner.run_command("fake", ["--model=m", f"--config={config}", override]) == 2
    assert capsys.readouterr().err == f"tinytl fake: error: {message}\n"


def test_bad_config_files_are_told_in_one_line(command, config, capsys):
    for path, words in ((config.with_name("none.py"), "No such file"), (config, "division by zero")):
        config.write_text("1 / 0")
        assert runner.run_command("fake", ["--model=m", f"--config={path}"]) == 2
        error = capsys.readouterr().err
        assert error.startswith("tinytl fake: error: ")
        assert words in error
        assert error.count("\n") == 1


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_shows_docstring_and_flags_and_does_nothing(command, capsys, flag):
    command.main = lambda values: pytest.fail("worked")
    assert runner.run_command("fake", [flag]) == 0
    output = capsys.readouterr().out
    assert output.startswith("Does nothing.\n\nAt length.\n\nflags:\n  --config: ")
    for text in ("--model: The file.", "--epochs: Passes.", "--json: ", "--[no]overwrite: "):
        assert text in output


def test_help_lists_some_flags_first(command, capsys):
    command.FIRST = ("model", "json")
    assert runner.run_command("fake", ["--help"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line and not line.startswith("      ")]
    start = lines.index("flags:")
    assert [line.split(":")[0].strip() for line in lines[start:]] == (
        ["flags", "--model", "--json", "more flags", "--config", "--epochs", "--[no]overwrite", "--[no]verbose"]
    )
    assert lines[start + 5] == "  --epochs: Passes. (default: 5)"


@pytest.mark.parametrize("name", main.COMMANDS)
def test_the_first_flags_are_flags_and_the_help_has_all(name, capsys):
    command, values = importlib.import_module(f"tinytl_tf.cli.{name.replace('-', '_')}"), flags.FlagValues()
    command.define_flags(values, [name])
    assert set(getattr(command, "FIRST", ())) <= set(values)
    assert runner.run_command(name, ["--help"]) == 0
    output = capsys.readouterr().out
    assert all(f"--{flag}:" in output or f"--[no]{flag}:" in output for flag in values if flag != "help")


def raising(error):
    def fail(values):
        raise error

    return fail


class Wrapped(Exception):
    pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("how", ["raised", "wrapped", "swallowed", "as a mistake"])
def test_a_signal_decides_the_exit_status(command, capsys, number, how):
    def interrupted(values):
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt as error:
            if how == "raised":
                raise
            if how == "wrapped":
                raise Wrapped("of a library") from error
            if how == "as a mistake":
                raise InputError("what the interrupt broke") from error

    before = signal.getsignal(number)
    command.main = interrupted
    assert runner.run_command("fake", ["--model=m"]) == 128 + number
    assert capsys.readouterr().err == "tinytl fake: interrupted\n"
    assert signal.getsignal(number) is before


def test_paths_are_expanded(command, config, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLACE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    seen = []
    command.main = lambda values: seen.append((values.model, values.config.rate)) or {}
    assert runner.run_command("fake", ["--model=$PLACE/m", f"--config=~/{config.name}", "--json=~/r/r.json"]) == 0
    assert seen == [(f"{tmp_path}/m", 0.1)]
    assert (tmp_path / "r" / "r.json").is_file()
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("words", [["--config=default"], ["--config", "default"]])
def test_configs_of_the_package_have_names(command, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)  # outside of a clone
    seen = []
    command.main = lambda values: seen.append(values.config.to_dict()) or {}
    assert runner.run_command("fake", ["--model=m", *words, "--config.training.epochs=2"]) == 0
    assert seen == [default.get_config().to_dict() | {"training": {**default.get_config().training, "epochs": 2}}]


def test_a_file_comes_before_a_config_of_the_package(command, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []
    command.main = lambda values: seen.append(values.config.to_dict()) or {}
    assert runner.run_command("fake", ["--model=m", f"--config={config.rename(tmp_path / 'default.py').name}"]) == 0
    assert seen == [{"rate": 0.1, "training": {"epochs": 3}}]


def test_a_folder_does_not_hide_a_config_of_the_package(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "default").mkdir()
    assert runner.run_command("fake", ["--model=m", "--config=default"]) == 0


def test_names_of_no_config_are_told_with_those_that_are(command, capsys):
    assert runner.run_command("fake", ["--model=m", "--config=defualt"]) == 2
    assert capsys.readouterr().err.startswith(
        "tinytl fake: error: expected --config=FILE.py, or the name of a config that comes with the package, got "
        "'defualt'; there are cifar10, default, digits, "
    )


def test_the_version(capsys):
    assert main.main(["--version"]) == 0
    assert capsys.readouterr().out == f"tinytl {tinytl_tf.__version__}\n"


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "tinytl_tf", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"tinytl {tinytl_tf.__version__}\n"


NOISY = """
import os, sys, types
from absl import flags
from tinytl_tf.cli import runner
from tinytl_tf.errors import InputError

def main(values):
    os.write(2, b"remark of a library\\n")
    print("our words", file=sys.stderr)
    if values.error:
        raise {"input": InputError, "fault": ZeroDivisionError}[values.error]("words")
    return {}

module = types.ModuleType("tinytl_tf.cli.fake", "Does nothing.")
module.define_flags = lambda values, argv: flags.DEFINE_string("error", None, "Which.", flag_values=values)
module.main = main
sys.modules[module.__name__] = module
sys.exit(runner.run_command("fake", sys.argv[1:]))
"""


@pytest.mark.parametrize("level", [None, "0", "3"])
def test_remarks_of_libraries_are_shown_after_faults_and_with_verbose_alone(level):
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    if level is not None:
        environment["TF_CPP_MIN_LOG_LEVEL"] = level

    def run(*argv):
        result = subprocess.run(
            [sys.executable, "-c", NOISY, *argv], env=environment, capture_output=True, text=True, check=False
        )
        return result.returncode, result.stderr

    assert run() == (0, "our words\n")
    assert run("--error=input") == (2, "our words\ntinytl fake: error: words\n")
    assert run("--verbose", "--error=input") == (2, "remark of a library\nour words\ntinytl fake: error: words\n")
    status, text = run("--error=fault")
    assert status == 1
    assert text.startswith("our words\nremark of a library\nTraceback")
    assert "ZeroDivisionError: words" in text


def test_mistakes_interrupts_and_faults_differ(command, capsys):
    command.main = raising(InputError("expected a, got b"))
    assert runner.run_command("fake", ["--model=m"]) == 2
    assert capsys.readouterr().err == "tinytl fake: error: expected a, got b\n"
    command.main = raising(KeyboardInterrupt())
    assert runner.run_command("fake", ["--model=m"]) == 130
    assert capsys.readouterr().err == "tinytl fake: interrupted\n"
    command.main = raising(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        runner.run_command("fake", ["--model=m"])


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["help"]])
def test_main_lists_the_commands(capsys, argv):
    assert main.main(argv) == 0
    output = capsys.readouterr().out
    for name in ("train", "evaluate", "export", "adapt", "memory", "quickstart"):
        assert f"\n  {name} " in output


def test_main_refuses_unknown_commands(capsys):
    assert main.main(["adopt", "--model=m"]) == 2
    assert capsys.readouterr().err == (
        "tinytl: error: expected a command of pretrain, train, evaluate, plan, export, adapt, infer, move-state, "
        "rebake, serve, memory, networks, quickstart, completion; got 'adopt'\n"
    )


def test_main_passes_the_flags_on(command, monkeypatch, tmp_path):
    monkeypatch.setitem(main.COMMANDS, "fake", "does nothing")
    monkeypatch.setattr(sys, "argv", ["tinytl", "fake", "--model=m", f"--json={tmp_path}/r.json"])
    before, stderr = signal.getsignal(signal.SIGINT), os.dup(2)
    try:
        assert main.main() == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # the process has nothing left to interrupt
    finally:
        signal.signal(signal.SIGINT, before)
        os.dup2(stderr, 2)
        os.close(stderr)
    assert json.loads(pathlib.Path(tmp_path, "r.json").read_text()) == {"epochs": 5}


def test_numbers_that_are_not_finite_are_null(command, tmp_path):
    command.main = lambda values: {"a": float("nan"), "b": [np.float32("inf"), (np.array([1.0, np.nan]),)]}
    assert runner.run_command("fake", ["--model=m", f"--json={tmp_path}/r.json"]) == 0
    assert json.loads((tmp_path / "r.json").read_text()) == {"a": None, "b": [None, [[1.0, None]]]}


def test_without_room_for_remarks_the_work_is_done(command, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(noise.tempfile, "TemporaryFile", fail)
    assert runner.run_command("fake", ["--model=m", f"--json={tmp_path}/r.json"]) == 0
    assert (tmp_path / "r.json").is_file()


class ResourceExhaustedError(Exception):
    """As TensorFlow calls its own."""


@pytest.mark.parametrize("error", [MemoryError("Unable to allocate 2 GiB"), ResourceExhaustedError("OOM when\n\nthat")])
def test_a_lack_of_memory_is_one_line(command, capsys, error):
    command.main = raising(error)
    assert runner.run_command("fake", ["--model=m"]) == 2
    words = str(error).partition("\n")[0]
    assert capsys.readouterr().err == (
        f"tinytl fake: error: not enough memory ({words}); choose a lower resolution or batch size, or a smaller "
        "network, or end other programs\n"
    )


@pytest.mark.parametrize("budget", [1e308, 1e16])
def test_a_huge_budget_is_no_limit(budget):
    values = flags.FlagValues()
    plan.define_flags(values, ["plan"])
    values(["plan", "--output=x.py", f"--budget_mb={budget}"])
    assert ProcessBudget(values).bytes == {"growth": runner.MOST}


@pytest.mark.parametrize("flag", ["resolution", "batch_size", "classes"])
def test_the_account_of_the_paper_takes_no_numbers_beyond_floats(capsys, flag):
    assert runner.run_command("memory", ["--account=paper", f"--{flag}=1{'0' * 400}"]) == 2
    assert capsys.readouterr().err.startswith(f"tinytl memory: error: expected --{flag} of at most {runner.MOST}, got")
