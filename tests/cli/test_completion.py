"""Tab completion: scripts for shells, which answer as a user of the command line expects."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time

import pytest
from absl import flags

from tinytl_tf.cli import main, runner
from tinytl_tf.networks.schemes import SCHEMES

SHELLS = ("bash", "zsh", "fish")
CONFIGS = set(runner.config_names())


def script(shell, capsys):
    assert runner.run_command("completion", [shell]) == 0
    return capsys.readouterr().out


@pytest.fixture
def place(tmp_path, capsys, monkeypatch):
    """A folder with the scripts `tinytl.SHELL`, and some files."""
    for shell in SHELLS:
        (tmp_path / f"tinytl.{shell}").write_text(script(shell, capsys))
    for name in ("model.tflite", "mine.py", "notes.txt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bash(code, *arguments):
    """Runs code of bash after the script."""
    code = f"set -u; source tinytl.bash; {code}"
    done = subprocess.run(
        ["bash", "--norc", "-c", code, "bash", *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def completed(*words):
    """The answers of bash for the last of the words, which are split as bash splits them."""
    code = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tinytl; printf "%s\\n" "${COMPREPLY[@]-}"'
    return set(bash(code, *words).split("\n")) - {""}


ANSWERS = {
    "commands": (["tinytl", "m"], {"memory", "move-state"}),
    "all commands": (["tinytl", ""], {*main.COMMANDS, "--help", "--version"}),
    "flags": (["tinytl", "export", "--o"], {"--optimizer=", "--output=", "--overwrite"}),
    "flags in front of nothing": (
        ["tinytl", "move-state", ""],
        {"--state=", "--from_model=", "--model=", "--output=", "--json=", "--help"}
        | {"--overwrite", "--nooverwrite", "--verbose", "--noverbose"},
    ),
    "flags after a flag": (["tinytl", "export", "--target", "=", "micro", "--sche"], {"--scheme="}),
    "flags after a switch": (["tinytl", "train", "--resume", "--work"], {"--workdir="}),
    "choices": (["tinytl", "export", "--target", "="], {"file", "android", "coral", "micro"}),
    "choices begun": (["tinytl", "export", "--target", "=", "mi"], {"micro"}),
    "choices of another command": (["tinytl", "plan", "--target", "="], {"file", "micro"}),
    "choices after a space": (["tinytl", "export", "--scheme", "l"], {"last", "lora", "lora-b"}),
    "all schemes": (["tinytl", "memory", "--scheme", "="], {*SCHEMES, "all"}),
    "choices where = breaks no words": (["tinytl", "export", "--target=mi"], {"--target=micro"}),
    "no such choice": (["tinytl", "export", "--target", "=", "zz"], set()),
    "configs": (["tinytl", "train", "--config", "="], {*CONFIGS, "mine.py"}),
    "configs begun": (["tinytl", "train", "--config", "=", "m"], {"mine.py"}),
    "configs where = breaks no words": (["tinytl", "train", "--config=dig"], {"--config=digits"}),
    "files, by bash itself": (["tinytl", "adapt", "--model", "=", "mo"], set()),
    "files where = breaks no words": (["tinytl", "adapt", "--model=mo"], {"--model=model.tflite"}),
    "files of overrides, by bash itself": (["tinytl", "train", "--config.data.name", "=", "mo"], set()),
    "files after a colon, by bash itself": (["tinytl", "train", "--config", "=", "mine.py", ":", "n"], set()),
    "words that are files, by bash itself": (["tinytl", "infer", "--top", "=", "1", "mo"], set()),
    "shells": (["tinytl", "completion", ""], set(SHELLS)),
    "shells by the flag": (["tinytl", "completion", "--shell", "=", "z"], {"zsh"}),
    "an unknown command": (["tinytl", "trian", ""], set()),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_bash_completes(place, name):
    words, answers = ANSWERS[name]
    assert completed(*words) == answers


def test_bash_completes_files_where_the_function_has_no_answer(place):
    assert "-o default" in bash("complete -p tinytl")


def test_the_flags_of_every_command_are_completed(place):
    for name in main.COMMANDS:
        values = flags.FlagValues()
        runner.define_flags(runner.import_command(name), values, [name])
        spelled = {"--help"}
        for flag in values:
            spelled |= {f"--{flag}", f"--no{flag}"} if values[flag].boolean else {f"--{flag}="}
        assert set(bash('_tinytl_flags "$1"', name).split()) == spelled


TYPED = {
    "tinytl exp\t--tar\tmi\t": "<export><--target=micro>",
    "tinytl adapt --model=mo\t": "<adapt><--model=model.tflite>",
    "tinytl train --config=min\t--res\t": "<train><--config=mine.py><--resume>",
    "tinytl infer --top 1 mo\t": "<infer><--top><1><model.tflite>",
}


def test_bash_completes_what_is_typed(place):
    """In an interactive bash, which splits the words itself."""
    ours, its = pty.openpty()
    argv = ["bash", "--norc", "--noprofile", "-i"]
    environment = {**os.environ, "PS1": "$ ", "INPUTRC": os.devnull, "TERM": "dumb"}
    shell = subprocess.Popen(argv, stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True)
    os.close(its)
    try:
        os.write(ours, b"source tinytl.bash; tinytl() { printf '<%s>' \"$@\"; }\n")
        for line, answer in TYPED.items():
            os.write(ours, f"{line}\n".encode())
            read_until(ours, answer)
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


def read_until(descriptor, text, seconds=30.0):
    end, seen = time.monotonic() + seconds, ""
    while text not in seen:
        assert time.monotonic() < end, seen
        if select.select([descriptor], [], [], 0.1)[0]:
            seen += os.read(descriptor, 65536).decode()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_scripts_are_understood(place, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    done = subprocess.run([shell, "-n", f"tinytl.{shell}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_fish_completes(place):
    if shutil.which("fish") is None:
        pytest.skip("needs fish")
    for line, answers in {
        "tinytl m": {"memory", "move-state"},
        "tinytl export --target=": {"--target=file", "--target=android", "--target=coral", "--target=micro"},
        "tinytl adapt --model=mo": {"--model=model.tflite"},
        "tinytl completion ": set(SHELLS),
    }.items():
        code = f"source tinytl.fish; complete -C '{line}'"
        done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True, check=True)
        assert {answer.partition("\t")[0] for answer in done.stdout.splitlines()} == answers


def test_a_script_is_written_without_tensorflow(tmp_path):
    code = (
        "import sys\nfrom tinytl_tf.cli.main import main\n"
        "status = main(['completion', 'zsh'])\n"
        "sys.exit(status or 'tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("#compdef tinytl\n")


def test_the_help_says_how_to_install_a_script(capsys):
    assert runner.run_command("completion", ["--help"]) == 0
    assert 'eval "$(tinytl completion bash)"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "got"),
    [
        (["tcsh"], "'tcsh'"),
        ([], "none"),
        (["bash", "fish"], "'bash fish'"),
        (["--shell=powershell"], "'powershell'"),
    ],
)
def test_other_shells_are_refused_in_one_line(capsys, argv, got):
    assert runner.run_command("completion", argv) == 2
    printed = capsys.readouterr()
    assert printed.err == (
        f"tinytl completion: error: expected one shell of bash, zsh, fish, got {got}; `tinytl completion bash` is an "
        "example\n"
    )
    assert printed.out == ""
