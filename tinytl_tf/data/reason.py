"""One line about a dependency's error, for an InputError."""


def reason(error: Exception) -> str:
    """Returns the first line of the error's message that is not blank, or else the name of its type."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
