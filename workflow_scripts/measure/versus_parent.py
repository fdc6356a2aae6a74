"""Compare a model with its parent: which questions each answers right, and how alike their predictions are."""

from pathlib import Path

from ingot.io.records import read_json, read_records, write_json
from ingot.measuring.answers import compare_domains, compare_likelihoods, domain_shares, marks
from ingot.measuring.predictions import Prediction, likeness
from ingot.measuring.significance import compare_pairs, forgetting


def versus_parent(child: list[Path], parent: list[Path], judged: list[Path], report: Path) -> None:
    """Write how a model differs from its parent. Their answers are paired by question (McNemar's exact test).

    `child` and `parent` are the files that measuring wrote of each: [report, predictions, answers]. `judged` has what a
    judge made of their open answers, if one was asked.
    """
    ours, theirs = read_json(child[0]), read_json(parent[0])
    child_rows, parent_rows = list(read_records(child[2])), list(read_records(parent[2]))
    paired = compare_pairs(marks(child_rows), marks(parent_rows))
    asked = sum(row["stopped"] is not None for row in child_rows)
    by_judge = read_json(judged[0]) if judged else {"all": {"share": None}, "domains": {}}
    of_open = compare_likelihoods(child_rows, parent_rows)
    write_json(
        report,
        {
            "model": ours["model"],
            "parent": theirs["model"],
            **likeness(Prediction.load(child[1]), Prediction.load(parent[1])),
            "exact_match_gain": paired.pop("gain"),
            **paired,
            "domains": compare_domains(child_rows, parent_rows),
            "forgetting": forgetting(domain_shares(parent_rows), domain_shares(child_rows)),
            "more_unstopped": round(100 * (ours["unstopped"] - theirs["unstopped"]) / max(1, asked), 2),
            "open_gain": of_open.get("all", {"gain": 0.0})["gain"],
            "open": of_open,
            "open_score": by_judge["all"]["share"],
            "judged": by_judge["domains"],
            "interval_gap": round(100 * (ours["exact_match"]["all"]["low"] - theirs["exact_match"]["all"]["high"]), 2),
        },
    )
