"""The exceptions of the package. Each message is one line: what was expected, what came, and a remedy that exists."""

__all__ = ["InputError", "NotFiniteError", "ParityError", "TinyTLError", "TrainingDiverged", "WorkerLost"]


class TinyTLError(Exception):
    """Base of all errors that the package raises on purpose.

    The command line prints the message without a traceback and exits with `exit_status`.

    Attributes:
        exit_status: Of a command that ends with this error. 1 is left to faults of ours, 130 to interrupts.
    """

    exit_status = 2


class InputError(TinyTLError, ValueError):
    """What the user gave cannot be used: a value, a file, a data set, a model."""

    exit_status = 2


class NotFiniteError(InputError):
    """A model's state makes its answers infinite or NaN."""


class ParityError(TinyTLError, RuntimeError):
    """An exported file does not compute what TensorFlow does; nothing was written."""

    exit_status = 3


class TrainingDiverged(TinyTLError, ArithmeticError):
    """A loss, gradient or weight is not finite any more; what was saved before is whole."""

    exit_status = 4


class WorkerLost(TinyTLError, ConnectionError):
    """Another process of a distributed training has ended; what was saved before is whole."""

    exit_status = 5
