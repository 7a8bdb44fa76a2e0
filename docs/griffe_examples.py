"""Griffe extension that shows the section `Example:` of our docstrings as code."""

from typing import Any

from griffe import Extension, Object


class Examples(Extension):
    """Renames `Example:`, which Griffe shows as a note, to `Examples:`, which it shows as code."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Modifies the docstring of an object."""
        if obj.docstring:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
