"""The C files of an export for TensorFlow Lite Micro: they compile, and say what the manifest says."""

import dataclasses
import shutil
import subprocess

import pytest

from tests.micro_files import micro_file
from tinytl_tf.export.micro_header import header, source
from tinytl_tf.tflite.manifest import Manifest

pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

# Prints what the C files hold; the resolver records what the macro asks it for.
C_PROGRAM = """
#include <stdio.h>
#include "tiny_2_model.h"
int main(void) {
  unsigned long sum = 0;
  for (size_t i = 0; i < TINY_2_TFLITE_BYTES; ++i) sum = sum * 31 + tiny_2_tflite[i];
  printf("%lu %d %d %d %d %d %d %s %d\\n", sum, TINY_2_ARENA_BYTES, TINY_2_RESOURCE_VARIABLES, TINY_2_STATE_SIZE,
         TINY_2_INPUT_COMMAND, TINY_2_OUTPUT_STATE, TINY_2_COMMAND_RESET, tiny_2_labels[TINY_2_LABELS - 1],
         (int)((uintptr_t)tiny_2_tflite % 16));
  for (int i = 0; i < 32; ++i) printf("%02x", tiny_2_fingerprint[i]);
  return 0;
}
"""
CPP_PROGRAM = """
#include <cstdio>
#include "tiny_2_model.h"
struct Resolver {
%s
};
int main() {
  Resolver resolver;
  TINY_2_ADD_OPERATORS(resolver);
  std::printf("%%d", TINY_2_OPERATORS);
}
"""
FLAGS = ["-Wall", "-Wextra", "-Werror", "-pedantic"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path, folder = micro_file("tinytl-b", "sgd"), tmp_path_factory.mktemp("firmware")
    manifest = Manifest.read(path)
    (folder / "tiny_2_model.h").write_text(header(manifest, "tiny_2"))
    (folder / "tiny_2_model.c").write_text(source(manifest, "tiny_2", path.read_bytes()))
    return folder


def run(folder, compiler, *files):
    command = [compiler, *FLAGS, *files, "-o", "program"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:2000]
    return subprocess.run([folder / "program"], capture_output=True, text=True, check=True).stdout


def test_c_has_the_file_and_the_numbers(folder):
    (folder / "main.c").write_text(C_PROGRAM.replace("#include <stdio.h>", "#include <stdint.h>\n#include <stdio.h>"))
    path = micro_file("tinytl-b", "sgd")
    manifest = Manifest.read(path)
    total = 0
    for byte in path.read_bytes():
        total = (total * 31 + byte) % 2**64
    facts = manifest.micro
    expected = [
        total,
        facts["arena"]["bytes"],
        facts["resource_variables"],
        manifest.state_size,
        facts["inputs"].index("command"),
        facts["outputs"].index("state"),
        facts["commands"]["reset"],
        manifest.labels[-1],
        0,
    ]
    numbers, fingerprint = run(folder, "gcc", "-std=c11", "main.c", "tiny_2_model.c").splitlines()
    assert numbers.split() == [str(value) for value in expected]
    assert fingerprint == manifest.sha256


def test_cpp_registers_each_operator_once(folder):
    operators = Manifest.read(micro_file("tinytl-b", "sgd")).micro["operators"]
    methods = "\n".join(f'  void {name}() {{ std::puts("{name}"); }}' for name in operators)
    (folder / "main.cc").write_text(CPP_PROGRAM % methods)
    *called, count = run(folder, "g++", "-std=c++17", "main.cc").splitlines()
    assert called == operators
    assert int(count) == len(operators) == len(set(operators))


@pytest.mark.parametrize(
    ("label", "text"), [("dog", '"dog"'), ('a"b\\', '"a\\042b\\134"'), ("Ä?", '"\\303\\204\\077"')]
)
def test_labels_are_strings_of_utf8(label, text):
    path = micro_file("tinytl-b", "sgd")
    manifest = dataclasses.replace(Manifest.read(path), labels=(label, "b", "c", "d"))
    assert f"    {text},\n" in source(manifest, "x", b"")


def test_a_state_of_another_file_has_its_fingerprint():
    manifest = Manifest.read(micro_file("tinytl-b", "sgd"))
    shared = dataclasses.replace(manifest, micro={**manifest.micro, "state_of": "ab" * 32})
    assert source(shared, "x", b"").count("171,") == 32
