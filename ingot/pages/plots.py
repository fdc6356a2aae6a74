"""Draw the plots of a build. Each `draw_` function returns a function that draws on the axes that it is given."""

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from math import hypot
from typing import Any

from ingot.pages.figures import BASE, CHECKPOINTS, CONFIDENCE, GGUF, GUIDE, INK, SYSTEM, colour_of

Report = dict[str, Any]
Draw = Callable[[Any], None]


def draw_costs(report: Report) -> Draw:
    """Draw the accuracy and the cost of every way to route, from the report on the system."""
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
        highest_cost = max(point["cost"] for point in curves["confidence"])
        axes.annotate(f"the system, {share:.1f} %", (highest_cost, share), fontsize=7, ha="right", va="bottom")
        axes.set_xlabel("cost of an answer, in units of router.costs (lower is better)")
        axes.set_ylabel("exact match, % (higher is better)")
        axes.legend(fontsize=7, frameon=False)

    return draw


def draw_reliability(bins: list[dict[str, float]]) -> Draw:
    """Draw how often decisions of each confidence are right."""

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
    """Choose a colour for each stage. Checkpoints of the chain get darker from the first to the last."""
    shades = iter(CHECKPOINTS)
    plain = {"base": BASE, "system": SYSTEM}
    return [
        plain.get(stage) or (colour_of(stage) if stage[0].isupper() else next(shades, CHECKPOINTS[-1]))
        for stage in stages
    ]


def draw_losses(trainings: dict[str, list[Report]]) -> Draw:
    """Draw the loss of each training over its steps. `trainings` are {name: rows with `step` and `loss`}."""

    def draw(axes: Any) -> None:
        shades = iter(CHECKPOINTS)
        for name, rows in trainings.items():
            colour = BASE if name == "base" else next(shades, CHECKPOINTS[-1])
            axes.plot([row["step"] for row in rows], [row["loss"] for row in rows], ".-", color=colour, label=name)
        axes.set_xlabel("step of the training")
        axes.set_ylabel("loss, nats per token (lower is better)")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=7, frameon=False)

    return draw


def draw_rounds(stages: list[Report]) -> Draw:
    """Draw the exact match of every stage in each domain, with its interval."""

    def draw(axes: Any) -> None:
        domains = list(stages[0]["exact_match"])
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
    """Compute how far the intervals of shares reach down and up, in percentage points."""
    down = [100 * (figure["share"] - figure["low"]) for figure in shares]
    return [down, [100 * (figure["high"] - figure["share"]) for figure in shares]]


@dataclass(frozen=True)
class Sized:
    """A model, what must be on disk to run it, and how many questions it answers right."""

    name: str
    bytes: int
    right: dict[str, float]
    """A share with its interval."""
    packed: bool = False
    """Whether this is the packed form of the model before it."""
    label: str = ""
    """What the plot calls it; "" stands for its name."""


def sized(figures: Report) -> Iterator[Sized]:
    """List the artifacts that were measured, each followed by its packed form, and the whole system as the last."""
    adapters = set(figures["manifest"]["adapters"])
    right = {report["model"]: report["exact_match"]["all"] for report in figures["measured"]}
    rows = {row["artifact"]: row for row in figures["ledger"]}
    for name, row in rows.items():
        if name not in right:
            continue
        label = ""
        size = row["bytes"]
        if name in adapters:  # an adapter does not run alone
            size, label = size + rows["base"]["bytes"], f"{name} on base"
        yield Sized(name, size, right[name], label=label)
        if packed := rows.get(f"{name}.zst"):
            yield Sized(name, packed["bytes"], right[name], packed=True)
    if system := figures["system"]:
        size = sum(file["bytes"] for file in figures["manifest"]["files"])
        yield Sized("system", size, system["system"])


def in_units(size: float, _: Any = None) -> str:
    """Write a number of bytes in the largest unit in which it is at least 1."""
    units = ("B", "kB", "MB", "GB", "TB")
    place = next((i for i in range(len(units) - 1) if size < 1000 ** (i + 1)), len(units) - 1)
    return f"{size / 1000**place:g} {units[place]}"


Pair = tuple[float, float]
Box = tuple[float, float, float, float]
"""The left, lower, right and upper end of a box."""


