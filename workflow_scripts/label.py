"""Ask base and modifiers the routing prompts, and note who answers right: what the router learns from."""

from pathlib import Path

from lib.engine import open_engine
from lib.measurement import item_of, judged
from lib.progress import progress
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
    """Return one record per prompt: its domain, and under `right` for base and each modifier whether it is right."""
    engine = open_engine(gguf, checkpoint, context, threads, modifiers)
    items = [item_of(record) for record in records]
    right: dict[str, list[bool]] = {}
    for route in ("base", *modifiers):
        engine.use(None if route == "base" else route)
        answers = [engine.answer(item.instruction, longest) for item in progress(items, route, "question")]
        right[route] = [row["right"] for row in judged(items, answers)]
    return [
        {"prompt": item.instruction, "domain": item.domain, "right": {route: right[route][i] for route in right}}
        for i, item in enumerate(items)
    ]


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
