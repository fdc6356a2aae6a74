"""Ask base and modifiers the routing prompts, and note who answers right: what the router learns from."""

from pathlib import Path

from lib.engine import open_engine
from lib.measurement import item_of, judged
from lib.records import Record, read_records, write_records


def ask_all(
    gguf: Path,
    checkpoint: Path,
    modifiers: dict[str, Path],
    records: list[Record],
    context: int,
    longest: int,
    threads: int,
) -> list[Record]:
    """Return one record per prompt: its domain, the base's confidence, and under `right` who answers it right.

    Everybody is asked everything: a modifier may also spoil what the base answers right.
    """
    engine = open_engine(gguf, checkpoint, context, threads, modifiers)
    items = [item_of(record) for record in records]
    rows: list[Record] = [{"prompt": item.instruction, "domain": item.domain, "right": {}} for item in items]
    for route in ("base", *modifiers):
        engine.use(None if route == "base" else route)
        answers = engine.ask([item.instruction for item in items], longest)
        for row, answer, verdict in zip(rows, answers, judged(items, answers), strict=True):
            row["right"][route] = verdict["right"]
            if route == "base":
                row["confidence"] = answer.confidence
    return rows


def label(
    gguf: Path,
    checkpoint: Path,
    loras: list[Path],
    routing: Path,
    labels: Path,
    *,
    domains: list[str],
    context: int,
    longest: int,
    threads: int,
) -> None:
    """Write who answers each routing prompt right; `loras` are the modifiers of `domains`, in this order."""
    modifiers = dict(zip(domains, loras, strict=True))
    records = list(read_records(routing))
    write_records(labels, ask_all(gguf, checkpoint, modifiers, records, context, longest, threads))