def overlap(one: Box, other: Box) -> float:
    """Compute the area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


def place_labels(points: Sequence[Pair], sizes: Sequence[Pair], room: Pair, others: Sequence[Pair]) -> list[Pair]:
    """Place a label beside each point, so that labels cover neither points nor each other.

    Returns the lower left corner of each label. If there is no free place, a label gets the place where it covers
    least. `sizes` are the widths and heights of the labels. They must stay between (0, 0) and `room`, the upper right
    corner. `others` are points without a label. Everything is in the same unit.
    """
    taken: list[Box] = [(x - 5, y - 5, x + 5, y + 5) for x, y in (*points, *others)]
    corners: list[Pair] = []
    for (x, y), (width, height) in zip(points, sizes, strict=True):
        best, corner = float("inf"), (x, y)
        for reach in range(10, 80, 4):
            for right, up in ((1, 0), (-1, 0), (0, 1), (0, -1), (0.8, 0.8), (-0.8, 0.8), (0.8, -0.8), (-0.8, -0.8)):
                left = x + right * reach - width * (1 - right) / 2
                low = y + up * reach - height / 2
                box = (left, low, left + width, low + height)
                inside = left >= 0 and low >= 0 and box[2] <= room[0] and box[3] <= room[1]
                away = hypot(left + width / 2 - x, low + height / 2 - y)
                price = 10 * sum(overlap(box, taken_box) for taken_box in taken) + away
                if inside and price < best:
                    best, corner = price, (left, low)
        corners.append(corner)
        taken.append((corner[0], corner[1], corner[0] + width, corner[1] + height))
    return corners


SIZES_WIDTH, SIZES_HEIGHT = 8.6, 5.2
"""The size of the plot that `draw_sizes` draws, in inches."""
LABEL = 8
"""The height of its labels, in points."""


def draw_sizes(models: Sequence[Sized]) -> Draw:
    """Draw the size of models and how many questions they answer right, with intervals."""

    def draw(axes: Any) -> None:
        from matplotlib.lines import Line2D

        heights = [100 * model.right["share"] for model in models]
        for i, (model, height) in enumerate(zip(models, heights, strict=True)):
            colour, is_system = colour_of(model.name), model.name == "system"
            reach = reach_of([model.right])
            axes.errorbar([model.bytes], [height], reach, color=colour, alpha=0.3, linewidth=1.2, zorder=1)
            if model.packed:
                axes.plot([models[i - 1].bytes, model.bytes], [heights[i - 1], height], color=colour, zorder=2)
            axes.plot(
                model.bytes,
                height,
                "*" if is_system else "o",
                color=colour,
                markerfacecolor="white" if model.packed else colour,
                markersize=15 if is_system else 7,
                zorder=3,
            )
        scale_bytes(axes, [model.bytes for model in models])
        axes.set_xlabel("on disk, log scale (further left is better)")
        axes.set_ylabel(f"exact match on {models[0].right['of']:,} held-out questions, % (higher is better)")
        label_points(axes, models, heights)
        kinds = (
            ("base", "base", "o", None),
            ("checkpoint", "checkpoint of the chain", "o", None),
            ("F16", "GGUF file", "o", None),
            ("F16", "the same, packed", "o", "white"),
            ("system", "system: served model, modifiers, router", "*", None),
        )
        shown = {(colour_of(model.name), model.packed) for model in models}
        handles = [
            Line2D([], [], linestyle="", marker=marker, color=colour_of(name), markerfacecolor=face, label=label)
            for name, label, marker, face in kinds
            if (colour_of(name), face is not None) in shown
        ]
        handles.append(Line2D([], [], linestyle="", marker="|", color=GUIDE, label="95 % interval"))
        axes.legend(handles=handles, fontsize=LABEL, frameon=False, loc="lower left")

    return draw


def draw_frontier(rows: Sequence[Report], before: Report, prunings: Collection[str]) -> Draw:
    """Draw what candidates take in memory, and how many validation prompts they answer right; a star is the chosen one.

    Candidates that were not asked are not shown. A line is the model `before` compression. `prunings` are the names of
    ways to prune.
    """

    def draw(axes: Any) -> None:
        asked = [row for row in rows if row["of"]]
        if not asked:
            axes.annotate("no candidate was asked", (0.5, 0.5), xycoords="axes fraction", ha="center")
            axes.set_axis_off()
            return
        sources = list(dict.fromkeys(row["recipe"].rpartition("-")[0] for row in rows))
        markers = dict(zip(sources, itertools.cycle("osD^vP<>Xphd"), strict=False))
        models = []
        for row in asked:
            source, _, quant = row["recipe"].rpartition("-")
            right = {"share": row["right"] / row["of"], "low": row["interval"][0], "high": row["interval"][1]}
            height, place = 100 * right["share"], row["memory_bytes"]
            axes.errorbar([place], [height], reach_of([right]), color=GGUF, alpha=0.3, linewidth=1.2)
            marker, size = ("*", 15) if row["chosen"] else (markers[source], 6)
            axes.plot(place, height, marker, color=GGUF, markersize=size, zorder=3)
            models.append(Sized(row["recipe"] if row["chosen"] else quant, row["memory_bytes"], right))
        share = 100 * before["share"]
        axes.axhline(share, color=GUIDE, linewidth=0.7, linestyle=":")
        scale_bytes(axes, [model.bytes for model in models])
        said, at_the_right = f"{before['model']} in 16 bits, {share:.1f} %", ("axes fraction", "data")
        axes.annotate(said, (1, share), xycoords=at_the_right, fontsize=7, ha="right", va="bottom")
        axes.set_xlabel("in memory, log scale (further left is better)")
        axes.set_ylabel(f"right answers to {asked[0]['of']:,} validation prompts, % (higher is better)")
        label_points(axes, models, [100 * model.right["share"] for model in models])
        for source, marker in markers.items():
            axes.plot([], [], marker, color=GGUF, label=made_by(source, prunings))
        axes.plot([], [], "|", color=GUIDE, label="95 % interval")
        if any(row["chosen"] for row in asked):
            axes.plot([], [], "*", color=GGUF, markersize=12, label="chosen")
        axes.legend(fontsize=LABEL, frameon=False, loc="lower right")

    return draw


def draw_changes(models: Sequence[Report], shares: Callable[[Report, bool], list[Pair]]) -> Draw:
    """Draw how many next tokens change in so many bits.

    `shares` makes the line of a model, as pairs of bits and share, for types of llama.cpp or for mixes.
    """

    def draw(axes: Any) -> None:
        for model, colour in zip(models, itertools.cycle((SYSTEM, GGUF, CONFIDENCE)), strict=False):
            for mixed, marker, style in ((False, "o", "-"), (True, "D", "--")):
                points = [point for point in model["points"] if point["mixed"] == mixed]
                if not points:
                    continue
                label = f"{model['model']}, {'mixes' if mixed else 'types of llama.cpp'}"
                axes.plot([p["bits"] for p in points], [100 * p["changed"] for p in points], marker, color=colour,
                          markerfacecolor="white" if mixed else colour, markersize=5, label=label)  # fmt: skip
                line = shares(model, mixed)
                axes.plot([bits for bits, _ in line], [100 * y for _, y in line], style, color=colour, linewidth=0.8)
        axes.set_yscale("log")
        axes.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
        axes.minorticks_off()
        axes.set_xlabel("bits a weight (further left is smaller)")
        axes.set_ylabel("next tokens that change, %, log scale (lower is better)")
        axes.legend(fontsize=LABEL, frameon=False)

    return draw


def made_by(source: str, prunings: Collection[str]) -> str:
    """Say how the candidates of a source came about."""
    if source in prunings:
        return f"pruned as {source}, and recovered"
    return "trained for its type (distil)" if source == "distil" else f"made from {source}"


def scale_bytes(axes: Any, sizes: Sequence[float]) -> None:
    """Let the horizontal axis show numbers of bytes, on a log scale."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.set_xlim(min(sizes) / 1.5, max(sizes) * 1.5)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(in_units))
    axes.margins(y=0.08)


