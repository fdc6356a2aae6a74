"""Write what the docs show of a build: `make figures`.

Reads results/release/figures.json and the plots in results/plots, which the rules `release` and `draw_plots` write, and
what `make frontier` found, if anything. Asks the trace layer for the time and memory of every step. Writes the page of
the preset, the plots in the folder of that page in docs/pictures, docs/pictures/rulegraph.svg, and in
docs/compression.md what the search tells of few bits. A search without a release gets a page of its own.
"""

import json
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.records import read_json, write_json
from ingot.pages.figures import BASE, CHECKPOINT, GGUF, GUIDE, INK, RECORDS, SYSTEM, picture
from ingot.pages.page import page_of
from ingot.pages.plots import draw_changes
from ingot.planning import compression
from ingot.workflow.environments import python_of

FIGURES = Path("results/release/figures.json")
PLOTS = Path("results/plots")
FRONTIER = Path("results/frontier")
PAGES = {"tiny": "tiny", "smollm2-135m": "smollm2"}
"""The page of each preset that the docs show."""

PICTURE = Path("docs/pictures/compression.svg")
HELD = 520
"""The megabytes that the source documents promise so much for."""

Report = dict[str, Any]
Edge = tuple[str, str]
"""A rule, and one that reads what it writes."""
FONT = "Helvetica,Arial,sans-serif"


def read_figures() -> Report:
    """Read the figures of the build here; InputError if there are none, or if its preset has no page."""
    if not FIGURES.exists():
        raise InputError(f"{FIGURES} is not there; build first, with `make`")
    figures: Report = read_json(FIGURES)
    preset = figures["manifest"]["preset"]
    if preset not in PAGES:
        raise InputError(f"results/ is of the preset {preset}; the docs have pages of {' and '.join(PAGES)}")
    return figures


def spent_here(root: Path, preset: str) -> Report:
    """Ask the trace layer what each step took when it ran here last. InputError if it fails."""
    arguments = ["-m", "traced.spent", "--json", "--config", f"preset={preset}"]
    done = subprocess.run([python_of("workflow", root), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"python -m traced.spent failed:\n{done.stderr}")
    spent: Report = json.loads(done.stdout)
    return spent


def by_rule(spent: Report) -> Report:
    """Sum up what the steps of each rule took, those that took longest first."""
    steps: dict[str, list[Report]] = defaultdict(list)
    for step in spent["steps"]:
        steps[step["rule"]].append(step)
    rules = [
        {
            "rule": rule,
            "jobs": len(of_rule),
            "seconds": sum(step["seconds"] for step in of_rule),
            "peak_bytes": max(step["peak_bytes"] for step in of_rule),
        }
        for rule, of_rule in steps.items()
    ]
    return {
        "rules": sorted(rules, key=lambda row: -row["seconds"]),
        "jobs": len(spent["steps"]),
        "seconds": spent["busy_seconds"],
    }


THEMES = {
    "world": RECORDS,
    "base": BASE,
    "data": RECORDS,
    "adapter": CHECKPOINT,
    "compress": CHECKPOINT,
    "gguf": GGUF,
    "measure": GUIDE,
    "modifiers": SYSTEM,
    "router": SYSTEM,
    "suites": GUIDE,
    "release": INK,
    "frontier": GGUF,
}
"""The rule files, in the order of the flow, with their colours."""


def rules_of(theme: str) -> list[str]:
    """List the rules of a rule file."""
    text = Path(f"rules/{theme}.smk").read_text(encoding="utf-8")
    return re.findall(r"^ *(?:rule|use rule \w+ as) (\w+)", text, re.MULTILINE)


def edges_of(dot: str) -> set[Edge]:
    """Read who needs whom from the rule graph that Snakemake prints."""
    names = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)', dot, re.MULTILINE))
    pairs = re.findall(r"^\s*(\d+) -> (\d+)", dot, re.MULTILINE)
    return {(names[a], names[b]) for a, b in pairs if "all" not in (names[a], names[b])}


