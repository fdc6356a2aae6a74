"""Choose the training prompts that a model is asked. What it answers wrong can then be taught."""

from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.records import Record, read_json, read_records, write_records
from ingot.settings.adapter import Consistency


def in_turn(records: list[Record], most: int, turn: int) -> list[Record]:
    """Take the `most` records whose turn it is. Turns begin with 1, and start again when all records had a turn.

    Records are in the order of their ids. Ids are hashes, so this is like a random order.
    """
    ordered = sorted(records, key=lambda record: record["id"])
    start = (turn - 1) * most
    return [ordered[(start + i) % len(ordered)] for i in range(min(most, len(ordered)))]


def manner(domain: str, consistency: Consistency | None, judged: list[str]) -> dict[str, Any]:
    """Say how a question of a domain is asked: several times at the domain's temperature, or once, greedily.

    A question of a domain in `judged` is asked once. So is one without a temperature: all its answers would be equal.
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
    """Write the records whose turn it is, and how each of them is asked.

    Empty `domains` stand for all domains, and empty `difficulties` for all difficulties. `earlier` is the report of the
    round before, or []. If that round did not help, no questions are written.

    Raises InputError if no record has these domains and difficulties.
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
        missing = " and ".join(
            [*(f"the domain {name!r}" for name in domains), *([str(difficulties)] if difficulties else [])]
        )
        raise InputError(f"no training record has {missing}; add data, or ask for what your data has")
    to_ask = in_turn(records, most_asked, int(turn))
    write_records(questions, ({**r, "ask": manner(r["metadata"]["domain"], consistency, judged)} for r in to_ask))
