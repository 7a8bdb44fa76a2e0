"""No command has a flag that nothing reads."""

import importlib
import inspect
import re

import pytest
from absl import flags

from tinytl_tf.cli import coral, main, runtime_flags


@pytest.mark.parametrize("name", main.COMMANDS)
def test_each_flag_is_read(name):
    command = importlib.import_module(f"tinytl_tf.cli.{name}")
    values = flags.FlagValues()
    command.define_flags(values, [name])
    source = "".join(map(inspect.getsource, (command, runtime_flags, coral)))
    unread = [
        flag
        for flag in values
        if flag != "help"
        and not re.search(rf"values\.{flag}\b", source)  # by name, or by a name in a list of them
        and len(re.findall(rf'"{flag}"', source)) < 2
    ]
    assert not unread