def without_implied(edges: set[Edge]) -> set[Edge]:
    """Leave out every edge of a graph without circles that a longer way implies."""
    after: dict[str, set[str]] = defaultdict(set)
    for source, target in edges:
        after[source].add(target)

    def reaches(start: str, goal: str) -> bool:
        return goal in after[start] or any(reaches(further, goal) for further in after[start])

    return {
        (source, target)
        for source, target in edges
        if not any(reaches(further, target) for further in after[source] - {target})
    }


def rule_graph(dot: str) -> str:
    """Write the rule graph anew: a node per rule, in a frame per rule file, without arrows that others imply.

    What goes back against the flow are gates, which hold the next step back; they are dashed.
    """
    theme_of = {rule: theme for theme in THEMES for rule in rules_of(theme)}
    place = {theme: i for i, theme in enumerate(THEMES)}
    edges = {edge for edge in edges_of(dot) if edge[0] != edge[1]}
    back = {(source, target) for source, target in edges if place[theme_of[source]] > place[theme_of[target]]}
    drawn = {rule for edge in edges for rule in edge}
    note = "An arrow that a longer way implies is left out. Dashed: a gate holds the next step back until it is open."
    lines = [
        "digraph rules {",
        f'  graph [ranksep=0.35, nodesep=0.15, bgcolor=white, fontname="{FONT}", fontsize=12, label="{note}"];',
        f'  node [shape=box, style="rounded,filled", fillcolor=white, fontname="{FONT}", fontsize=12, height=0.3];',
        f'  edge [color="{GUIDE}", arrowsize=0.6];',
    ]
    for theme, colour in THEMES.items():
        if rules := [rule for rule in theme_of if theme_of[rule] == theme and rule in drawn]:
            lines.append(f'  subgraph cluster_{theme} {{ label="{theme}"; labeljust=l; style=rounded;')
            lines.append(f'    color="{colour}"; fontcolor="{colour}";')
            lines += [f'    {rule} [color="{colour}"];' for rule in rules]
            lines.append("  }")
    lines += [f"  {source} -> {target};" for source, target in sorted(without_implied(edges - back))]
    lines += [f"  {source} -> {target} [style=dashed, constraint=false];" for source, target in sorted(back)]
    return "\n".join([*lines, "}"]) + "\n"


def draw_rule_graph(root: Path) -> str:
    """Draw the rules of the Snakefile here, by graphviz; InputError if that is missing."""
    if not shutil.which("dot"):
        raise InputError(
            "rulegraph.svg needs `dot` of graphviz; install it (Debian, Ubuntu: apt-get install graphviz; Fedora:"
            " dnf install graphviz; macOS: brew install graphviz), and run `make figures` again"
        )
    snakemake = python_of("workflow", root).with_name("snakemake")
    printed = subprocess.run([snakemake, "--rulegraph"], capture_output=True, text=True, check=False)
    if printed.returncode:
        raise InputError(f"snakemake --rulegraph failed:\n{printed.stderr}")
    graph = rule_graph(printed.stdout)
    drawn = subprocess.run(["dot", "-Tsvg"], input=graph, capture_output=True, text=True, check=True).stdout
    return drawn[drawn.index("<svg") :]


def main() -> None:
    """Write the pages and the pictures."""
    try:
        found = read_frontier()
        figures = read_figures() if FIGURES.exists() or not found else None
        if figures:
            write_build(figures, found)
        if found:
            alone = not is_of_build(found, figures)
            page = PAGES[found["preset"]] + ("-frontier" if alone else "")
            write_compression(found, page)
            if alone:
                write_search(found, page)
    except InputError as error:
        raise SystemExit(f"ingot: figures: {error}") from None


def is_of_build(found: Report, figures: Report | None) -> bool:
    """Tell whether a search is of the preset that was built, so that its page shows it."""
    return figures is not None and found["preset"] == figures["manifest"]["preset"]


