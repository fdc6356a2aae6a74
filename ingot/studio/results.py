"""What a build has measured: its own figures, and those of two builds beside each other."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.settings.load import read_mapping
from ingot.studio.texts import placeless
from ingot.workflow.build import open_build

FIGURES = Path("figures.json")
PLACES = (Path("results/release"), Path("release"), Path())
"""Where the release of a build is, in a clone, in its results, or in a release itself."""
PLOTS = {
    "sizes-quality": "Size and quality",
    "rounds": "Right answers after each round",
    "losses": "Trainings",
    "accuracy-cost": "Ways to route",
    "reliability": "How sure the router is, and how often it is right",
}
Figures = dict[str, Any]


def release_of(folder: Path) -> Path:
    """Find the release of a build, given a clone, its results, or a release. InputError if there is none."""
    for place in PLACES:
        if (folder / place / FIGURES).is_file():
            return folder / place
    raise InputError(f"{folder.name}: there is no {FIGURES} in it; build there first, with `make`")


def figures_of(folder: Path) -> Figures:
    """Read the figures of a build. InputError if there are none, or they are of another version."""
    place = release_of(folder)
    try:
        figures: Figures = json.loads((place / FIGURES).read_text(encoding="utf-8"))
        for name in ("manifest", "ledger", "measured"):
            _ = figures[name]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{FIGURES} of {folder.name or 'this build'} is of another version, or damaged: {error!r}"
        ) from None
    return figures


def plots_of(root: Path) -> list[tuple[str, str]]:
    """List the plots of a build: (title, SVG). They have no texts but those of the build, which are escaped in them."""
    found = sorted((root / "results/plots").glob("*.svg"), key=lambda path: list(PLOTS).index(path.stem)
                   if path.stem in PLOTS else len(PLOTS))  # fmt: skip
    return [(PLOTS.get(path.stem, path.stem), path.read_text(encoding="utf-8")) for path in found]


@dataclass(frozen=True)
class Line:
    """A figure of two builds."""

    what: str
    here: str
    there: str
    difference: str = ""
    better: bool | None = None
    """Whether this build is the better one; None if they are alike, or no one can say."""


def percent(figure: Any) -> float | None:
    """Return a share in percent; None if it was not measured."""
    share = figure.get("share") if isinstance(figure, dict) else None
    return None if share is None else 100 * share


def written(value: float | None, unit: str) -> str:
    """Write a figure."""
    if value is None:
        return "—"
    return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


def line_of(what: str, here: float | None, there: float | None, unit: str, lower: bool = False) -> Line:
    """Put a figure of two builds beside each other. `lower` says that less is better."""
    difference, better = "", None
    if here is not None and there is not None:
        gap = here - there
        difference = (f"{gap:+,.0f}" if unit == "bytes" else f"{gap:+.1f} points") if abs(gap) > 1e-9 else "the same"
        better = None if abs(gap) <= 1e-9 else (gap < 0) == lower
    return Line(what, written(here, unit), written(there, unit), difference, better)


def compare(here: Figures, there: Figures) -> list[Line]:
    """Put the right answers and the bytes of everything that either build measured beside each other."""
    lines = []
    models = [{row["model"]: row["exact_match"] for row in one["measured"]} for one in (here, there)]
    for one, side in zip((here, there), models, strict=True):
        if one.get("system"):
            side["system"] = {"all": one["system"]["system"], **one["system"].get("exact_match", {})}
    for name in dict.fromkeys([*models[0], *models[1]]):
        domains = [model.get(name, {}) for model in models]
        for domain in dict.fromkeys(key for side in domains for key in side if "/" not in key):
            left, right = (percent(side.get(domain)) for side in domains)
            title = f"{name}, {'all questions' if domain == 'all' else domain}"
            lines.append(line_of(f"right answers: {title}", left, right, "%"))
    sizes = [{row["artifact"]: row["bytes"] for row in one["ledger"]} for one in (here, there)]
    for name in dict.fromkeys([*sizes[0], *sizes[1]]):
        lines.append(line_of(f"size: {name}", sizes[0].get(name), sizes[1].get(name), "bytes", lower=True))
    return lines


def flat(values: Any, above: str = "") -> dict[str, Any]:
    """Return nested settings as {"a.b": value}."""
    if not isinstance(values, dict):
        return {above: values}
    return {
        key: one for name, inner in values.items() for key, one in flat(inner, f"{above}.{name}".lstrip(".")).items()
    }


def settings_of(folder: Path, preset: str = "") -> dict[str, Any]:
    """Read the settings of a clone, flat. InputError if it has none, as a release, or if they are broken."""
    if not (folder / "config.yaml").is_file():
        raise InputError(f"{folder.name} has no config.yaml: a release does not tell its settings")
    given = read_mapping(folder / "config.yaml") | ({"preset": preset} if preset else {})
    return flat(open_build(given, folder).settings.model_dump(mode="json"))


def differing(here: dict[str, Any], there: dict[str, Any]) -> list[Line]:
    """List the settings that two builds do not share."""
    return [
        Line(key, placeless(here.get(key, "—")), placeless(there.get(key, "—")))
        for key in dict.fromkeys([*here, *there])
        if here.get(key) != there.get(key)
    ]
