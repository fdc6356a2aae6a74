"""Judge whether a further training of an adapter helped, on prompts that it was not trained on."""

import shutil
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.checkpoint import Checkpoint
from ingot.io.records import Record
from ingot.measuring.answers import ask, compare_likelihoods, domain_shares, marks, with_likelihoods
from ingot.measuring.significance import compare_pairs, forgetting, spent
from ingot.settings.adapter import RoundLimits
from ingot.settings.measure import Longest
from ingot.text.forms import unit_hash


def halves(records: list[Record], source: Path) -> tuple[list[Record], list[Record]]:
    """Split records, by the hash of the prompt, into those to watch the loss on and those to judge the round by.

    InputError names the file `source` if there are too few for both.
    """
    parts: tuple[list[Record], list[Record]] = ([], [])
    for record in records:
        parts[unit_hash(f"round {record['instruction']}") < 0.5].append(record)
    if not all(parts):
        raise InputError(
            f"{source}: there are too few records to watch the loss on and to judge the round by; raise"
            " `split.shares.valid`"
        )
    return parts


def asked(folders: list[Path], records: list[Record], batch: int, longest: Longest, work: Path) -> list[Record]:
    """Ask a base with an adapter, and return the rows of its answers. `folders` are those of the two.

    A step that was killed finds in the folder `work` what this adapter has answered.
    """
    model = Checkpoint(folders, batch, work)
    return with_likelihoods(model, ask(model, records, longest))


def asked_both(
    base: Path, adapters: tuple[Path, Path], records: list[Record], batch: int, longest: Longest, work: Path
) -> tuple[list[Record], list[Record]]:
    """Ask a base with the adapter before a round, and with the one after it. Return the rows of the answers of both."""
    before, after = adapters
    return (
        asked([base, before], records, batch, longest, work / "before"),
        asked([base, after], records, batch, longest, work / "after"),
    )


def verdict(before: list[Record], after: list[Record], limits: RoundLimits, turn: int) -> dict[str, Any]:
    """Compare the answers before and after a round, and decide whether its adapter is `kept`.

    It is kept if three things hold. More answers are right, or the references of open questions are likelier, with a p
    value of at most the part of `max_p_value` that this round may spend (half of it each, if there are both): all
    rounds together are fooled by chance no more often than one would be. Neither of the two got worse by that measure.
    And the domains fell by at most `max_forgetting` points, on average.
    """
    alpha = spent(limits.max_p_value, turn)
    paired = compare_pairs(marks(after), marks(before))
    of_open = compare_likelihoods(after, before).get("all")
    tests = [paired] * bool(marks(after)) + ([of_open] if of_open else [])
    shares = domain_shares(before), domain_shares(after)
    lost = forgetting(*shares)
    better = any(test["gain"] > 0 and min(1, test["p_value"] * len(tests)) <= alpha for test in tests)
    worse = any(test["gain"] < 0 and test["p_value"] <= alpha < 1 for test in tests)
    return {
        "questions": len(marks(after)),
        "versus_before": paired,
        "open_versus_before": of_open,
        "most_p": round(alpha, 6),
        "forgetting": lost,
        "domains": {
            name: {"before": round(share, 4), "after": round(shares[1][name], 4)} for name, share in shares[0].items()
        },
        "kept": better and not worse and lost <= limits.max_forgetting,
    }


def copy_adapter(folder: Path, to: Path) -> None:
    """Copy an adapter, without the hidden files with which Snakemake marks folders."""
    shutil.copytree(folder, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
