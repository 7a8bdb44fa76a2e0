"""No command has a flag that nothing reads, or that is of another type than in other commands."""

import importlib
import inspect
import re

import pytest
from absl import flags

from tinytl_tf.cli import (
    coral,
    data_flags,
    main,
    micro,
    micro_budget,
    process_budget,
    runtime_flags,
    target,
    train,
)


@pytest.mark.parametrize("name", main.COMMANDS)
def test_each_flag_is_read(name):
    command = importlib.import_module(f"tinytl_tf.cli.{name.replace('-', '_')}")
    values = flags.FlagValues()
    command.define_flags(values, [name])
    shared = (runtime_flags, data_flags, train, target, coral, micro, micro_budget, process_budget)
    source = "".join(map(inspect.getsource, (command, *shared)))
    unread = [
        flag
        for flag in values
        if flag != "help"
        and not re.search(rf"values\.{flag}\b", source)  # by name, or by a name in a list of them
        and len(re.findall(rf'"{flag}"', source)) < 2
    ]
    assert not unread


def test_a_name_means_one_type():
    types = {}
    for name in main.COMMANDS:
        values = flags.FlagValues()
        importlib.import_module(f"tinytl_tf.cli.{name.replace('-', '_')}").define_flags(values, [name])
        for flag in values:
            types.setdefault(flag, {}).setdefault(values[flag].flag_type(), []).append(name)
    assert len(types["threads"]["int"]) > 3
    assert {flag: found for flag, found in types.items() if len(found) > 1} == {}
