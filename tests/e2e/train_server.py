"""Starts `tinytl` commands as forked children, so that a kill costs no second import of TensorFlow.

Reads the arguments of a command as a line of JSON, answers with the child's process id, and with its exit status
(negative for a signal) when it has ended. Nothing of TensorFlow may run before a fork: its threads do not survive it.
"""

import json
import os
import sys

from tests.training import tiny
from tinytl_tf import training  # noqa: F401  what a child would spend its time on
from tinytl_tf.backbones import ARCHITECTURES
from tinytl_tf.cli.main import main


def serve() -> None:
    ARCHITECTURES[tiny.BACKBONE] = tiny.architecture()
    print("ready", flush=True)
    for line in sys.stdin:
        argv = json.loads(line)
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)  # standard output is for the answers
            try:
                os._exit(main(argv))
            finally:
                os._exit(70)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
