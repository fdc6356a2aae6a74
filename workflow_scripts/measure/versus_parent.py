"""Compare a model of the chain with its parent: what each answered, and how alike their predictions are."""

from pathlib import Path

from ingot.io.records import read_json, read_records, write_json
from ingot.measuring.answers import domain_shares
from ingot.measuring.predictions import Prediction, likeness
from ingot.measuring.significance import compare_pairs, forgetting


def versus_parent(child: list[Path], parent: list[Path], report: Path) -> None:
    """Write how a model differs from its parent; `child` and `parent` are what was measured of the two.

    That is figures, predictions and answers, on the same questions: paired by McNemar's exact test.
    """
    ours, theirs = read_json(child[0]), read_json(parent[0])
    rows, earlier = list(read_records(child[2])), list(read_records(parent[2]))
    paired = compare_pairs([row["right"] for row in rows], [row["right"] for row in earlier])
    write_json(
        report,
        {
            "model": ours["model"],
            "parent": theirs["model"],
            **likeness(Prediction.load(child[1]), Prediction.load(parent[1])),
            "exact_match_gain": paired.pop("gain"),
            **paired,
            "forgetting": forgetting(domain_shares(earlier), domain_shares(rows)),
            "interval_gap": round(100 * (ours["exact_match"]["all"]["low"] - theirs["exact_match"]["all"]["high"]), 2),
        },
    )
