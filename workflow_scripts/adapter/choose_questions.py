"""Choose the training prompts that a model is asked, so that what it fails can be taught."""

from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.records import Record, read_json, read_records, write_records
from ingot.settings.adapter import Consistency


def in_turn(records: list[Record], most: int, turn: int) -> list[Record]:
    """Return the `most` records whose turn it is, from turn 1 on: by id, and from the start again at the end.

    The order of ids, which are hashes, is as good as a random one.
    """
    ordered = sorted(records, key=lambda record: record["id"])
    start = (turn - 1) * most
    return [ordered[(start + i) % len(ordered)] for i in range(min(most, len(ordered)))]


def manner(domain: str, consistency: Consistency | None, judged: list[str]) -> dict[str, Any]:
    """Return how a question of a domain is asked: several times at its temperature, or once, greedily.

    Ten greedy answers would be ten times the same one. Domains that are `judged` answer once.
    """
    temperature = consistency.temperatures.get(domain, 0.0) if consistency and domain not in judged else 0.0
    return {"samples": consistency.samples if consistency and temperature else 1, "temperature": temperature}


def choose_questions(
    train: Path,
    earlier: list[Path],
    questions: Path,
    *,
    domains: list[str],
    difficulties: list[str],
    most_asked: int,
    turn: str,
    consistency: Consistency | None,
    judged: list[str],
) -> None:
    """Write the records whose turn it is, each with the way in which it is asked.

    Empty `domains` are all, and so are empty `difficulties`. `earlier` is [] or the report of the round before: after
    one that did not help, nothing is asked.
    """
    if earlier and not read_json(earlier[0])["kept"]:
        write_records(questions, [])
        return
    records = [
        record
        for record in read_records(train)
        if (not domains or record["metadata"]["domain"] in domains)
        and (not difficulties or record["metadata"]["difficulty"] in difficulties)
    ]
    if not records:
        wanted = " and ".join(
            [*(f"the domain {name!r}" for name in domains), *([str(difficulties)] if difficulties else [])]
        )
        raise InputError(f"no training record has {wanted}; add data, or ask for what your data has")
    chosen = in_turn(records, most_asked, int(turn))
    write_records(questions, ({**r, "ask": manner(r["metadata"]["domain"], consistency, judged)} for r in chosen))
