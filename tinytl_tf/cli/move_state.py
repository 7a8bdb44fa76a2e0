"""Moves a device's state to a new export of the same network: another batch, int8 kernels, another target.

Variables are matched by name. Classes, frozen weights and trained variables have to be the same; the optimizer's slots
start again, as they do after a reset.

Example:
  tinytl move-state --state=mine.tinytl --from_model=old.tflite --model=new.tflite --output=new.tinytl
"""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf import files
from tinytl_tf.cli import runner
from tinytl_tf.state import average_states

__all__ = []

FIRST = ("state", "from_model", "model", "output")  # in --help


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("state", None, "The .tinytl of the device.", flag_values=values, required=True)
    flags.DEFINE_string("from_model", None, "The .tflite it was saved from.", flag_values=values, required=True)
    flags.DEFINE_string("model", None, "The .tflite that it is for.", flag_values=values, required=True)
    flags.DEFINE_string("output", None, "The .tinytl to write.", flag_values=values, required=True)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    files.refuse_existing(values.output, values.overwrite)
    average_states([(values.state, values.from_model)], values.model, values.output)
    print(f"wrote {values.output}, a state of {values.model}")
    return {"output": values.output}


if __name__ == "__main__":
    sys.exit(runner.run_command("move-state", sys.argv[1:]))
