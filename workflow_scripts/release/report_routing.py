"""Report how the system routes: one page with accuracy against cost, and how far its confidence can be trusted."""

from pathlib import Path
from typing import Any

from ingot.io.records import read_json
from ingot.pages.figures import figure
from ingot.pages.page import page_of

Report = dict[str, Any]


def draw_costs(report: Report) -> Any:
    """Return what draws accuracy against cost of all ways to route."""
    curves = report["curves"]

    def draw(axes: Any) -> None:
        for name, label, colour in (
            ("router", "router", "#4c72b0"),
            ("confidence", "by the base's confidence", "#dd8452"),
        ):
            points = sorted(curves[name], key=lambda one: (one["cost"], one["accuracy"]))
            axes.plot(
                [p["cost"] for p in points], [100 * p["accuracy"] for p in points], ".-", color=colour, label=label
            )
        ends = [curves["base"], curves["modifier"]]
        axes.plot([p["cost"] for p in ends], [100 * p["accuracy"] for p in ends], ":", color="#888", label="at random")
        marks = (
            ("base", "always the base", "s"),
            ("modifier", "always a modifier", "D"),
            ("oracle", "perfect router", "*"),
        )
        for name, label, marker in marks:
            axes.plot(curves[name]["cost"], 100 * curves[name]["accuracy"], marker, color="#222", label=label)
        share = 100 * report["system"]["share"]
        axes.axhline(share, color="#4c72b0", linewidth=0.5)
        dearest = max(one["cost"] for one in curves["confidence"])
        axes.annotate(f"the system, {share:.1f} %", (dearest, share), fontsize=7, ha="right", va="bottom")
        axes.set_xlabel("cost of an answer (the base alone: as configured)")
        axes.set_ylabel("exact match, %")
        axes.legend(fontsize=7, frameon=False)

    return draw


def draw_reliability(bins: list[dict[str, float]]) -> Any:
    """Return what draws how often a confidence is right."""

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], ":", color="#888")
        places = [one["confidence"] for one in bins]
        axes.plot(places, [one["true"] for one in bins], "o-", color="#4c72b0")
        for one in bins:
            axes.annotate(
                f"{one['count']}",
                (one["confidence"], one["true"]),
                fontsize=7,
                xytext=(4, -9),
                textcoords="offset points",
            )
        axes.set_xlabel("confidence")
        axes.set_ylabel("share that is right")
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.05)

    return draw


def draw_rounds(stages: list[Report]) -> Any:
    """Return what draws the exact match of every stage by domain, with its interval."""

    def draw(axes: Any) -> None:
        domains = list(stages[0]["exact_match"])
        width = 0.8 / len(stages)
        for i, stage in enumerate(stages):
            shares = [stage["exact_match"][domain] for domain in domains]
            places = [k + (i - (len(stages) - 1) / 2) * width for k in range(len(domains))]
            heights = [100 * one["share"] for one in shares]
            reach = [
                [100 * (one["share"] - one["low"]) for one in shares],
                [100 * (one["high"] - one["share"]) for one in shares],
            ]
            axes.bar(places, heights, width * 0.9, yerr=reach, error_kw={"lw": 0.7}, label=stage["stage"])
        axes.set_xticks(range(len(domains)), domains)
        axes.set_ylabel("exact match, %")
        axes.set_ylim(0, 105)
        axes.legend(fontsize=7, frameon=False, ncols=len(stages), loc="lower center", bbox_to_anchor=(0.5, 1))

    return draw


def report_routing(system: Path, router: Path, detector: list[Path], rounds: Path, page: Path) -> None:
    """Write the page from the reports of `measure_system`, `train_router`, `train_detector` and `report_rounds`."""
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
