"""The one exception that a user's mistake raises, whatever part of the package meets it."""

__all__ = ["InputError"]


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one line that says what was expected, what came, and the remedy. The command line
    prints it without a traceback and exits with status 2.
    """
