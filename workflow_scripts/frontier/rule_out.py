"""Tell whether a candidate may be the best, or others beat it already."""

from pathlib import Path

from ingot.io.records import read_json, write_json
from ingot.measuring.frontier import candidates_of, why_not_asked
from ingot.settings.frontier import Budget


def rule_out(
    screened: list[Path], asked: Path, *, name: str, names: list[str], max_loss: float, budget: Budget | None
) -> None:
    """Write whether the candidate `name` is to be asked, and why if not. `screened` are the reports on all `names`."""
    candidates = candidates_of(names, [read_json(path) for path in screened])
    because = why_not_asked(candidates[names.index(name)], candidates, max_loss, budget)
    write_json(asked, {"asked": not because, "because": because})