def label_points(axes: Any, models: Sequence[Sized], heights: Sequence[float]) -> None:
    """Write the name of each model beside its point, or beside that of its packed form if there is one."""
    labelled = [i for i in range(len(models)) if i + 1 == len(models) or not models[i + 1].packed]
    room = (72 * SIZES_WIDTH * 0.9, 72 * SIZES_HEIGHT * 0.84)  # roughly the size of the axes, in points
    to_axes, to_scale = axes.transLimits, axes.transScale
    places = [to_axes.transform(to_scale.transform((models[i].bytes, heights[i]))) for i in range(len(models))]
    points = [(x * room[0], y * room[1]) for x, y in places]
    texts = [models[i].label or models[i].name for i in labelled]
    sizes = [(0.64 * LABEL * len(text), 1.2 * LABEL) for text in texts]
    unlabelled = [points[i] for i in range(len(models)) if i not in labelled]
    for i in range(1, len(models)):
        if models[i].packed:  # keep labels off the line from the unpacked file to the packed one
            (x, y), (packed_x, packed_y) = points[i - 1], points[i]
            unlabelled += [(x + (packed_x - x) * k / 20, y + (packed_y - y) * k / 20) for k in range(1, 20)]
    corners = place_labels([points[i] for i in labelled], sizes, room, unlabelled)
    for i, text, (left, low), (width, height) in zip(labelled, texts, corners, sizes, strict=True):
        x, y = points[i]
        middle = (left + width / 2, low + height / 2)
        is_far = abs(middle[0] - x) > width / 2 + 12 or abs(middle[1] - y) > 12
        axes.annotate(
            text,
            (models[i].bytes, heights[i]),
            xytext=(middle[0] - x, middle[1] - y),
            textcoords="offset points",
            fontsize=LABEL,
            ha="center",
            va="center",
            arrowprops={"arrowstyle": "-", "color": GUIDE, "linewidth": 0.5} if is_far else None,
        )
