"""What packing makes of GGUF files, beside plain zstd and xz, and how fast it unpacks on one core.

    python bench/bench_packing.py FILE.gguf ... [--write]

The environment is `dev`. Each way is asked for the same file in the same run. `--write` writes docs/bench-packing.md.
"""

import argparse
import lzma
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from tabulate import tabulate

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ingot.converting.gguf_files import segments_of  # noqa: E402
from ingot.io import planes  # noqa: E402
from ingot.io.container import Segment, chunks, pack_file, unpack_file  # noqa: E402

LEVEL = 19
LEAST_SECONDS = 2.0
PAGE = ROOT / "docs/bench-packing.md"
HEAD = """# What packing makes of GGUF files

Written by `python bench/bench_packing.py FILE.gguf ... --write` on {date}. zstd has level {level}, xz its preset 6.
"Entropy" is what the weights of a file cost at least if each is written by itself: where two of four are zero, which
two, the codes of the others, and the scales, each by how often its values occur (order 0); what is no weight counts as
zstd packs it. Megabytes a second are those of the unpacked file, on one core; ours checks its digest, too.

"""


def entropy(symbols: Any) -> float:
    """Return the bytes that symbols, numbers below 2^16, cost by how often each occurs."""
    counts = np.bincount(symbols)
    shares = counts[counts > 0] / max(1, len(symbols))
    return float(-(shares * np.log2(shares)).sum()) * len(symbols) / 8


def least_bytes(file: Path, segments: list[Segment]) -> float:
    """Return the entropy of a file, as the page explains it. All segments of a kind count together."""
    planes_of: dict[tuple[str, int | str], list[Any]] = {}
    other = b""
    with open(file, "rb") as reader:
        for kind, count in chunks(segments):
            data = reader.read(count)
            if kind == planes.RAW:
                other += data
                continue
            layout = planes.layout_of(kind)
            blocks = np.frombuffer(data, np.uint8).reshape(-1, layout.block)
            for place in range(layout.scales):
                planes_of.setdefault((kind, place), []).append(blocks[:, place])
            fours = planes.fours_of(blocks[:, layout.scales :], layout.bits)
            codes = fours.reshape(-1)
            if kind.endswith(planes.SPARSE):
                zeros = planes.zeros_of(fours, layout.zero)
                patterns = planes.tables()["pattern_of"][zeros]
                planes_of.setdefault((kind, "patterns"), []).append(patterns)
                rows = np.arange(len(fours))
                kept = [fours[rows, planes.tables()[which][patterns]] for which in ("first", "second")]
                codes = np.concatenate(kept)
            planes_of.setdefault((kind, "codes"), []).append(codes)
    found = sum(entropy(np.concatenate(parts)) for parts in planes_of.values())
    return found + len(zstandard.compress(other, LEVEL))


def speed(unpack: Callable[[], None], size: int) -> float:
    """Return the megabytes a second of unpacking a file of so many bytes, again and again for some seconds."""
    unpack()
    times, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < LEAST_SECONDS:
        unpack()
        times += 1
    return size * times / passed / 1e6


def measured(file: Path, work: Path) -> list[str]:
    """Pack and unpack a file in all ways; return the row of the table."""
    content, segments = file.read_bytes(), segments_of(file)
    ours, plain, back = work / "ours.zst", work / "plain.zst", work / "back"
    pack_file(file, ours, LEVEL, 2, segments)
    plain.write_bytes(zstandard.ZstdCompressor(level=LEVEL, threads=2).compress(content))

    def unpack_plain() -> None:
        with open(plain, "rb") as packed, open(back, "wb") as target:
            zstandard.ZstdDecompressor().copy_stream(packed, target)

    speeds = [speed(lambda: unpack_file(ours, back), len(content))]
    assert back.read_bytes() == content
    speeds.append(speed(unpack_plain, len(content)))
    assert back.read_bytes() == content
    sizes = [path.stat().st_size for path in (ours, plain)]
    kinds = sorted({kind for kind, _ in segments} - {planes.RAW}) or ["no type that is turned"]
    least = least_bytes(file, segments)
    return [
        f"{file.name}: {', '.join(kinds)}", f"{len(content):,}", f"{sizes[0]:,}", f"{sizes[1]:,}",
        f"{len(lzma.compress(content)):,}", f"{least:,.0f}", f"{sizes[0] / least:.3f}", f"{sizes[0] / sizes[1]:.3f}",
        f"{speeds[0]:,.0f}", f"{speeds[1]:,.0f}",
    ]  # fmt: skip


def main() -> None:
    """Measure, and print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        rows = [measured(file, Path(work)) for file in options.files]
    heads = ["file", "bytes", "packed", "zstd", "xz", "entropy", "packed / entropy", "packed / zstd"]
    heads += ["MB/s", "MB/s of zstd"]
    table = tabulate(rows, heads, tablefmt="github", disable_numparse=True, colalign=("left", *["right"] * 9))
    page = HEAD.format(date=f"{datetime.now(UTC):%Y-%m-%d}", level=LEVEL) + table + "\n"
    print(page)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
