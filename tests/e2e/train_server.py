"""Starts `tinytl` commands as forked children, so that a kill costs no second import of TensorFlow.

Reads lines of JSON, each with the arguments of a command, and the seconds after which to kill it, or null. When the
command has ended, prints its exit status (negative for a signal). No TensorFlow function may run before a fork, because
its threads do not survive the fork.
"""

import json
import os
import signal
import sys
import threading

from tests.training import tiny
from tinytl_tf import training  # noqa: F401  what a child would spend its time on
from tinytl_tf.backbones import ARCHITECTURES
from tinytl_tf.cli.main import main


def serve() -> None:
    ARCHITECTURES[tiny.BACKBONE] = tiny.architecture()
    print("ready", flush=True)
    for line in sys.stdin:
        argv, kill_after = json.loads(line)
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)  # standard output is for the answers
            try:
                os._exit(main(argv))
            finally:
                os._exit(70)
        killer = threading.Timer(kill_after or 0, os.kill, (child, signal.SIGKILL))
        if kill_after is not None:
            killer.start()
        # Not reaped yet: until the killer is done, the process id must be the child's.
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        killer.cancel()
        if kill_after is not None:
            killer.join()
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
