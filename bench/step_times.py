"""Print how long the steps of a build in a fresh clone took, as Markdown; no artifact has times, since they differ."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any


def records_of(folder: Path) -> list[dict[str, Any]]:
    """Return what Snakemake noted of every job, one for each, though it notes it once per output."""
    jobs: dict[str, dict[str, Any]] = {}
    for path in folder.iterdir():
        note = json.loads(path.read_text(encoding="utf-8"))
        if note.get("starttime") and note.get("endtime"):
            jobs[str(note["log"])] = note
    return list(jobs.values())


def table(jobs: list[dict[str, Any]]) -> str:
    """Return the rules, those that took longest first, and from the first start to the last end."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for job in jobs:
        seconds[job["rule"]].append(job["endtime"] - job["starttime"])
    whole = max(job["endtime"] for job in jobs) - min(job["starttime"] for job in jobs)
    lines = ["| rule | jobs | seconds |", "|---|---:|---:|"]
    for rule, spent in sorted(seconds.items(), key=lambda pair: -sum(pair[1])):
        lines.append(f"| {rule} | {len(spent)} | {sum(spent):,.0f} |")
    return "\n".join([*lines, f"| from the first start to the last end | {len(jobs)} | {whole:,.0f} |"])


def main() -> None:
    """Print the section for docs/tiny.md."""
    jobs = records_of(Path(".snakemake/metadata"))
    print("\n## Time\n\nOf the jobs that ran, side by side where there are cores for it.\n")
    print(table(jobs))


if __name__ == "__main__":
    main()
