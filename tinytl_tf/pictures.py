"""Figures of matplotlib, an optional package, without its global state and without a display."""

import importlib
import io
from typing import TYPE_CHECKING

from tinytl_tf.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["encode", "new_figure", "require_matplotlib"]


def require_matplotlib() -> None:
    """Checks that pictures can be drawn.

    Raises:
        InputError: If matplotlib is not installed.
    """
    try:
        importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise InputError("the picture needs matplotlib; pip install 'tinytl_tf[plots]'") from error


def new_figure(width: float, height: float) -> "Figure":
    """Returns an empty figure.

    Args:
        width: Its width in inches.
        height: Its height in inches.

    Raises:
        InputError: If matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def encode(figure: "Figure", kind: str = "png") -> bytes:
    """Returns the content of a file with the figure.

    Args:
        figure: The figure.
        kind: The suffix of the file, without its point.
    """
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=120)
    return content.getvalue()
