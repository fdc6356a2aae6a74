"""Write the page on routing: its accuracy and its cost, and how far its confidence can be trusted."""

from pathlib import Path

from ingot.io.records import read_json
from ingot.pages.figures import figure, picture
from ingot.pages.page import page_of
from ingot.pages.plots import draw_costs, draw_reliability, draw_rounds


def report_routing(system: Path, router: Path, detector: list[Path], rounds: Path, page: Path, costs: Path) -> None:
    """Write the page, and the plot of costs by itself.

    The reports are those of `measure_system`, `train_router`, `train_detector` and `report_rounds`.
    """
    measured, trained = read_json(system), read_json(router)
    plots = {
        "costs": figure(draw_costs(measured), 6.4, 4.2),
        "rounds": figure(draw_rounds(read_json(rounds)), 9.6, 3.6),
        "reliability": figure(draw_reliability(measured["reliability"]), 6.4, 4.2),
    }
    page.write_text(
        page_of(
            "routing.html",
            measured=measured,
            trained=trained,
            detector=read_json(detector[0]) if detector else None,
            plots=plots,
        ),
        encoding="utf-8",
    )
    plot = picture(draw_costs(measured), "What an answer costs, and how many are right")
    costs.write_text(plot, encoding="utf-8")
