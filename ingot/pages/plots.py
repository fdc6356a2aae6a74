"""What the plots show of a build. Each function returns what draws on the axes that it is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ingot.pages.figures import BASE, CHECKPOINTS, CONFIDENCE, GUIDE, INK, SYSTEM, colour_of

Report = dict[str, Any]
Draw = Callable[[Any], None]


def draw_costs(report: Report) -> Draw:
    """Draw accuracy against cost of all ways to route, of a report on the system."""
    curves = report["curves"]

    def draw(axes: Any) -> None:
        lines = (("router", "router", SYSTEM), ("confidence", "by the base's confidence", CONFIDENCE))
        for name, label, colour in lines:
            points = sorted(curves[name], key=lambda point: (point["cost"], point["accuracy"]))
            costs, heights = [p["cost"] for p in points], [100 * p["accuracy"] for p in points]
            axes.plot(costs, heights, ".-", color=colour, label=label)
        ends = [curves["base"], curves["modifier"]]
        axes.plot([p["cost"] for p in ends], [100 * p["accuracy"] for p in ends], ":", color=GUIDE, label="at random")
        marks = (
            ("base", "always the base", "s"),
            ("modifier", "always a modifier", "D"),
            ("oracle", "perfect router", "*"),
        )
        for name, label, marker in marks:
            axes.plot(curves[name]["cost"], 100 * curves[name]["accuracy"], marker, color=INK, label=label)
        share = 100 * report["system"]["share"]
        axes.axhline(share, color=SYSTEM, linewidth=0.5)
        dearest = max(point["cost"] for point in curves["confidence"])
        axes.annotate(f"the system, {share:.1f} %", (dearest, share), fontsize=7, ha="right", va="bottom")
        axes.set_xlabel("cost of an answer, in the units of `router.costs` (lower is better)")
        axes.set_ylabel("exact match, % (higher is better)")
        axes.legend(fontsize=7, frameon=False)

    return draw


def draw_reliability(bins: list[dict[str, float]]) -> Draw:
    """Draw how often a confidence is right."""

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], ":", color=GUIDE)
        axes.plot([b["confidence"] for b in bins], [b["true"] for b in bins], "o-", color=SYSTEM)
        for b in bins:
            place = (b["confidence"], b["true"])
            axes.annotate(f"{b['count']}", place, fontsize=7, xytext=(4, -9), textcoords="offset points")
        axes.set_xlabel("confidence")
        axes.set_ylabel("share that is right (best on the dotted line)")
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.05)

    return draw


def stage_colours(stages: Sequence[str]) -> list[str]:
    """Return a colour per stage; checkpoints of the chain get darker from the first to the last."""
    shades = iter(CHECKPOINTS)
    plain = {"base": BASE, "system": SYSTEM}
    return [
        plain.get(stage) or (colour_of(stage) if stage[0].isupper() else next(shades, CHECKPOINTS[-1]))
        for stage in stages
    ]


def draw_rounds(stages: list[Report]) -> Draw:
    """Draw the exact match of every stage by domain, with its interval."""

    def draw(axes: Any) -> None:
        domains = [name for name in stages[0]["exact_match"] if "/" not in name]
        width = 0.8 / len(stages)
        colours = stage_colours([stage["stage"] for stage in stages])
        for i, (stage, colour) in enumerate(zip(stages, colours, strict=True)):
            shares = [stage["exact_match"][domain] for domain in domains]
            places = [k + (i - (len(stages) - 1) / 2) * width for k in range(len(domains))]
            heights = [100 * figure["share"] for figure in shares]
            reach = reach_of(shares)
            axes.bar(places, heights, width * 0.9, yerr=reach, error_kw={"lw": 0.7}, label=stage["stage"], color=colour)
        axes.set_xticks(range(len(domains)), domains)
        axes.set_ylabel("exact match, % (higher is better)")
        axes.set_ylim(0, 105)
        axes.legend(fontsize=7, frameon=False, ncols=len(stages), loc="lower center", bbox_to_anchor=(0.5, 1))

    return draw


def reach_of(shares: Sequence[dict[str, float]]) -> list[list[float]]:
    """Return how far the intervals of shares reach down and up, in percent."""
    down = [100 * (figure["share"] - figure["low"]) for figure in shares]
    return [down, [100 * (figure["high"] - figure["share"]) for figure in shares]]


@dataclass(frozen=True)
class Sized:
    """A model with what must be on disk to run it, and how good it is."""

    name: str
    bytes: int
    figure: dict[str, float]
    packed: bool


def draw_sizes(models: Sequence[Sized], questions: str) -> Draw:
    """Draw what models weigh against how many `questions` they answer right, with intervals."""

    def draw(axes: Any) -> None:
        for model in models:
            colour = "white" if model.packed else colour_of(model.name)
            edge = colour_of(model.name)
            height = 100 * model.figure["share"]
            reach = reach_of([model.figure])
            axes.errorbar(model.bytes, height, reach, color=edge, alpha=0.35, linewidth=1, zorder=1)
            marker = "*" if model.name == "system" else "o"
            size = 13 if model.name == "system" else 7
            axes.plot(model.bytes, height, marker, color=colour, markeredgecolor=edge, markersize=size, zorder=2)
        axes.set_xscale("log")
    return draw
