"""Write the rounds table: what each stage of the build made better, by domain, and what it cost."""

from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.records import Record, read_json, read_records, write_json
from ingot.measuring.answers import checked, domain_shares, exact_match, marks
from ingot.measuring.significance import compare_pairs, forgetting
from ingot.pages.page import page_of


def stage(name: str, rows: list[Record], before: list[Record] | None, costs: dict[str, int]) -> dict[str, Any]:
    """Make the line of a stage: its shares of right answers, and how they compare with those of the stage before.

    Raises InputError if the two were not asked the same questions.
    """
    domains = {group: figure for group, figure in exact_match(rows).items() if "/" not in group}
    line: dict[str, Any] = {"stage": name, "exact_match": domains, "costs": costs, "versus_before": None}
    if before is not None:
        if [row["instruction"] for row in checked(rows)] != [row["instruction"] for row in checked(before)]:
            raise InputError(f"{name} was not asked the same questions as the stage before; build both again")
        line["versus_before"] = {
            **compare_pairs(marks(rows), marks(before)),
            "forgetting": forgetting(domain_shares(before), domain_shares(rows)),
        }
    return line


def tokens_in(report: dict[str, Any]) -> int:
    """Read from a report how many tokens a training saw. Steps report it under different keys, or not at all."""
    return int(report.get("tokens_seen", report.get("tokens", report.get("training", {}).get("tokens", 0))))


def bytes_in(path: Path) -> int:
    """Count the bytes of a file, or of the weights in a folder."""
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
    """Write the table of the stages `names`, as JSON and as Markdown.

    `answers` has a file for each stage. `trainings` are reports, and `artifacts` are what a stage adds to the model.
    Both go through the stages in order, with as many entries for each stage as `trainings_per_stage` and
    `artifacts_per_stage` say.
    """
    reports, added = iter(trainings), iter(artifacts)
    stages = []
    before = None
    counts = zip(trainings_per_stage, artifacts_per_stage, strict=True)
    for name, path, (training_count, artifact_count) in zip(names, answers, counts, strict=True):
        # Without the difficulty: a column for every difficulty of every domain would be too much to look at.
        rows = [{key: row[key] for key in ("instruction", "domain", "right")} for row in read_records(path)]
        costs = {
            "tokens": sum(tokens_in(read_json(next(reports))) for _ in range(training_count)),
            "bytes": sum(bytes_in(next(added)) for _ in range(artifact_count)),
        }
        stages.append(stage(name, rows, before, costs))
        before = rows
    write_json(table, stages)
    markdown.write_text(page_of("rounds.md", stages=stages), encoding="utf-8")
