"""Show over the rounds what each stage of the build made better, by domain, with a test of every step and its costs."""

from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.records import Record, read_json, read_records, write_json
from ingot.measuring.answers import domain_shares, exact_match
from ingot.measuring.significance import compare_pairs, forgetting
from ingot.pages.page import page_of


def stage(name: str, rows: list[Record], before: list[Record] | None, costs: dict[str, int]) -> dict[str, Any]:
    """Return the shares of right answers of a stage, and how they compare with the stage before."""
    domains = {group: figure for group, figure in exact_match(rows).items() if "/" not in group}
    line: dict[str, Any] = {"stage": name, "exact_match": domains, "costs": costs, "versus_before": None}
    if before is not None:
        if [row["instruction"] for row in rows] != [row["instruction"] for row in before]:
            raise InputError(f"{name} was not asked the same questions as the stage before; build both again")
        line["versus_before"] = {
            **compare_pairs([row["right"] for row in rows], [row["right"] for row in before]),
            "forgetting": forgetting(domain_shares(before), domain_shares(rows)),
        }
    return line


def tokens_in(report: dict[str, Any]) -> int:
    """Return how many tokens a training saw, whatever step reports it; a round that was not trained saw none."""
    return int(report.get("tokens_seen", report.get("tokens", report.get("training", {}).get("tokens", 0))))


def bytes_in(path: Path) -> int:
    """Return the bytes of a file, or of the weights in a folder."""
    files = [path] if path.is_file() else path.glob("*.safetensors")
    return sum(file.stat().st_size for file in files)


def report_rounds(
    answers: list[Path],
    trainings: list[Path],
    artifacts: list[Path],
    table: Path,
    markdown: Path,
    *,
    names: list[str],
    trainings_per_stage: list[int],
    artifacts_per_stage: list[int],
) -> None:
    """Write the stages `names` as JSON and Markdown.

    `answers` has one file per stage; `trainings` (reports) and `artifacts` (what the stage adds to the model) have as
    many as the lists say, stage after stage.
    """
    reports, added = iter(trainings), iter(artifacts)
    stages = []
    before = None
    for name, path, trained, made in zip(names, answers, trainings_per_stage, artifacts_per_stage, strict=True):
        # By domain alone: a column for every difficulty would be too much to look at.
        rows = [{key: row[key] for key in ("instruction", "domain", "right")} for row in read_records(path)]
        costs = {
            "tokens": sum(tokens_in(read_json(next(reports))) for _ in range(trained)),
            "bytes": sum(bytes_in(next(added)) for _ in range(made)),
        }
        stages.append(stage(name, rows, before, costs))
        before = rows
    write_json(table, stages)
    markdown.write_text(page_of("rounds.md", stages=stages), encoding="utf-8")
