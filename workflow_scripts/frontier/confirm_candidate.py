"""Ask the chosen candidate the benchmark, once: what was chosen on other questions must hold on these."""

from pathlib import Path

from ingot.inference.gguf_model import open_gguf
from ingot.io.records import read_json, read_records, write_json, write_records
from ingot.measuring.answers import ask, compare_domains, exact_match, marks
from ingot.measuring.significance import compare_pairs
from ingot.settings.frontier import Budget
from ingot.settings.measure import Longest


def confirm_candidate(
    chosen: Path,
    models: list[Path],
    tokenizer: Path,
    questions: Path,
    before: Path,
    report: Path,
    answers: Path,
    *,
    names: list[str],
    budget: Budget | None,
    longest: Longest,
    context: int,
    work: Path,
    threads: int,
) -> None:
    """Write how the chosen candidate answers against the model before compression, and whether it keeps the loss.

    `before` has that model's answers to the same questions. If nothing was chosen, the report says so.
    """
    best = read_json(chosen)["chosen"]
    if not best:
        write_records(answers, [])
        write_json(report, {"chosen": "", "kept": False})
        return
    loaded = open_gguf(models[names.index(best)], tokenizer, context, threads, work=work)
    ours, theirs = ask(loaded, list(read_records(questions)), longest), list(read_records(before))
    against = compare_pairs(marks(ours), marks(theirs))
    write_records(answers, ours)
    write_json(
        report,
        {
            "chosen": best,
            "kept": not budget or budget.loss is None or against["gain"] >= -budget.loss,
            "exact_match": exact_match(ours),
            "against": against,
            "domains": compare_domains(ours, theirs),
        },
    )
