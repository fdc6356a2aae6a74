"""Plots as SVG, for pages that are one file."""

import io
from typing import Any


def figure(draw: Any, width: float = 6.4, height: float = 3.2) -> str:
    """Return a plot as SVG; `draw` gets its axes. The same data give the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "ingot", "svg.fonttype": "none", "font.size": 9}):
        canvas = Figure((width, height), layout="constrained")
        axes = canvas.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        text = io.StringIO()
        canvas.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return text.getvalue()[text.getvalue().index("<svg") :]
