"""Report what happened to the records, as figures and as one page to look at."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ingot.curation.accounting import MIXED_BY, add_up
from ingot.io.progress import progress
from ingot.io.records import Record, read_json, read_records, write_json
from ingot.pages.figures import figure
from ingot.pages.page import brief, brief_rejection, page_of

BROWSED = 500  # kept records, and as many dropped ones of each filter, that the page holds
Report = dict[str, Any]


def funnel(steps: dict[str, Report]) -> list[Report]:
    """Return one row per step: what it read and kept, and why it dropped the rest."""
    rows = []
    for name, report in steps.items():
        before, after = report["before"], report["after"]
        reasons = [
            {"filter": filter, "reason": reason, "records": count}
            for filter, found in report["reasons"].items()
            for reason, count in found.items()
        ]
        row = {"step": name, "rejected": report["rejected"]}
        for what in ("records", "bytes", "tokens"):
            row |= {f"{what}_in": before[what], f"{what}_out": after[what]}
        rows.append({**row, "reasons": sorted(reasons, key=lambda one: -one["records"])})
    return rows


def mixes(steps: dict[str, Report]) -> dict[str, dict[str, dict[str, float]]]:
    """Return {field: {value: {step: share of the records that it kept}}}."""
    found: dict[str, dict[str, dict[str, float]]] = {field: {} for field in MIXED_BY}
    for name, report in steps.items():
        for field in MIXED_BY:
            for value, count in report["after"]["mix"][field].items():
                share = count / max(1, report["after"]["records"])
                found[field].setdefault(value, {})[name] = round(share, 4)
    return found


def histogram(values: list[float], bins: int = 30) -> dict[str, list[float]]:
    """Return the edges of equal bins and the number of values in each."""
    import numpy as np

    if not values:
        return {"edges": [], "counts": []}
    counts, edges = np.histogram(values, bins)
    return {"edges": [round(float(edge), 3) for edge in edges], "counts": [int(count) for count in counts]}


def plots(report: Report) -> dict[str, str]:
    """Return the plots of the page by name."""

    def draw_funnel(axes: Any) -> None:
        rows = report["funnel"]
        names = ["sources", *(row["step"] for row in rows)]
        counts = [rows[0]["records_in"], *(row["records_out"] for row in rows)]
        bars = axes.barh(names[::-1], counts[::-1], color="#4c72b0")
        axes.bar_label(bars, [f"{count:,}" for count in counts[::-1]], padding=3)
        axes.set_xlabel("records")
        axes.margins(x=0.15)

    def draw_histogram(name: str, label: str) -> Any:
        def draw(axes: Any) -> None:
            found = report[name]
            if found["counts"]:
                axes.stairs(found["counts"], found["edges"], fill=True, color="#4c72b0")
            axes.set_xlabel(label)
            axes.set_ylabel("records")

        return draw

    def draw_mix(field: str) -> Any:
        def draw(axes: Any) -> None:
            steps = [row["step"] for row in report["funnel"]]
            below = [0.0] * len(steps)
            for value, shares in sorted(report["mix"][field].items()):
                heights = [100 * shares.get(step, 0.0) for step in steps]
                axes.bar(steps, heights, bottom=below, label=value)
                below = [low + height for low, height in zip(below, heights, strict=True)]
            axes.set_ylabel("% of the records")
            axes.tick_params(axis="x", rotation=20)
            axes.legend(fontsize=7, bbox_to_anchor=(1, 1), loc="upper left", frameon=False)

        return draw

    found = {
        "funnel": figure(draw_funnel),
        "lengths": figure(draw_histogram("lengths", "tokens of a kept record")),
        **{f"mix_{field}": figure(draw_mix(field)) for field in MIXED_BY},
    }
    if report["scores"]["counts"]:
        found["scores"] = figure(draw_histogram("scores", "quality score of a kept record"))
    return found


def some_rejected(paths: Iterable[Path], appeals: list[str]) -> tuple[list[Record], list[str]]:
    """Return up to BROWSED rejected records of each filter, and the appeals that are among the rejected."""
    found: dict[str, list[Record]] = {}
    appealed = []
    for path in paths:
        for rejected in read_records(path):
            group = found.setdefault(rejected["filter"], [])
            if len(group) < BROWSED:
                group.append(brief_rejection(rejected))
            if rejected["id"] in appeals:
                appealed.append(f"{rejected['id']}: {rejected['filter']}: {rejected['reason']}")
    return list(itertools.chain(*found.values())), appealed


def kept_figures(records: Iterable[Record]) -> tuple[list[float], list[float], list[Record]]:
    """Return the lengths and the scores of all records, and the first BROWSED of them: by id, so at random."""
    lengths, scores, shown = [], [], []
    for record in records:
        lengths.append(float(record["metadata"]["tokens"] or 0))
        if record["metadata"]["quality_score"] is not None:
            scores.append(float(record["metadata"]["quality_score"]))
        if len(shown) < BROWSED:
            shown.append(brief(record))
    return lengths, scores, shown


def lossy_steps(given: dict[str, Path | list[Path]]) -> Iterator[tuple[str, Report]]:
    """Yield the name and the report of each step that ran, those of many parts added up."""
    for name, paths in given.items():
        reports = [read_json(path) for path in (paths if isinstance(paths, list) else [paths])]
        if reports:
            yield name, add_up(reports)


def report_curation(
    read: list[Path],
    filtered: list[Path],
    scored: list[Path],
    deduplicated: Path,
    decontaminated: Path,
    balanced: Path,
    split: Path,
    rejected: list[Path],
    records: Path,
    template: Path,
    page: Path,
    report: Path,
    *,
    appeals: list[str],
    licences: dict[str, str | None],
) -> None:
    """Write the figures of all steps of the curation, and the page."""
    given: dict[str, Path | list[Path]] = {
        "read": read,
        "filter": filtered,
        "score": scored,
        "deduplicate": deduplicated,
        "decontaminate": decontaminated,
        "balance": balanced,
    }
    steps = dict(lossy_steps(given))
    lengths, scores, shown = kept_figures(progress(read_records(records), "look", "record"))
    dropped, refused_again = some_rejected(rejected, appeals)
    known = {*steps["filter"]["appealed"], *(one.split(":")[0] for one in refused_again)}
    found = {
        "funnel": funnel(steps),
        "sources": {
            name: {"records": steps["balance"]["after"]["mix"]["source"].get(name, 0), "licence": licence}
            for name, licence in licences.items()
        },
        "mix": mixes(steps),
        "languages": steps["filter"]["languages"],
        "lengths": histogram(lengths),
        "scores": histogram(scores),
        "judge": steps["score"]["judge"] if "score" in steps else None,
        "duplicates": {key: steps["deduplicate"][key] for key in ("clusters", "threshold", "bands", "rows")},
        "contamination": {"checked": steps["decontaminate"]["items"], "hits": steps["decontaminate"]["hits"]},
        "appeals": {
            "granted": steps["filter"]["appealed"],
            "still_refused": refused_again,
            "unknown": sorted(set(appeals) - known),
        },
        "split": read_json(split)["parts"],
    }
    write_json(report, found)
    text = page_of(
        template,
        report=found,
        plots=plots(found),
        duplicates=steps["deduplicate"]["examples"],
        hits=steps["decontaminate"]["examples"],
        rows=[*shown, *dropped],
    )
    page.write_text(text, encoding="utf-8")
