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
    spare: bool,
) -> list[Record]:
    """Return one record per prompt: its domain, the base's confidence, and under `right` who answers it right.

    With `spare`, modifiers are asked only what the base fails; what it answers right needs none of them.
    """
    engine = open_engine(gguf, checkpoint, context, threads, modifiers)
    items = [item_of(record) for record in records]
    rows: list[Record] = [{"prompt": item.instruction, "domain": item.domain, "right": {}} for item in items]
    for route in ("base", *modifiers):
        engine.use(None if route == "base" else route)
        asked = [i for i, row in enumerate(rows) if not (spare and row["right"].get("base"))]
        answers = engine.ask([items[i].instruction for i in asked], longest)
        for i, answer, verdict in zip(asked, answers, judged([items[i] for i in asked], answers), strict=True):
            rows[i]["right"][route] = verdict["right"]
            if route == "base":
                rows[i]["confidence"] = answer.confidence
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
    write_records(labels, ask_all(gguf, checkpoint, modifiers, records, context, longest, threads, spare=True))
