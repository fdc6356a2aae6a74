"""Write plots as SVG, in one palette: a colour means the same on every page."""

import io
import os
import tempfile
from functools import cache
from typing import Any

BASE = "#8c8c8c"
"""The model that everything starts from."""
CHECKPOINT = "#8172b3"
"""A checkpoint or an adapter of the chain."""
CHECKPOINTS = ("#c4bddb", "#a497c8", "#8172b3", "#5f5191", "#3f356a")
"""Several checkpoints beside each other, from the first of the chain to the last."""
GGUF = "#3f8f55"
"""A GGUF file, packed or not."""
SYSTEM = "#4c72b0"
"""The whole system: router, served model and modifiers."""
CONFIDENCE = "#dd8452"
"""Routing by the base's own confidence, which the router is compared with."""
RECORDS = "#5b8a9a"
"""Records of the data stage."""
GUIDE = "#888888"
"""Lines to compare with: the diagonal, choosing at random."""
INK = "#222222"


def colour_of(model: str) -> str:
    """Return the colour of a model by its name. The names of GGUF types begin with a capital."""
    if model in ("base", "system"):
        return BASE if model == "base" else SYSTEM
    return GGUF if model[0].isupper() else CHECKPOINT


def figure(draw: Any, width: float = 6.4, height: float = 3.2) -> str:
    """Draw a plot for a page, and return it as SVG. `draw` gets the axes. The same data give the same bytes.

    `width` and `height` are in inches.
    """
    return drawn(draw, width, height, title="", background="none")


def picture(draw: Any, title: str, width: float = 6.4, height: float = 4.2) -> str:
    """Draw a plot that stands alone, and return it as SVG. It has a title, and a background that dark pages need."""
    return drawn(draw, width, height, title, background="white")


@cache
def folder_of_matplotlib() -> "tempfile.TemporaryDirectory[str]":
    """Give matplotlib a folder of its own, until this process ends. So no settings of a person change a plot."""
    folder = tempfile.TemporaryDirectory(prefix="ingot-")
    os.environ["MPLCONFIGDIR"] = folder.name
    return folder


def drawn(draw: Any, width: float, height: float, title: str, background: str) -> str:
    """Let `draw` draw on axes of this size, and return the plot as SVG."""
    folder_of_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure

    # A $ in a domain's name is no formula.
    settings: dict[Any, Any] = {
        "svg.hashsalt": "ingot",
        "svg.fonttype": "none",
        "font.size": 9,
        "text.parse_math": False,
    }
    with matplotlib.rc_context(settings):
        canvas = Figure((width, height), layout="constrained", facecolor=background)
        axes = canvas.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        axes.set_title(title, loc="left", fontsize=11)
        text = io.StringIO()
        canvas.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, transparent=background == "none")
    return text.getvalue()[text.getvalue().index("<svg") :]
