"""Write the size ledger: bytes, bits per weight, zeros, ratio to the parent and quality of every artifact."""

from pathlib import Path
from typing import Any

from ingot.io.records import read_json, write_json
from ingot.pages.page import page_of

SMALL_GAIN = 0.02  # an artifact that saves less than this share of its parent's bytes gets a note

Row = dict[str, Any]


def tree_bytes(path: Path) -> int:
    """Count the bytes of a file, or of the weights in a folder. A tokenizer beside them does not count."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*.safetensors"))


def checkpoint_zeros(folder: Path) -> tuple[int, int]:
    """Count (zeros, weights) in the tensors of a checkpoint, one tensor at a time. (0, 0) if its weights are packed."""
    from safetensors import safe_open

    zeros = size = 0
    for file in sorted(folder.rglob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  (safe_open is no dict)
                if name.endswith("weight_packed") or name.endswith("qweight"):
                    return 0, 0
                tensor = tensors.get_tensor(name)
                zeros += int((tensor == 0).sum())
                size += tensor.numel()
    return zeros, size


def gguf_zeros(path: Path) -> tuple[int, int]:
    """Count (zeros, weights) in the dequantised tensors of a GGUF file."""
    import gguf

    zeros = size = 0
    for tensor in gguf.GGUFReader(path).tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        zeros += int((values == 0).sum())
        size += values.size
    return zeros, size


def zeros_of(path: Path) -> tuple[int, int]:
    """Count (zeros, weights) in a checkpoint folder or a GGUF file. (0, 0) for a packed file."""
    if path.suffix == ".zst":
        return 0, 0
    return gguf_zeros(path) if path.suffix == ".gguf" else checkpoint_zeros(path)


def quality(reports: dict[str, Path], name: str) -> dict[str, float | None]:
    """Read the perplexity and the exact match of an artifact. Both are None if it was not measured."""
    report = reports.get(name.removesuffix(".zst"))  # a packed file has the quality of the file inside
    if report is None:
        return {"perplexity": None, "exact_match": None}
    measured = read_json(report)
    return {"perplexity": measured["perplexity"], "exact_match": measured["exact_match"]["all"]["share"]}


def make_row(name: str, path: Path, parent: Row | None, below: int, figures: dict[str, float | None]) -> Row:
    """Make the row of an artifact.

    Its bits are per weight of the model that it is: of its own, of its parent where it is packed, and of the model
    `below` of so many weights where it is added to that.
    """
    size = tree_bytes(path)
    zeros, counted = zeros_of(path)
    weights = (counted or parent["weights"]) if parent else below
    ratio = round(size / parent["bytes"], 4) if parent else None
    saves_little = ratio is not None and ratio > 1 - SMALL_GAIN
    return {
        "artifact": name,
        "path": str(path),
        "bytes": size,
        "weights": weights,
        "bits_per_weight": round(8 * size / weights, 3),
        "zeros": round(zeros / counted, 4) if counted else (parent["zeros"] if parent else None),
        "parent": parent["artifact"] if parent else None,
        "ratio": ratio,
        **figures,
        "note": f"saves less than {SMALL_GAIN:.0%}" if saves_little else "",
    }


def ledger(
    artifacts: list[Path],
    reports: list[Path],
    table: Path,
    markdown: Path,
    *,
    names: list[str],
    parents: list[str | None],
    measured: list[str],
) -> None:
    """Write the ledger as JSON and as Markdown.

    `artifacts` are the paths, `names` their names, and `parents` the names of what they are made from, in the same
    order; parents come first. `reports` are the measurements of the models `measured`.
    """
    report_of = dict(zip(measured, reports, strict=True))
    rows: dict[str, Row] = {}
    below = checkpoint_zeros(artifacts[names.index("base")])[1]  # tied embeddings are stored once, and count once
    for name, path, parent in zip(names, artifacts, parents, strict=True):
        parent_row = rows[parent] if parent else None
        rows[name] = make_row(name, path, parent_row, below, quality(report_of, name))
        below = rows[name]["weights"]  # adapters are added to the base, and modifiers to what GGUF files hold
    write_json(table, list(rows.values()))
    markdown.write_text(page_of("ledger.md", ledger=list(rows.values())), encoding="utf-8")