def write_build(figures: Report, found: Report | None) -> None:
    """Write the page of a build, with the search if it is of the same preset."""
    preset = figures["manifest"]["preset"]
    page = PAGES[preset]
    pictures = folder_of(page)
    for plot in sorted(PLOTS.glob("*.svg")):
        shutil.copyfile(plot, pictures / plot.name)
    times = by_rule(spent_here(Path(), preset))
    write_page(figures, times, Path(f"docs/{page}.md"), found if found and is_of_build(found, figures) else None)
    pictures.with_name("rulegraph.svg").write_text(draw_rule_graph(Path()), encoding="utf-8")


def folder_of(page: str) -> Path:
    """Return the folder of the pictures of a page."""
    pictures = Path("docs/pictures") / page
    pictures.mkdir(parents=True, exist_ok=True)
    return pictures


def read_frontier() -> Report | None:
    """Read what a search for a smaller base found here, and copy its plot. None: no preset with a page was searched."""
    if not (FRONTIER / "confirmed.json").exists():
        return None
    found: Report = read_json(FRONTIER / "frontier.json")
    if found["preset"] not in PAGES:
        return None
    shutil.copyfile(FRONTIER / "frontier.svg", folder_of(PAGES[found["preset"]]) / "frontier.svg")
    return {**found, "confirmed": read_json(FRONTIER / "confirmed.json")}


def write_search(found: Report, page: str) -> None:
    """Write the page of a search whose build has no release."""
    settings = Path("config.yaml").read_text(encoding="utf-8")
    chosen = re.sub("^#.*\n", "", settings, flags=re.MULTILINE).strip()
    text = page_of(
        "search.md",
        preset=found["preset"],
        settings=chosen,
        frontier=found,
        pictures=f"pictures/{PAGES[found['preset']]}",
    )
    Path(f"docs/{page}.md").write_text(text, encoding="utf-8")


def write_page(figures: Report, times: Report, page: Path, frontier: Report | None) -> None:
    """Write what the preset measures, what it took, and what a search for a smaller base found."""
    title = f"What the {figures['manifest']['preset']} preset measures"
    pictures = f"pictures/{page.stem}"
    text = page_of("measured.md", title=title, times=times, pictures=pictures, frontier=frontier, **figures)
    page.write_text(text, encoding="utf-8")


def write_compression(frontier: Report, page: str) -> None:
    """Put what the search on a page found of few bits among what is known of other models, and write what that says.

    Nothing is written if it tried no type with so few bits.
    """
    preset = frontier["preset"]
    mine = {
        "model": preset,
        "weights": frontier["before"]["memory_bytes"] // 2,
        "texts": "validation conversations",
        "source": f"`make frontier` ([{page}.md]({page}.md))",
        "points": compression.points_of(frontier),
    }
    if not mine["points"]:
        return
    models = [mine, *(model for model in compression.known()["models"] if model["model"] != preset)]
    models.sort(key=lambda model: float(model["weights"]))
    lines = compression.lines_through(models)
    write_json(compression.FILE, {"models": models, "lines": lines})
    draw = draw_changes(models, lambda model, mixed: compression.line_of(model["model"], mixed, lines))
    PICTURE.write_text(picture(draw, "What few bits change"), encoding="utf-8")
    Path("docs/compression.md").write_text(page_of_compression(models, lines), encoding="utf-8")


def page_of_compression(models: list[Report], lines: Report) -> str:
    """Write the page of what few bits cost."""

    def said(bits: float, mixed: bool) -> str:
        shares = compression.changed(bits, mixed, lines)
        return compression.percent(shares) if shares else ""

    held = [
        {"bits": bits, "weights": HELD * 8e6 / bits, "plain": said(bits, False), "mixed": said(bits, True)}
        for bits in (2, 3, 4, 5, 6)
    ]
    mixed = [model["model"] for model in models if any(point["mixed"] for point in model["points"])]
    about = {"mixed": mixed, "megabytes": HELD, "bits": compression.BITS, "picture": PICTURE.relative_to("docs")}
    return page_of("compression.md", models=models, lines=lines, held=held, **about)


if __name__ == "__main__":
    main()
