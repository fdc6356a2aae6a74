"""Convert the adapter of a modifier to a GGUF LoRA, in the smallest type and rank that answer as well as the whole."""

import shutil
from pathlib import Path
from typing import Any

from ingot.converting import llama_cpp_tools
from ingot.converting.gguf_files import recast
from ingot.errors import InputError
from ingot.inference.gguf_model import open_gguf
from ingot.io.records import Record, read_json, read_records, write_json
from ingot.measuring.answers import ask, marks
from ingot.measuring.significance import compare_pairs
from ingot.settings.measure import Longest
from ingot.settings.modifiers import Convert

FULL = "F32"


def candidates(lora: Path, types: list[str], ranks: list[int], folder: Path) -> dict[str, Path]:
    """Write the LoRA file `lora`, which is F32, in every type and rank to a folder. Return the files by their names.

    The whole one in F32 is among them.
    """
    written = {FULL: lora}
    for rank in (None, *ranks):
        for name in types:
            label = f"{name} of rank {rank}" if rank else name
            if label != FULL:
                written[label] = folder / f"{label}.gguf"
                recast(lora, written[label], name, rank)
    return written


def compare_types(right: dict[str, list[bool]], sizes: dict[str, int]) -> list[dict[str, Any]]:
    """Compare every type with full precision, smallest file first: its bytes, and which of its answers are right."""
    return [
        {"type": name, "bytes": sizes[name], "right": sum(right[name]), **compare_pairs(right[name], right[FULL])}
        for name in sorted(right, key=lambda name: (sizes[name], name))
    ]


def choose(lines: list[dict[str, Any]], types: list[str], most_bytes: int | None, max_loss: float) -> str:
    """Choose the smallest of `types` that loses at most `max_loss` points against full precision.

    Raises InputError if every type loses more, or if the smallest good type has more than `most_bytes`.
    """
    good_enough = [line for line in lines if line["type"] in types and -line["gain"] <= max_loss]
    table = "; ".join(f"{line['type']}: {line['bytes']:,} bytes, {line['gain']:+.1f} points" for line in lines)
    if not good_enough:
        raise InputError(
            f"no type loses at most {max_loss} points against full precision ({table}); add one with more bits"
        )
    if most_bytes is not None and good_enough[0]["bytes"] > most_bytes:
        raise InputError(
            f"no type fits into {most_bytes:,} bytes and loses at most {max_loss} points ({table}); raise `most_bytes`"
            " or `max_loss`, or lower the rank"
        )
    return str(good_enough[0]["type"])


def rank_of(adapter: Path) -> int:
    """Read the rank of an adapter, in the folder that peft has written."""
    return int(read_json(adapter / "adapter_config.json")["r"])


def convert_modifier(
    adapter: Path,
    model: Path,
    gguf: Path,
    valid: Path,
    lora: Path,
    report: Path,
    *,
    domain: str,
    settings: Convert,
    longest: Longest,
    context: int,
    work: Path,
    threads: int,
) -> None:
    """Write the LoRA in the chosen type and rank, and a report of the size and the right answers of every one.

    Every one answers the validation prompts of `domain`. `model` is the checkpoint that the adapter was trained on,
    and `gguf` is the base that serves it.

    Raises InputError if no type is both good and small enough.
    """
    full_precision = work / f"{FULL}.gguf"
    llama_cpp_tools.convert_lora(adapter, model, full_precision, "f32")
    ranks = [rank for rank in settings.ranks if rank < rank_of(adapter)]
    written = candidates(full_precision, list(settings.types), ranks, work)
    records: list[Record] = [r for r in read_records(valid) if r["metadata"]["domain"] == domain]
    loaded = open_gguf(gguf, model, context, threads, written)
    right = {}
    for name in written:
        loaded.use(name)
        right[name] = marks(ask(loaded, records, longest))
    lines = compare_types(right, {name: path.stat().st_size for name, path in written.items()})
    offered = [name for name in written if name != FULL or FULL in settings.types]
    smallest = choose(lines, offered, settings.most_bytes, settings.max_loss)
    shutil.copyfile(written[smallest], lora)
    write_json(report, {"domain": domain, "chosen": smallest, "questions": len(records), "types": lines})
