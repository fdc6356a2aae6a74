"""Draw plots for people: the sizes of the artifacts against their quality, and the losses of the trainings."""

from pathlib import Path
from typing import Any

from ingot.io.records import read_json
from ingot.pages.figures import picture
from ingot.pages.plots import SIZES_HEIGHT, SIZES_WIDTH, draw_losses, draw_sizes, sized


def losses_of(report: Any) -> list[dict[str, Any]]:
    """Read the losses of a training from its report. A base or a round that was not trained has none."""
    losses: list[dict[str, Any]] = report.get("losses", report.get("training", {}).get("losses", []))
    return losses


def draw_plots(figures: Path, trainings: list[Path], sizes: Path, losses: Path, *, names: list[str]) -> None:
    """Write the plots as SVG. `trainings` are the reports of the trainings called `names`."""
    draw = draw_sizes(list(sized(read_json(figures))))
    title = "The size of each artifact, and how many questions it answers right"
    sizes.write_text(picture(draw, title, SIZES_WIDTH, SIZES_HEIGHT), encoding="utf-8")
    rows = {name: losses_of(read_json(path)) for name, path in zip(names, trainings, strict=True)}
    draw = draw_losses({name: steps for name, steps in rows.items() if steps})
    losses.write_text(picture(draw, "How the trainings went"), encoding="utf-8")
