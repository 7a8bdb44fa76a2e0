"""Draws the timeline of planned memory."""

import io
from collections.abc import Sequence

from tinytl_tf.errors import InputError
from tinytl_tf.memory.groups import GROUPS
from tinytl_tf.memory.timeline import Moment

__all__ = ["draw_timeline"]

_COLORS = {
    "saved": "tab:blue",
    "gradient": "tab:red",
    "temporary": "tab:orange",
    "state": "tab:green",
    "input": "tab:gray",
}


def draw_timeline(moments: Sequence[Moment], *, title: str, peak_bytes: int) -> bytes:
    """Draws the bytes of all groups as stacked areas over the operators, and the planned peak as a line.

    Args:
        moments: timeline; see `plan_timeline`.
        title: title above the plot.
        peak_bytes: planned peak, in bytes; see `PlannedMemory.peak_bytes`.

    Returns:
        The content of a PNG file.

    Raises:
        InputError: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("the picture needs matplotlib; pip install 'tinytl_tf[plots]'") from error
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    heights = [[moment.bytes[group] / 1e6 for moment in moments] for group in GROUPS]
    colors = [_COLORS[group] for group in GROUPS]
    axes.stackplot(range(len(moments)), heights, labels=GROUPS, colors=colors, step="post")
    axes.axhline(peak_bytes / 1e6, linestyle="--", color="black", label="peak as laid out")
    axes.set(title=title, xlabel="operators in the order in which they run", ylabel="MB alive")
    axes.set_xlim(0, max(1, len(moments) - 1))
    axes.legend(loc="upper left", fontsize="small")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()
