"""The exceptions of the package. Each message is one line: expected value, actual value, and a remedy."""

__all__ = ["InputError", "NotFiniteError", "ParityError", "TinyTLError", "TrainingDiverged", "WorkerLost"]


class TinyTLError(Exception):
    """Base of all errors that the package raises on purpose.

    The command line prints the message without a traceback and exits with `exit_status`.

    Attributes:
        exit_status: Exit status of a command that fails with this error. 1 is reserved for bugs in the package and 130
            for interrupts.
    """

    exit_status = 2


class InputError(TinyTLError, ValueError):
    """Invalid user input: a value, a file, a data set or a model."""

    exit_status = 2


class NotFiniteError(InputError):
    """A model's state makes its outputs infinite or NaN."""


class ParityError(TinyTLError, RuntimeError):
    """The results of an exported file differ from TensorFlow's; nothing was written."""

    exit_status = 3


class TrainingDiverged(TinyTLError, ArithmeticError):
    """A loss, gradient or weight is no longer finite; earlier saves are intact."""

    exit_status = 4


class WorkerLost(TinyTLError, ConnectionError):
    """Another process of a distributed training run has ended; earlier saves are intact."""

    exit_status = 5
