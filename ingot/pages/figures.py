"""Plots as SVG, and the one palette of all plots: a colour means the same on every page."""

import io
from typing import Any

BASE = "#8c8c8c"
"""The model that everything starts from."""
CHECKPOINT = "#8172b3"
"""A checkpoint or an adapter of the chain."""
CHECKPOINTS = ("#c4bddb", "#a497c8", "#8172b3", "#5f5191", "#3f356a")
"""Several of them beside each other, from the first of the chain to the last."""
GGUF = "#3f8f55"
"""A GGUF file, packed or not."""
SYSTEM = "#4c72b0"
"""The whole: router, served model and modifiers."""
CONFIDENCE = "#dd8452"
"""The base's own confidence, the router's rival."""
RECORDS = "#5b8a9a"
"""Records of the data stage."""
GUIDE = "#888888"
"""What a plot is read by: diagonals, chance."""
INK = "#222222"


def colour_of(model: str) -> str:
    """Return the colour of a model by its name: GGUF types begin with a capital."""
    if model in ("base", "system"):
        return BASE if model == "base" else SYSTEM
    return GGUF if model[0].isupper() else CHECKPOINT


def figure(draw: Any, width: float = 6.4, height: float = 3.2) -> str:
    """Return a plot for a page as SVG; `draw` gets its axes. The same data give the same bytes."""
    return drawn(draw, width, height, title="", background="none")


def picture(draw: Any, title: str, width: float = 6.4, height: float = 4.2) -> str:
    """Return a plot that stands alone: with a title, and a background for readers who prefer dark pages."""
    return drawn(draw, width, height, title, background="white")


def drawn(draw: Any, width: float, height: float, title: str, background: str) -> str:
    """Return what `draw` draws, as SVG."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "ingot", "svg.fonttype": "none", "font.size": 9}):
        canvas = Figure((width, height), layout="constrained", facecolor=background)
        axes = canvas.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        axes.set_title(title, loc="left", fontsize=11)
        text = io.StringIO()
        canvas.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, transparent=background == "none")
    return text.getvalue()[text.getvalue().index("<svg") :]
