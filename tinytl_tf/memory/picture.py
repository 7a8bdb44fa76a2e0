"""Draws the timeline of planned memory."""

from collections.abc import Sequence

from tinytl_tf.memory.groups import GROUPS
from tinytl_tf.memory.timeline import Moment
from tinytl_tf.pictures import encode, new_figure

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
    figure = new_figure(9, 4)
    axes = figure.subplots()
    heights = [[moment.bytes[group] / 1e6 for moment in moments] for group in GROUPS]
    colors = [_COLORS[group] for group in GROUPS]
    axes.stackplot(range(len(moments)), heights, labels=GROUPS, colors=colors, step="post")
    axes.axhline(peak_bytes / 1e6, linestyle="--", color="black", label="peak as laid out")
    axes.set(title=title, xlabel="operators in the order in which they run", ylabel="MB alive")
    axes.set_xlim(0, max(1, len(moments) - 1))
    axes.legend(loc="upper left", fontsize="small")
    return encode(figure)
