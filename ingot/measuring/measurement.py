"""The figures of a model, whatever runs it."""

from pathlib import Path

from ingot.io.records import Record, write_json, write_records
from ingot.measuring.answers import exact_match
from ingot.measuring.predictions import Prediction


def write_measurement(
    name: str,
    prediction: Prediction,
    rows: list[Record],
    token_mismatches: int,
    paths: tuple[Path, Path, Path],
) -> None:
    """Write report, predictions and answers of a model."""
    report_path, logprobs_path, answers_path = paths
    report = {
        "model": name,
        "perplexity": round(prediction.perplexity(), 4),
        "tokens": len(prediction.tokens),
        "exact_match": exact_match(rows),
        "unstopped": sum(not row["stopped"] for row in rows),
        "token_mismatches": token_mismatches,
    }
    prediction.save(logprobs_path)
    write_records(answers_path, rows)
    write_json(report_path, report)
