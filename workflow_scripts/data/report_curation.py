"""Report what happened to the records: figures, and one page to look at."""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ingot.curation.accounting import MIXED_BY, add_up
from ingot.io.progress import progress
from ingot.io.records import Record, read_json, read_records, write_json
from ingot.pages.browser import brief, brief_rejection
from ingot.pages.figures import figure
from ingot.pages.page import page_of

BROWSED = 500  # kept records on the page, and dropped ones of each filter
Report = dict[str, Any]


def funnel(steps: dict[str, Report]) -> list[Report]:
    """Make a row per step: what it read and kept, and why it dropped the rest."""
    rows = []
    for name, report in steps.items():
        before, after = report["before"], report["after"]
        reasons = [
            {"filter": filter, "reason": reason, "records": count}
            for filter, counts in report["reasons"].items()
            for reason, count in counts.items()
        ]
        row = {"step": name, "rejected": report["rejected"]}
        for measure in ("records", "bytes", "tokens"):
            row |= {f"{measure}_in": before[measure], f"{measure}_out": after[measure]}
        rows.append({**row, "reasons": sorted(reasons, key=lambda reason: -reason["records"])})
    return rows


def mixes(steps: dict[str, Report]) -> dict[str, dict[str, dict[str, float]]]:
    """Return {field: {value: {step: share of the records that it kept}}}."""
    shares: dict[str, dict[str, dict[str, float]]] = {field: {} for field in MIXED_BY}
    for name, report in steps.items():
        for field in MIXED_BY:
            for value, count in report["after"]["mix"][field].items():
                share = count / max(1, report["after"]["records"])
                shares[field].setdefault(value, {})[name] = round(share, 4)
    return shares


def histogram(values: list[float], bins: int = 30) -> dict[str, list[float]]:
    """Return the edges of equal bins, and the number of values in each bin."""
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
            bins = report[name]
            if bins["counts"]:
                axes.stairs(bins["counts"], bins["edges"], fill=True, color="#4c72b0")
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

    drawn = {
        "funnel": figure(draw_funnel),
        "lengths": figure(draw_histogram("lengths", "tokens of a kept record")),
        **{f"mix_{field}": figure(draw_mix(field)) for field in MIXED_BY},
    }
    if report["scores"]["counts"]:
        drawn["scores"] = figure(draw_histogram("scores", "quality score of a kept record"))
    return drawn


def some_rejected(paths: Iterable[Path], appeals: list[str]) -> tuple[list[Record], list[Record]]:
    """Return up to BROWSED rejected records of each filter for the page, and all rejected ones that were appealed."""
    shown: dict[str, list[Record]] = {}
    appealed = []
    for path in paths:
        for rejected in read_records(path):
            of_filter = shown.setdefault(rejected["filter"], [])
            if len(of_filter) < BROWSED:
                of_filter.append(brief_rejection(rejected))
            if rejected["id"] in appeals:
                appealed.append(rejected)
    return list(itertools.chain(*shown.values())), appealed


def kept_figures(records: Iterable[Record]) -> tuple[list[float], list[float], list[Record]]:
    """Return the lengths and the scores of all records, and the first BROWSED records for the page.

    Records are ordered by id, which is a hash, so the first ones are as good as a random choice.
    """
    lengths: list[float] = []
    scores: list[float] = []
    shown: list[Record] = []
    for record in records:
        lengths.append(float(record["metadata"]["tokens"] or 0))
        if record["metadata"]["quality_score"] is not None:
            scores.append(float(record["metadata"]["quality_score"]))
        if len(shown) < BROWSED:
            shown.append(brief(record))
    return lengths, scores, shown


def add_up_steps(paths: dict[str, list[Path]]) -> dict[str, Report]:
    """Return the report of each step that ran, added up over the parts of the sources."""
    reports = {step: [read_json(path) for path in of_step] for step, of_step in paths.items()}
    return {step: add_up(of_step) for step, of_step in reports.items() if of_step}


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
    page: Path,
    report: Path,
    *,
    appeals: list[str],
    licences: dict[str, str | None],
) -> None:
    """Write the figures of all steps of the curation, and the page."""
    steps = add_up_steps(
        {
            "read": read,
            "filter": filtered,
            "score": scored,
            "deduplicate": [deduplicated],
            "decontaminate": [decontaminated],
            "balance": [balanced],
        }
    )
    lengths, scores, kept = kept_figures(progress(read_records(records), "look", "record"))
    dropped, refused_again = some_rejected(rejected, appeals)
    granted = steps["filter"]["appealed"]
    of_source = steps["balance"]["after"]["mix"]["source"]
    figures = {
        "funnel": funnel(steps),
        "sources": {
            name: {"records": of_source.get(name, 0), "licence": licence} for name, licence in licences.items()
        },
        "mix": mixes(steps),
        "languages": steps["filter"]["languages"],
        "lengths": histogram(lengths),
        "scores": histogram(scores),
        "judge": steps["score"]["judge"] if "score" in steps else None,
        "duplicates": {key: steps["deduplicate"][key] for key in ("clusters", "threshold", "bands", "rows")},
        "contamination": {"checked": steps["decontaminate"]["items"], "hits": steps["decontaminate"]["hits"]},
        "appeals": {
            "granted": granted,
            "still_refused": [
                f"{refused['id']}: {refused['filter']}: {refused['reason']}" for refused in refused_again
            ],
            "unknown": sorted(set(appeals).difference(granted, (refused["id"] for refused in refused_again))),
        },
        "split": read_json(split)["sides"],
    }
    write_json(report, figures)
    text = page_of(
        "curation.html",
        report=figures,
        plots=plots(figures),
        duplicates=steps["deduplicate"]["examples"],
        hits=steps["decontaminate"]["examples"],
        rows=[*kept, *dropped],
    )
    page.write_text(text, encoding="utf-8")
