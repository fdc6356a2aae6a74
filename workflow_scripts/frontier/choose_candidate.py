"""Choose the best candidate within the budget, and draw the frontier: what each takes, and how well it answers."""

from pathlib import Path
from typing import Any

from ingot.io.records import read_json, read_records, write_json
from ingot.measuring.answers import marks
from ingot.measuring.frontier import Candidate, Point, candidates_of, choose
from ingot.measuring.significance import compare_pairs, proportion
from ingot.pages.figures import picture
from ingot.pages.plots import SIZES_HEIGHT, SIZES_WIDTH, draw_frontier
from ingot.settings.compress import Pruning
from ingot.settings.frontier import Budget


def row_of(candidate: Candidate, report: dict[str, Any], speed: float | None, because: str) -> dict[str, Any]:
    """Make the row of a candidate, without its answers."""
    return {
        "recipe": candidate.name,
        "file_bytes": candidate.file_bytes,
        "memory_bytes": candidate.memory_bytes,
        "tokens_per_second": speed,
        "kl": report["kl"],
        "top1_agreement": report["top1_agreement"],
        "perplexity": report["perplexity"],
        "token_loss": report["token_loss"],
        "not_asked": because,
        "right": None,
        "of": None,
        "interval": None,
        "against": None,
        "chosen": False,
    }


def choose_candidate(
    screened: list[Path],
    asked: list[Path],
    answers: list[Path],
    before: Path,
    sixteen_bits: Path,
    speed: Path,
    table: Path,
    chosen: Path,
    plot: Path,
    *,
    names: list[str],
    compared_with: str,
    budget: Budget | None,
    prunings: dict[str, Pruning],
    preset: str,
) -> None:
    """Write all points, the choice among them, and the plot. The files are those of the candidates `names`.

    `before` has the answers of the model `compared_with`, which is the one before compression, in `sixteen_bits`.
    """
    reports = [read_json(path) for path in screened]
    candidates = candidates_of(names, reports)
    verdicts, speeds = [read_json(path) for path in asked], read_json(speed)
    theirs = marks(list(read_records(before)))
    looks = sum(verdict["asked"] for verdict in verdicts)
    rows, points = [], []
    for candidate, report, verdict, path in zip(candidates, reports, verdicts, answers, strict=True):
        row = row_of(candidate, report, speeds.get(candidate.name), verdict["because"])
        rows.append(row)
        if verdict["asked"]:
            ours = marks(list(read_records(path)))
            share, against = proportion(sum(ours), len(ours)), compare_pairs(ours, theirs, looks)
            row |= {"right": share["right"], "of": share["of"], "interval": [share["low"], share["high"]]}
            row["against"] = against
            points.append(Point(candidate, sum(ours), against["gain"], against["gain_low"]))
    best, problem = choose(points, candidates, budget, len(theirs))
    for row in rows:
        row["chosen"] = row["recipe"] == best
    rows.sort(key=lambda row: (row["memory_bytes"], row["file_bytes"], row["recipe"]))
    reference = {
        "model": compared_with,
        "memory_bytes": sixteen_bits.stat().st_size,
        "tokens_per_second": speeds[""],
        **proportion(sum(theirs), len(theirs)),
    }
    limits = budget.model_dump() if budget else None
    write_json(chosen, {"chosen": best})
    found = {
        "preset": preset,
        "chosen": best,
        "problem": problem,
        "looks": looks,
        "budget": limits,
        "before": reference,
        "prunings": {name: one.model_dump() for name, one in prunings.items()},
    }
    write_json(table, {**found, "candidates": rows})
    title = f"What {compared_with} becomes in few bytes, and how well it answers then"
    drawn = picture(draw_frontier(rows, reference, prunings), title, SIZES_WIDTH, SIZES_HEIGHT)
    plot.write_text(drawn, encoding="utf-8")
