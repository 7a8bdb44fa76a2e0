"""Moves a device's state to a new export of the same network.

The export may have a different batch size, int8 kernels, or another target.

Variables are matched by name. Both files must have the same classes, frozen weights and trained variables. The
optimizer's slots are reset.

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
    flags.DEFINE_string("state", None, "State file of the device, .tinytl.", flag_values=values, required=True)
    flags.DEFINE_string("from_model", None, "The .tflite that saved --state.", flag_values=values, required=True)
    flags.DEFINE_string("model", None, "The new .tflite.", flag_values=values, required=True)
    flags.DEFINE_string("output", None, "State file to write, .tinytl.", flag_values=values, required=True)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    files.refuse_existing(values.output, values.overwrite)
    average_states([(values.state, values.from_model)], values.model, values.output)
    print(f"wrote {values.output}, a state of {values.model}")
    return {"output": values.output}


if __name__ == "__main__":
    sys.exit(runner.run_command("move-state", sys.argv[1:]))
